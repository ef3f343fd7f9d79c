import { describe, expect, it } from 'vitest'
import { isContainerName, isItemName, isRealmName, isSubrealmName, isTicker } from '../../../src/atomicals/names.ts'

const KINDS = { isRealmName, isSubrealmName, isContainerName, isItemName }

describe('names', () => {
  describe.each(Object.entries(KINDS))('%s', (kind, isName) => {
    it.each(['a', 'z9', 'a-b', 'a--b', `a${'0'.repeat(63)}`])('takes %j', (name) => {
      expect(isName(name)).toBe(true)
    })

    it.each([
      '',
      '-',
      '-a',
      'a-',
      'A',
      'aB',
      'a_b',
      'a.b',
      'é',
      'a b',
      `a${'0'.repeat(64)}`,
      '\n',
      'a\n\n',
      'a\nb',
      'a\r',
    ])('refuses %j', (name) => {
      expect(isName(name)).toBe(false)
    })

    it("Python's $ also matches before a final newline", () => {
      expect(isName('abc\n')).toBe(true)
    })

    it('a name of 64 characters leaves no room for the newline, and a hyphen may stand before one', () => {
      expect(isName(`a${'0'.repeat(62)}\n`)).toBe(true)
      expect(isName(`a${'0'.repeat(63)}\n`)).toBe(false)
      expect(isName('abc-\n')).toBe(true)
    })

    it('begins with a digit unless it is a realm', () => {
      expect(isName('0a')).toBe(kind !== 'isRealmName')
    })
  })

  it.each(['a', '0', 'abc123', 'a'.repeat(21), 'abc\n', `${'a'.repeat(21)}\n`])('takes the ticker %j', (ticker) => {
    expect(isTicker(ticker)).toBe(true)
  })

  it.each(['', 'a'.repeat(22), 'A', 'a-b', '\n', 'a\n\n', ' a'])('refuses the ticker %j', (ticker) => {
    expect(isTicker(ticker)).toBe(false)
  })
})
