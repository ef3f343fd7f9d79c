import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { struct, u32 } from '../../../src/db/codec.ts'
import { realDisk } from '../../../src/db/disk.ts'
import { LayeredRows } from '../../../src/db/layered-rows.ts'
import { KeySpace } from '../../../src/db/layout.ts'
import { MemoryStore } from '../../../src/db/memory-store.ts'
import { PendingLayer } from '../../../src/db/pending.ts'
import type { StoreReader } from '../../../src/db/store.ts'
import { turnsDuring } from '../../support/turns.ts'

const THINGS = new KeySpace<{ readonly owner: number; readonly id: number }, { readonly worth: number }>({
  name: 'things',
  prefix: 'x',
  key: struct({ owner: u32, id: u32 }),
  value: struct({ worth: u32 }),
  sentence: 'Of this test.',
})
const OWNER = 7
const START = THINGS.keyBytes({ owner: OWNER, id: 0 }).subarray(1, 5)

type Worths = ReadonlyMap<number, number | undefined>

async function storeOf(worths: Worths): Promise<MemoryStore> {
  const store = new MemoryStore(realDisk)
  const batch = store.batch()
  for (const owner of [OWNER - 1, OWNER, OWNER + 1]) {
    for (const [id, worth] of worths) {
      if (worth !== undefined) batch.put(THINGS.keyBytes({ owner, id }), THINGS.valueBytes({ worth }))
    }
  }
  await batch.write()
  return store
}

function layerOf(worths: Worths): PendingLayer {
  return new PendingLayer(
    Array.from(worths, ([id, worth]) => [
      THINGS.keyText({ owner: OWNER, id }),
      worth === undefined ? undefined : THINGS.valueText({ worth }),
    ]),
  )
}

/** Counts the rows that are asked for. */
function counting(store: StoreReader, count: (rows: number) => void): StoreReader {
  const rows = store.rows.bind(store)
  store.rows = async (range) => {
    const found = await rows(range)
    count(found.length)
    return found
  }
  return store
}

const worths = fc
  .array(fc.tuple(fc.nat({ max: 30 }), fc.option(fc.nat({ max: 5 }), { nil: undefined })), { maxLength: 25 })
  .map((entries) => new Map(entries))

describe('rows of a store with layers above', () => {
  it('are those of the last that has them, in order, page by page', async () => {
    await fc.assert(
      fc.asyncProperty(
        worths,
        fc.array(worths, { maxLength: 3 }),
        fc.boolean(),
        fc.integer({ min: 1, max: 12 }),
        async (stored, layers, reverse, limit) => {
          const all = new Map([...stored, ...layers.flatMap((layer) => [...layer])])
          const expected = [...all]
            .filter(([, worth]) => worth !== undefined)
            .sort(([a], [b]) => a - b)
            .map(([id, worth]) => ({ key: { owner: OWNER, id }, value: { worth } }))
          const rows = new LayeredRows(await storeOf(stored), layers.map(layerOf))
          expect(await rows.rows(THINGS, START)).toEqual(expected)
          const paged: unknown[] = []
          for (let beyond: Uint8Array | undefined; ; ) {
            const page = await rows.page(THINGS, START, { limit, reverse, beyond })
            paged.push(...page)
            const last = page.at(-1)
            if (last === undefined || page.length < limit) break
            beyond = THINGS.keyBytes(last.key).subarray(1)
          }
          expect(paged).toEqual(reverse ? expected.toReversed() : expected)
        },
      ),
    )
  })

  it('are read no further than a page goes, however many a layer has', async () => {
    const many = new Map(Array.from({ length: 20_000 }, (_, id) => [id, id]))
    let read = 0
    const store = counting(await storeOf(many), (rows) => (read += rows))
    const odd = new Map(Array.from({ length: 10_000 }, (_, i) => [2 * i + 1, undefined]))
    const rows = new LayeredRows(store, [layerOf(odd)])
    const page = await rows.page(THINGS, START, { limit: 50 })
    expect(page.map(({ key }) => key.id)).toEqual(Array.from({ length: 50 }, (_, i) => 2 * i))
    expect(read).toBeLessThan(200)
  })

  it('let others have their turns where they are very many', async () => {
    const many = new Map(Array.from({ length: 20_000 }, (_, id) => [id, id]))
    const rows = new LayeredRows(await storeOf(many), [layerOf(new Map([[3, undefined]]))])
    const { result, turns } = await turnsDuring(() => rows.rows(THINGS, START))
    expect(result).toHaveLength(19_999)
    expect(turns).toBeGreaterThanOrEqual(8)
  })
})
