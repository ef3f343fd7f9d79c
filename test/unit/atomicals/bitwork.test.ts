import { describe, expect, it } from 'vitest'
import { bitworkOfTarget, meetsBitwork, nextBitwork, parseBitwork } from '../../../src/atomicals/bitwork.ts'
import { fromDisplayHex } from '../../../src/lib/bytes.ts'

const TXID = fromDisplayHex(`abc7${'0'.repeat(60)}`)

function meets(text: string): boolean {
  const work = parseBitwork(text)
  return work !== undefined && meetsBitwork(TXID, work)
}

describe('parseBitwork', () => {
  it.each([
    ['a', 'a', undefined],
    ['0123456789abcdef', '0123456789abcdef', undefined],
    ['0'.repeat(64), '0'.repeat(64), undefined],
    ['abc.0', 'abc', 0],
    ['abc.15', 'abc', 15],
  ])('reads %s', (text, prefix, ext) => {
    expect(parseBitwork(text)).toEqual({ prefix, ext })
  })

  it.each([
    '',
    '.',
    '.5',
    'abc.',
    'abc.16',
    'abc.-1',
    'abc.1.2',
    'abc.f',
    'abc.1.',
    'ABC',
    'g',
    '0'.repeat(65),
    ' a',
    'any',
    'z',
    '0.',
    '0.17',
    '00..0',
  ])('refuses %j', (text) => {
    expect(parseBitwork(text)).toBeUndefined()
  })

  it.each([
    ['+7', 7],
    ['07', 7],
    [' 7\n', 7],
    ['-0', 0],
    ['1_0', 10],
    ['٧', 7],
  ])("the extension is read as Python's int() does: %j", (ext, number) => {
    expect(parseBitwork(`abc.${ext}`)?.ext).toBe(number)
  })

  it('a prefix may end in a newline, which no id will ever match', () => {
    expect(parseBitwork('abc\n')).toEqual({ prefix: 'abc\n', ext: undefined })
    expect(parseBitwork('abc\n.3')).toEqual({ prefix: 'abc\n', ext: 3 })
    expect(meets('abc\n')).toBe(false)
  })
})

describe('meetsBitwork', () => {
  it.each(['a', 'abc', 'abc7', 'abc.7', 'abc.0', 'abc.1', 'ab.12', `abc7${'0'.repeat(40)}`, `abc7${'0'.repeat(60)}.0`])(
    'is met: %s',
    (text) => {
      expect(meets(text)).toBe(true)
    },
  )

  it.each(['b', 'abd', 'abc8', 'abc.8', 'ab.13', 'abc7.1'])('is not met: %s', (text) => {
    expect(meets(text)).toBe(false)
  })

  it('is not met where no digit is left for the extension', () => {
    expect(meets(`abc7${'0'.repeat(60)}.1`)).toBe(false)
  })

  it('meets work of more than 32 characters, at which the reference stops for good', () => {
    expect(meets(`abc7${'0'.repeat(30)}`)).toBe(true)
  })
})

describe('work of perpetual tokens', () => {
  it.each([
    ['8888', 64, '8888'],
    ['8888', 65, '8888.1'],
    ['8888', 79, '8888.15'],
    ['8888', 80, '88880'],
    ['888888', 64, '8888'],
    ['8888', 512, `8888${'0'.repeat(28)}`],
    ['8888', 600, `8888${'0'.repeat(28)}.8`],
  ])('of %s at %i is %s', (vector, target, work) => {
    expect(bitworkOfTarget(vector, target)).toBe(work)
  })

  it('next full digit: one more of the vector, then zeros, 32 at most', () => {
    expect(nextBitwork('88889', { prefix: '8888', ext: 3 })).toBe('88889')
    expect(nextBitwork('8888', { prefix: '8888', ext: undefined })).toBe('88880')
    expect(nextBitwork('8888', { prefix: '8'.repeat(31), ext: 1 })).toBe(`8888${'0'.repeat(28)}`)
    expect(nextBitwork('8888', { prefix: '8'.repeat(32), ext: 1 })).toBe(`8888${'0'.repeat(28)}`)
  })

  it.each([
    ['a', 16],
    ['a.0', 16],
    ['a.1', 17],
    ['a.2', 18],
    ['a.15', 31],
    ['ab', 32],
    ['ab.0', 32],
    ['abcd', 64],
    ['abcd.1', 65],
    ['abcd0123', 128],
    ['abcd0123.5', 133],
  ])('is derived from the difficulty that %s is of, %i sixteenths', (text, target) => {
    const work = parseBitwork(text)
    expect(work === undefined ? undefined : work.prefix.length * 16 + (work.ext ?? 0)).toBe(target)
    expect(bitworkOfTarget(work?.prefix ?? '', target)).toBe(text.replace(/\.0$/, ''))
  })

  it.each([
    ['', 0, '0'],
    ['', 1, '00'],
    ['', 2, '000'],
    ['8', 0, '8'],
    ['8', 1, '80'],
    ['88', 0, '8'],
    ['88', 1, '88'],
    ['88', 2, '880'],
    ['888', 2, '888'],
    ['888', 3, '8880'],
    ['8888', 2, '888'],
    ['8888', 3, '8888'],
    ['88888', 3, '8888'],
    ['88888', 4, '88888'],
  ])('next full digit of "%s" behind %i digits is %s', (vector, digits, work) => {
    expect(nextBitwork(vector, { prefix: 'f'.repeat(digits), ext: undefined })).toBe(work)
  })

  it('a vector longer than 32 digits is used in full once 32 or more are asked for', () => {
    const vector = 'a'.repeat(40)
    expect(bitworkOfTarget(vector, 31 * 16)).toBe('a'.repeat(31))
    expect(bitworkOfTarget(vector, 32 * 16)).toBe(vector)
    expect(nextBitwork(vector, { prefix: 'a'.repeat(31), ext: undefined })).toBe(vector)
  })
})
