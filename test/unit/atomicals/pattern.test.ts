import { describe, expect, it } from 'vitest'
import { compilePattern } from '../../../src/atomicals/pattern.ts'
import { growth } from '../../support/cpu-time.ts'

function matches(pattern: string, text: string): boolean | undefined {
  return compilePattern(pattern)?.matches(text)
}

describe('compilePattern', () => {
  it('matches from the beginning, whatever follows', () => {
    expect(matches('ab', 'abc')).toBe(true)
    expect(matches('bc', 'abc')).toBe(false)
  })

  it('refuses parentheses, escaped ones too, and empty patterns', () => {
    for (const pattern of ['', '(a)', '\\(', '[)]', '(?i)a']) expect(compilePattern(pattern)).toBeUndefined()
  })

  it('$ also matches before a newline at the end', () => {
    expect(matches('abc$', 'abc\n')).toBe(true)
    expect(matches('abc\\Z', 'abc\n')).toBe(false)
    expect(matches('abc$', 'abc\nd')).toBe(false)
    expect(matches('abc$', 'abc\n\n')).toBe(false)
  })

  it('\\B does not match in an empty text', () => {
    expect(matches('\\B', '')).toBe(false)
    expect(matches('\\b', '')).toBe(false)
    expect(matches('\\B', '-')).toBe(true)
  })

  it('a possessive quantifier gives nothing back', () => {
    expect(matches('a*a', 'aaa')).toBe(true)
    expect(matches('a*?a', 'aaa')).toBe(true)
    expect(matches('a*+a', 'aaa')).toBe(false)
    expect(matches('a{1,2}+a', 'aaa')).toBe(true)
  })

  it('knows digits, letters and white space of Unicode 14, as Python 3.11 does', () => {
    expect(matches('^\\d$', '\u0663')).toBe(true)
    expect(matches('^\\d$', '\u{11f50}')).toBe(false)
    expect(matches('^\\w$', '\u{1e030}')).toBe(false)
    expect(matches('^\\w$', '²')).toBe(true)
    expect(matches('^\\s$', '\x1c')).toBe(true)
    expect(matches('^\\s$', '\ufeff')).toBe(false)
  })

  it('knows characters by their names', () => {
    expect(matches('^\\N{latin small letter a}[\\N{DIGIT ZERO}-\\N{DIGIT NINE}]$', 'a7')).toBe(true)
    expect(matches('^\\N{HANGUL SYLLABLE GAN}$', '\uac04')).toBe(true)
    expect(matches('^\\N{CJK UNIFIED IDEOGRAPH-4E00}$', '\u4e00')).toBe(true)
    expect(matches('^\\N{ALERT}$', '\x07')).toBe(true)
    for (const name of ['', 'NO SUCH NAME', 'HANGUL SYLLABLE ga', 'KEYCAP DIGIT ONE', 'CJK UNIFIED IDEOGRAPH-A000']) {
      expect(compilePattern(`\\N{${name}}`)).toBeUndefined()
    }
  })

  it('counts the length of a pattern in code points, 100,000 at most', () => {
    expect(matches('a'.repeat(100_000), 'a')).toBe(false)
    expect(compilePattern('a'.repeat(100_001))).toBeUndefined()
    expect(compilePattern('\u{1f600}'.repeat(100_000))).toBeDefined()
    expect(compilePattern('\u{1f600}'.repeat(100_001))).toBeUndefined()
  })

  it('refuses counts that Python cannot hold', () => {
    expect(compilePattern('a{4294967294}')).toBeDefined()
    expect(compilePattern('a{4294967295}')).toBeUndefined()
    expect(compilePattern(`a{${'0'.repeat(4299)}1}`)).toBeDefined()
    expect(compilePattern(`a{${'0'.repeat(4300)}1}`)).toBeUndefined()
  })
})

describe('time of a pattern', () => {
  const NAME = `${'a'.repeat(63)}!`
  const UNITS = {
    'a*': 'a*',
    'a?': 'a?',
    'a{0,64}': 'a{0,64}',
    '[a-z]*': '[a-z]*',
    'a*+': 'a*+',
    'a*|': 'a*b|',
    '[\\w-]+?': '[\\w-]+?',
    '\\b': '\\b',
  }

  it.each(Object.entries(UNITS))('grows no faster than its length: %s', (_, unit) => {
    const most = Math.floor(99_990 / unit.length)
    const long = `${unit.repeat(most)}x`
    const short = `${unit.repeat(Math.floor(most / 8))}x`
    const match = (pattern: string) => () => compilePattern(pattern)?.matches(NAME)
    // Three doublings. 1.7 leaves room for a busy machine; twice the length in four times the time would be 2.
    expect(Math.log2(growth(match(short), match(long))) / 3).toBeLessThan(1.7)
  })

  it('grows no faster than the text', () => {
    const pattern = compilePattern(`${'a*'.repeat(200)}x`)
    const match = (text: string) => () => pattern?.matches(text)
    expect(Math.log2(growth(match('a'.repeat(4000)), match('a'.repeat(32_000)), { rounds: 3 })) / 3).toBeLessThan(1.7)
  })
})
