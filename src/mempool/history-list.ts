import type { HistoryItem } from '../db/view.ts'
import { readUint32LE, writeUint32LE } from '../lib/bytes.ts'

const TXID_SIZE = 32
/** An id and a height. */
const ROW_SIZE = TXID_SIZE + 4
/** Lists with fewer entries get just the memory that they need: most never grow. */
const GROWING = 32
/** Digits of an id, and at most those of a height. */
const DIGITS = 2 * TXID_SIZE + 10
const ZERO = 0x30
const HEX_DIGITS = Uint8Array.from(Buffer.from('0123456789abcdef', 'latin1'))

/** A confirmed transaction of a script: id in internal order, and height. */
export type HistoryEntry = Pick<HistoryItem, 'txid' | 'height'>

/** What stands around id (as displayed) and height of each entry, and between two entries; ASCII. */
export interface EntryFormat {
  readonly before: string
  readonly between: string
  readonly behind: string
  readonly separator: string
}

/** What statuses are hashes of. */
const STATUS_FORMAT: EntryFormat = { before: '', between: ':', behind: ':', separator: '' }

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

  /** A new object for each entry. */
  map<T>(use: (entry: HistoryEntry) => T): T[] {
    const { bytes } = this.#rows
    return Array.from({ length: this.length }, (_, i) => {
      const at = i * ROW_SIZE
      return use({ txid: bytes.subarray(at, at + TXID_SIZE), height: readUint32LE(bytes, at + TXID_SIZE) })
    })
  }

  /** `txid:height:` of entry `start` and those behind it, as ASCII: what statuses are hashes of. */
  statusText(start = 0): Uint8Array {
    return this.#write(STATUS_FORMAT, start, this.length)
  }

  /** Entries `start` to before `end` as ASCII. */
  text(format: EntryFormat, start = 0, end = this.length): Uint8Array {
    return this.#write(format, start, Math.min(end, this.length))
  }

  #write(format: EntryFormat, start: number, end: number): Buffer {
    const { bytes } = this.#rows
    const before = Buffer.from(format.before, 'latin1')
    const between = Buffer.from(format.between, 'latin1')
    const behind = Buffer.from(format.behind, 'latin1')
    const separator = Buffer.from(format.separator, 'latin1')
    const size = before.length + between.length + behind.length + separator.length + DIGITS
    const text = Buffer.allocUnsafe(Math.max(0, end - start) * size)
    let length = 0
    for (let row = start; row < end; row++) {
      const at = row * ROW_SIZE
      if (row > start) length = write(text, separator, length)
      length = writeDisplayHex(text, bytes, at, write(text, before, length))
      length = writeDecimal(text, readUint32LE(bytes, at + TXID_SIZE), write(text, between, length))
      length = write(text, behind, length)
    }
    return text.subarray(0, length)
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

function write(target: Uint8Array, bytes: Uint8Array, to: number): number {
  for (let i = 0; i < bytes.length; i++) target[to + i] = bytes[i] ?? 0
  return to + bytes.length
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
