import { describe, expect, it } from 'vitest'
import { toHex } from '../../../src/lib/bytes.ts'
import { ByteTable, outpointKey } from '../../../src/regtest/byte-table.ts'
import { seededRandom } from '../../support/chain-builder.ts'

function keyOf(n: number): Uint8Array {
  // Few different beginnings and ends, so that many keys want the same place.
  const key = new Uint8Array(36)
  key[0] = n % 3
  key[5] = n & 0xff
  key[6] = n >> 8
  return key
}

describe('ByteTable', () => {
  it('agrees with a Map over random additions and deletions of keys that collide', () => {
    const random = seededRandom(7)
    const wrong: number[] = []
    const table = new ByteTable(36, 2)
    const model = new Map<string, number>()
    for (let i = 0; i < 20_000; i++) {
      const n = Math.floor(random() * 2000)
      const key = keyOf(n)
      if (random() < 0.55) {
        const value = table.valueAt(table.add(key))
        value[0] = i & 0xff
        value[1] = (i >> 8) & 0xff
        model.set(toHex(key), i & 0xffff)
      } else {
        if (table.delete(key) >= 0 !== model.delete(toHex(key))) wrong.push(i)
      }
    }
    expect(table.size).toBe(model.size)
    for (let n = 0; n < 2000; n++) {
      const row = table.find(keyOf(n))
      const value = row < 0 ? undefined : table.valueAt(row)
      if ((value && (value[0] ?? 0) + (value[1] ?? 0) * 256) !== model.get(toHex(keyOf(n)))) wrong.push(n)
    }
    expect(wrong).toEqual([])
    expect(new Set([...table.rows()].map((row) => toHex(table.keyAt(row))))).toEqual(new Set(model.keys()))
  })

  it('keeps the rows of other keys where they are', () => {
    const table = new ByteTable(36, 1)
    const row = table.add(keyOf(1))
    table.valueAt(row)[0] = 42
    for (let n = 2; n < 2000; n++) table.add(keyOf(n))
    for (let n = 2; n < 2000; n += 2) table.delete(keyOf(n))
    expect(table.find(keyOf(1))).toBe(row)
    expect(table.valueAt(row)[0]).toBe(42)
  })

  it('tells outputs of one transaction apart', () => {
    const txid = new Uint8Array(32).fill(9)
    expect(toHex(outpointKey(txid, 0x01020304))).toBe(`${'09'.repeat(32)}04030201`)
  })
})
