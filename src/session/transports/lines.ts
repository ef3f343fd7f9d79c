import { Gathered } from './gathered.ts'

const LINE_FEED = 0x0a

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
 * at once; it is copied only where a line lies in more than one chunk.
 */
export class LineFramer {
  readonly #maxBytes: number
  readonly #handlers: LineHandlers
  readonly #unfinished: Gathered
  #dropping = false

  constructor(maxBytes: number, handlers: LineHandlers) {
    this.#maxBytes = maxBytes
    this.#handlers = handlers
    this.#unfinished = new Gathered(maxBytes)
  }

  /** Bytes of the unfinished line that are kept. */
  get buffered(): number {
    return this.#unfinished.length
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
    const before = this.#unfinished.length
    if (before === 0 && tail.length <= this.#maxBytes) this.#handlers.onLine(tail)
    else if (this.#unfinished.append(tail)) this.#handlers.onLine(this.#unfinished.take())
    else this.#handlers.onOversized(before + tail.length)
  }

  #keep(part: Uint8Array): void {
    if (this.#dropping) return
    const before = this.#unfinished.length
    if (this.#unfinished.append(part)) return
    this.#dropping = true
    this.#handlers.onOversized(before + part.length)
  }
}
