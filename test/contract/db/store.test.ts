import { randomBytes } from 'node:crypto'
import { readdir, readFile, readlink, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Disk, realDisk } from '../../../src/db/disk.ts'
import { openLevelStore } from '../../../src/db/level-store.ts'
import { MemoryStore } from '../../../src/db/memory-store.ts'
import { type OpenStore, type Row, type Store, type StoreReader, slicesOf } from '../../../src/db/store.ts'
import { InvariantError, StorageError } from '../../../src/errors.ts'
import { withDirectory } from '../../support/chain-index.ts'

const stores: Record<string, OpenStore> = {
  memory: (_directory, _options, disk) => Promise.resolve(new MemoryStore(disk)),
  LevelDB: openLevelStore,
}

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values)
const ALL = { gte: bytes(), lt: bytes(255, 255) }

async function put(store: Store, ...rows: readonly (readonly [Uint8Array, Uint8Array])[]): Promise<void> {
  const batch = store.batch()
  for (const [key, value] of rows) batch.put(key, value)
  await batch.write()
}

async function scanned(reader: StoreReader): Promise<Row[]> {
  const found: Row[] = []
  for await (const rows of reader.scan(ALL)) found.push(...rows)
  return found
}

for (const [name, open] of Object.entries(stores)) {
  const withStore = (use: (store: Store) => Promise<void>, disk: Disk = realDisk): Promise<void> =>
    withDirectory(async (directory) => {
      const store = await open(join(directory, 'store'), { cacheBytes: 1 << 20 }, disk)
      try {
        await use(store)
      } finally {
        await store.close()
      }
    })

  describe(`a store: ${name}`, () => {
    it('gives back what was put, and nothing for what was not', () =>
      withStore(async (store) => {
        await put(store, [bytes(1), bytes(10)], [bytes(2), bytes()])
        expect(store.getSync(bytes(1))).toEqual(bytes(10))
        expect(store.getSync(bytes(2))).toEqual(bytes())
        expect(store.getSync(bytes(3))).toBeUndefined()
        expect(await store.getMany([bytes(3), bytes(2), bytes(1), bytes(1)])).toEqual([
          undefined,
          bytes(),
          bytes(10),
          bytes(10),
        ])
        expect(await store.getMany([])).toEqual([])
      }))

    it('sorts keys byte by byte, the beginning of a key before the key', () =>
      withStore(async (store) => {
        const keys = [bytes(0), bytes(0, 0), bytes(1), bytes(1, 255), bytes(2), bytes(127), bytes(128), bytes(255)]
        await put(store, ...[...keys].reverse().map((key) => [key, key] as const))
        expect((await store.rows(ALL)).map(([key]) => key)).toEqual(keys)
        expect((await scanned(store)).map(([key]) => key)).toEqual(keys)
      }))

    it('gives ranges from the first key on and before the last, forwards, backwards and limited', () =>
      withStore(async (store) => {
        await put(store, ...[1, 2, 3, 4, 5].map((n) => [bytes(n), bytes(n)] as const))
        const range = { gte: bytes(2), lt: bytes(5) }
        const keys = async (options: object): Promise<number[]> =>
          (await store.rows({ ...range, ...options })).map(([key]) => key[0]!)
        expect(await keys({})).toEqual([2, 3, 4])
        expect(await keys({ reverse: true })).toEqual([4, 3, 2])
        expect(await keys({ limit: 2 })).toEqual([2, 3])
        expect(await keys({ limit: 2, reverse: true })).toEqual([4, 3])
        expect(await store.rows({ gte: bytes(7), lt: bytes(9) })).toEqual([])
      }))

    it('scans ranges of many rows completely and can be left in the middle', () =>
      withStore(async (store) => {
        const keys = Array.from({ length: 2500 }, (_, i) => bytes(i >> 8, i & 255))
        await put(store, ...keys.map((key) => [key, bytes(1)] as const))
        expect((await scanned(store)).map(([key]) => key)).toEqual(keys)
        const scannedKeys: Uint8Array[] = []
        for await (const found of store.scanKeys({ ...ALL, gte: keys[1]! })) scannedKeys.push(...found)
        expect(scannedKeys).toEqual(keys.slice(1))
        for await (const rows of store.scan(ALL)) {
          expect(rows.length).toBeGreaterThan(0)
          break
        }
      }))

    it('writes a batch whole: puts, deletes, and the last of several writes to one key', () =>
      withStore(async (store) => {
        await put(store, [bytes(1), bytes(1)], [bytes(2), bytes(2)])
        const batch = store.batch()
        batch.del(bytes(1))
        batch.put(bytes(2), bytes(20))
        batch.put(bytes(3), bytes(30))
        batch.del(bytes(3))
        batch.put(bytes(4), bytes(40))
        expect((await store.rows(ALL)).length).toBe(2)
        await batch.write()
        expect(await store.rows(ALL)).toEqual([
          [bytes(2), bytes(20)],
          [bytes(4), bytes(40)],
        ])
      }))

    it('copies what is put into a batch at once', () =>
      withStore(async (store) => {
        const [key, value] = [bytes(1), bytes(1)]
        const batch = store.batch()
        batch.put(key, value)
        key[0] = 9
        value[0] = 9
        await batch.write()
        expect(await store.rows(ALL)).toEqual([[bytes(1), bytes(1)]])
      }))

    it('gives values in memory of their own', () =>
      withStore(async (store) => {
        await put(store, [bytes(1), bytes(1, 2)])
        store.getSync(bytes(1))!.fill(9)
        expect(store.getSync(bytes(1))).toEqual(bytes(1, 2))
      }))

    it('forgets a batch that is discarded, and takes no batch twice', () =>
      withStore(async (store) => {
        const batch = store.batch()
        batch.put(bytes(1), bytes(1))
        await batch.discard()
        expect(await store.rows(ALL)).toEqual([])
        await expect(batch.write()).rejects.toThrow(InvariantError)
      }))

    it('keeps snapshots as they were', () =>
      withStore(async (store) => {
        await put(store, [bytes(1), bytes(1)])
        const snapshot = store.snapshot()
        const batch = store.batch()
        batch.put(bytes(1), bytes(2))
        batch.put(bytes(2), bytes(2))
        await batch.write()
        expect(snapshot.getSync(bytes(1))).toEqual(bytes(1))
        expect(await snapshot.getMany([bytes(1), bytes(2)])).toEqual([bytes(1), undefined])
        expect(await snapshot.rows(ALL)).toEqual([[bytes(1), bytes(1)]])
        expect(await scanned(snapshot)).toEqual([[bytes(1), bytes(1)]])
        expect(store.getSync(bytes(1))).toEqual(bytes(2))
        await snapshot.close()
      }))

    it('answers many questions of a snapshot at a time, of few rows and of many', () =>
      withStore(async (store) => {
        const row = (group: number, n: number): Row => [bytes(group, n >>> 8, n), bytes(n, group)]
        const groups = Array.from({ length: 120 }, (_, group) => {
          const count = group % 40 === 39 ? 1500 : group % 9
          return Array.from({ length: count }, (__, n) => row(group, n))
        })
        await put(store, ...groups.flat())
        const snapshot = store.snapshot()
        await put(store, [bytes(5, 99, 99), bytes()])
        const range = (group: number) => ({ gte: bytes(group), lt: bytes(group + 1) })
        for (let round = 0; round < 2; round++) {
          const asked = groups.map(async (wanted, group) => {
            const handed: Row[] = []
            const limit = 1 + (group % 7)
            const [all, some, last] = await Promise.all([
              snapshot.rows(range(group)),
              snapshot.rows({ ...range(group), limit }),
              snapshot.rows({ ...range(group), reverse: true, limit }),
              snapshot.each(range(group), (key, value) => void handed.push([key, value])),
            ])
            expect(all).toEqual(wanted)
            expect(some).toEqual(wanted.slice(0, limit))
            expect(last).toEqual(wanted.toReversed().slice(0, limit))
            expect(handed).toEqual(wanted)
            expect(await snapshot.rows({ ...range(group), limit: 0 })).toEqual([])
          })
          await Promise.all(asked)
        }
        expect(await scanned(snapshot)).toEqual(groups.flat())
        const late = snapshot.rows(range(8))
        await snapshot.close()
        expect(await late.catch(() => groups[8])).toEqual(groups[8])
        await expect(snapshot.rows(range(8))).rejects.toThrow(StorageError)
      }))

    it.each([1, 3000, 9000, 20_000])('gives every row of a range of a snapshot whose values have %i bytes', (size) =>
      withStore(async (store) => {
        const rows = Array.from({ length: 12 }, (_, n): Row => [bytes(n), new Uint8Array(size).fill(n)])
        await put(store, ...rows)
        const snapshot = store.snapshot()
        const handed: Row[] = []
        await snapshot.each(ALL, (key, value) => void handed.push([key, value]))
        const shown = (found: readonly Row[]): string[] =>
          found.map(([[n], value]) => `${n}: ${value.length} x ${value[0]}`)
        for (const found of [handed, await snapshot.rows(ALL), await scanned(snapshot)]) {
          expect(shown(found)).toEqual(shown(rows))
        }
        expect(shown(await snapshot.rows({ ...ALL, limit: 5 }))).toEqual(shown(rows.slice(0, 5)))
        await snapshot.close()
      }),
    )

    it.each([
      ['ENOSPC', 'full'],
      ['EDQUOT', 'full'],
      ['EFBIG', 'full'],
      ['EROFS', 'io'],
    ])('writes nothing and says why when the disk refuses with %s', (refusal, code) => {
      let full = true
      const disk: Disk = {
        ...realDisk,
        commit: (write) => (full ? Promise.reject(Object.assign(new Error('x'), { code: refusal })) : write()),
      }
      return withStore(async (store) => {
        const error: unknown = await put(store, [bytes(1), bytes(1)]).catch((reason: unknown) => reason)
        expect(error).toBeInstanceOf(StorageError)
        expect(error).toMatchObject({ code })
        expect(await store.rows(ALL)).toEqual([])
        full = false
        await put(store, [bytes(1), bytes(1)])
        expect(await store.rows(ALL)).toHaveLength(1)
      }, disk)
    })

    it('has the same rows after a part of it was written anew, and tells sizes of parts', () =>
      withStore(async (store) => {
        await put(store, ...[1, 2, 3, 200].map((n) => [bytes(n), bytes(n)] as const))
        const batch = store.batch()
        batch.del(bytes(2))
        await batch.write()
        await store.compact({ gte: bytes(1), lt: bytes(3) })
        expect((await store.rows(ALL)).map(([key]) => key[0])).toEqual([1, 3, 200])
        const [all, none] = [await store.size(), await store.size({ gte: bytes(4), lt: bytes(5) })]
        expect(none).toBeLessThanOrEqual(all)
      }))

    it('answers or refuses every question that it is asked before it is closed', async () => {
      await withDirectory(async (directory) => {
        const store = await open(join(directory, 'store'), { cacheBytes: 1 << 20 }, realDisk)
        await put(store, [bytes(1), bytes(1)])
        const snapshot = store.snapshot()
        const begin = () => [snapshot.rows(ALL), snapshot.each(ALL, () => undefined), scanned(snapshot)]
        const asked: Promise<unknown>[] = begin()
        await Promise.resolve()
        asked.push(...begin())
        const closed = store.close()
        asked.push(...begin())
        for (const outcome of await Promise.allSettled(asked)) {
          if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(StorageError)
        }
        await closed
      })
    })

    it('cannot be read once it is closed', async () => {
      await withDirectory(async (directory) => {
        const store = await open(join(directory, 'store'), { cacheBytes: 1 << 20 }, realDisk)
        await store.close()
        expect(() => store.getSync(bytes(1))).toThrow(StorageError)
        await expect(store.getMany([bytes(1)])).rejects.toThrow(StorageError)
        await expect(store.rows(ALL)).rejects.toThrow(StorageError)
        await expect(scanned(store)).rejects.toThrow(StorageError)
      })
    })
  })
}

describe('a store on disk', () => {
  it('has what was settled although its log is lost', () =>
    withDirectory(async (directory) => {
      const first = await openLevelStore(directory, { cacheBytes: 1 << 20 }, realDisk)
      await put(first, [bytes(1), bytes(1)])
      await first.settle()
      await put(first, [bytes(2), bytes(2)])
      await first.close()
      for (const name of await readdir(directory)) if (name.endsWith('.log')) await truncate(join(directory, name), 0)
      const second = await openLevelStore(directory, { cacheBytes: 1 << 20 }, realDisk)
      expect(second.getSync(bytes(1))).toEqual(bytes(1))
      expect(second.getSync(bytes(2))).toBeUndefined()
      await second.close()
    }))

  it('is there again after it was closed', () =>
    withDirectory(async (directory) => {
      const first = await openLevelStore(directory, { cacheBytes: 1 << 20 }, realDisk)
      await put(first, [bytes(1), bytes(1)])
      await first.close()
      const second = await openLevelStore(directory, { cacheBytes: 1 << 20 }, realDisk)
      expect(second.getSync(bytes(1))).toEqual(bytes(1))
      await second.close()
    }))

  it('is open only once at a time', () =>
    withDirectory(async (directory) => {
      const first = await openLevelStore(directory, { cacheBytes: 1 << 20 }, realDisk)
      const error: unknown = await openLevelStore(directory, { cacheBytes: 1 << 20 }, realDisk).catch(
        (reason: unknown) => reason,
      )
      expect(error).toMatchObject({ name: 'StorageError', code: 'locked' })
      await first.close()
    }))

  it('is not made where one has to be there', () =>
    withDirectory(async (directory) => {
      const options = { cacheBytes: 1 << 20, mustExist: true }
      await expect(openLevelStore(join(directory, 'none'), options, realDisk)).rejects.toThrow(StorageError)
    }))
})

const tablesIn = async (directory: string): Promise<string[]> =>
  (await readdir(directory)).filter((name) => name.endsWith('.ldb'))

describe('the tables of a store on disk', () => {
  it.each([
    { tableBytes: 1 << 20, least: 5, most: 8 },
    { tableBytes: 4 << 20, least: 2, most: 2 },
    { tableBytes: undefined, least: 1, most: 1 },
  ])('end at $tableBytes bytes', ({ tableBytes, least, most }) =>
    withDirectory(async (directory) => {
      const size = tableBytes === undefined ? {} : { tableBytes }
      const store = await openLevelStore(directory, { cacheBytes: 1 << 20, ...size }, realDisk)
      // Two parts with the same range of keys are merged, which makes the tables; what does not compress keeps its size.
      for (const part of [0, 1]) {
        await put(store, ...Array.from({ length: 48 }, (_, n) => [bytes(n, part), randomBytes(64 << 10)] as const))
        await store.settle()
      }
      await store.compact(ALL)
      const tables = await tablesIn(directory)
      expect(tables.length).toBeGreaterThanOrEqual(least)
      expect(tables.length).toBeLessThanOrEqual(most)
      expect(store.getSync(bytes(47, 1))?.length).toBe(64 << 10)
      await store.close()
    }),
  )

  it.runIf(process.platform === 'linux')('are mapped into memory and hold no descriptor, as OPERATIONS.md says', () =>
    withDirectory(async (directory) => {
      const store = await openLevelStore(directory, { cacheBytes: 1 << 20 }, realDisk)
      const keys = Array.from({ length: 30 }, (_, n) => bytes(n))
      for (const key of keys) {
        await put(store, [key, key])
        await store.settle()
      }
      expect(await store.getMany(keys)).toEqual(keys)
      const tables = await tablesIn(directory)
      expect(tables.length).toBe(keys.length)
      const maps = await readFile('/proc/self/maps', 'latin1')
      expect(tables.filter((name) => !maps.includes(join(directory, name)))).toEqual([])
      const open = await Promise.all(
        // What readdir itself has open is gone by now.
        (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
      )
      expect(open.filter((path) => path.startsWith(directory) && path.endsWith('.ldb'))).toEqual([])
      expect(open.filter((path) => path.startsWith(directory))).not.toEqual([])
      await store.close()
    }),
  )
})

describe('slices of a range', () => {
  it('follow one another over all of it, more of them where it is larger', async () => {
    const range = { gte: bytes(85), lt: bytes(86) }
    for (const [size, count] of [
      [0, 1],
      [64 << 20, 1],
      [1 << 30, 16],
      [2 ** 40, 4096],
    ] as const) {
      const store = new MemoryStore(realDisk)
      store.size = () => Promise.resolve(size)
      const slices = await slicesOf(store, range)
      expect(slices).toHaveLength(count)
      expect([slices[0]!.gte, slices.at(-1)!.lt]).toEqual([range.gte, range.lt])
      for (const [i, { gte }] of slices.entries()) {
        if (i > 0) expect([gte, gte.length]).toEqual([slices[i - 1]!.lt, 3])
      }
    }
  })
})
