import { HASHX_SIZE } from '../chain/script.ts'
import { ChainError } from '../errors.ts'
import { fromLatin1, toLatin1 } from '../lib/bytes.ts'
import { type BlockDelta, PLACE_SIZE } from './block-delta.ts'
import { decode, encode, sized, struct } from './codec.ts'
import { RowWriter, readUnspent } from './keys.ts'
import type { Layer } from './layer.ts'
import { HISTORY, TXID_KEY_SIZE } from './layout.ts'
import type { RowSink } from './row-order.ts'
import type { StoreReader } from './store.ts'

const TXID_SIZE = 32
/** Rows read in one go: a millisecond or two. Clients are told of the block at the same time. */
const READS_PER_TURN = 250

/** Outputs that a block took away, as they were. */
interface Restored {
  readonly hashXs: Uint8Array
  /** The transactions of the block that took them. */
  readonly takers: Uint32Array
  readonly places: Uint8Array
  readonly txNums: Float64Array
  readonly values: Float64Array
}

/** What takes a block back in the indexes that every coin has: plain arrays, of the machine's own byte order (LE). */
const BASE_UNDO = struct({
  madeHashXs: sized,
  madeTxs: sized,
  madeIndexes: sized,
  listedHashXs: sized,
  listedTxs: sized,
  hashXs: sized,
  takers: sized,
  places: sized,
  txNums: sized,
  values: sized,
})

/**
 * The `base` of a block's undo row: what it made, and what it took away as `below` (the store before the layer) and the
 * layer before the block have it. `start`: the block's first transaction in the layer. Throws ChainError if the block
 * spends what is nowhere: then the node has told something wrong of it.
 */
export async function baseUndo(
  delta: BlockDelta,
  height: number,
  place: { readonly layer: Layer; readonly start: number; readonly txids: Uint8Array },
  below: StoreReader,
): Promise<Uint8Array> {
  const restored = new RestoredOutputs()
  const wanted = wantedOutputs(delta, place.txids)
  for (let at = 0; at < wanted.length; at += READS_PER_TURN) {
    await restored.read(wanted.slice(at, at + READS_PER_TURN), height, place, below)
  }
  const { hashXs, takers, places, txNums, values } = restored.arrays()
  return encode(BASE_UNDO, {
    madeHashXs: delta.outs.hashXs,
    madeTxs: bytesOf(delta.outs.txs),
    madeIndexes: bytesOf(delta.outs.indexes),
    listedHashXs: delta.listed.hashXs,
    listedTxs: bytesOf(delta.listed.txs),
    hashXs,
    takers: bytesOf(takers),
    places,
    txNums: bytesOf(txNums),
    values: bytesOf(values),
  })
}

interface WantedOutput {
  readonly hashX: Uint8Array
  readonly place: Uint8Array
  readonly taker: number
  /** True for an output that is spent; false for one of a coinbase, which may have replaced an earlier one (BIP30). */
  readonly spent: boolean
}

function wantedOutputs({ outs, spends }: BlockDelta, txids: Uint8Array): WantedOutput[] {
  const wanted: WantedOutput[] = []
  for (let out = 0; out < outs.txs.length && outs.txs[out] === 0; out++) {
    const place = new Uint8Array(PLACE_SIZE)
    place.set(txids.subarray(0, TXID_KEY_SIZE))
    new DataView(place.buffer).setUint32(TXID_KEY_SIZE, outs.indexes[out] ?? 0, true)
    wanted.push({ hashX: part(outs.hashXs, out, HASHX_SIZE), place, taker: 0, spent: false })
  }
  for (let spend = 0; spend < spends.txs.length; spend++) {
    const place = part(spends.places, spend, PLACE_SIZE)
    wanted.push({ hashX: part(spends.hashXs, spend, HASHX_SIZE), place, taker: spends.txs[spend] ?? 0, spent: true })
  }
  return wanted
}

class RestoredOutputs {
  readonly #rows = new RowWriter()
  readonly #found: { readonly output: WantedOutput; readonly txNum: number; readonly value: number }[] = []

  async read(
    wanted: readonly WantedOutput[],
    height: number,
    { layer, start }: { readonly layer: Layer; readonly start: number },
    below: StoreReader,
  ): Promise<void> {
    const stored: WantedOutput[] = []
    for (const output of wanted) {
      const last = layer.lastOf(output.hashX, output.place, start)
      if (last === undefined) stored.push(output)
      else if (last !== 'spent') this.#found.push({ output, txNum: last.txNum, value: last.value })
    }
    const keys = stored.map(({ hashX, place }) => this.#rows.placeKey(hashX, place).slice())
    const values = await below.getMany(keys)
    for (const [i, output] of stored.entries()) {
      const [key, value] = [keys[i], values[i]]
      if (key !== undefined && value !== undefined) {
        const row = readUnspent(key, value)
        this.#found.push({ output, txNum: row.txNum, value: row.value })
      } else if (output.spent && !layer.makes(output.hashX, output.place)) {
        throw new ChainError(`block ${height} spends an output that the index does not have`)
      }
    }
  }

  arrays(): Restored {
    const count = this.#found.length
    const hashXs = new Uint8Array(count * HASHX_SIZE)
    const takers = new Uint32Array(count)
    const places = new Uint8Array(count * PLACE_SIZE)
    const txNums = new Float64Array(count)
    const values = new Float64Array(count)
    for (const [i, { output, txNum, value }] of this.#found.entries()) {
      hashXs.set(output.hashX, i * HASHX_SIZE)
      takers[i] = output.taker
      places.set(output.place, i * PLACE_SIZE)
      txNums[i] = txNum
      values[i] = value
    }
    return { hashXs, takers, places, txNums, values }
  }
}

/**
 * Puts the rows into a sink that take a block back, whose ids are `txids` and whose first transaction is `firstTxNum`.
 * Yields the hashXs that the block touched, each once, some rows after the other.
 */
export function* undoRows(
  base: Uint8Array,
  block: { readonly txids: Uint8Array; readonly firstTxNum: number; readonly listsOutputs: boolean },
  sink: RowSink,
): Generator<Uint8Array, void, undefined> {
  const undo = decode(BASE_UNDO, base)
  const rows = new RowWriter()
  const { txids, firstTxNum, listsOutputs } = block
  for (let tx = 0; tx * TXID_SIZE < txids.length; tx++) {
    sink.del(rows.txKey(txids, tx * TXID_SIZE, firstTxNum + tx))
  }
  const madeTxs = new Uint32Array(undo.madeTxs.buffer)
  const madeIndexes = new Uint32Array(undo.madeIndexes.buffer)
  for (let out = 0; out < madeTxs.length; out++) {
    const [at, vout] = [(madeTxs[out] ?? 0) * TXID_SIZE, madeIndexes[out] ?? 0]
    sink.del(rows.utxoKey(undo.madeHashXs, out * HASHX_SIZE, txids, at, vout))
    if (listsOutputs) sink.del(rows.outputKey(txids, at, vout))
  }
  // After those: what a coinbase replaced has the same keys (BIP30).
  restore(undo, listsOutputs, sink)
  const firsts = new FirstTouches()
  firsts.add(undo.madeHashXs, madeTxs)
  firsts.add(undo.hashXs, new Uint32Array(undo.takers.buffer))
  firsts.add(undo.listedHashXs, new Uint32Array(undo.listedTxs.buffer))
  for (const [text, tx] of firsts.found) {
    const hashX = fromLatin1(text)
    sink.del(HISTORY.keyBytes({ hashX, first: firstTxNum + tx }))
    yield hashX
  }
}

/**
 * The first transaction of the block that touches each script: its history row of the block begins with that. Outputs
 * that the block both makes and spends count where they are made.
 */
class FirstTouches {
  readonly found = new Map<string, number>()

  add(hashXs: Uint8Array, txs: Uint32Array): void {
    for (let at = 0; at < txs.length; at++) {
      const text = toLatin1(part(hashXs, at, HASHX_SIZE))
      const tx = txs[at] ?? 0
      const known = this.found.get(text)
      if (known === undefined || tx < known) this.found.set(text, tx)
    }
  }
}

function restore(
  undo: {
    readonly hashXs: Uint8Array
    readonly places: Uint8Array
    readonly txNums: Uint8Array
    readonly values: Uint8Array
  },
  listsOutputs: boolean,
  sink: RowSink,
): void {
  const rows = new RowWriter()
  const places = new DataView(undo.places.buffer)
  const txNums = new Float64Array(undo.txNums.buffer)
  const values = new Float64Array(undo.values.buffer)
  for (let i = 0; i < txNums.length; i++) {
    const [at, hashXAt, value] = [i * PLACE_SIZE, i * HASHX_SIZE, values[i] ?? 0]
    const vout = places.getUint32(at + TXID_KEY_SIZE, true)
    sink.put(rows.utxoKey(undo.hashXs, hashXAt, undo.places, at, vout), rows.utxoValue(txNums[i] ?? 0, value))
    if (listsOutputs) {
      sink.put(rows.outputKey(undo.places, at, vout), rows.outputValue(undo.hashXs, hashXAt, value))
    }
  }
}

function part(rows: Uint8Array, index: number, size: number): Uint8Array {
  return rows.subarray(index * size, (index + 1) * size)
}

function bytesOf(array: Uint32Array | Float64Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
}
