/**
 * Keys and values of the rows that every input and output of every block writes, made without an object for each: the
 * same bytes as the codecs of layout.ts give (a property test compares them).
 */
import { HASHX_SIZE } from '../chain/script.ts'
import { readUint32LE } from '../lib/bytes.ts'
import {
  HEAD_ALL_SPENT,
  HEAD_GOES_ON,
  HEADS,
  HISTORY,
  OUTPUTS,
  TX_LOOKUP_SIZE,
  TXID_KEY_SIZE,
  TXS,
  UTXOS,
} from './layout.ts'

const TX_NUM_SIZE = 5
const ORDERED_LONG = 0xf8
/** The longest key or value of a row that is written here, but for histories. */
const LONGEST = 64

/** Writes one row after the other into the same memory: a key or value is good until the next of its kind. */
export class RowWriter {
  readonly #key = new Uint8Array(LONGEST)
  readonly #value = new Uint8Array(LONGEST)
  /** Views by their length: making one costs more than filling it. */
  readonly #keys = viewsOf(this.#key)
  readonly #values = viewsOf(this.#value)
  #history = new Uint8Array(LONGEST)
  #historyEnd = 0
  #last = 0

  /** TXS key of the transaction whose id is at `offset` of `txids`. */
  txKey(txids: Uint8Array, offset: number, txNum: number): Uint8Array {
    this.#key[0] = TXS.prefix
    copy(this.#key, 1, txids, offset, TX_LOOKUP_SIZE)
    return this.#keyTo(writeUint40(this.#key, txNum, 1 + TX_LOOKUP_SIZE))
  }

  /** OUTPUTS key of output `vout` of the transaction whose id begins at `offset` of `ids`. */
  outputKey(ids: Uint8Array, offset: number, vout: number): Uint8Array {
    this.#key[0] = OUTPUTS.prefix
    return this.#place(1, ids, offset, vout)
  }

  /** UTXOS key of the same output, which pays the script at `hashXAt` of `hashXs`. */
  utxoKey(hashXs: Uint8Array, hashXAt: number, ids: Uint8Array, offset: number, vout: number): Uint8Array {
    this.#key[0] = UTXOS.prefix
    copy(this.#key, 1, hashXs, hashXAt, HASHX_SIZE)
    return this.#place(1 + HASHX_SIZE, ids, offset, vout)
  }

  /** UTXOS key of an output of the script `hashX`, by its place (see PLACE_SIZE). */
  placeKey(hashX: Uint8Array, place: Uint8Array): Uint8Array {
    return this.utxoKey(hashX, 0, place, 0, readUint32LE(place, TXID_KEY_SIZE))
  }

  /** Value of a UTXOS row. */
  utxoValue(txNum: number, satoshis: number): Uint8Array {
    return this.#valueTo(writeVarint(this.#value, satoshis, writeUint40(this.#value, txNum, 0)))
  }

  /** Value of an OUTPUTS row. */
  outputValue(hashXs: Uint8Array, hashXAt: number, satoshis: number): Uint8Array {
    copy(this.#value, 0, hashXs, hashXAt, HASHX_SIZE)
    return this.#valueTo(writeVarint(this.#value, satoshis, HASHX_SIZE))
  }

  /** HISTORY key; its value is begun as well, see historyAdd. */
  historyKey(hashXs: Uint8Array, hashXAt: number, first: number): Uint8Array {
    this.#key[0] = HISTORY.prefix
    copy(this.#key, 1, hashXs, hashXAt, HASHX_SIZE)
    this.#historyEnd = 0
    this.#last = first
    return this.#keyTo(writeUint40(this.#key, first, 1 + HASHX_SIZE))
  }

  /** HEADS key. */
  headKey(hashXs: Uint8Array, hashXAt: number): Uint8Array {
    this.#key[0] = HEADS.prefix
    copy(this.#key, 1, hashXs, hashXAt, HASHX_SIZE)
    return this.#keyTo(1 + HASHX_SIZE)
  }

  /** Begins the value of a HEADS row, see historyAdd. */
  beginHead(flags: number): void {
    this.#history[0] = flags
    this.#historyEnd = 1
    this.#last = 0
  }

  /** One more transaction of the row that was begun. */
  historyAdd(txNum: number): void {
    if (this.#historyEnd + 8 > this.#history.length) {
      const larger = new Uint8Array(2 * this.#history.length)
      larger.set(this.#history)
      this.#history = larger
    }
    this.#historyEnd = writeVarint(this.#history, txNum - this.#last, this.#historyEnd)
    this.#last = txNum
  }

  /** Value of the row that historyKey or beginHead has begun. */
  historyValue(): Uint8Array {
    const end = this.#historyEnd
    if (end > LONGEST) return this.#history.subarray(0, end)
    copy(this.#value, 0, this.#history, 0, end)
    return this.#valueTo(end)
  }

  #place(at: number, ids: Uint8Array, offset: number, vout: number): Uint8Array {
    copy(this.#key, at, ids, offset, TXID_KEY_SIZE)
    return this.#keyTo(writeOrderedVarint(this.#key, vout, at + TXID_KEY_SIZE))
  }

  #keyTo(end: number): Uint8Array {
    return this.#keys[end] ?? this.#key.subarray(0, end)
  }

  #valueTo(end: number): Uint8Array {
    return this.#values[end] ?? this.#value.subarray(0, end)
  }
}

function viewsOf(memory: Uint8Array): readonly Uint8Array[] {
  return Array.from({ length: memory.length + 1 }, (_, length) => memory.subarray(0, length))
}

function copy(target: Uint8Array, at: number, source: Uint8Array, from: number, count: number): void {
  for (let i = 0; i < count; i++) target[at + i] = source[from + i] ?? 0
}

function writeUint40(target: Uint8Array, value: number, at: number): number {
  target[at] = Math.floor(value / 0x1_0000_0000)
  target[at + 1] = value >>> 24
  target[at + 2] = value >>> 16
  target[at + 3] = value >>> 8
  target[at + 4] = value
  return at + TX_NUM_SIZE
}

function writeVarint(target: Uint8Array, value: number, at: number): number {
  let end = at
  let rest = value
  // Where bits are enough they are faster.
  while (rest >= 0x8000_0000) {
    target[end++] = (rest % 128) | 128
    rest = Math.floor(rest / 128)
  }
  while (rest >= 128) {
    target[end++] = rest | 128
    rest >>>= 7
  }
  target[end++] = rest
  return end
}

function writeOrderedVarint(target: Uint8Array, value: number, at: number): number {
  if (value < ORDERED_LONG) {
    target[at] = value
    return at + 1
  }
  const count = value < 0x100 ? 1 : value < 0x1_0000 ? 2 : value < 0x100_0000 ? 3 : 4
  target[at] = ORDERED_LONG + count - 1
  for (let i = 0; i < count; i++) target[at + count - i] = value >>> (8 * i)
  return at + 1 + count
}

/** Appends the transaction numbers of a HISTORY row to `found`. Rows come by the hundred thousand in long histories. */
export function readHistory(key: Uint8Array, value: Uint8Array, found: number[]): void {
  let txNum = 0
  for (let i = 1 + HASHX_SIZE; i < key.length; i++) txNum = txNum * 256 + (key[i] ?? 0)
  found.push(txNum)
  readDeltas(value, 0, txNum, found)
}

/** Appends the transaction numbers of a HEADS row to `found`; true if HISTORY rows go on from there. */
export function readHead(value: Uint8Array, found: number[]): boolean {
  readDeltas(value, 1, 0, found)
  return ((value[0] ?? 0) & HEAD_GOES_ON) !== 0
}

/** True if a HEADS row says that the script has no UTXOS rows. */
export function isAllSpent(value: Uint8Array): boolean {
  return ((value[0] ?? 0) & HEAD_ALL_SPENT) !== 0
}

function readDeltas(value: Uint8Array, start: number, before: number, found: number[]): void {
  let txNum = before
  let unit = 1
  let delta = 0
  for (let i = start; i < value.length; i++) {
    const byte = value[i] ?? 0
    delta += (byte & 127) * unit
    unit *= 128
    if (byte >= 128) continue
    txNum += delta
    found.push(txNum)
    unit = 1
    delta = 0
  }
}

/** What a UTXOS row says of its output. */
export interface UnspentRow {
  readonly txNum: number
  readonly vout: number
  /** Satoshis. */
  readonly value: number
}

/** Reads a UTXOS row. */
export function readUnspent(key: Uint8Array, value: Uint8Array): UnspentRow {
  let at = 1 + HASHX_SIZE + TXID_KEY_SIZE
  let vout = key[at] ?? 0
  if (vout >= ORDERED_LONG) for (vout = 0, at += 1; at < key.length; at++) vout = vout * 256 + (key[at] ?? 0)
  let txNum = 0
  for (let i = 0; i < TX_NUM_SIZE; i++) txNum = txNum * 256 + (value[i] ?? 0)
  let satoshis = 0
  let unit = 1
  for (let i = TX_NUM_SIZE; i < value.length; i++) {
    satoshis += ((value[i] ?? 0) & 127) * unit
    unit *= 128
  }
  return { txNum, vout, value: satoshis }
}
