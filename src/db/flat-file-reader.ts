import { InvariantError, invariant } from '../errors.ts'
import { type Awaitable, after } from '../lib/awaitable.ts'

/** Rows one after the other that are not, or no longer, in the file. Never changed. */
export interface Segment {
  /** Number of the first. */
  readonly start: number
  readonly bytes: Uint8Array
}

/** The rows as they were when the reader was made, whatever happens to the file. close() it once. */
export interface FlatFileReader {
  readonly count: number
  /** Rows `start` to `start + count - 1`, one after the other. All of them must be there. */
  rows(start: number, count: number): Promise<Uint8Array>
  /** The rows with these numbers, in the order asked, side by side in memory of their own. */
  pick(numbers: readonly number[]): Promise<Uint8Array[]>
  close(): void
}

/** What a reader needs of its file. */
export interface ReaderSource {
  /** Rows of the file as it is now. */
  read(start: number, count: number): Promise<Uint8Array>
  /** See FlatFile. */
  collect(numbers: readonly number[], end: number, target: Uint8Array): Awaitable<void>
  closed(): void
}

/** See FlatFile. */
export class Reader implements FlatFileReader {
  readonly count: number
  readonly #rowSize: number
  readonly #source: ReaderSource
  /** Rows from here on are in #segments, which follow one another. */
  #inFile: number
  #segments: readonly Segment[]
  #open = true

  constructor(
    state: {
      readonly rowSize: number
      readonly count: number
      readonly written: number
      readonly tail: readonly Segment[]
    },
    source: ReaderSource,
  ) {
    this.count = state.count
    this.#rowSize = state.rowSize
    this.#inFile = state.written
    this.#segments = state.tail
    this.#source = source
  }

  /** Called before rows of the file are given up: those that this reader has none of are kept for it. */
  keep(lost: Segment): void {
    if (lost.start >= this.#inFile) return
    const bytes = lost.bytes.subarray(0, (this.#inFile - lost.start) * this.#rowSize)
    this.#segments = [{ start: lost.start, bytes }, ...this.#segments]
    this.#inFile = lost.start
  }

  async rows(start: number, count: number): Promise<Uint8Array> {
    this.#check(start, count)
    if (count === 1) return this.#collect([start])
    const fromFile = Math.min(count, Math.max(0, this.#inFile - start))
    if (fromFile === count) {
      const bytes = await this.#source.read(start, count)
      // Rows that were given up meanwhile may have been overwritten before they were read.
      this.#overlay(bytes, start)
      return bytes
    }
    const bytes = new Uint8Array(count * this.#rowSize)
    if (fromFile > 0) bytes.set(await this.#source.read(start, fromFile))
    this.#overlay(bytes, start)
    return bytes
  }

  async pick(numbers: readonly number[]): Promise<Uint8Array[]> {
    for (const number of numbers) this.#check(number, 1)
    const bytes = await this.#collect(numbers)
    return numbers.map((_, i) => bytes.subarray(i * this.#rowSize, (i + 1) * this.#rowSize))
  }

  close(): void {
    this.#open = false
    this.#source.closed()
  }

  #check(start: number, count: number): void {
    if (!this.#open) throw new InvariantError('read of a file from a view that was released')
    if (!(start >= 0 && count >= 0 && start + count <= this.count)) {
      throw new RangeError(`no rows ${start} to ${start + count}`)
    }
  }

  #collect(numbers: readonly number[]): Awaitable<Uint8Array> {
    const bytes = new Uint8Array(numbers.length * this.#rowSize)
    return after(this.#source.collect(numbers, this.#inFile, bytes), () => {
      // Only now: more of them than at first may have been given up meanwhile, and be kept by this reader.
      for (const [i, number] of numbers.entries()) {
        if (number >= this.#inFile) bytes.set(this.#keptRow(number), i * this.#rowSize)
      }
      return bytes
    })
  }

  #keptRow(number: number): Uint8Array {
    const segment = this.#segments.findLast(({ start }) => start <= number)
    invariant(segment !== undefined, 'a row is neither in the file nor kept')
    const offset = (number - segment.start) * this.#rowSize
    return segment.bytes.subarray(offset, offset + this.#rowSize)
  }

  /** Puts the rows that this reader keeps over `bytes`, which begin with row `start`. */
  #overlay(bytes: Uint8Array, start: number): void {
    const end = start + bytes.length / this.#rowSize
    for (const segment of this.#segments) {
      const from = Math.max(start, segment.start)
      const to = Math.min(end, segment.start + segment.bytes.length / this.#rowSize)
      if (from >= to) continue
      const kept = segment.bytes.subarray((from - segment.start) * this.#rowSize, (to - segment.start) * this.#rowSize)
      bytes.set(kept, (from - start) * this.#rowSize)
    }
  }
}
