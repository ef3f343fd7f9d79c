import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { idText } from '../../../src/atomicals/id-text.ts'
import { HOLDERS, type HolderRow } from '../../../src/atomicals/layout.ts'
import { RowVersions, VersionedRows } from '../../../src/atomicals/row-versions.ts'
import type { PagedRows } from '../../../src/atomicals/rows.ts'
import type { PageOptions } from '../../../src/db/view.ts'
import { compareBytes, fromLatin1 } from '../../../src/lib/bytes.ts'
import { turnsDuring } from '../../support/turns.ts'

const ID = idText(new Uint8Array(32).fill(1), 0)
const OTHER = idText(new Uint8Array(32).fill(2), 0)

function locationOf(n: number): string {
  const txid = new Uint8Array(32)
  txid[0] = n >> 8
  txid[1] = n & 0xff
  return idText(txid, 0)
}

const rowOf = (value: number): HolderRow => ({ value, satoshis: 1, script: new Uint8Array(0) })
const keyOf = (n: number) => ({ id: ID, location: locationOf(n) })

/** Rows in a Map, which count what is read of them. */
class Below implements Pick<PagedRows, 'page' | 'rows'> {
  readonly #rows: readonly { readonly key: { id: string; location: string }; readonly value: HolderRow }[]
  read = 0

  constructor(values: ReadonlyMap<number, number>) {
    this.#rows = [...values].sort(([a], [b]) => a - b).map(([n, value]) => ({ key: keyOf(n), value: rowOf(value) }))
  }

  rows = async (): Promise<never> => this.#rows as never

  page = async (_space: unknown, _start: unknown, { beyond, reverse = false, limit }: PageOptions): Promise<never> => {
    const left = this.#rows.filter(({ key }) => {
      const side = beyond === undefined ? 0 : compareBytes(HOLDERS.keyBytes(key).subarray(1), beyond)
      return beyond === undefined || (reverse ? side < 0 : side > 0)
    })
    const page = (reverse ? left.toReversed() : left).slice(0, limit)
    this.read += page.length
    return page as never
  }
}

const over = (versions: RowVersions, below: Below, upTo: number): VersionedRows =>
  new VersionedRows({ upTo }, { versions, base: below as unknown as PagedRows })

const write = fc.record({ n: fc.nat({ max: 40 }), value: fc.option(fc.nat({ max: 9 }), { nil: undefined }) })

describe('rows with what the mempool writes', () => {
  it('are those of so many transactions, in order, page by page, while more are written', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat({ max: 40 }), fc.nat({ max: 9 })), { maxLength: 30 }),
        fc.array(write, { maxLength: 30 }),
        fc.nat({ max: 30 }),
        fc.boolean(),
        fc.integer({ min: 1, max: 9 }),
        async (below, writes, upTo, reverse, limit) => {
          const versions = new RowVersions()
          const put = (at: number) => {
            const { n, value } = writes[at]!
            versions.write(HOLDERS, keyOf(n), { at, value: value === undefined ? undefined : rowOf(value) })
            versions.write(HOLDERS, { id: OTHER, location: locationOf(n) }, { at, value: rowOf(1) })
          }
          const seen = Math.min(upTo, writes.length)
          for (let at = 0; at < seen; at++) put(at)
          const all = new Map<number, number | undefined>(below)
          for (const { n, value } of writes.slice(0, seen)) all.set(n, value)
          const expected = [...all]
            .flatMap(([n, value]) => (value === undefined ? [] : [[n, value] as const]))
            .sort(([a], [b]) => a - b)
            .map(([n, value]) => ({ key: keyOf(n), value: rowOf(value) }))
          const rows = over(versions, new Below(new Map(below)), upTo)
          const paged: unknown[] = []
          for (let beyond: Uint8Array | undefined, at = seen; ; at++) {
            const page = await rows.page(HOLDERS, fromLatin1(ID), { limit, reverse, beyond })
            paged.push(...page)
            const last = page.at(-1)
            if (last === undefined || page.length < limit) break
            beyond = HOLDERS.keyBytes(last.key).subarray(1)
            if (at < writes.length) put(at)
          }
          expect(paged).toEqual(reverse ? expected.toReversed() : expected)
          expect(await rows.rows(HOLDERS, fromLatin1(ID))).toEqual(expected)
        },
      ),
    )
  })

  it('are read no further than a page goes, however many mints of a token wait', async () => {
    const versions = new RowVersions()
    for (let n = 0; n < 20_000; n++) versions.write(HOLDERS, keyOf((n * 7_919) % 20_000), { at: n, value: rowOf(n) })
    const below = new Below(new Map(Array.from({ length: 5_000 }, (_, n) => [3 * n, 1])))
    const rows = over(versions, below, 20_000)
    const page = await rows.page(HOLDERS, fromLatin1(ID), { limit: 50 })
    expect(page.map(({ key }) => key.location)).toEqual(Array.from({ length: 50 }, (_, n) => locationOf(n)))
    expect(below.read).toBeLessThan(100)
  })

  it('let others have their turns where very many were taken away', async () => {
    const versions = new RowVersions()
    for (let n = 0; n < 20_000; n++) versions.write(HOLDERS, keyOf(n), { at: n, value: undefined })
    const rows = over(versions, new Below(new Map()), 20_000)
    const { result, turns } = await turnsDuring(() => rows.page(HOLDERS, fromLatin1(ID), { limit: 50 }))
    expect(result).toEqual([])
    expect(turns).toBeGreaterThanOrEqual(8)
  })
})
