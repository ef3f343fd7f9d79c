import { writeUint32LE } from '../lib/bytes.ts'

const ROWS_PER_SLAB = 1 << 15
const EMPTY = -1

/**
 * A map from keys of one length to values of one length, in flat memory outside the garbage collector's sight: a million
 * outputs as Map entries would cost some 200 bytes each and long pauses. Keys are expected to be, or to begin with,
 * hashes; they are compared in full. Rows keep their number until they are deleted.
 */
export class ByteTable {
  readonly keySize: number
  readonly valueSize: number
  readonly #rowSize: number
  readonly #slabs: Uint8Array[] = []
  readonly #free: number[] = []
  /** Open addressing with linear probing: row numbers, or EMPTY. */
  #slots: Int32Array
  #rows = 0
  #size = 0

  constructor(keySize: number, valueSize: number) {
    this.keySize = keySize
    this.valueSize = valueSize
    this.#rowSize = keySize + valueSize
    this.#slots = new Int32Array(1024).fill(EMPTY)
  }

  get size(): number {
    return this.#size
  }

  /** Number of the row of `key`, or -1. */
  find(key: Uint8Array): number {
    return this.#slots[this.#slotOf(key)] ?? EMPTY
  }

  /** Number of the row of `key`, which is made if there is none. The value of a new row is what an older one left. */
  add(key: Uint8Array): number {
    let slot = this.#slotOf(key)
    const found = this.#slots[slot] ?? EMPTY
    if (found !== EMPTY) return found
    if ((this.#size + 1) * 3 > this.#slots.length * 2) {
      this.#grow()
      slot = this.#slotOf(key)
    }
    const row = this.#free.pop() ?? this.#newRow()
    this.#row(row).set(key)
    this.#slots[slot] = row
    this.#size += 1
    return row
  }

  /** The value of a row, as a view that may be written to. */
  valueAt(row: number): Uint8Array {
    return this.#row(row).subarray(this.keySize)
  }

  keyAt(row: number): Uint8Array {
    return this.#row(row).subarray(0, this.keySize)
  }

  /** Number that the row of `key` had, or -1 if there was none. */
  delete(key: Uint8Array): number {
    const slot = this.#slotOf(key)
    const row = this.#slots[slot] ?? EMPTY
    if (row === EMPTY) return EMPTY
    this.#free.push(row)
    this.#size -= 1
    this.#closeGap(slot)
    return row
  }

  clear(): void {
    this.#slots = new Int32Array(1024).fill(EMPTY)
    this.#slabs.length = 0
    this.#free.length = 0
    this.#rows = 0
    this.#size = 0
  }

  /** Row numbers in no particular order. The table must not change meanwhile. */
  *rows(): Generator<number, void> {
    for (const row of this.#slots) if (row !== EMPTY) yield row
  }

  /** Moves later rows of the same probe sequence up, so that no lookup ends at the gap. */
  #closeGap(start: number): void {
    const mask = this.#slots.length - 1
    let gap = start
    for (let slot = (gap + 1) & mask; ; slot = (slot + 1) & mask) {
      const row = this.#slots[slot] ?? EMPTY
      if (row === EMPTY) break
      const home = this.#home(this.keyAt(row))
      if (((slot - home) & mask) >= ((slot - gap) & mask)) {
        this.#slots[gap] = row
        gap = slot
      }
    }
    this.#slots[gap] = EMPTY
  }

  #slotOf(key: Uint8Array): number {
    const mask = this.#slots.length - 1
    for (let slot = this.#home(key); ; slot = (slot + 1) & mask) {
      const row = this.#slots[slot] ?? EMPTY
      if (row === EMPTY || this.#hasKey(row, key)) return slot
    }
  }

  #home(key: Uint8Array): number {
    const end = key.length
    const head = at(key, 0) | (at(key, 1) << 8) | (at(key, 2) << 16) | (at(key, 3) << 24)
    const tail = at(key, end - 4) | (at(key, end - 3) << 8) | (at(key, end - 2) << 16) | (at(key, end - 1) << 24)
    const mixed = head ^ Math.imul(tail, 0x9e37_79b1)
    return (mixed ^ (mixed >>> 15)) & (this.#slots.length - 1)
  }

  #hasKey(row: number, key: Uint8Array): boolean {
    const slab = this.#slabs[row >>> 15]
    if (slab === undefined) return false
    const start = (row & (ROWS_PER_SLAB - 1)) * this.#rowSize
    for (let i = 0; i < key.length; i++) if (slab[start + i] !== key[i]) return false
    return true
  }

  #row(row: number): Uint8Array {
    const slab = this.#slabs[row >>> 15]
    const start = (row & (ROWS_PER_SLAB - 1)) * this.#rowSize
    if (slab === undefined) throw new RangeError('no such row')
    return slab.subarray(start, start + this.#rowSize)
  }

  #newRow(): number {
    const row = this.#rows++
    if ((row & (ROWS_PER_SLAB - 1)) === 0) this.#slabs.push(new Uint8Array(ROWS_PER_SLAB * this.#rowSize))
    return row
  }

  #grow(): void {
    const old = this.#slots
    this.#slots = new Int32Array(old.length * 2).fill(EMPTY)
    const mask = this.#slots.length - 1
    for (const row of old) {
      if (row === EMPTY) continue
      let slot = this.#home(this.keyAt(row))
      while (this.#slots[slot] !== EMPTY) slot = (slot + 1) & mask
      this.#slots[slot] = row
    }
  }
}

/** A key of an outpoint: txid (32 bytes, internal order), then the output's number in 4 bytes, little-endian. */
export function outpointKey(txid: Uint8Array, index: number): Uint8Array {
  const key = new Uint8Array(36)
  key.set(txid)
  writeUint32LE(key, index, 32)
  return key
}

function at(bytes: Uint8Array, offset: number): number {
  return bytes[offset] ?? 0
}
