import { type FileHandle, open } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { invariant } from '../errors.ts'
import type { Awaitable } from '../lib/awaitable.ts'
import { concat } from '../lib/bytes.ts'
import { type Disk, storageErrorOf } from './disk.ts'
import { type FlatFileReader, Reader, type Segment } from './flat-file-reader.ts'
import { ReadPace } from './pace.ts'
import { PAGE_BYTES, PageCache } from './page-cache.ts'

/** Reads of other threads that are under way for one question. */
const READS_AT_ONCE = 64
/** Blocking reads between two turns of the event loop: less than half a millisecond. */
const READS_PER_TURN = 100
/** Bytes that one blocking read may have: ids of the largest blocks are fewer. */
const LONGEST_BLOCKING = 1 << 20
/** Bytes that are put together for one write, about. */
const WRITE_BYTES = 1 << 20

export interface FlatFileOptions {
  readonly rowSize: number
  /** Rows that count. */
  readonly count: number
  /** Memory for pages from which single rows were read; none if it is not given. */
  readonly cacheBytes?: number
  readonly pace?: ReadPace
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
  readonly #pace: ReadPace
  /** Pages all of whose rows count: they stay as they are until rows are cut off. */
  readonly #pages: PageCache
  readonly #rowsPerPage: number
  readonly #readers = new Set<Reader>()
  /** Rows in the file that count. */
  #written: number
  /** How often rows were cut off. */
  #cuts = 0
  #tail: Segment[] = []
  #count: number

  private constructor(name: string, file: FileHandle, options: FlatFileOptions, disk: Disk) {
    const { rowSize, count, cacheBytes = 0, pace = new ReadPace() } = options
    this.#name = name
    this.#file = file
    this.#disk = disk
    this.#rowSize = rowSize
    this.#pace = pace
    this.#pages = new PageCache(cacheBytes)
    this.#rowsPerPage = Math.floor(PAGE_BYTES / rowSize)
    this.#written = count
    this.#count = count
  }

  /** Opens or makes the file and cuts it to `count` rows; it may have fewer. */
  static async open(path: string, options: FlatFileOptions, disk: Disk): Promise<FlatFile> {
    const { rowSize } = options
    const file = await openFile(path, disk)
    try {
      const { size } = await file.stat()
      const count = Math.min(options.count, Math.floor(size / rowSize))
      if (size > count * rowSize) await disk.truncate(file, count * rowSize)
      return new FlatFile(basename(path), file, { ...options, count }, disk)
    } catch (error) {
      await file.close()
      throw storageErrorOf(error, `open ${path}`)
    }
  }

  /** Rows that count, those in memory among them. */
  get count(): number {
    return this.#count
  }

  /** Forgets the last rows but `count`; before anything is read, written or appended. */
  shorten(count: number): void {
    invariant(count <= this.#count && this.#tail.length === 0 && this.#readers.size === 0, 'shortened too late')
    this.#count = count
    this.#written = count
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
    // The last page is not kept unless all of its rows count.
    for (let page = this.#pageOf(lost.start); page < this.#pageOf(this.#count); page++) this.#pages.drop(page)
    this.#cuts += 1
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
      {
        read: (start, count) => this.#read(start, count),
        collect: (numbers, end, target) => this.#collect(numbers, end, target),
        closed: () => this.#readers.delete(reader),
      },
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
    if (bytes.length <= LONGEST_BLOCKING && this.#pace.mayBlock) this.#readNow(bytes, start)
    else await this.#readElsewhere(bytes, start)
    return bytes
  }

  /**
   * Puts those rows with these numbers that are before `end` into their places in `target`; at once where they are few and
   * need not be waited for. Rows that are cut off meanwhile are left out or are others: the reader that asks has them.
   */
  #collect(numbers: readonly number[], end: number, target: Uint8Array): Awaitable<void> {
    const next = this.#collectHere(numbers, 0, end, target)
    if (next < numbers.length) return this.#collectOn(numbers, next, end, target)
  }

  /** From number `from` of the list on, as far as it goes in this turn and without other threads: where it stopped. */
  #collectHere(numbers: readonly number[], from: number, end: number, target: Uint8Array): number {
    let reads = 0
    for (let i = from; i < numbers.length; i++) {
      const number = numbers[i] ?? 0
      if (number >= end) continue
      const kept = this.#pages.find(this.#pageOf(number))
      if (kept !== undefined) {
        this.#copyRow(kept, number, target, i)
      } else {
        if (reads === READS_PER_TURN || !this.#pace.mayBlock) return i
        this.#collectNow(number, target, i)
        reads += 1
      }
    }
    return numbers.length
  }

  async #collectOn(numbers: readonly number[], from: number, end: number, target: Uint8Array): Promise<void> {
    for (let next = from; next < numbers.length; next = this.#collectHere(numbers, next, end, target)) {
      if (this.#pace.mayBlock) await nextTurn()
      else next = await this.#collectPages(numbers, next, end, target)
    }
  }

  /** One row from the disk, with its page if that is kept. */
  #collectNow(number: number, target: Uint8Array, i: number): void {
    const page = this.#pageOf(number)
    const memory = this.#isWhole(page) ? this.#pages.claim(page) : undefined
    if (memory === undefined) {
      const row = target.subarray(i * this.#rowSize, (i + 1) * this.#rowSize)
      if (number < this.#written) this.#readNow(row, number)
      return
    }
    try {
      this.#readNow(memory.subarray(0, this.#rowsPerPage * this.#rowSize), page * this.#rowsPerPage)
    } catch (error) {
      this.#pages.drop(page)
      throw error
    }
    this.#copyRow(memory, number, target, i)
  }

  /** Rows from number `from` of the list on, from pages that other threads read; where in the list it stopped. */
  async #collectPages(numbers: readonly number[], from: number, end: number, target: Uint8Array): Promise<number> {
    const cuts = this.#cuts
    const reads = new Map<number, Promise<Uint8Array>>()
    const waiting: number[] = []
    let to = from
    for (; to < numbers.length; to++) {
      const number = numbers[to] ?? 0
      if (number >= end || number >= this.#written) continue
      const page = this.#pageOf(number)
      const kept = this.#pages.find(page)
      if (kept !== undefined) {
        this.#copyRow(kept, number, target, to)
        continue
      }
      if (!reads.has(page)) {
        if (reads.size === READS_AT_ONCE) break
        reads.set(page, this.#readPage(page))
      }
      waiting.push(to)
    }
    const pages = [...reads.keys()]
    const read = new Map((await Promise.all(reads.values())).map((bytes, i) => [pages[i] ?? 0, bytes]))
    for (const [page, bytes] of read) {
      // Rows that were cut off meanwhile may have been overwritten before they were read, or be so next.
      if (cuts === this.#cuts) this.#keep(page, bytes)
    }
    for (const i of waiting) {
      const number = numbers[i] ?? 0
      const bytes = read.get(this.#pageOf(number))
      if (bytes !== undefined) this.#copyRow(bytes, number, target, i)
    }
    return to
  }

  /** The rows of a page that count. */
  async #readPage(page: number): Promise<Uint8Array> {
    const start = page * this.#rowsPerPage
    const bytes = new Uint8Array(Math.min(this.#rowsPerPage, this.#written - start) * this.#rowSize)
    await this.#readElsewhere(bytes, start)
    return bytes
  }

  #keep(page: number, bytes: Uint8Array): void {
    if (bytes.length < this.#rowsPerPage * this.#rowSize || this.#pages.find(page) !== undefined) return
    this.#pages.claim(page)?.set(bytes)
  }

  /** Copies row `number` out of the bytes of its page to place `i` of `target`. */
  #copyRow(page: Uint8Array, number: number, target: Uint8Array, i: number): void {
    const size = this.#rowSize
    const from = (number % this.#rowsPerPage) * size
    const to = i * size
    // Faster than set() for so few.
    for (let k = 0; k < size; k++) target[to + k] = page[from + k] ?? 0
  }

  #pageOf(number: number): number {
    return Math.floor(number / this.#rowsPerPage)
  }

  #isWhole(page: number): boolean {
    return (page + 1) * this.#rowsPerPage <= this.#written
  }

  #readNow(bytes: Uint8Array, start: number): void {
    try {
      this.#pace.blocking(() => this.#disk.readNow(this.#file, bytes, start * this.#rowSize))
    } catch (error) {
      throw storageErrorOf(error, `read ${this.#name}`)
    }
  }

  async #readElsewhere(bytes: Uint8Array, start: number): Promise<void> {
    try {
      await this.#disk.readAt(this.#file, bytes, start * this.#rowSize)
    } catch (error) {
      throw storageErrorOf(error, `read ${this.#name}`)
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
