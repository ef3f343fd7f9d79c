import { HASHX_SIZE } from '../chain/script.ts'
import { compareBytes } from '../lib/bytes.ts'
import { RowWriter, readHead } from './keys.ts'
import type { LayerData } from './layer.ts'
import { HEAD_GOES_ON } from './layout.ts'
import { radixOrder } from './radix.ts'
import { blockOf, endOfRun, leadingBytes, ROWS_PER_TURN, type RowSink, sortRun, viewOf } from './row-order.ts'

/**
 * Transactions in one row of a history that is written for many blocks: so many are read at least where some are asked for.
 * A block that can be taken back has one row for each script, however long, since that is what takes it back.
 */
const LONGEST_HISTORY = 1000
/** Transactions in a head: nearly all scripts have fewer, and each one that is added writes all of them once more. */
export const MOST_IN_HEAD = 50

/** Histories that stand under one key each, see HEADS: what scripts did in a layer is added there. */
export interface GatheredHistories {
  /** Those of the scripts whose hashX sorts before these bytes. */
  readonly below: Uint8Array
  /** A row as it is before the layer. */
  get(key: Uint8Array): Uint8Array | undefined
}

/** Nothing sorts before it. */
export const NONE_GATHERED = new Uint8Array(0)
/** Every hashX sorts before it. */
export const ALL_GATHERED = new Uint8Array(HASHX_SIZE + 1).fill(0xff)

/** Puts what scripts did in a layer into a sink, script by script. Yields after some thousands of rows. */
export function* historyRows(data: LayerData, gathered: GatheredHistories, sink: RowSink): Generator<void> {
  const { hashXs } = data.touches
  const view = viewOf(hashXs)
  const { numbers: order, keys } = radixOrder(leadingBytes(hashXs, HASHX_SIZE))
  const rest = (a: number, b: number): number =>
    view.getUint32(a * HASHX_SIZE + 4) - view.getUint32(b * HASHX_SIZE + 4) ||
    view.getUint32(a * HASHX_SIZE + 7) - view.getUint32(b * HASHX_SIZE + 7)
  const compare = (a: number, b: number): number => rest(a, b) || a - b
  const writer = new HistoryWriter(data, gathered, sink)
  for (let start = 0; start < order.length; ) {
    const end = endOfRun(keys, start)
    sortRun(order, start, end, compare)
    for (let at = start; at < end; ) {
      const first = order[at] ?? 0
      let next = at + 1
      while (next < end && rest(first, order[next] ?? 0) === 0) next += 1
      writer.write(order, at, next)
      at = next
    }
    start = end
    if (writer.rows >= ROWS_PER_TURN) {
      writer.rows = 0
      yield
    }
  }
}

/** Puts the touches of each script together to rows. */
class HistoryWriter {
  rows = 0
  readonly #data: LayerData
  readonly #gathered: GatheredHistories
  readonly #sink: RowSink
  readonly #writer = new RowWriter()
  readonly #longest: number

  constructor(data: LayerData, gathered: GatheredHistories, sink: RowSink) {
    this.#data = data
    this.#gathered = gathered
    this.#sink = sink
    this.#longest = data.perBlock ? Number.POSITIVE_INFINITY : LONGEST_HISTORY
  }

  /** Writes the touches that `order` has from `start` to before `end`: all of one script, in the order of the chain. */
  write(order: Uint32Array, start: number, end: number): void {
    const hashXAt = (order[start] ?? 0) * HASHX_SIZE
    if (!this.#isGathered(hashXAt) || !this.#addToHead(hashXAt, order, start, end)) {
      this.#addRows(hashXAt, order, start, end)
    }
  }

  #isGathered(hashXAt: number): boolean {
    const { below } = this.#gathered
    if (below.length === 0) return false
    return compareBytes(this.#data.touches.hashXs.subarray(hashXAt, hashXAt + HASHX_SIZE), below) < 0
  }

  /** False if the script has, or has from now on, rows of its own for what comes behind its head. */
  #addToHead(hashXAt: number, order: Uint32Array, start: number, end: number): boolean {
    const writer = this.#writer
    const key = writer.headKey(this.#data.touches.hashXs, hashXAt)
    const head = this.#gathered.get(key)
    const before: number[] = []
    if (head !== undefined && readHead(head, before)) return false
    const fits = before.length + end - start <= MOST_IN_HEAD
    // Whatever it was: something may be unspent from now on.
    writer.beginHead(fits ? 0 : HEAD_GOES_ON)
    for (const txNum of before) writer.historyAdd(txNum)
    if (fits) for (let at = start; at < end; at++) writer.historyAdd(this.#txNum(order[at]))
    this.#put(key)
    return fits
  }

  /** A row for every block that can be taken back, or else one for all of them. */
  #addRows(hashXAt: number, order: Uint32Array, start: number, end: number): void {
    const { perBlock, firstTxNum, touches } = this.#data
    for (let at = start; at < end; ) {
      const first = this.#txNum(order[at])
      const ends = perBlock ? this.#endOfBlock(first - firstTxNum) : Number.POSITIVE_INFINITY
      const last = Math.min(end, at + this.#longest)
      const key = this.#writer.historyKey(touches.hashXs, hashXAt, first)
      for (at += 1; at < last; at++) {
        const txNum = this.#txNum(order[at])
        if (txNum >= ends) break
        this.#writer.historyAdd(txNum)
      }
      this.#put(key)
    }
  }

  #put(key: Uint8Array): void {
    this.#sink.put(key, this.#writer.historyValue())
    this.rows += 1
  }

  #txNum(touch = 0): number {
    return this.#data.firstTxNum + (this.#data.touches.txs[touch] ?? 0)
  }

  /** Number of the first transaction behind the block that transaction `tx` of the layer is in. */
  #endOfBlock(tx: number): number {
    const { blockStarts, firstTxNum } = this.#data
    return firstTxNum + (blockStarts[blockOf(blockStarts, tx) + 1] ?? Number.POSITIVE_INFINITY)
  }
}
