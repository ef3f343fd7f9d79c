import { appendFile, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Disk, realDisk } from '../../../src/db/disk.ts'
import { FlatFile } from '../../../src/db/flat-file.ts'
import { ReadPace } from '../../../src/db/pace.ts'
import { InvariantError, StorageError } from '../../../src/errors.ts'
import { concat } from '../../../src/lib/bytes.ts'
import { withDirectory } from '../../support/chain-index.ts'

const SIZE = 4

/** Row number `n`, told apart by `mark`. */
const row = (n: number, mark = 0): Uint8Array => Uint8Array.of(mark, n >>> 16, n >>> 8, n)
const rows = (start: number, end: number, mark = 0): Uint8Array =>
  concat(...Array.from({ length: end - start }, (_, i) => row(start + i, mark)))

function withFile(use: (file: FlatFile, path: string) => Promise<void>, disk = realDisk): Promise<void> {
  return withDirectory(async (directory) => {
    const path = join(directory, 'rows')
    const file = await FlatFile.open(path, { rowSize: SIZE, count: 0 }, disk)
    try {
      await use(file, path)
    } finally {
      await file.close()
    }
  })
}

async function cutTo(file: FlatFile, count: number): Promise<void> {
  file.cut(await file.lastRows(file.count - count))
}

describe('a flat file', () => {
  it('gives rows that were appended, written or not', () =>
    withFile(async (file, path) => {
      file.append(rows(0, 10))
      const early = file.reader()
      expect(await early.rows(2, 3)).toEqual(rows(2, 5))
      await file.write()
      expect(new Uint8Array(await readFile(path))).toEqual(rows(0, 10))
      file.append(rows(10, 20))
      const reader = file.reader()
      expect(reader.count).toBe(20)
      expect(await reader.rows(5, 10)).toEqual(rows(5, 15))
      expect(await reader.rows(20, 0)).toEqual(new Uint8Array(0))
      expect(await early.rows(0, 10)).toEqual(rows(0, 10))
      await expect(early.rows(5, 6)).rejects.toThrow(RangeError)
    }))

  it('gives single rows in the order asked, near and far', () =>
    withFile(async (file) => {
      file.append(rows(0, 60_000))
      await file.write()
      file.append(rows(60_000, 60_010))
      const reader = file.reader()
      const wanted = [0, 1, 5, 900, 20_000, 20_001, 59_999, 60_000, 60_009, 3, 3, 2]
      expect(await reader.pick(wanted)).toEqual(wanted.map((n) => row(n)))
      const many = Array.from({ length: 600 }, (_, i) => i * 97)
      expect(await reader.pick(many)).toEqual(many.map((n) => row(n)))
      expect(await reader.pick([])).toEqual([])
    }))

  it('goes on from the count that it is opened with and forgets what stands behind', () =>
    withDirectory(async (directory) => {
      const path = join(directory, 'rows')
      await writeFile(path, concat(rows(0, 10), Uint8Array.of(1, 2, 3)))
      const file = await FlatFile.open(path, { rowSize: SIZE, count: 7 }, realDisk)
      expect((await stat(path)).size).toBe(7 * SIZE)
      file.append(rows(7, 9, 1))
      await file.write()
      expect(new Uint8Array(await readFile(path))).toEqual(concat(rows(0, 7), rows(7, 9, 1)))
      await file.close()
    }))

  it('counts its whole rows when it is shorter than it should be', () =>
    withDirectory(async (directory) => {
      const path = join(directory, 'rows')
      await writeFile(path, concat(rows(0, 9), Uint8Array.of(1)))
      const file = await FlatFile.open(path, { rowSize: SIZE, count: 12 }, realDisk)
      expect(file.count).toBe(9)
      file.shorten(6)
      file.append(rows(6, 12, 1))
      await file.write()
      expect(new Uint8Array(await readFile(path))).toEqual(concat(rows(0, 6), rows(6, 12, 1)))
      expect(() => file.shorten(13)).toThrow(InvariantError)
      await file.close()
      await expect(FlatFile.open(directory, { rowSize: SIZE, count: 0 }, realDisk)).rejects.toThrow(StorageError)
    }))

  it('overwrites rows that were cut off, while readers keep those they had', () =>
    withFile(async (file) => {
      file.append(rows(0, 100))
      await file.write()
      const first = file.reader()
      await cutTo(file, 80)
      const second = file.reader()
      file.append(rows(80, 120, 1))
      await file.write()
      const third = file.reader()
      await cutTo(file, 60)
      file.append(rows(60, 130, 2))
      await file.write()
      expect(await first.rows(0, 100)).toEqual(rows(0, 100))
      expect(await second.rows(0, 80)).toEqual(rows(0, 80))
      expect(await third.rows(0, 120)).toEqual(concat(rows(0, 80), rows(80, 120, 1)))
      expect(await file.reader().rows(0, 130)).toEqual(concat(rows(0, 60), rows(60, 130, 2)))
      expect(await first.pick([59, 60, 79, 80, 99])).toEqual([59, 60, 79, 80, 99].map((n) => row(n)))
      await expect(second.rows(79, 2)).rejects.toThrow(RangeError)
    }))

  it('gives a read that began before the cut, and ends after others took their place, the rows of before', () => {
    let hold: Promise<void> | undefined
    const disk: Disk = {
      ...realDisk,
      readAt: async (handle, bytes, position) => {
        await hold
        await realDisk.readAt(handle, bytes, position)
      },
    }
    return withFile(async (file) => {
      file.append(rows(0, 20))
      await file.write()
      const reader = file.reader()
      const lost = await file.lastRows(10)
      let goOn = (): void => undefined
      hold = new Promise((resolve) => {
        goOn = resolve
      })
      const reading = [reader.rows(5, 15), reader.rows(0, 8), reader.rows(12, 2)]
      file.cut(lost)
      file.append(rows(10, 20, 1))
      await file.write()
      goOn()
      expect(await Promise.all(reading)).toEqual([rows(5, 20), rows(0, 8), rows(12, 14)])
    }, disk)
  })

  it('keeps no page that was read before a cut for what is written after it', () =>
    withDirectory(async (directory) => {
      const held: (() => void)[] = []
      const disk: Disk = {
        ...realDisk,
        readAt: async (handle, bytes, position) => {
          await realDisk.readAt(handle, bytes, position)
          await new Promise<void>((resolve) => held.push(resolve))
        },
      }
      const blocked = Object.assign(new ReadPace(), { block: true })
      Object.defineProperty(blocked, 'mayBlock', { get: () => blocked.block })
      const options = { rowSize: SIZE, count: 0, cacheBytes: 1 << 20, pace: blocked }
      const file = await FlatFile.open(join(directory, 'rows'), options, disk)
      file.append(rows(0, 3000))
      await file.write()
      const lost = await file.lastRows(2500)
      const early = file.reader()
      blocked.block = false
      const reading = early.pick([700, 1500, 2900])
      while (held.length < 3) await new Promise(setImmediate)
      file.cut(lost)
      for (const goOn of held) goOn()
      expect(await reading).toEqual([700, 1500, 2900].map((n) => row(n)))
      file.append(rows(500, 3000, 1))
      await file.write()
      blocked.block = true
      expect(await file.reader().pick([499, 700, 1500, 2900])).toEqual([
        row(499),
        ...[700, 1500, 2900].map((n) => row(n, 1)),
      ])
      expect(await early.pick([499, 700])).toEqual([row(499), row(700)])
      await file.close()
    }))

  it('reads a page once for all rows that are asked of it, and again once it was cut off', () => {
    const reads: number[] = []
    const disk: Disk = {
      ...realDisk,
      readNow: (handle, bytes, position) => {
        reads.push(position)
        realDisk.readNow(handle, bytes, position)
      },
    }
    return withDirectory(async (directory) => {
      const options = { rowSize: SIZE, count: 0, cacheBytes: 1 << 20 }
      const file = await FlatFile.open(join(directory, 'rows'), options, disk)
      file.append(rows(0, 3000))
      await file.write()
      const reader = file.reader()
      expect(await reader.pick([1030, 5, 1029])).toEqual([row(1030), row(5), row(1029)])
      expect(await reader.rows(1031, 1)).toEqual(row(1031))
      expect(reads).toEqual([4096, 0])
      await cutTo(file, 1028)
      file.append(rows(1028, 3000, 1))
      await file.write()
      reads.length = 0
      expect(await file.reader().pick([1030, 5, 1027])).toEqual([row(1030, 1), row(5), row(1027)])
      expect(reads).toEqual([4096])
      expect(await reader.pick([1030, 5, 1027])).toEqual([row(1030), row(5), row(1027)])
      await file.close()
    })
  })

  it('keeps rows in memory when the disk refuses them, and writes them later', () => {
    let failures = 0
    const disk: Disk = {
      ...realDisk,
      sync: (handle) => (failures-- > 0 ? Promise.reject(new Error('no')) : realDisk.sync(handle)),
    }
    return withFile(async (file, path) => {
      failures = 1
      file.append(rows(0, 5))
      await expect(file.write()).rejects.toMatchObject({ name: 'StorageError', code: 'io' })
      expect(await file.reader().rows(0, 5)).toEqual(rows(0, 5))
      await file.write()
      expect(new Uint8Array(await readFile(path))).toEqual(rows(0, 5))
    }, disk)
  })

  it('is not made where its name cannot be made safe', () =>
    withDirectory(async (directory) => {
      const disk: Disk = { ...realDisk, sync: () => Promise.reject(new Error('no')) }
      await expect(FlatFile.open(join(directory, 'rows'), { rowSize: SIZE, count: 0 }, disk)).rejects.toThrow(
        StorageError,
      )
    }))

  it('says that a file that became shorter is damaged', () =>
    withFile(async (file, path) => {
      file.append(rows(0, 5))
      await file.write()
      await truncate(path, 2 * SIZE)
      await expect(file.reader().rows(0, 5)).rejects.toMatchObject({ code: 'corrupt' })
      await appendFile(path, rows(2, 5))
    }))

  it('takes whole rows only, cuts only what is written, and reads nothing for a closed reader', () =>
    withFile(async (file) => {
      expect(() => file.append(new Uint8Array(SIZE + 1))).toThrow(InvariantError)
      file.append(rows(0, 5))
      await expect(file.lastRows(1)).rejects.toThrow(InvariantError)
      await file.write()
      await expect(file.lastRows(6)).rejects.toThrow(InvariantError)
      const lost = await file.lastRows(2)
      file.cut(lost)
      expect(() => file.cut(lost)).toThrow(InvariantError)
      const reader = file.reader()
      reader.close()
      await expect(reader.rows(0, 1)).rejects.toThrow(InvariantError)
    }))
})

describe('the real disk', () => {
  it('goes on after a short write and gives up after an empty one', async () => {
    const written: number[] = []
    const handle = (most: number) =>
      ({
        write: (_bytes: Uint8Array, _offset: number, length: number, position: number) => {
          const bytesWritten = Math.min(most, length)
          written.push(position)
          return Promise.resolve({ bytesWritten })
        },
      }) as unknown as Parameters<Disk['writeAt']>[0]
    await realDisk.writeAt(handle(4), new Uint8Array(10), 100)
    expect(written).toEqual([100, 104, 108])
    await expect(realDisk.writeAt(handle(0), new Uint8Array(10), 0)).rejects.toThrow(StorageError)
  })
})
