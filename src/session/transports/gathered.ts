const FIRST_BUFFER = 4096
const NOTHING = new Uint8Array(0)

/**
 * Parts of a message put together, in a buffer that doubles: a client that sends single bytes makes us keep neither a list
 * of them nor the large buffers they arrived in.
 */
export class Gathered {
  readonly #maxBytes: number
  #buffer: Uint8Array = NOTHING
  #length = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get length(): number {
    return this.#length
  }

  /** False if that is more than there may be: nothing is kept then. */
  append(part: Uint8Array): boolean {
    const total = this.#length + part.length
    if (total > this.#maxBytes) {
      this.take()
      return false
    }
    if (total > this.#buffer.length) {
      const wanted = Math.max(total, this.#buffer.length * 2, FIRST_BUFFER)
      const grown = new Uint8Array(Math.max(total, Math.min(wanted, this.#maxBytes)))
      grown.set(this.#buffer.subarray(0, this.#length))
      this.#buffer = grown
    }
    this.#buffer.set(part, this.#length)
    this.#length = total
    return true
  }

  /** All of it; it is empty after that. */
  take(): Uint8Array {
    const whole = this.#buffer.subarray(0, this.#length)
    this.#buffer = NOTHING
    this.#length = 0
    return whole
  }
}
