import { describe, expect, it } from 'vitest'
import { realDisk } from '../../../src/db/disk.ts'
import { gatherSome } from '../../../src/db/gather.ts'
import { ALL_GATHERED, NONE_GATHERED } from '../../../src/db/history-rows.ts'
import { GATHERED, HEADS, HISTORY } from '../../../src/db/layout.ts'
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
      expect(HEADS.readValue(head)).toEqual({ more: 1, deltas: [] })
      expect(await store.rows(HISTORY.range())).toHaveLength(MANY_ROWS)
      if (last === undefined) return
      const short = store.getSync(HEADS.keyBytes({ hashX: last }))!
      expect(HEADS.readValue(short)).toEqual({ more: 0, deltas: [1, 1] })
    })
  }
})
