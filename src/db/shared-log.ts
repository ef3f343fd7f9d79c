const FIRST_ROWS = 1024

/**
 * Rows of one size that are only ever appended, in memory that another thread can read at the same time: rows that were
 * there once stay what they are.
 */
export class SharedLog {
  readonly #rowSize: number
  #bytes: Uint8Array<SharedArrayBuffer>
  #rows = 0

  constructor(rowSize: number) {
    this.#rowSize = rowSize
    this.#bytes = new Uint8Array(new SharedArrayBuffer(FIRST_ROWS * rowSize))
  }

  get rows(): number {
    return this.#rows
  }

  /** Bytes of memory that hold rows. */
  get size(): number {
    return this.#rows * this.#rowSize
  }

  /** Where the rows are; room for further ones behind them. */
  get buffer(): SharedArrayBuffer {
    return this.#bytes.buffer
  }

  /** The rows as bytes. */
  get bytes(): Uint8Array<SharedArrayBuffer> {
    return this.#bytes.subarray(0, this.size)
  }

  append(rows: Uint8Array | Uint32Array | Float64Array): void {
    const bytes = new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength)
    const start = this.size
    this.#grow(start + bytes.length)
    this.#bytes.set(bytes, start)
    this.#rows += bytes.length / this.#rowSize
  }

  /** Appends numbers of 32 bits, each of them `shift` higher. */
  appendShifted(numbers: Uint32Array, shift: number): void {
    const start = this.#rows
    this.append(numbers)
    const words = new Uint32Array(this.buffer, start * 4, numbers.length)
    for (let i = 0; i < words.length; i++) words[i] = (words[i] ?? 0) + shift
  }

  /** Forgets the rows and keeps the memory for others: only once nobody reads them any more. */
  clear(): void {
    this.#rows = 0
  }

  #grow(size: number): void {
    if (size <= this.#bytes.length) return
    const larger = new Uint8Array(new SharedArrayBuffer(Math.ceil(Math.max(size, this.#bytes.length * 1.5) / 64) * 64))
    larger.set(this.#bytes)
    this.#bytes = larger
  }
}
