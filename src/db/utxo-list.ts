import { readUint32LE, writeUint32LE } from '../lib/bytes.ts'

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

  /** Which of outputs `start` to before `end` are among these outpoints (36 bytes, txid internal, index LE). */
  find(outpoints: readonly Uint8Array[], start: number, end: number): number[] {
    const byWord = new Map<number, Uint8Array[]>()
    for (const outpoint of outpoints) {
      const word = readUint32LE(outpoint, 0)
      const same = byWord.get(word)
      if (same === undefined) byWord.set(word, [outpoint])
      else same.push(outpoint)
    }
    const found: number[] = []
    for (let i = start; i < end; i++) {
      const wanted = byWord.get(readUint32LE(this.#rows, i * ROW_SIZE))
      if (wanted?.some((outpoint) => this.#isAt(i * ROW_SIZE, outpoint)) === true) found.push(i)
    }
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

  /** Id and output index stand side by side as in an outpoint. */
  #isAt(at: number, outpoint: Uint8Array): boolean {
    for (let i = 0; i < HEIGHT_AT; i++) if (this.#rows[at + i] !== outpoint[i]) return false
    return true
  }

  #valueAt(at: number): number {
    return readUint32LE(this.#rows, at + VALUE_AT) + readUint32LE(this.#rows, at + VALUE_AT + 4) * TWO_32
  }
}
