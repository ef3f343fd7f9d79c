import { HASHX_SIZE } from '../chain/script.ts'
import { PLACE_SIZE } from './block-delta.ts'
import { type GatheredHistories, historyRows } from './history-rows.ts'
import { RowWriter } from './keys.ts'
import type { LayerData } from './layer.ts'
import { TXID_KEY_SIZE } from './layout.ts'
import { radixOrder } from './radix.ts'
import { blockOf, endOfRun, leadingBytes, ROWS_PER_TURN, type RowSink, sortRun, viewOf } from './row-order.ts'

const TXID_SIZE = 32
const NO_BYTES = new Uint8Array(0)

/**
 * Puts the rows that a layer changes into a sink, each key space in the order of its keys as far as their first bytes:
 * sorted rows are written faster. Yields after some thousands of them. Outputs that are made and spent inside the layer
 * leave no rows.
 */
export function* layerRows(
  data: LayerData,
  listsOutputs: boolean,
  gathered: GatheredHistories,
  sink: RowSink,
): Generator<void, void, undefined> {
  yield* txRows(data, sink)
  yield* outputRows(data, listsOutputs, sink)
  yield* historyRows(data, gathered, sink)
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
