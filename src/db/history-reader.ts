import { readHead, readHistory } from './keys.ts'
import type { LayerMark } from './layer.ts'
import { following, HEADS, HISTORY } from './layout.ts'
import type { SharedSnapshot } from './shared-snapshot.ts'
import type { StoreReader } from './store.ts'

/** Rows read at first: nearly all histories have fewer, where they are not gathered. */
const FIRST_ROWS = 64

/** Histories of scripts as transaction numbers: in the store, and in the blocks above it. */
export class HistoryReader {
  readonly #store: StoreReader
  readonly #isGathered: boolean
  readonly #layers: readonly LayerMark[]

  constructor(snapshot: SharedSnapshot, layers: readonly LayerMark[]) {
    this.#store = snapshot.reader
    this.#isGathered = snapshot.isGathered
    this.#layers = layers
  }

  /** The first `most` transactions, ascending. */
  async first(hashX: Uint8Array, most: number): Promise<number[]> {
    const txNums: number[] = []
    const hasRows = await this.#readHead(hashX, txNums)
    if (hasRows && txNums.length < most) await this.#readRows(hashX, txNums, most)
    for (const layer of this.#layers) if (txNums.length < most) txNums.push(...layer.touchesOf(hashX))
    return txNums.length > most ? txNums.slice(0, most) : txNums
  }

  /** Transactions with numbers above `after`, ascending, some at a time. */
  async *after(hashX: Uint8Array, after: number): AsyncGenerator<readonly number[]> {
    const head: number[] = []
    const hasRows = await this.#readHead(hashX, head)
    yield head.filter((txNum) => txNum > after)
    if (hasRows) {
      const range = HISTORY.range(hashX)
      const next = HISTORY.keyBytes({ hashX, first: after + 1 })
      // The last row that begins before may go on beyond.
      const before = await this.#store.rows({ gte: range.gte, lt: next, reverse: true, limit: 1 })
      yield later(before, after)
      for await (const rows of this.#store.scan({ gte: next, lt: range.lt })) yield later(rows, after)
    }
    for (const layer of this.#layers) yield layer.touchesOf(hashX).filter((txNum) => txNum > after)
  }

  /** True if rows may say more than the head does. */
  async #readHead(hashX: Uint8Array, txNums: number[]): Promise<boolean> {
    const head = await this.#store.get(HEADS.keyBytes({ hashX }))
    const saysMore = head !== undefined && readHead(head, txNums)
    return saysMore || !this.#isGathered
  }

  async #readRows(hashX: Uint8Array, txNums: number[], most: number): Promise<void> {
    const range = HISTORY.range(hashX)
    const limit = Math.min(most, FIRST_ROWS)
    const rows = await this.#store.rows({ gte: range.gte, lt: range.lt, limit })
    for (const [key, value] of rows) readHistory(key, value, txNums)
    const last = rows.at(-1)?.[0]
    if (last !== undefined && rows.length === limit && txNums.length < most) {
      await this.#readOn({ gte: following(last), lt: range.lt }, txNums, most)
    }
  }

  async #readOn(range: { readonly gte: Uint8Array; readonly lt: Uint8Array }, txNums: number[], most: number) {
    for await (const rows of this.#store.scan(range)) {
      for (const [key, value] of rows) readHistory(key, value, txNums)
      if (txNums.length >= most) return
    }
  }
}

function later(rows: readonly (readonly [Uint8Array, Uint8Array])[], after: number): number[] {
  const txNums: number[] = []
  for (const [key, value] of rows) readHistory(key, value, txNums)
  return txNums.filter((txNum) => txNum > after)
}
