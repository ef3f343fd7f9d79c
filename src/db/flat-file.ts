import { type FileHandle, open } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { InvariantError, invariant, StorageError } from '../errors.ts'
import { concat } from '../lib/bytes.ts'
import { type Disk, storageErrorOf } from './disk.ts'

/** Rows that are read in one go although not all of them were asked for: a page of the disk. */
const GAP_BYTES = 4096
const LONGEST_READ_BYTES = 64 * 1024
const READS_AT_ONCE = 64
/** Bytes that are put together for one write, about. */
const WRITE_BYTES = 1 << 20

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
  /** The rows with these numbers, in the order asked, each in memory of its own or shared with its neighbours. */
  pick(numbers: readonly number[]): Promise<Uint8Array[]>
  close(): void
}

/**
 * Rows of one size by number in one file, appended and cut back. The number that counts is kept elsewhere (in the batch
 * that names it): what stands in the file beyond it is forgotten when it is opened.
 *
 * Appended rows stay in memory until write(); the caller writes, and only then names the new count in its batch. Cutting
 * back only lowers the count; the bytes are overwritten by the next rows. Readers that still need them are given copies.
 */
export class FlatFile {
  readonly #name: string
  readonly #file: FileHandle
  readonly #disk: Disk
  readonly #rowSize: number
  readonly #readers = new Set<Reader>()
  /** Rows in the file that count. */
  #written: number
  #tail: Segment[] = []
  #count: number

  private constructor(name: string, file: FileHandle, rowSize: number, count: number, disk: Disk) {
    this.#name = name
    this.#file = file
    this.#disk = disk
    this.#rowSize = rowSize
    this.#written = count
    this.#count = count
  }

  /** Opens or makes the file and cuts it to `count` rows. Throws StorageError 'corrupt' if it has fewer. */
  static async open(path: string, rowSize: number, count: number, disk: Disk): Promise<FlatFile> {
    const file = await openFile(path, disk)
    try {
      const { size } = await file.stat()
      if (size < count * rowSize) {
        throw new StorageError('corrupt', `${path} has ${size} bytes, the database counts on ${count * rowSize}`)
      }
      if (size > count * rowSize) await disk.truncate(file, count * rowSize)
      return new FlatFile(basename(path), file, rowSize, count, disk)
    } catch (error) {
      await file.close()
      throw storageErrorOf(error, `open ${path}`)
    }
  }

  /** Rows that count, those in memory among them. */
  get count(): number {
    return this.#count
  }

  /** Appends whole rows. They are read at once and written by write(). */
  append(bytes: Uint8Array): void {
    invariant(bytes.length % this.#rowSize === 0, 'only whole rows are appended')
    if (bytes.length === 0) return
    this.#tail.push({ start: this.#count, bytes })
    this.#count += bytes.length / this.#rowSize
  }

  /**
   * Writes what was appended before the call; settles once it would outlive a loss of power. Further rows may be appended
   * meanwhile. One at a time.
   */
  async write(): Promise<void> {
    const tail = [...this.#tail]
    if (tail.length === 0) return
    const end = this.#count
    try {
      let position = this.#written * this.#rowSize
      for (let next = 0; next < tail.length; ) {
        const parts: Uint8Array[] = []
        for (let size = 0; next < tail.length && size < WRITE_BYTES; next++) {
          const bytes = tail[next]?.bytes ?? new Uint8Array(0)
          parts.push(bytes)
          size += bytes.length
        }
        const bytes = concat(...parts)
        await this.#disk.writeAt(this.#file, bytes, position)
        position += bytes.length
      }
      await this.#disk.sync(this.#file)
    } catch (error) {
      throw storageErrorOf(error, `write ${this.#name}`)
    }
    this.#tail = this.#tail.slice(tail.length)
    this.#written = end
  }

  /** The last `count` rows, for cut(). Everything must have been written before. */
  async lastRows(count: number): Promise<Segment> {
    invariant(this.#tail.length === 0, 'cut back before everything was written')
    invariant(count <= this.#count, 'cut back by more than there is')
    const start = this.#count - count
    return { start, bytes: await this.#read(start, count) }
  }

  /** Takes the last rows back, as lastRows() gave them: readers that may still want them keep them. */
  cut(lost: Segment): void {
    invariant(lost.start + lost.bytes.length / this.#rowSize === this.#count, 'only the last rows are taken back')
    for (const reader of this.#readers) if (reader.count > lost.start) reader.keep(lost)
    this.#count = lost.start
    this.#written = lost.start
  }

  reader(): FlatFileReader {
    const reader = new Reader(
      {
        rowSize: this.#rowSize,
        count: this.#count,
        written: this.#written,
        tail: [...this.#tail],
      },
      (start, count) => this.#read(start, count),
      () => this.#readers.delete(reader),
    )
    this.#readers.add(reader)
    return reader
  }

  /** Closes the file; reads that are under way are waited for, later ones fail. */
  async close(): Promise<void> {
    try {
      await this.#file.close()
    } catch (error) {
      throw storageErrorOf(error, `close ${this.#name}`)
    }
  }

  async #read(start: number, count: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(count * this.#rowSize)
    try {
      await this.#disk.readAt(this.#file, bytes, start * this.#rowSize)
    } catch (error) {
      throw storageErrorOf(error, `read ${this.#name}`)
    }
    return bytes
  }
}

class Reader implements FlatFileReader {
  readonly count: number
  readonly #rowSize: number
  readonly #readFile: (start: number, count: number) => Promise<Uint8Array>
  readonly #closed: () => void
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
    readFile: (start: number, count: number) => Promise<Uint8Array>,
    closed: () => void,
  ) {
    this.count = state.count
    this.#rowSize = state.rowSize
    this.#inFile = state.written
    this.#segments = state.tail
    this.#readFile = readFile
    this.#closed = closed
  }

  /** Called before rows of the file are given up: those that this reader has none of are kept for it. */
  keep(lost: Segment): void {
    if (lost.start >= this.#inFile) return
    const bytes = lost.bytes.subarray(0, (this.#inFile - lost.start) * this.#rowSize)
    this.#segments = [{ start: lost.start, bytes }, ...this.#segments]
    this.#inFile = lost.start
  }

  async rows(start: number, count: number): Promise<Uint8Array> {
    if (!this.#open) throw new InvariantError('read of a file from a view that was released')
    if (start < 0 || count < 0 || start + count > this.count)
      throw new RangeError(`no rows ${start} to ${start + count}`)
    const fromFile = Math.min(count, Math.max(0, this.#inFile - start))
    if (fromFile === count) {
      const bytes = await this.#readFile(start, count)
      // Rows that were given up meanwhile may have been overwritten before they were read.
      this.#overlay(bytes, start)
      return bytes
    }
    const bytes = new Uint8Array(count * this.#rowSize)
    if (fromFile > 0) bytes.set(await this.#readFile(start, fromFile))
    this.#overlay(bytes, start)
    return bytes
  }

  async pick(numbers: readonly number[]): Promise<Uint8Array[]> {
    const runs = this.#runsOf(numbers)
    const found: Uint8Array[] = []
    for (let first = 0; first < runs.length; first += READS_AT_ONCE) {
      const some = runs.slice(first, first + READS_AT_ONCE)
      const read = await Promise.all(some.map(({ start, end }) => this.rows(start, end - start)))
      for (const [i, run] of some.entries()) {
        const bytes = read[i] ?? new Uint8Array(0)
        for (const number of run.numbers) {
          const offset = (number - run.start) * this.#rowSize
          found.push(bytes.subarray(offset, offset + this.#rowSize))
        }
      }
    }
    return found
  }

  close(): void {
    this.#open = false
    this.#closed()
  }

  /** Numbers that stand close together are read together; ascending numbers make the longest runs. */
  #runsOf(numbers: readonly number[]): { start: number; end: number; numbers: number[] }[] {
    const runs: { start: number; end: number; numbers: number[] }[] = []
    for (const number of numbers) {
      const last = runs.at(-1)
      const near =
        last !== undefined &&
        number >= last.start &&
        (number - last.end) * this.#rowSize <= GAP_BYTES &&
        (number + 1 - last.start) * this.#rowSize <= LONGEST_READ_BYTES
      if (near) {
        last.numbers.push(number)
        last.end = Math.max(last.end, number + 1)
      } else {
        runs.push({ start: number, end: number + 1, numbers: [number] })
      }
    }
    return runs
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

async function openFile(path: string, disk: Disk): Promise<FileHandle> {
  try {
    return await open(path, 'r+')
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) {
      throw storageErrorOf(error, `open ${path}`)
    }
  }
  let file: FileHandle | undefined
  try {
    file = await open(path, 'wx+')
    // Else a loss of power could take the file's name away, with a batch that counts on the file already safe.
    const directory = await open(dirname(path), 'r')
    try {
      await disk.sync(directory)
    } finally {
      await directory.close()
    }
    return file
  } catch (error) {
    await file?.close()
    throw storageErrorOf(error, `make ${path}`)
  }
}
