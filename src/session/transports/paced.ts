import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import type { Turns, Unfinished } from './turns.ts'

/** How many of the first of `bytes` a parser is given at once; at least one. */
export type Portion = (bytes: Uint8Array) => number

type Written = (error?: Error | null) => void
interface Piece {
  readonly chunk: string | Uint8Array
  readonly encoding: BufferEncoding
}

/**
 * A socket for parsers that make everything of a chunk before they give the event loop back: node:http and `ws`. They are
 * given the first portion of what was read; the rest waits for later turns, and nothing more is read meanwhile. Otherwise
 * it is the socket: what is written, its end, its errors and its timeout pass through.
 */
export class PacedSocket extends Duplex implements Unfinished {
  readonly #socket: Socket
  readonly #turns: Turns
  readonly #portion: Portion
  /** Read, and not given to the parser. */
  #rest: Uint8Array | undefined
  /** The client has ended its side. */
  #ended = false
  #held = false
  /** The parser has asked for more while it was held. */
  #wanted = false

  constructor(socket: Socket, { turns, portion }: { readonly turns: Turns; readonly portion: Portion }) {
    // As sockets of a listener are: when the client has ended, so do we.
    super({
      allowHalfOpen: false,
      decodeStrings: false,
      // One portion: of several that pile up while nothing is to be read, all would be parsed in one turn.
      readableHighWaterMark: 1,
      writableHighWaterMark: socket.writableHighWaterMark,
    })
    this.#socket = socket
    this.#turns = turns
    this.#portion = portion
    socket.on('data', (chunk) => this.#took(chunk))
    // Its end is told after the rest, and answers leave until then: of the two it is this one that ends by itself.
    socket.allowHalfOpen = true
    socket.once('end', () => {
      this.#ended = true
      if (this.#rest === undefined) this.push(null)
    })
    socket.on('timeout', () => this.emit('timeout'))
    socket.on('error', (error) => this.destroy(error))
    socket.once('close', () => this.destroy())
    // Whoever wants to know of one hears of it from the socket.
    this.on('error', () => {})
  }

  /** All that came, whether or not the parser has it. */
  get bytesRead(): number {
    return this.#socket.bytesRead
  }

  goOn(): void {
    if (this.#held) this.#wanted = true
    else if (this.#rest !== undefined && !this.destroyed) this.#give(this.#rest)
  }

  /**
   * Reads no more and gives the parser no more until unhold(). Not the same as pause() and resume(), which are the
   * parser's own: node:http calls them as it likes.
   */
  hold(): void {
    if (this.#held) return
    this.#held = true
    this.#wanted = !this.#socket.isPaused()
    this.#socket.pause()
  }

  unhold(): void {
    if (!this.#held) return
    this.#held = false
    if (this.#wanted && !this.destroyed) this._read()
  }

  setTimeout(milliseconds: number): this {
    this.#socket.setTimeout(milliseconds)
    return this
  }

  /** What is written leaves, then it is gone, whether or not the client ends its side; node:http closes with it. */
  destroySoon(): void {
    if (this.writable) this.end()
    if (this.writableFinished) this.destroy()
    else this.once('finish', () => this.destroy())
  }

  override _read(): void {
    if (this.#held) this.#wanted = true
    else if (this.#rest === undefined) this.#socket.resume()
    else this.#turns.wait(this)
  }

  override _write(chunk: string | Uint8Array, encoding: BufferEncoding, written: Written): void {
    this.#socket.write(chunk, encoding, written)
  }

  override _writev(pieces: readonly Piece[], written: Written): void {
    const last = pieces.length - 1
    this.#socket.cork()
    for (const [index, { chunk, encoding }] of pieces.entries()) {
      this.#socket.write(chunk, encoding, index === last ? written : undefined)
    }
    this.#socket.uncork()
  }

  override _final(done: Written): void {
    this.#socket.end(() => done())
  }

  override _destroy(error: Error | null, done: Written): void {
    this.#rest = undefined
    this.#turns.leave(this)
    this.#socket.destroy()
    done(error)
  }

  #took(chunk: Uint8Array): void {
    // TLS can have several records at hand, and tells them in a row.
    if (this.#rest === undefined && !this.#held) this.#give(chunk)
    else if (this.#rest === undefined) this.#rest = chunk
    else this.#rest = Buffer.concat([this.#rest, chunk])
  }

  #give(bytes: Uint8Array): void {
    const length = this.#portion(bytes)
    this.#rest = length < bytes.length ? bytes.subarray(length) : undefined
    const wantsMore = this.push(bytes.subarray(0, length))
    if (this.destroyed) return
    if (this.#rest === undefined && this.#ended) this.push(null)
    // Who does not want more says with _read() when it does.
    else if (!wantsMore) this.#socket.pause()
    else if (this.#held) this.#wanted = true
    else if (this.#rest === undefined) this.#socket.resume()
    else {
      this.#socket.pause()
      this.#turns.wait(this)
    }
  }
}

const LINE_FEED = 0x0a

/** A portion of at most so many lines: no more requests are in it than a third of them, nor chunks of a body than half. */
export function lines(most: number): Portion {
  return (bytes) => {
    let end = 0
    for (let line = 0; line < most; line++) {
      end = bytes.indexOf(LINE_FEED, end) + 1
      if (end === 0) return bytes.length
    }
    return end
  }
}

/** The smaller portion of the two. */
export function atMost(most: number, portion: Portion): Portion {
  return (bytes) => portion(bytes.length > most ? bytes.subarray(0, most) : bytes)
}
