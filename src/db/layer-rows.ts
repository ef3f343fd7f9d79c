import { HASHX_SIZE } from '../chain/script.ts'
import { PLACE_SIZE } from './block-delta.ts'
import { RowWriter } from './keys.ts'
import type { LayerData } from './layer.ts'
import { TXID_KEY_SIZE } from './layout.ts'
import { radixOrder } from './radix.ts'

const TXID_SIZE = 32
const NO_BYTES = new Uint8Array(0)
/** Rows between two turns: a few milliseconds. */
const ROWS_PER_TURN = 4000
/**
 * Transactions in one row of a history that is written for many blocks: so many are read at least where some are asked for.
 * A block that can be taken back has one row for each script, however long, since that is what takes it back.
 */
const LONGEST_HISTORY = 1000
/** Runs of equal keys that are put in order by insertion; longer ones by the library. */
const SHORT_RUN = 40

/** Takes rows; keys and values are copied at once. */
export interface RowSink {
  put(key: Uint8Array, value: Uint8Array): void
  del(key: Uint8Array): void
}

/**
 * Puts the rows that a layer changes into a sink, each key space in the order of its keys as far as their first bytes:
 * sorted rows are written faster. Yields after some thousands of them. Outputs that are made and spent inside the layer
 * leave no rows.
 */
export function* layerRows(data: LayerData, listsOutputs: boolean, sink: RowSink): Generator<void, void, undefined> {
  yield* txRows(data, sink)
  yield* outputRows(data, listsOutputs, sink)
  yield* historyRows(data, sink)
}

function* txRows({ txids, firstTxNum }: LayerData, sink: RowSink): Generator<void> {
  const rows = new RowWriter()
  const order = radixOrder(leadingBytes(txids, TXID_SIZE)).numbers
  for (let i = 0; i < order.length; i++) {
    const tx = order[i] ?? 0
    sink.put(rows.txKey(txids, tx * TXID_SIZE, firstTxNum + tx), NO_BYTES)
    if (i % ROWS_PER_TURN === ROWS_PER_TURN - 1) yield
  }
}

function* outputRows(data: LayerData, listsOutputs: boolean, sink: RowSink): Generator<void> {
  const events = new OutputEvents(data)
  const { numbers: order, keys } = radixOrder(events.keys())
  let rows = 0
  for (let start = 0; start < order.length; ) {
    const end = endOfRun(keys, start)
    events.sortRun(order, start, end)
    for (let at = start; at < end; ) {
      const next = events.endOfOutput(order, at, end)
      if (events.write(order[at] ?? 0, order[next - 1] ?? 0, listsOutputs, sink)) rows += 1
      at = next
      if (rows === ROWS_PER_TURN) {
        rows = 0
        yield
      }
    }
    start = end
  }
}

/** Outputs made and outputs spent, numbered one after the other: what happens to an output is a run of these. */
class OutputEvents {
  readonly #data: LayerData
  readonly #made: number
  readonly #madeHashXs: DataView
  readonly #spentHashXs: DataView
  readonly #txids: DataView
  readonly #places: DataView
  readonly #rows = new RowWriter()
  readonly #compare = (a: number, b: number): number => this.#compareOutputs(a, b) || this.#tx(a) - this.#tx(b) || a - b

  constructor(data: LayerData) {
    this.#data = data
    this.#made = data.outs.txs.length
    this.#madeHashXs = viewOf(data.outs.hashXs)
    this.#spentHashXs = viewOf(data.spends.hashXs)
    this.#txids = viewOf(data.txids)
    this.#places = viewOf(data.spends.places)
  }

  keys(): Uint32Array {
    const keys = new Uint32Array(this.#made + this.#data.spends.txs.length)
    keys.set(leadingBytes(this.#data.outs.hashXs, HASHX_SIZE))
    keys.set(leadingBytes(this.#data.spends.hashXs, HASHX_SIZE), this.#made)
    return keys
  }

  /** Puts events that share the beginning of their script in order. */
  sortRun(order: Uint32Array, start: number, end: number): void {
    sortRun(order, start, end, this.#compare)
  }

  /** Where the events of the output at `start` end. */
  endOfOutput(order: Uint32Array, start: number, end: number): number {
    const first = order[start] ?? 0
    let next = start + 1
    while (next < end && this.#compareOutputs(first, order[next] ?? 0) === 0) next += 1
    return next
  }

  /** Writes what the first and the last event of an output come to; false if that is nothing. */
  write(first: number, last: number, listsOutputs: boolean, sink: RowSink): boolean {
    const made = last < this.#made
    // An output that was made and spent was never on disk, unless a coinbase was there before it (BIP30).
    if (!made && first < this.#made && !this.#isCoinbase(first)) return false
    const { outs, spends, txids, firstTxNum } = this.#data
    const rows = this.#rows
    if (made) {
      const [tx, vout, at] = [outs.txs[last] ?? 0, outs.indexes[last] ?? 0, last * HASHX_SIZE]
      const value = outs.values[last] ?? 0
      sink.put(rows.utxoKey(outs.hashXs, at, txids, tx * TXID_SIZE, vout), rows.utxoValue(firstTxNum + tx, value))
      if (listsOutputs) sink.put(rows.outputKey(txids, tx * TXID_SIZE, vout), rows.outputValue(outs.hashXs, at, value))
    } else {
      const spend = last - this.#made
      const place = spend * PLACE_SIZE
      const vout = this.#places.getUint32(place + TXID_KEY_SIZE, true)
      sink.del(rows.utxoKey(spends.hashXs, spend * HASHX_SIZE, spends.places, place, vout))
      if (listsOutputs) sink.del(rows.outputKey(spends.places, place, vout))
    }
    return true
  }

  #compareOutputs(a: number, b: number): number {
    const [mine, mineAt] = this.#hashXAt(a)
    const [theirs, theirsAt] = this.#hashXAt(b)
    const byScript =
      mine.getUint32(mineAt + 4) - theirs.getUint32(theirsAt + 4) ||
      mine.getUint32(mineAt + 7) - theirs.getUint32(theirsAt + 7)
    if (byScript !== 0) return byScript
    const [id, idAt] = this.#idAt(a)
    const [otherId, otherIdAt] = this.#idAt(b)
    for (let i = 0; i < TXID_KEY_SIZE; i += 4) {
      const byId = id.getUint32(idAt + i) - otherId.getUint32(otherIdAt + i)
      if (byId !== 0) return byId
    }
    return this.#vout(a) - this.#vout(b)
  }

  #hashXAt(event: number): readonly [DataView, number] {
    return event < this.#made
      ? [this.#madeHashXs, event * HASHX_SIZE]
      : [this.#spentHashXs, (event - this.#made) * HASHX_SIZE]
  }

  #idAt(event: number): readonly [DataView, number] {
    return event < this.#made
      ? [this.#txids, (this.#data.outs.txs[event] ?? 0) * TXID_SIZE]
      : [this.#places, (event - this.#made) * PLACE_SIZE]
  }

  #vout(event: number): number {
    return event < this.#made
      ? (this.#data.outs.indexes[event] ?? 0)
      : this.#places.getUint32((event - this.#made) * PLACE_SIZE + TXID_KEY_SIZE, true)
  }

  #tx(event: number): number {
    const { outs, spends } = this.#data
    return (event < this.#made ? outs.txs[event] : spends.txs[event - this.#made]) ?? 0
  }

  #isCoinbase(out: number): boolean {
    const { blockStarts, outs } = this.#data
    const tx = outs.txs[out] ?? 0
    return blockStarts[blockOf(blockStarts, tx)] === tx
  }
}

function* historyRows(data: LayerData, sink: RowSink): Generator<void> {
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

/** Number of the last block that begins at or before `tx`. */
function blockOf(starts: Uint32Array, tx: number): number {
  let low = 0
  let high = starts.length - 1
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if ((starts[middle] ?? 0) <= tx) low = middle
    else high = middle - 1
  }
  return low
}

/** The first four bytes of each row as a number that sorts as they do. */
function leadingBytes(rows: Uint8Array, rowSize: number): Uint32Array {
  const view = viewOf(rows)
  const keys = new Uint32Array(rows.length / rowSize)
  for (let i = 0; i < keys.length; i++) keys[i] = view.getUint32(i * rowSize)
  return keys
}

/** Where the keys end that are the same as the one at `start`. */
function endOfRun(keys: Uint32Array, start: number): number {
  const key = keys[start]
  let end = start + 1
  while (end < keys.length && keys[end] === key) end += 1
  return end
}

function sortRun(order: Uint32Array, start: number, end: number, compare: (a: number, b: number) => number): void {
  if (end - start > SHORT_RUN) {
    order.subarray(start, end).sort(compare)
    return
  }
  for (let i = start + 1; i < end; i++) {
    const event = order[i] ?? 0
    let at = i
    for (; at > start && compare(order[at - 1] ?? 0, event) > 0; at--) order[at] = order[at - 1] ?? 0
    order[at] = event
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
