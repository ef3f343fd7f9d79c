import { HASHX_SIZE } from '../chain/script.ts'
import { RowWriter } from './keys.ts'
import type { LayerData } from './layer.ts'
import { radixOrder } from './radix.ts'
import { blockOf, endOfRun, leadingBytes, ROWS_PER_TURN, type RowSink, sortRun, viewOf } from './row-order.ts'

/**
 * Transactions in one row of a history that is written for many blocks: so many are read at least where some are asked for.
 * A block that can be taken back has one row for each script, however long, since that is what takes it back.
 */
const LONGEST_HISTORY = 1000

export function* historyRows(data: LayerData, sink: RowSink): Generator<void> {
  const { hashXs, txs } = data.touches
  const view = viewOf(hashXs)
  const { numbers: order, keys } = radixOrder(leadingBytes(hashXs, HASHX_SIZE))
  const rest = (a: number, b: number): number =>
    view.getUint32(a * HASHX_SIZE + 4) - view.getUint32(b * HASHX_SIZE + 4) ||
    view.getUint32(a * HASHX_SIZE + 7) - view.getUint32(b * HASHX_SIZE + 7)
  const compare = (a: number, b: number): number => rest(a, b) || a - b
  const writer = new HistoryWriter(data, sink)
  for (let start = 0; start < order.length; ) {
    const end = endOfRun(keys, start)
    sortRun(order, start, end, compare)
    for (let at = start; at < end; at++) {
      const touch = order[at] ?? 0
      const same = at > start && rest(order[at - 1] ?? 0, touch) === 0
      writer.add(touch * HASHX_SIZE, txs[touch] ?? 0, same)
    }
    start = end
    if (writer.rows >= ROWS_PER_TURN) {
      writer.rows = 0
      yield
    }
  }
  writer.finish()
}

/** Puts touches, in the order of scripts and then of transactions, together to rows. */
class HistoryWriter {
  rows = 0
  readonly #data: LayerData
  readonly #sink: RowSink
  readonly #writer = new RowWriter()
  readonly #longest: number
  #key: Uint8Array | undefined
  #length = 0
  /** The first transaction that is not to be in the row under way. */
  #end = 0

  constructor(data: LayerData, sink: RowSink) {
    this.#data = data
    this.#sink = sink
    this.#longest = data.perBlock ? Number.POSITIVE_INFINITY : LONGEST_HISTORY
  }

  add(hashXAt: number, tx: number, same: boolean): void {
    const txNum = this.#data.firstTxNum + tx
    if (same && tx < this.#end && this.#length < this.#longest) {
      this.#writer.historyAdd(txNum)
      this.#length += 1
      return
    }
    this.finish()
    this.#key = this.#writer.historyKey(this.#data.touches.hashXs, hashXAt, txNum)
    this.#length = 1
    this.#end = this.#data.perBlock ? this.#endOfBlock(tx) : Number.POSITIVE_INFINITY
  }

  finish(): void {
    if (this.#key === undefined) return
    this.#sink.put(this.#key, this.#writer.historyValue())
    this.#key = undefined
    this.rows += 1
  }

  #endOfBlock(tx: number): number {
    const { blockStarts } = this.#data
    return blockStarts[blockOf(blockStarts, tx) + 1] ?? Number.POSITIVE_INFINITY
  }
}
