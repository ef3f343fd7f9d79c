import { join } from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Disk, realDisk } from '../../../src/db/disk.ts'
import { FlatFile } from '../../../src/db/flat-file.ts'
import type { FlatFileReader } from '../../../src/db/flat-file-reader.ts'
import { ReadPace } from '../../../src/db/pace.ts'
import { PAGE_BYTES } from '../../../src/db/page-cache.ts'
import { StorageError } from '../../../src/errors.ts'
import { concat } from '../../../src/lib/bytes.ts'
import { withDirectory } from '../../support/chain-index.ts'

/** Four rows make a page, so that few rows are many pages. */
const SIZE = 1000
const row = (content: number): Uint8Array => new Uint8Array(SIZE).map((_, i) => (content >>> (8 * (i % 3))) & 255)

/** A disk on which reads of other threads wait until they are let go, and some reads fail. */
class Trouble {
  /** So many reads from now on one fails; blocking reads count as well. */
  failIn = Number.POSITIVE_INFINITY
  failed = 0
  readonly #held: (() => void)[] = []
  holding = false
  readonly disk: Disk = {
    ...realDisk,
    readAt: async (file, bytes, position) => {
      if (this.holding) await new Promise<void>((resolve) => this.#held.push(resolve))
      this.#mayFail()
      await realDisk.readAt(file, bytes, position)
    },
    readNow: (file, bytes, position) => {
      // Some of it is there already when the disk fails: none of that may be taken for a page.
      bytes.fill(0xee)
      this.#mayFail()
      realDisk.readNow(file, bytes, position)
    },
  }

  letGo(): void {
    this.holding = false
    for (const go of this.#held.splice(0)) go()
  }

  #mayFail(): void {
    if (--this.failIn !== 0) return
    this.failed += 1
    throw new Error('the disk fails')
  }
}

const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('append' as const), count: fc.integer({ min: 1, max: 9 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('write' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('cut' as const), part: fc.integer({ min: 0, max: 99 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reader' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('fail' as const), after: fc.integer({ min: 1, max: 6 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('hold' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('let go' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('pace' as const), block: fc.boolean() }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('pick' as const),
      reader: fc.nat(20),
      parts: fc.array(fc.integer({ min: 0, max: 999 }), { minLength: 1, maxLength: 12 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('rows' as const), reader: fc.nat(20), from: fc.nat(99), to: fc.nat(99) }),
  },
)

/** As the real one, but told whether reads may block. */
class ToldPace extends ReadPace {
  block = true

  override get mayBlock(): boolean {
    return this.block
  }
}

describe('rows of a file', () => {
  it('are to every reader what they were when it was made, whatever is kept, appended, cut, under way or failing', async () => {
    let failed = 0
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(0, 1, 3, 100),
        fc.array(step, { minLength: 30, maxLength: 80, size: 'max' }),
        (pages, steps) =>
          withDirectory(async (directory) => {
            const trouble = new Trouble()
            const pace = new ToldPace()
            const options = { rowSize: SIZE, count: 0, cacheBytes: pages * PAGE_BYTES, pace }
            const file = await FlatFile.open(join(directory, 'rows'), options, trouble.disk)
            let content = 0
            let rows: number[] = []
            const readers: { readonly reader: FlatFileReader; readonly rows: readonly number[] }[] = []
            const underWay: Promise<void>[] = []
            // Something to begin with.
            rows = Array.from({ length: 30 }, () => ++content)
            file.append(concat(...rows.map(row)))
            readers.push({ reader: file.reader(), rows })
            const check = async (read: Promise<Uint8Array>, wanted: readonly number[]): Promise<void> => {
              const bytes = await read.catch((error: unknown) => {
                if (!(error instanceof StorageError)) throw error
                return undefined
              })
              if (bytes !== undefined) expect(Buffer.compare(bytes, concat(...wanted.map(row)))).toBe(0)
            }
            for (const each of steps) {
              const at = 'reader' in each ? readers[each.reader % Math.max(1, readers.length)] : undefined
              if (each.kind === 'append') {
                const added = Array.from({ length: each.count }, () => ++content)
                rows = [...rows, ...added]
                file.append(concat(...added.map(row)))
              } else if (each.kind === 'write') {
                await file.write()
              } else if (each.kind === 'cut') {
                const { block } = pace
                pace.block = true
                trouble.failIn = Number.POSITIVE_INFINITY
                await file.write()
                // Reads that are held end after the rows are gone.
                file.cut(await file.lastRows(Math.floor((rows.length * each.part) / 100)))
                pace.block = block
                rows = rows.slice(0, file.count)
              } else if (each.kind === 'reader') {
                readers.push({ reader: file.reader(), rows })
              } else if (each.kind === 'fail') {
                trouble.failIn = each.after
              } else if (each.kind === 'hold') {
                trouble.holding = true
              } else if (each.kind === 'let go') {
                trouble.letGo()
              } else if (each.kind === 'pace') {
                pace.block = each.block
              } else if (at !== undefined && at.rows.length > 0) {
                const place = (part: number, of: number): number => Math.floor((part * at.rows.length) / of)
                if (each.kind === 'pick') {
                  const numbers = each.parts.map((part) => place(part, 1000))
                  const read = at.reader.pick(numbers).then((picked) => concat(...picked))
                  underWay.push(
                    check(
                      read,
                      numbers.map((n) => at.rows[n] ?? 0),
                    ),
                  )
                } else {
                  const [from, to] = [place(each.from, 100), place(each.to, 100)].sort((a, b) => a - b)
                  underWay.push(check(at.reader.rows(from ?? 0, (to ?? 0) - (from ?? 0)), at.rows.slice(from, to)))
                }
                if (!trouble.holding) await Promise.all(underWay.splice(0))
              }
            }
            trouble.letGo()
            await Promise.all(underWay)
            failed += trouble.failed
            trouble.failIn = Number.POSITIVE_INFINITY
            for (const { reader, rows: wanted } of [...readers, { reader: file.reader(), rows }]) {
              const picked = await reader.pick(wanted.map((_, i) => i))
              expect(Buffer.compare(concat(...picked), concat(...wanted.map(row)))).toBe(0)
            }
            await file.close()
          }),
      ),
      { numRuns: 60 },
    )
    expect(failed).toBeGreaterThan(2)
  })
})
