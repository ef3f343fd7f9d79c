const LINE_FEED = 0x0a
const FIRST_BUFFER = 4096
const NOTHING = new Uint8Array(0)

export interface LineHandlers {
  /** A whole line without its line feed. The bytes are the receiver's to keep. */
  onLine(line: Uint8Array): void
  /** Once for each line that is too long, as soon as that is seen, with the bytes of it seen so far. */
  onOversized(bytes: number): void
  /** Asked between two lines of a chunk: false, and push() gives the rest of it back. */
  goesOn(): boolean
}

/**
 * Cuts a stream into lines, however it was cut into chunks: what is told does not depend on the chunks. A line of more
 * than `maxBytes` is dropped and the stream taken up again after the next line feed (as ElectrumX). Each byte is looked
 * at once; it is copied only where a line lies in more than one chunk, into a buffer that doubles, so that a client that
 * sends single bytes makes us keep neither a list of them nor the large buffers they arrived in.
 */
export class LineFramer {
  readonly #maxBytes: number
  readonly #handlers: LineHandlers
  #buffer: Uint8Array = NOTHING
  #length = 0
  #dropping = false

  constructor(maxBytes: number, handlers: LineHandlers) {
    this.#maxBytes = maxBytes
    this.#handlers = handlers
  }

  /** Bytes of the unfinished line that are kept. */
  get buffered(): number {
    return this.#length
  }

  /**
   * Tells at least one line, if there is one. What was not looked at is given back, to be pushed before anything else;
   * undefined if nothing is left.
   */
  push(chunk: Uint8Array): Uint8Array | undefined {
    let start = 0
    for (;;) {
      const end = chunk.indexOf(LINE_FEED, start)
      if (end === -1) break
      this.#finish(chunk.subarray(start, end))
      start = end + 1
      if (start < chunk.length && !this.#handlers.goesOn()) return chunk.subarray(start)
    }
    if (start < chunk.length) this.#keep(chunk.subarray(start))
    return undefined
  }

  #finish(tail: Uint8Array): void {
    if (this.#dropping) {
      this.#dropping = false
      return
    }
    const total = this.#length + tail.length
    if (total > this.#maxBytes) {
      this.#forget()
      this.#handlers.onOversized(total)
    } else if (this.#length === 0) {
      this.#handlers.onLine(tail)
    } else {
      this.#append(tail)
      const line = this.#buffer.subarray(0, total)
      this.#forget()
      this.#handlers.onLine(line)
    }
  }

  #keep(part: Uint8Array): void {
    if (this.#dropping) return
    const total = this.#length + part.length
    if (total > this.#maxBytes) {
      this.#dropping = true
      this.#forget()
      this.#handlers.onOversized(total)
    } else {
      this.#append(part)
    }
  }

  #append(part: Uint8Array): void {
    const total = this.#length + part.length
    if (total > this.#buffer.length) {
      const wanted = Math.max(total, this.#buffer.length * 2, FIRST_BUFFER)
      const grown = new Uint8Array(Math.max(total, Math.min(wanted, this.#maxBytes)))
      grown.set(this.#buffer.subarray(0, this.#length))
      this.#buffer = grown
    }
    this.#buffer.set(part, this.#length)
    this.#length = total
  }

  #forget(): void {
    this.#buffer = NOTHING
    this.#length = 0
  }
}
