import { readUint32LE, toLatin1, writeUint32LE } from '../lib/bytes.ts'

const TXID_SIZE = 32
const HEIGHT_AT = TXID_SIZE + 4
const VALUE_AT = HEIGHT_AT + 4
/** Id, output index, height, satoshis. */
const ROW_SIZE = VALUE_AT + 8
const TWO_32 = 2 ** 32

/** A confirmed unspent output of a list. `txid` in internal order, a part of the list's memory; satoshis as a double. */
export interface ListedUtxo {
  readonly txid: Uint8Array
  readonly vout: number
  readonly height: number
  readonly value: number
}

/** Outpoints to be found among many: 36 bytes each, the id in internal order, the output index little-endian. */
export class OutpointSet {
  /** Most outputs are told apart by the beginning of their ids, without a text being made. */
  readonly #beginnings: ReadonlySet<number>
  /** Not what begins alike side by side: all outputs of a transaction do. */
  readonly #texts: ReadonlySet<string>

  constructor(outpoints: readonly Uint8Array[]) {
    this.#beginnings = new Set(outpoints.map((outpoint) => readUint32LE(outpoint, 0)))
    this.#texts = new Set(outpoints.map(toLatin1))
  }

  /** Whether the 36 bytes from `at` on are one of them. */
  has(bytes: Uint8Array, at: number): boolean {
    if (!this.#beginnings.has(readUint32LE(bytes, at))) return false
    return this.#texts.has(toLatin1(bytes.subarray(at, at + HEIGHT_AT)))
  }
}

/** Unspent outputs in order, as 48 bytes each instead of objects. It does not change once it is handed out. */
export class UtxoList {
  readonly length: number
  readonly #rows: Uint8Array

  /** Room for so many, to be filled by put(). */
  constructor(length: number) {
    this.length = length
    this.#rows = new Uint8Array(length * ROW_SIZE)
  }

  static of(utxos: readonly (Omit<ListedUtxo, 'value'> & { readonly value: bigint })[]): UtxoList {
    const list = new UtxoList(utxos.length)
    for (const [i, utxo] of utxos.entries()) list.put(i, { ...utxo, value: Number(utxo.value) })
    return list
  }

  /** Bytes of memory. */
  get bytes(): number {
    return this.#rows.length
  }

  put(i: number, { txid, vout, height, value }: ListedUtxo): void {
    const at = i * ROW_SIZE
    this.#rows.set(txid, at)
    writeUint32LE(this.#rows, vout, at + TXID_SIZE)
    writeUint32LE(this.#rows, height, at + HEIGHT_AT)
    writeUint32LE(this.#rows, value % TWO_32, at + VALUE_AT)
    writeUint32LE(this.#rows, Math.floor(value / TWO_32), at + VALUE_AT + 4)
  }

  at(i: number): ListedUtxo {
    const at = i * ROW_SIZE
    const rows = this.#rows
    return {
      txid: rows.subarray(at, at + TXID_SIZE),
      vout: readUint32LE(rows, at + TXID_SIZE),
      height: readUint32LE(rows, at + HEIGHT_AT),
      value: this.#valueAt(at),
    }
  }

  /** Satoshis of outputs `start` to before `end`. */
  sum(start = 0, end = this.length): number {
    let sum = 0
    for (let i = start; i < end; i++) sum += this.#valueAt(i * ROW_SIZE)
    return sum
  }

  /** Which of outputs `start` to before `end` are among `outpoints`. */
  find(outpoints: OutpointSet, start: number, end: number): number[] {
    const found: number[] = []
    // Id and output index stand side by side as in an outpoint.
    for (let i = start; i < end; i++) if (outpoints.has(this.#rows, i * ROW_SIZE)) found.push(i)
    return found
  }

  /** The list without those at these places, which must be in rising order. */
  without(places: readonly number[]): UtxoList {
    if (places.length === 0) return this
    const left = new UtxoList(this.length - places.length)
    let from = 0
    let to = 0
    for (const place of [...places, this.length]) {
      left.#rows.set(this.#rows.subarray(from * ROW_SIZE, place * ROW_SIZE), to * ROW_SIZE)
      to += place - from
      from = place + 1
    }
    return left
  }

  #valueAt(at: number): number {
    return readUint32LE(this.#rows, at + VALUE_AT) + readUint32LE(this.#rows, at + VALUE_AT + 4) * TWO_32
  }
}
