import type { HistoryItem } from '../db/view.ts'
import { writeUint32LE } from '../lib/bytes.ts'

const TXID_SIZE = 32
/** An id and a height. */
const ROW_SIZE = TXID_SIZE + 4
/** Lists with fewer entries get just the memory that they need: most never grow. */
const GROWING = 32
/** `:`, at most ten digits and `:` around the 64 of an id. */
const LONGEST_TEXT = 2 * TXID_SIZE + 12
const COLON = 0x3a
const ZERO = 0x30
const HEX_DIGITS = Uint8Array.from(Buffer.from('0123456789abcdef', 'latin1'))

/** A confirmed transaction of a script: id in internal order, and height. */
export type HistoryEntry = Pick<HistoryItem, 'txid' | 'height'>

/** Memory that a list shares with those it was made longer from; the longest of them may write on. */
interface Rows {
  readonly bytes: Uint8Array
  used: number
}

/**
 * The confirmed transactions of a script in the order of the chain, as 36 bytes each instead of an object. It never
 * changes; a longer one shares what both have.
 */
export class HistoryList {
  readonly length: number
  readonly #rows: Rows

  private constructor(rows: Rows, length: number) {
    this.#rows = rows
    this.length = length
  }

  static of(items: readonly HistoryEntry[]): HistoryList {
    return new HistoryList({ bytes: new Uint8Array(0), used: 0 }, 0).with(items)
  }

  /** Bytes of memory. */
  get bytes(): number {
    return this.#rows.bytes.length
  }

  /** The list with `items` behind it. */
  with(items: readonly HistoryEntry[]): HistoryList {
    if (items.length === 0) return this
    const length = this.length + items.length
    const rows = this.#rowsFor(length)
    for (const [i, { txid, height }] of items.entries()) {
      const at = (this.length + i) * ROW_SIZE
      rows.bytes.set(txid, at)
      writeUint32LE(rows.bytes, height, at + TXID_SIZE)
    }
    rows.used = length
    return new HistoryList(rows, length)
  }

  map<T>(use: (entry: HistoryEntry) => T): T[] {
    const { bytes } = this.#rows
    return Array.from({ length: this.length }, (_, i) => {
      const at = i * ROW_SIZE
      return use({ txid: bytes.subarray(at, at + TXID_SIZE), height: readHeight(bytes, at + TXID_SIZE) })
    })
  }

  /** `txid:height:` of entry `start` and those behind it, as ASCII: what statuses are hashes of. */
  statusText(start = 0): Uint8Array {
    const { bytes } = this.#rows
    const text = Buffer.allocUnsafe((this.length - start) * LONGEST_TEXT)
    let end = 0
    for (let at = start * ROW_SIZE; at < this.length * ROW_SIZE; at += ROW_SIZE) {
      end = writeDisplayHex(text, bytes, at, end)
      text[end++] = COLON
      end = writeDecimal(text, readHeight(bytes, at + TXID_SIZE), end)
      text[end++] = COLON
    }
    return text.subarray(0, end)
  }

  #rowsFor(length: number): Rows {
    const { bytes, used } = this.#rows
    if (used === this.length && length * ROW_SIZE <= bytes.length) return this.#rows
    const room = length < GROWING ? length : Math.ceil(length * 1.25)
    const larger = new Uint8Array(room * ROW_SIZE)
    larger.set(bytes.subarray(0, this.length * ROW_SIZE))
    return { bytes: larger, used: this.length }
  }
}

function readHeight(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16)) + (bytes[at + 3] ?? 0) * 0x100_0000
  )
}

function writeDisplayHex(target: Uint8Array, bytes: Uint8Array, at: number, to: number): number {
  let end = to
  for (let i = at + TXID_SIZE - 1; i >= at; i--) {
    const byte = bytes[i] ?? 0
    target[end++] = HEX_DIGITS[byte >>> 4] ?? 0
    target[end++] = HEX_DIGITS[byte & 15] ?? 0
  }
  return end
}

function writeDecimal(target: Uint8Array, value: number, to: number): number {
  let size = 1
  for (let rest = Math.floor(value / 10); rest > 0; rest = Math.floor(rest / 10)) size += 1
  let rest = value
  for (let at = to + size - 1; at >= to; at--) {
    target[at] = ZERO + (rest % 10)
    rest = Math.floor(rest / 10)
  }
  return to + size
}
