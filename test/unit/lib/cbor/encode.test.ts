import { describe, expect, it } from 'vitest'
import { fromHex, toHex } from '../../../../src/lib/bytes.ts'
import { encodeCbor } from '../../../../src/lib/cbor/encode.ts'
import { CborMap, CborTag, type CborValue } from '../../../../src/lib/cbor/values.ts'
import { decodeCbor } from '../../../../src/lib/cbor.ts'

/** What cbor2.dumps() makes of the value, which is the text itself where it is as short as it can be. */
const VALUES = [
  ['small integers', '8300182020'],
  ['integers of every size', '8518ff19ffff1affffffff1b00000001000000003bffffffffffffffff'],
  ['integers beyond 64 bits', '82c249010000000000000000c349010000000000000000'],
  ['floats, always of 64 bits', '82fb3ff8000000000000fb4014000000000000'],
  ['floats that are none', '83f97e00f97c00f9fc00'],
  ['simple values', '86f4f5f6f7e0f8ff'],
  ['texts and bytes', '8262c3bc43010203'],
  ['maps in maps', 'a26161a101026162a0'],
  ['unknown tags in each other', 'd9d6d8d81f8101'],
] as const

function decoded(hex: string): CborValue {
  const value = decodeCbor(fromHex(hex))
  if (value === undefined) throw new Error('not decoded')
  return value
}

describe('encodeCbor', () => {
  it.each(VALUES)('writes %s as it was read', (_, hex) => {
    expect(toHex(encodeCbor(decoded(hex)) ?? new Uint8Array(0))).toBe(hex)
  })

  it('gives up on a value that contains itself, and on one that shares its parts too often', () => {
    const map = new CborMap()
    map.set('self', map)
    expect(encodeCbor(map)).toBeUndefined()
    let shared: CborValue = [1n]
    for (let i = 0; i < 40; i++) shared = [shared, shared]
    expect(encodeCbor(shared)).toBeUndefined()
    const tag = new CborTag(60_000n)
    tag.value = tag
    expect(encodeCbor(tag)).toBeUndefined()
  })
})
