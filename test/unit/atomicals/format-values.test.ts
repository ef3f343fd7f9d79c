import { describe, expect, it } from 'vitest'
import { ShownValues, wireOf } from '../../../src/atomicals/format/values.ts'
import { fromHex } from '../../../src/lib/bytes.ts'
import { CborMap, type CborValue } from '../../../src/lib/cbor/values.ts'
import { decodeCbor } from '../../../src/lib/cbor.ts'
import { writeJson } from '../../../src/rpc/json.ts'

const VALUES = [
  ['integers that a double holds', '821b001fffffffffffff20', '[9007199254740991,-1]'],
  ['integers beyond, in full', '1bffffffffffffffff', '18446744073709551615'],
  ['what is no number', '83f97e00f97c00f9fc00', '[null,null,null]'],
  ['bytes with their length in Python', '43010203', '{"$b":"010203","$len":36,"$auto":true}'],
  ['keys that are no text', 'a4410a010203fb400400000000000004f505', '{"2":3,"0a":1,"2.5":4,"true":5}'],
  ['unknown tags as bytes', 'd9d6d801', '{"$b":"d9d6d801","$len":37,"$auto":true}'],
  ['dates', 'c074323032342d30372d30315431323a30303a30305a', '"2024-07-01T12:00:00.000Z"'],
  ['sets', 'd90102820102', '[1,2]'],
  ['simple values', 'e0', '[0]'],
  ['the name of the prototype', 'a1695f5f70726f746f5f5f01', '{"__proto__":1}'],
] as const

describe('wireOf', () => {
  it.each(VALUES)('shows %s', (_, hex, json) => {
    expect(writeJson(wireOf(decodeCbor(fromHex(hex))))).toBe(json)
  })

  it('ends where a value contains itself', () => {
    const map = new CborMap()
    map.set('self', map)
    expect(writeJson(wireOf(map)).length).toBeLessThan(10_000)
  })

  it('shows half a million values at most, whatever shares its parts', () => {
    let shared: CborValue = [1n, 2n]
    for (let i = 0; i < 60; i++) shared = [shared, shared]
    const text = writeJson(wireOf(shared))
    expect(text.length).toBeLessThan(6_000_000)
  })

  it('counts what one answer shows together', () => {
    const shown = new ShownValues()
    const list = Array.from({ length: 300_000 }, (_, i) => BigInt(i))
    expect(wireOf(list, shown)).toHaveLength(300_000)
    const second = wireOf(list, shown) as readonly unknown[]
    expect(second.at(-1)).toBeNull()
  })
})
