import { HASHX_SIZE } from '../chain/script.ts'
import type { SharedLog } from './shared-log.ts'

const NONE = -1
const LEAST_HEADS = 1024

/** Finds the rows of a log of hashXs that are one script's. Made ready at the first question and kept up from then on. */
export class ScriptIndex {
  readonly #log: SharedLog
  /** Last row of each chain, and for each row the one before it in its chain. */
  #heads = new Int32Array(0)
  #before = new Int32Array(0)
  #count = 0

  constructor(log: SharedLog) {
    this.#log = log
  }

  clear(): void {
    this.#heads = new Int32Array(0)
    this.#before = new Int32Array(0)
    this.#count = 0
  }

  /** Numbers of the rows of `hashX` among the first `limit`, ascending. */
  find(hashX: Uint8Array, limit: number): number[] {
    if (limit === 0) return []
    this.#extend()
    const wanted = viewOf(hashX)
    const [a, b, c] = [wanted.getUint32(0), wanted.getUint32(4), wanted.getUint32(7)]
    const rows = new DataView(this.#log.buffer)
    const found: number[] = []
    for (let row = this.#heads[a & (this.#heads.length - 1)] ?? NONE; row !== NONE; row = this.#before[row] ?? NONE) {
      const at = row * HASHX_SIZE
      if (row >= limit || rows.getUint32(at) !== a) continue
      if (rows.getUint32(at + 4) === b && rows.getUint32(at + 7) === c) found.push(row)
    }
    return found.reverse()
  }

  #extend(): void {
    const rows = this.#log.rows
    if (rows > this.#before.length) this.#enlarge(rows)
    const view = new DataView(this.#log.buffer)
    const mask = this.#heads.length - 1
    for (let row = this.#count; row < rows; row++) {
      const head = view.getUint32(row * HASHX_SIZE) & mask
      this.#before[row] = this.#heads[head] ?? NONE
      this.#heads[head] = row
    }
    this.#count = rows
  }

  #enlarge(rows: number): void {
    let size = LEAST_HEADS
    while (size < rows) size *= 2
    this.#heads = new Int32Array(size).fill(NONE)
    this.#before = new Int32Array(size)
    this.#count = 0
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
