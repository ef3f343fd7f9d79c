/**
 * Keys and values of the rows that every input and output of every block writes, made without an object for each: the
 * same bytes as the codecs of layout.ts give (a property test compares them), in text of one character a byte.
 */
import { asBuffer } from '../lib/bytes.ts'
import { HISTORY, OUTPUTS, TX_LOOKUP_SIZE, TXID_KEY_SIZE, TXS, UTXOS } from './layout.ts'

const HASHX_SIZE = 11
const TX_NUM_SIZE = 5
const OUTPUT_PREFIX = String.fromCharCode(OUTPUTS.prefix)
const UTXO_PREFIX = String.fromCharCode(UTXOS.prefix)
const HISTORY_PREFIX = String.fromCharCode(HISTORY.prefix)

/** Cuts text of one character a byte out of one buffer. */
export class TextSource {
  readonly #buffer: Buffer

  constructor(bytes: Uint8Array) {
    this.#buffer = asBuffer(bytes)
  }

  slice(start: number, end: number): string {
    return this.#buffer.toString('latin1', start, end)
  }
}

/** Writes keys into one scratch buffer and gives them out as text. */
export class KeyWriter {
  readonly #scratch = Buffer.alloc(64)

  /** `place`: what OUTPUTS and UTXOS keys end with, see place(). */
  output(place: string): string {
    return OUTPUT_PREFIX + place
  }

  utxo(hashX: string, place: string): string {
    return UTXO_PREFIX + hashX + place
  }

  /** First TXID_KEY_SIZE bytes of the txid at `offset` of `bytes`, and the output index. */
  place(bytes: Uint8Array, offset: number, vout: number): string {
    const scratch = this.#scratch
    for (let i = 0; i < TXID_KEY_SIZE; i++) scratch[i] = bytes[offset + i] ?? 0
    scratch[TXID_KEY_SIZE] = vout >>> 24
    scratch[TXID_KEY_SIZE + 1] = vout >>> 16
    scratch[TXID_KEY_SIZE + 2] = vout >>> 8
    scratch[TXID_KEY_SIZE + 3] = vout
    return scratch.toString('latin1', 0, TXID_KEY_SIZE + 4)
  }

  /** The row that finds the transaction whose id is at `offset` of `bytes`. */
  tx(bytes: Uint8Array, offset: number, txNum: number): string {
    const scratch = this.#scratch
    scratch[0] = TXS.prefix
    for (let i = 0; i < TX_LOOKUP_SIZE; i++) scratch[1 + i] = bytes[offset + i] ?? 0
    return scratch.toString('latin1', 0, this.#uint40(txNum, 1 + TX_LOOKUP_SIZE))
  }

  history(hashX: string, first: number): string {
    return HISTORY_PREFIX + hashX + this.number(first)
  }

  /** The value of a UTXOS row, `txNum` as text from number(). */
  utxoValue(txNum: string, value: number): string {
    return txNum + this.varint(value)
  }

  /** u40 */
  number(value: number): string {
    return this.#scratch.toString('latin1', 0, this.#uint40(value, 0))
  }

  varint(value: number): string {
    const scratch = this.#scratch
    let at = 0
    let rest = value
    for (; rest >= 128; rest = Math.floor(rest / 128)) scratch[at++] = (rest % 128) | 128
    scratch[at++] = rest
    return scratch.toString('latin1', 0, at)
  }

  #uint40(value: number, offset: number): number {
    const scratch = this.#scratch
    scratch[offset] = Math.floor(value / 0x1_0000_0000)
    scratch[offset + 1] = value >>> 24
    scratch[offset + 2] = value >>> 16
    scratch[offset + 3] = value >>> 8
    scratch[offset + 4] = value
    return offset + 5
  }
}

/** The hashX inside a UTXOS or HISTORY key, as text. */
export function hashXOfKey(key: string): string {
  return key.slice(1, 1 + HASHX_SIZE)
}

/** True if `key` is one of HISTORY. */
export function isHistoryKey(key: string): boolean {
  return key.startsWith(HISTORY_PREFIX)
}

/** Appends the transaction numbers of a HISTORY row to `found`. Rows come by the hundred thousand in long histories. */
export function readHistory(key: Uint8Array, value: Uint8Array, found: number[]): void {
  let txNum = 0
  for (let i = 1 + HASHX_SIZE; i < key.length; i++) txNum = txNum * 256 + (key[i] ?? 0)
  found.push(txNum)
  let unit = 1
  for (const byte of value) {
    txNum += (byte & 127) * unit
    if (byte < 128) found.push(txNum)
    unit = byte < 128 ? 1 : unit * 128
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
  let vout = 0
  for (let i = 1 + HASHX_SIZE + TXID_KEY_SIZE; i < key.length; i++) vout = vout * 256 + (key[i] ?? 0)
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

/** First and last transaction number of a HISTORY row. */
export function lastOfHistory(key: string, deltas: string): { readonly first: number; readonly last: number } {
  let first = 0
  for (let i = 1 + HASHX_SIZE; i < key.length; i++) first = first * 256 + key.charCodeAt(i)
  let last = first
  let unit = 1
  for (let i = 0; i < deltas.length; i++) {
    const byte = deltas.charCodeAt(i)
    last += (byte & 127) * unit
    unit = byte < 128 ? 1 : unit * 128
  }
  return { first, last }
}
