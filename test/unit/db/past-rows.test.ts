import { describe, expect, it } from 'vitest'
import { u32 } from '../../../src/db/codec.ts'
import { realDisk } from '../../../src/db/disk.ts'
import { KeySpace, type RowWrite } from '../../../src/db/layout.ts'
import { MemoryStore } from '../../../src/db/memory-store.ts'
import { PastLayers, type PastSources } from '../../../src/db/past-rows.ts'
import { PendingLayer } from '../../../src/db/pending.ts'

const NUMBERS = new KeySpace<number, number>({ name: 'numbers', prefix: '!', key: u32, value: u32, sentence: 'Test.' })
const START = new Uint8Array(0)

function write(key: number, value: number | undefined): RowWrite {
  return { key: NUMBERS.keyText(key), value: value === undefined ? undefined : NUMBERS.valueText(value) }
}

/** Row n is made by block n, and row 0 counts the blocks; all of it in memory. */
function chain(height: number): PastSources & { readonly asked: number[] } {
  const asked: number[] = []
  const rows = Array.from({ length: height }, (_, i) => write(i + 1, i + 1))
  const all = [write(0, height), ...rows]
  const undone = Array.from({ length: height }, (_, i) => ({
    height: i + 1,
    get writes(): readonly RowWrite[] {
      asked.push(i + 1)
      return [write(0, i), write(i + 1, undefined)]
    },
  }))
  return {
    reader: new MemoryStore(realDisk),
    rows: new PendingLayer(all.map(({ key, value }) => [key, value])),
    tip: { height, hash: Uint8Array.of(height) },
    unflushed: undone,
    blockHash: () => undefined,
    asked,
  }
}

describe('rows of an earlier height', () => {
  it('are those that were there, one by one, by beginning and by page, and tell which have changed', async () => {
    const rows = await new PastLayers().at(3, chain(8))
    expect([0, 1, 3, 4, 8].map((key) => rows.row(NUMBERS, key))).toEqual([3, 1, 3, undefined, undefined])
    const keys = async (found: Promise<readonly { readonly key: number }[]>) => (await found).map(({ key }) => key)
    expect(await keys(rows.rows(NUMBERS, START))).toEqual([0, 1, 2, 3])
    expect(await keys(rows.page(NUMBERS, START, { limit: 2, reverse: true }))).toEqual([3, 2])
    expect([...rows.changed(NUMBERS)]).toEqual([{ key: 0, value: 3 }])
  })

  it('are worked out once for a tip, one height at a time', async () => {
    const past = new PastLayers()
    const sources = chain(8)
    await Promise.all([past.at(6, sources), past.at(6, sources), past.at(7, sources)])
    expect(sources.asked).toEqual([8, 7, 8])
    await past.at(6, { ...sources, tip: { height: 8, hash: Uint8Array.of(99) } })
    expect(sources.asked).toHaveLength(5)
  })

  it('are kept and made within bounds', async () => {
    // A row takes some 130 bytes, and a height 500.
    const past = new PastLayers({ maxBytes: 1200 })
    const sources = chain(20)
    await expect(past.at(10, sources)).rejects.toMatchObject({ code: 10001 })
    sources.asked.length = 0
    // 4 rows and 3: both together are too many to be kept.
    for (const height of [17, 18, 18, 17]) await past.at(height, sources)
    expect(sources.asked).toEqual([20, 19, 18, 20, 19, 20, 19, 18])
  })

  it('are kept within bounds also where there are none', async () => {
    const past = new PastLayers({ maxBytes: 5000 })
    const sources = { ...chain(8), unflushed: Array.from({ length: 8 }, (_, i) => ({ height: i + 1, writes: [] })) }
    for (let height = 0; height <= 8; height++) await past.at(height, sources)
    expect(past.bytes).toBe(4500)
    for (let tip = 0; tip < 20; tip++) await past.at(8, { ...sources, tip: { height: 8, hash: Uint8Array.of(tip, 1) } })
    expect(past.bytes).toBe(5000)
  })

  it('are let go of with the tip that they were made for, those under way too', async () => {
    const past = new PastLayers()
    const sources = chain(8)
    await past.at(6, sources)
    expect(past.bytes).toBeGreaterThan(0)
    const underWay = past.at(5, sources)
    past.forget()
    expect(past.bytes).toBe(0)
    expect((await underWay).row(NUMBERS, 0)).toBe(5)
    expect(past.bytes).toBe(0)
    sources.asked.length = 0
    await past.at(6, sources)
    expect(sources.asked).toEqual([8, 7])
  })

  it('are no work for a request that has ended, and those that wait behind it go on', async () => {
    const past = new PastLayers()
    const sources = chain(8)
    const ended = new AbortController()
    const [first, given, last] = [past.at(7, sources), past.at(2, sources, ended.signal), past.at(6, sources)]
    ended.abort()
    await expect(given).rejects.toMatchObject({ name: 'AbortError' })
    await Promise.all([first, last])
    expect(sources.asked).toEqual([8, 8, 7])
  })

  it('are had at once where they are kept, and given up at once, while others are worked out', async () => {
    const past = new PastLayers()
    const sources = chain(8)
    await past.at(6, sources)
    let done = false
    // A turn for each of many blocks.
    const long = past.at(0, { ...chain(200), tip: { height: 200, hash: Uint8Array.of(200) } }).then(() => (done = true))
    const ended = new AbortController()
    const given = past.at(3, sources, ended.signal)
    ended.abort()
    await expect(given).rejects.toMatchObject({ name: 'AbortError' })
    await past.at(6, sources)
    expect(done).toBe(false)
    await long
  })

  it('let others have their turns while many are put in order', async () => {
    const count = 100_000
    const writes = Array.from({ length: count }, (_, i) => write((i * 7919) % count, i))
    let turns = 0
    let timer = setImmediate(function again() {
      turns += 1
      timer = setImmediate(again)
    })
    const rows = await new PastLayers().at(0, { ...chain(1), unflushed: [{ height: 1, writes }] })
    clearImmediate(timer)
    // 25 while they are collected.
    expect(turns).toBeGreaterThan(50)
    expect([...rows.changed(NUMBERS)].map(({ key }) => key)).toEqual(Array.from({ length: count }, (_, i) => i))
  })

  it('fail where what takes a block back is missing', async () => {
    const sources = { ...chain(8), unflushed: [] }
    await expect(new PastLayers().at(7, sources)).rejects.toThrow('what takes block 8 back is missing')
  })
})
