import { setImmediate as nextTurn } from 'node:timers/promises'
import { HASHX_SIZE } from '../chain/script.ts'
import { equalBytes, readUint32LE } from '../lib/bytes.ts'
import { type BlockDelta, PLACE_SIZE } from './block-delta.ts'
import { TXID_KEY_SIZE } from './layout.ts'
import { LogIndex } from './log-index.ts'
import { PlaceTable } from './place-table.ts'
import { SharedLog } from './shared-log.ts'

const TXID_SIZE = 32
/** Rows entered into an index between two turns: a fraction of a millisecond, and 3 where the code has never run. */
const ENTERED_AT_ONCE = 2048
/** Above every number of a row, and just at what stands for none. */
const ALL = { outs: 0xffff_ffff, spends: 0xffff_ffff }

/** What a layer says, as plain data over shared memory: what becomes rows (layer-rows.ts), on whatever thread. */
export interface LayerData {
  /** Number of its first transaction; every other number of one counts from there. */
  readonly firstTxNum: number
  /** True if each block has history rows of its own, so that it can be taken back; else there is one for all of them. */
  readonly perBlock: boolean
  /** First transaction of each block. */
  readonly blockStarts: Uint32Array
  readonly txids: Uint8Array
  readonly outs: {
    readonly hashXs: Uint8Array
    readonly txs: Uint32Array
    readonly indexes: Uint32Array
    readonly values: Float64Array
  }
  readonly spends: { readonly hashXs: Uint8Array; readonly txs: Uint32Array; readonly places: Uint8Array }
  readonly touches: { readonly hashXs: Uint8Array; readonly txs: Uint32Array }
}

/** An output that is not yet on disk. */
export interface NewOutput {
  readonly txNum: number
  readonly vout: number
  readonly value: number
}

/**
 * Blocks that are not yet on disk, as logs of what they add to and take from the indexes that every coin has. Outside
 * the heap, bound by who appends, and only ever appended: whoever remembers how long the logs were (mark) has the layer
 * as it was then.
 */
export class Layer {
  readonly #txids = new SharedLog(TXID_SIZE)
  readonly #outHashXs = new SharedLog(HASHX_SIZE)
  readonly #outTxs = new SharedLog(4)
  readonly #outIndexes = new SharedLog(4)
  readonly #outValues = new SharedLog(8)
  readonly #spentHashXs = new SharedLog(HASHX_SIZE)
  readonly #spentTxs = new SharedLog(4)
  readonly #spentPlaces = new SharedLog(PLACE_SIZE)
  readonly #touchHashXs = new SharedLog(HASHX_SIZE)
  readonly #touchTxs = new SharedLog(4)
  readonly #txsOf = new LogIndex(this.#txids, { rowSize: TXID_SIZE, keySize: TXID_KEY_SIZE })
  readonly #outsOf = new LogIndex(this.#outHashXs, { rowSize: HASHX_SIZE, keySize: HASHX_SIZE })
  readonly #spendsOf = new LogIndex(this.#spentHashXs, { rowSize: HASHX_SIZE, keySize: HASHX_SIZE })
  readonly #spendsAt = new LogIndex(this.#spentPlaces, { rowSize: PLACE_SIZE, keySize: PLACE_SIZE })
  readonly #touchesOf = new LogIndex(this.#touchHashXs, { rowSize: HASHX_SIZE, keySize: HASHX_SIZE })
  #places: PlaceTable | undefined
  #blockStarts: number[] = []
  #firstTxNum = 0
  #perBlock = false
  #readers = 0

  /** Readies it for blocks from transaction `firstTxNum` on. `listsOutputs`: whether placeOf() will be asked. */
  begin(options: { readonly firstTxNum: number; readonly perBlock: boolean; readonly listsOutputs: boolean }): void {
    this.#firstTxNum = options.firstTxNum
    this.#perBlock = options.perBlock
    this.#places = options.listsOutputs ? new PlaceTable() : undefined
    this.#blockStarts = []
    for (const log of this.#logs()) log.clear()
    for (const index of this.#indexes()) index.clear()
  }

  get blocks(): number {
    return this.#blockStarts.length
  }

  get firstTxNum(): number {
    return this.#firstTxNum
  }

  get txCount(): number {
    return this.#txids.rows
  }

  txid(txNum: number): Uint8Array {
    const at = (txNum - this.#firstTxNum) * TXID_SIZE
    return this.#txids.bytes.slice(at, at + TXID_SIZE)
  }

  get perBlock(): boolean {
    return this.#perBlock
  }

  /** Bytes that the blocks take. */
  get bytes(): number {
    let sum = this.#places?.bytes ?? 0
    for (const log of this.#logs()) sum += log.size
    return sum
  }

  /** Views that read from it. */
  get readers(): number {
    return this.#readers
  }

  append(delta: BlockDelta, txids: Uint8Array): void {
    const shift = this.#txids.rows
    this.#blockStarts.push(shift)
    this.#txids.append(txids)
    const [outs, spends] = [this.#outTxs.rows, this.#spentTxs.rows]
    this.#outHashXs.append(delta.outs.hashXs)
    this.#outTxs.appendShifted(delta.outs.txs, shift)
    this.#outIndexes.append(delta.outs.indexes)
    this.#outValues.append(delta.outs.values)
    this.#spentHashXs.append(delta.spends.hashXs)
    this.#spentTxs.appendShifted(delta.spends.txs, shift)
    this.#spentPlaces.append(delta.spends.places)
    this.#touchHashXs.append(delta.touches.hashXs)
    this.#touchTxs.appendShifted(delta.touches.txs, shift)
    if (this.#places !== undefined) this.#listPlaces(this.#places, outs, spends)
  }

  /**
   * Makes ready what questions need, with turns for others between: the first question would do all of it at once, while
   * everybody waits.
   */
  async makeReady(): Promise<void> {
    for (const index of this.#indexes()) while (index.enter(ENTERED_AT_ONCE)) await nextTurn()
  }

  data(): LayerData {
    const outs = this.#outTxs.rows
    const spends = this.#spentTxs.rows
    const touches = this.#touchTxs.rows
    return {
      firstTxNum: this.#firstTxNum,
      perBlock: this.#perBlock,
      blockStarts: Uint32Array.from(this.#blockStarts),
      txids: this.#txids.bytes,
      outs: {
        hashXs: this.#outHashXs.bytes,
        txs: new Uint32Array(this.#outTxs.buffer, 0, outs),
        indexes: new Uint32Array(this.#outIndexes.buffer, 0, outs),
        values: new Float64Array(this.#outValues.buffer, 0, outs),
      },
      spends: {
        hashXs: this.#spentHashXs.bytes,
        txs: new Uint32Array(this.#spentTxs.buffer, 0, spends),
        places: this.#spentPlaces.bytes,
      },
      touches: { hashXs: this.#touchHashXs.bytes, txs: new Uint32Array(this.#touchTxs.buffer, 0, touches) },
    }
  }

  /** The layer as it is now; release() it once. */
  mark(): LayerMark {
    this.#readers += 1
    const mark = {
      txs: this.#txids.rows,
      outs: this.#outTxs.rows,
      spends: this.#spentTxs.rows,
      touches: this.#touchTxs.rows,
    }
    return new LayerMark(this, mark, () => {
      this.#readers -= 1
    })
  }

  /** Transactions of a script among the first `limit` touches, ascending. */
  touchesOf(hashX: Uint8Array, limit: number): number[] {
    const txs = new Uint32Array(this.#touchTxs.buffer)
    return this.#touchesOf.find(hashX, limit).map((at) => this.#firstTxNum + (txs[at] ?? 0))
  }

  /**
   * What happened to the outputs of a script, in the order of the chain, among the first of the outputs and of the spends
   * as `limits` says: an output made, or spent where `output` is undefined.
   */
  eventsOf(
    hashX: Uint8Array,
    limits: { readonly outs: number; readonly spends: number },
  ): { readonly place: Uint8Array; readonly output: NewOutput | undefined }[] {
    const places = this.#spentPlaces.bytes
    const spentTxs = new Uint32Array(this.#spentTxs.buffer)
    const made = this.#outsOf.find(hashX, limits.outs).map((at) => {
      const output = this.#output(at)
      return { tx: output.txNum - this.#firstTxNum, place: this.#placeOfOut(at), output }
    })
    const spent = this.#spendsOf.find(hashX, limits.spends).map((at) => {
      const place = places.slice(at * PLACE_SIZE, (at + 1) * PLACE_SIZE)
      return { tx: spentTxs[at] ?? 0, place, output: undefined }
    })
    if (made.length === 0) return spent
    return [...made, ...spent].sort((a, b) => a.tx - b.tx)
  }

  /**
   * What happened last to an output of a script before transaction `end` (counted from the layer's first): the output if
   * it was made, 'spent', or undefined if these blocks say nothing of it before then.
   */
  lastOf(hashX: Uint8Array, place: Uint8Array, end: number): 'spent' | NewOutput | undefined {
    const spentTxs = new Uint32Array(this.#spentTxs.buffer)
    const outTxs = new Uint32Array(this.#outTxs.buffer)
    const isSpend = (at: number): boolean => (spentTxs[at] ?? 0) < end && isOf(this.#spentHashXs, at, hashX)
    const spend = this.#spendsAt.find(place, this.#spentTxs.rows).findLast(isSpend)
    const out = this.#outAt(hashX, place, end)
    if (spend !== undefined && (out === undefined || (spentTxs[spend] ?? 0) >= (outTxs[out] ?? 0))) return 'spent'
    return out === undefined ? undefined : this.#output(out)
  }

  /** True if these blocks make the output for this script, whatever becomes of it. */
  makes(hashX: Uint8Array, place: Uint8Array): boolean {
    return this.#outAt(hashX, place, this.#txids.rows) !== undefined
  }

  /** Number of the last of the first `limit` transactions with this id. */
  findTx(txid: Uint8Array, limit: number): number | undefined {
    const txids = this.#txids.bytes
    const isIt = (tx: number): boolean => equalBytes(txids.subarray(tx * TXID_SIZE, (tx + 1) * TXID_SIZE), txid)
    const last = this.#txsOf.find(txid.subarray(0, TXID_KEY_SIZE), limit).findLast(isIt)
    return last === undefined ? undefined : this.#firstTxNum + last
  }

  /**
   * What is known of an output by its place: that it is spent, or whose it is and what it pays. Undefined if these blocks
   * say nothing of it. Only if outputs are listed.
   */
  outputAt(
    place: Uint8Array,
    limits: { readonly outs: number; readonly spends: number } = ALL,
  ): 'spent' | { readonly hashX: Uint8Array; readonly output: NewOutput } | undefined {
    const found = this.#places?.get(place)
    if (found === undefined) return undefined
    if (found.spend < limits.spends) return 'spent'
    const out = found.out < limits.outs ? found.out : this.#earlierOut(place, Math.min(limits.outs, found.out))
    if (out === undefined) return undefined
    const hashX = this.#outHashXs.bytes.slice(out * HASHX_SIZE, (out + 1) * HASHX_SIZE)
    return { hashX, output: this.#output(out) }
  }

  /**
   * The last output of a script at a place that a transaction before `end` makes: ids lead to it, since outputs stand in
   * order.
   */
  #outAt(hashX: Uint8Array, place: Uint8Array, end: number): number | undefined {
    const vout = readUint32LE(place, TXID_KEY_SIZE)
    const txs = new Uint32Array(this.#outTxs.buffer, 0, this.#outTxs.rows)
    const indexes = new Uint32Array(this.#outIndexes.buffer)
    for (const tx of this.#txsOf.find(place.subarray(0, TXID_KEY_SIZE), end).reverse()) {
      let [low, high] = [0, txs.length]
      while (low < high) {
        const middle = (low + high) >>> 1
        const at = txs[middle] ?? 0
        if (at < tx || (at === tx && (indexes[middle] ?? 0) < vout)) low = middle + 1
        else high = middle
      }
      if (txs[low] === tx && indexes[low] === vout && isOf(this.#outHashXs, low, hashX)) return low
    }
    return undefined
  }

  #listPlaces(places: PlaceTable, outs: number, spends: number): void {
    for (let out = outs; out < this.#outTxs.rows; out++) places.made(this.#placeOfOut(out), out)
    const bytes = this.#spentPlaces.bytes
    for (let spend = spends; spend < this.#spentTxs.rows; spend++) {
      places.spent(bytes.subarray(spend * PLACE_SIZE, (spend + 1) * PLACE_SIZE), spend)
    }
  }

  /** The output that a later one with the same place stands for by now (BIP30); only very old chains have any. */
  #earlierOut(place: Uint8Array, before: number): number | undefined {
    if (before > this.#outTxs.rows) return undefined
    for (let out = before - 1; out >= 0; out--) if (equalBytes(this.#placeOfOut(out), place)) return out
    return undefined
  }

  #placeOfOut(out: number): Uint8Array {
    const tx = new Uint32Array(this.#outTxs.buffer)[out] ?? 0
    const place = new Uint8Array(PLACE_SIZE)
    place.set(this.#txids.bytes.subarray(tx * TXID_SIZE, tx * TXID_SIZE + TXID_KEY_SIZE))
    new DataView(place.buffer).setUint32(TXID_KEY_SIZE, new Uint32Array(this.#outIndexes.buffer)[out] ?? 0, true)
    return place
  }

  #output(out: number): NewOutput {
    return {
      txNum: this.#firstTxNum + (new Uint32Array(this.#outTxs.buffer)[out] ?? 0),
      vout: new Uint32Array(this.#outIndexes.buffer)[out] ?? 0,
      value: new Float64Array(this.#outValues.buffer)[out] ?? 0,
    }
  }

  #indexes(): readonly LogIndex[] {
    return [this.#txsOf, this.#outsOf, this.#spendsOf, this.#spendsAt, this.#touchesOf]
  }

  #logs(): readonly SharedLog[] {
    return [
      this.#txids,
      this.#outHashXs,
      this.#outTxs,
      this.#outIndexes,
      this.#outValues,
      this.#spentHashXs,
      this.#spentTxs,
      this.#spentPlaces,
      this.#touchHashXs,
      this.#touchTxs,
    ]
  }
}

interface Limits {
  readonly txs: number
  readonly outs: number
  readonly spends: number
  readonly touches: number
}

/** A layer as it was at one moment. */
export class LayerMark {
  readonly #layer: Layer
  readonly #limits: Limits
  readonly #released: () => void

  constructor(layer: Layer, limits: Limits, released: () => void) {
    this.#layer = layer
    this.#limits = limits
    this.#released = released
  }

  get isEmpty(): boolean {
    return this.#limits.txs === 0
  }

  /** Number of the first transaction; what comes before is in the layers below, or in the store. */
  get firstTxNum(): number {
    return this.#layer.firstTxNum
  }

  touchesOf(hashX: Uint8Array): number[] {
    return this.#layer.touchesOf(hashX, this.#limits.touches)
  }

  /** Id (32 bytes) of one of its transactions. */
  txid(txNum: number): Uint8Array {
    return this.#layer.txid(txNum)
  }

  eventsOf(hashX: Uint8Array): { readonly place: Uint8Array; readonly output: NewOutput | undefined }[] {
    return this.#layer.eventsOf(hashX, this.#limits)
  }

  findTx(txid: Uint8Array): number | undefined {
    return this.#layer.findTx(txid, this.#limits.txs)
  }

  outputAt(place: Uint8Array): 'spent' | { readonly hashX: Uint8Array; readonly output: NewOutput } | undefined {
    return this.#layer.outputAt(place, this.#limits)
  }

  release(): void {
    this.#released()
  }
}

/** True if row `at` of a log of hashXs is this one. */
function isOf(log: SharedLog, at: number, hashX: Uint8Array): boolean {
  return equalBytes(log.bytes.subarray(at * HASHX_SIZE, (at + 1) * HASHX_SIZE), hashX)
}
