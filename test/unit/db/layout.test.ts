import { describe, expect, it } from 'vitest'
import { u32 } from '../../../src/db/codec.ts'
import { describeSchema, KEY_SPACES, KeySpace, rangeOf } from '../../../src/db/layout.ts'

describe('the schema', () => {
  it('is described with every key space, its keys, values and sentence', () => {
    const page = describeSchema()
    for (const space of KEY_SPACES) {
      const { prefix, key, value, sentence } = space.describe()
      expect(page).toContain(`| \`${prefix}\` | ${space.name} | ${key} | ${value} | ${sentence} |`)
      expect(sentence).toMatch(/\.$/)
    }
    expect(page).toContain('| hashX: 11 bytes, txid: 16 bytes, vout: ordered varint | txNum: u40, value: varint |')
  })

  it('takes prefixes of one byte only', () => {
    for (const prefix of ['', 'ab']) {
      const options = { name: 'x', prefix, key: u32, value: u32, sentence: 'x.' }
      expect(() => new KeySpace(options)).toThrow(RangeError)
    }
  })

  it('knows no end of what nothing stands after', () => {
    expect(() => rangeOf(Uint8Array.of(255, 255))).toThrow(RangeError)
  })
})
