import { describe, expect, it } from 'vitest'
import { realDisk } from '../../../src/db/disk.ts'
import { gatherSome } from '../../../src/db/gather.ts'
import { ALL_GATHERED, NONE_GATHERED } from '../../../src/db/history-rows.ts'
import { GATHERED, HEAD_ALL_SPENT, HEAD_GOES_ON, HEADS, HISTORY, UTXOS } from '../../../src/db/layout.ts'
import { MemoryStore } from '../../../src/db/memory-store.ts'

/** More than are read in one go. */
const MANY_ROWS = 20_100

async function storeOf(histories: readonly (readonly [hashX: Uint8Array, rows: number])[]): Promise<MemoryStore> {
  const store = new MemoryStore(realDisk)
  const batch = store.batch()
  for (const [hashX, rows] of histories) {
    for (let first = 1; first <= rows; first++) {
      batch.put(HISTORY.keyBytes({ hashX, first }), HISTORY.valueBytes({ deltas: [] }))
    }
  }
  await batch.write()
  return store
}

describe('gathering some histories', () => {
  for (const [what, last] of [
    ['another one', new Uint8Array(11).fill(8)],
    ['nothing', undefined],
  ] as const) {
    it(`passes over the rows of a very long one to ${what} behind it, and comes to an end`, async () => {
      const long = new Uint8Array(11).fill(last === undefined ? 0xff : 7)
      const store = await storeOf([[long, MANY_ROWS], ...(last === undefined ? [] : [[last, 2] as const])])
      let below: Uint8Array = NONE_GATHERED
      let steps = 0
      for (; below !== ALL_GATHERED && steps < 5; steps++) below = await gatherSome(store, below)
      expect(below).toBe(ALL_GATHERED)
      expect(steps).toBeLessThanOrEqual(2)
      expect(store.getSync(GATHERED.keyBytes({}))).toBeDefined()
      const head = store.getSync(HEADS.keyBytes({ hashX: long }))!
      expect(HEADS.readValue(head)).toEqual({ flags: HEAD_GOES_ON, deltas: [] })
      expect(await store.rows(HISTORY.range())).toHaveLength(MANY_ROWS)
      if (last === undefined) return
      const short = store.getSync(HEADS.keyBytes({ hashX: last }))!
      expect(HEADS.readValue(short)).toEqual({ flags: HEAD_ALL_SPENT, deltas: [1, 1] })
    })
  }

  it('notes which scripts have nothing unspent, however many outputs of others lie between', async () => {
    const scripts = Array.from({ length: 5 }, (_, n) => new Uint8Array(11).fill(n + 1))
    const [, few, , many] = scripts
    const store = await storeOf(scripts.map((hashX) => [hashX, 1]))
    const batch = store.batch()
    const pay = (hashX: Uint8Array, vout: number): void => {
      const txid = new Uint8Array(16).fill(1)
      batch.put(UTXOS.keyBytes({ hashX, txid, vout }), UTXOS.valueBytes({ txNum: 1, value: 1 }))
    }
    pay(few!, 0)
    for (let vout = 0; vout < 3000; vout++) pay(many!, vout)
    await batch.write()
    await gatherSome(store, NONE_GATHERED)
    const flags = scripts.map((hashX) => HEADS.readValue(store.getSync(HEADS.keyBytes({ hashX }))!).flags)
    expect(flags).toEqual([HEAD_ALL_SPENT, 0, HEAD_ALL_SPENT, 0, HEAD_ALL_SPENT])
  })
})
