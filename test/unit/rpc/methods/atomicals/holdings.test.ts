import { describe, expect, it } from 'vitest'
import { idText } from '../../../../../src/atomicals/id-text.ts'
import { HOLDERS, NUMBERS } from '../../../../../src/atomicals/layout.ts'
import { AtomicalsQueries } from '../../../../../src/atomicals/queries.ts'
import type { PagedRows } from '../../../../../src/atomicals/rows.ts'
import type { Tip } from '../../../../../src/db/view.ts'
import { fromLatin1, toLatin1, writeUint32LE } from '../../../../../src/lib/bytes.ts'
import { HoldingsCache } from '../../../../../src/rpc/methods/atomicals/holdings.ts'

const TOKEN = idText(new Uint8Array(32).fill(7), 0)
const HOLDER_COUNT = 100_000
const OUTPUTS_EACH = 2

function numbered(size: number, n: number): Uint8Array {
  const bytes = new Uint8Array(size)
  writeUint32LE(bytes, n, 0)
  return bytes
}

interface Sorted {
  /** Keys without their prefix, one character a byte. */
  readonly keys: readonly string[]
  readonly values: ReadonlyMap<string, Uint8Array>
}

function sorted(rows: readonly (readonly [key: Uint8Array, value: Uint8Array])[]): Sorted {
  const values = new Map(rows.map(([key, value]) => [toLatin1(key.subarray(1)), value]))
  return { keys: [...values.keys()].sort(), values }
}

/** A token that 100,000 scripts hold in two outputs each; number n holds 2n + 2. */
const HOLDER_ROWS = sorted(
  Array.from({ length: HOLDER_COUNT * OUTPUTS_EACH }, (_, n) => {
    const i = Math.floor(n / OUTPUTS_EACH)
    const key = { id: TOKEN, location: idText(numbered(32, i), n % OUTPUTS_EACH) }
    const value = { value: i + 1, satoshis: 546, script: numbered(22, i) }
    return [HOLDERS.keyBytes(key), HOLDERS.valueBytes(value)] as const
  }),
)

const NUMBER_ROWS = sorted(
  Array.from({ length: HOLDER_COUNT }, (_, number) => {
    return [NUMBERS.keyBytes({ number }), NUMBERS.valueBytes({ id: idText(numbered(32, number), 0) })] as const
  }),
)

/** The first key that is not below another. */
function lowerBound(keys: readonly string[], key: string): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((keys[middle] ?? '') < key) low = middle + 1
    else high = middle
  }
  return low
}

/** Rows that note how many were given out at a time; all of them at once are not to be had. */
function counted({ keys, values }: Sorted): { readonly rows: PagedRows; readonly sizes: number[] } {
  const sizes: number[] = []
  const rows: PagedRows = {
    get: () => {
      throw new Error('a row by itself')
    },
    rows: () => Promise.reject(new Error('all rows at once')),
    page: (space, start, { beyond, limit }) => {
      const first = lowerBound(keys, beyond === undefined ? toLatin1(start) : `${toLatin1(beyond)}\0`)
      const page = keys.slice(first, first + limit).map((key) => ({
        key: space.readKey(fromLatin1(` ${key}`)),
        value: space.readValue(values.get(key) ?? new Uint8Array(0)),
      }))
      sizes.push(page.length)
      return Promise.resolve(page)
    },
  }
  return { rows, sizes }
}

const tipAt = (height: number): Tip => ({ height, hash: numbered(32, height), txCount: 1 })
const { signal } = new AbortController()

describe('HoldingsCache', () => {
  it('adds up the outputs of 100,000 holders a thousand at a time, once for each tip', async () => {
    const { rows, sizes } = counted(HOLDER_ROWS)
    const queries = new AtomicalsQueries({ height: 1 }, rows)
    const cache = new HoldingsCache({ maxBytes: 64 * 2 ** 20 })
    const holdings = await cache.of(queries, tipAt(1), TOKEN, signal)
    expect(holdings.holders).toHaveLength(HOLDER_COUNT)
    expect(holdings.locations).toBe(HOLDER_COUNT * OUTPUTS_EACH)
    expect(holdings.supply).toBe(HOLDER_COUNT * (HOLDER_COUNT + 1))
    expect(holdings.holders.slice(0, 2).map(({ value }) => value)).toEqual([2 * HOLDER_COUNT, 2 * HOLDER_COUNT - 2])
    expect(Math.max(...sizes)).toBe(1_000)
    const reads = sizes.length
    expect(await cache.of(queries, tipAt(1), TOKEN, signal)).toBe(holdings)
    expect(sizes.length).toBe(reads)
    await cache.of(queries, tipAt(2), TOKEN, signal)
    expect(sizes.length).toBe(2 * reads)
  })

  it('stops when the client is gone', async () => {
    const { rows, sizes } = counted(HOLDER_ROWS)
    const queries = new AtomicalsQueries({ height: 1 }, rows)
    const gone = AbortSignal.abort()
    await expect(new HoldingsCache({ maxBytes: 0 }).of(queries, tipAt(1), TOKEN, gone)).rejects.toThrow('aborted')
    expect(sizes).toEqual([])
  })

  it('goes on behind a holder who holds something else by now', async () => {
    const { rows } = counted(HOLDER_ROWS)
    const queries = new AtomicalsQueries({ height: 1 }, rows)
    const holdings = await new HoldingsCache({ maxBytes: 0 }).of(queries, tipAt(1), TOKEN, signal)
    const [first] = holdings.behind({ value: 2 * HOLDER_COUNT - 5, script: numbered(22, 1) })
    expect(first?.value).toBe(2 * HOLDER_COUNT - 6)
  })
})

describe('numbersPage', () => {
  it('reads no more rows than it gives', async () => {
    const { rows, sizes } = counted(NUMBER_ROWS)
    const queries = new AtomicalsQueries({ height: 1 }, rows)
    const page = await queries.numbersPage(60_000, 50)
    expect(page.map(({ number }) => number)).toEqual(Array.from({ length: 50 }, (_, i) => 60_000 + i))
    expect(sizes).toEqual([50])
  })
})
