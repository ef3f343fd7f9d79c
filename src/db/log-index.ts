import type { SharedLog } from './shared-log.ts'

const NONE = -1
const LEAST_HEADS = 1024

/**
 * Finds the rows of a log by the bytes that they begin with: those of one script, one transaction, one place. Made ready
 * in parts by whoever calls enter(), or else at the first question, and kept up from then on.
 */
export class LogIndex {
  readonly #log: SharedLog
  readonly #rowSize: number
  readonly #keySize: number
  /** Last row of each chain, and for each row the one before it in its chain. */
  #heads = new Int32Array(0)
  #before = new Int32Array(0)
  #count = 0

  /** `rowSize`: that of the log; `keySize`: of the bytes that rows are found by, 8 or more. */
  constructor(log: SharedLog, { rowSize, keySize }: { readonly rowSize: number; readonly keySize: number }) {
    this.#log = log
    this.#rowSize = rowSize
    this.#keySize = keySize
  }

  clear(): void {
    this.#heads = new Int32Array(0)
    this.#before = new Int32Array(0)
    this.#count = 0
  }

  /** Enters at most `most` of the rows that are not entered yet; true if there are more of them. */
  enter(most: number): boolean {
    const rows = this.#log.rows
    if (rows > this.#before.length) this.#enlarge(rows)
    const end = Math.min(rows, this.#count + most)
    const view = new DataView(this.#log.buffer)
    for (let row = this.#count; row < end; row++) {
      const slot = this.#slotOf(view, row * this.#rowSize)
      this.#before[row] = this.#heads[slot] ?? NONE
      this.#heads[slot] = row
    }
    this.#count = end
    return end < rows
  }

  /** Numbers of the rows that begin with `key`, among the first `limit`, ascending. */
  find(key: Uint8Array, limit: number): number[] {
    if (limit === 0) return []
    if (this.#count < this.#log.rows) this.enter(Number.POSITIVE_INFINITY)
    const wanted = new DataView(key.buffer, key.byteOffset, key.byteLength)
    const rows = new DataView(this.#log.buffer)
    const found: number[] = []
    for (let row = this.#heads[this.#slotOf(wanted, 0)] ?? NONE; row !== NONE; row = this.#before[row] ?? NONE) {
      if (row < limit && this.#isAt(rows, row, wanted)) found.push(row)
    }
    return found.reverse()
  }

  /** Words first, the last of which may overlap the one before. */
  #isAt(rows: DataView, row: number, wanted: DataView): boolean {
    const start = row * this.#rowSize
    const last = this.#keySize - 4
    for (let i = 0; i < last; i += 4) if (rows.getUint32(start + i) !== wanted.getUint32(i)) return false
    return rows.getUint32(start + last) === wanted.getUint32(last)
  }

  /** Places of one transaction differ in their last bytes, everything else in its first. */
  #slotOf(rows: DataView, start: number): number {
    const mixed = rows.getUint32(start) ^ Math.imul(rows.getUint32(start + this.#keySize - 4), 0x9e37_79b1)
    return (mixed ^ (mixed >>> 16)) & (this.#heads.length - 1)
  }

  #enlarge(rows: number): void {
    let size = LEAST_HEADS
    while (size < rows) size *= 2
    this.#heads = new Int32Array(size).fill(NONE)
    this.#before = new Int32Array(size)
    this.#count = 0
  }
}
