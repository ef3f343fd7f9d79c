import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { PlaceFilter } from '../../../src/atomicals/filter.ts'
import { outpointOf } from '../../support/chain-builder.ts'

const txid = (n: number): Uint8Array => createHash('sha256').update(String(n)).digest()

describe('the filter of outputs', () => {
  it('has every output that was added, wherever its outpoint stands', () => {
    const filter = new PlaceFilter(1 << 12)
    for (let n = 0; n < 200; n++) filter.add(txid(n).subarray(0, 16), n % 5)
    for (let n = 0; n < 200; n++) {
      const raw = Buffer.concat([Buffer.alloc(n % 3), outpointOf(txid(n), n % 5)])
      expect(filter.mayHave(raw, n % 3)).toBe(true)
    }
  })

  it('has few others, other outputs of the same transactions among them', () => {
    const filter = new PlaceFilter(1 << 14)
    for (let n = 0; n < 1_000; n++) filter.add(txid(n), 0)
    let wrong = 0
    for (let n = 0; n < 1_000; n++) {
      if (filter.mayHave(outpointOf(txid(n), 1), 0)) wrong += 1
      if (filter.mayHave(outpointOf(txid(n + 1_000), 0), 0)) wrong += 1
    }
    expect(wrong).toBeLessThan(40)
  })

  it('refuses sizes that are no power of two', () => {
    expect(() => new PlaceFilter(48)).toThrow(RangeError)
    expect(() => new PlaceFilter(16)).toThrow(RangeError)
  })
})
