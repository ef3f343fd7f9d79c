import { LRUCache } from 'lru-cache'
import type { AtomicalsQueries } from '../../../atomicals/queries.ts'
import type { IdText } from '../../../atomicals/transfer/holding.ts'
import type { Tip } from '../../../db/view.ts'
import { compareBytes, fromLatin1, toHex, toLatin1 } from '../../../lib/bytes.ts'

/** What one script holds of an atomical. */
export interface Holding {
  readonly script: Uint8Array
  readonly value: number
}

/** Who holds an atomical. */
export class Holdings {
  /** The largest first; equal ones by the first of their locations, as the reference has them. */
  readonly holders: readonly Holding[]
  /** Unspent outputs that hold some of it. */
  readonly locations: number
  readonly supply: number
  #ranked: readonly Holding[] | undefined

  constructor(holders: readonly Holding[], locations: number, supply: number) {
    this.holders = holders
    this.locations = locations
    this.supply = supply
  }

  /** The largest first, equal ones by script: an order that a page can be continued in when locations have changed. */
  get ranked(): readonly Holding[] {
    this.#ranked ??= [...this.holders].sort(byRank)
    return this.#ranked
  }

  /** Holders behind one that was seen, whatever he holds by now. */
  behind(seen: Holding): readonly Holding[] {
    let low = 0
    let high = this.ranked.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const at = this.ranked[middle]
      if (at !== undefined && byRank(at, seen) <= 0) low = middle + 1
      else high = middle
    }
    return this.ranked.slice(low)
  }
}

function byRank(a: Holding, b: Holding): number {
  return b.value - a.value || compareBytes(a.script, b.script)
}

/** Rows that are in memory at a time while all outputs of a token are added up. */
const PAGE = 1_000
/** Bytes of a kept holder, about: the script, the object, its place in the list. */
const HOLDER_BYTES = 200

/**
 * Sums over all outputs of a token, kept until there is another tip: lists of holders are asked for page by page, and to
 * know who holds most all of them have to be read.
 */
export class HoldingsCache {
  readonly #kept: LRUCache<string, Holdings> | undefined

  constructor(options: { readonly maxBytes: number }) {
    const { maxBytes } = options
    if (maxBytes > 0) this.#kept = new LRUCache({ maxSize: maxBytes, maxEntrySize: Math.ceil(maxBytes / 2) })
  }

  async of(queries: AtomicalsQueries, tip: Tip, id: IdText, signal: AbortSignal): Promise<Holdings> {
    const key = `${toHex(tip.hash)}${id}`
    const known = this.#kept?.get(key)
    if (known !== undefined) return known
    const holdings = await addUp(queries, id, signal)
    this.#kept?.set(key, holdings, { size: HOLDER_BYTES * (1 + holdings.holders.length) })
    return holdings
  }
}

/** Sums over all outputs of an atomical. */
export async function addUp(queries: AtomicalsQueries, id: IdText, signal: AbortSignal): Promise<Holdings> {
  const sums = new Map<string, number>()
  let locations = 0
  let supply = 0
  for (let beyond: IdText | undefined; ; ) {
    signal.throwIfAborted()
    const page = await queries.holdersPage(id, PAGE, beyond)
    for (const { script, value } of page) {
      const text = toLatin1(script)
      sums.set(text, (sums.get(text) ?? 0) + value)
      supply += value
    }
    locations += page.length
    if (page.length < PAGE) break
    beyond = page.at(-1)?.location
  }
  const holders = Array.from(sums, ([text, value]) => ({ script: fromLatin1(text), value }))
  holders.sort((a, b) => b.value - a.value)
  return new Holdings(Object.freeze(holders), locations, supply)
}
