import { join } from 'node:path'
import { type InputRows, TAG_SIZE } from './block-delta.ts'
import type { Disk } from './disk.ts'
import { FlatFile, type FlatFileOptions } from './flat-file.ts'
import type { FlatFileReader, Segment } from './flat-file-reader.ts'
import { ReadPace } from './pace.ts'

const TXID_SIZE = 32
const START_SIZE = 4

/** How many rows of the files count. */
export interface FileCounts {
  readonly txCount: number
  readonly inputCount: number
}

export interface IndexFilesOptions extends FileCounts {
  /** Memory for pages of ids. */
  readonly cacheBytes: number
}

/** The rows of all files as they were at one moment; close() it once. */
export interface FilesReader {
  /** Ids, by transaction number. */
  readonly txids: FlatFileReader
  /** Inputs of its block that stand before a transaction's own (u32 LE), by transaction number. */
  readonly inputStarts: FlatFileReader
  /** Tags of the outpoints spent, by input number: see outpointTag. */
  readonly inputTags: FlatFileReader
  close(): void
}

/** The rows that a rollback takes away. */
export interface LostRows {
  /** Ids of the transactions. */
  readonly txids: Uint8Array
  readonly segments: readonly Segment[]
}

/** What the index keeps outside the store, since it is only ever appended and found by number. */
export class IndexFiles {
  readonly #txids: FlatFile
  readonly #inputStarts: FlatFile
  readonly #inputTags: FlatFile
  #overwrites = false

  private constructor(txids: FlatFile, inputStarts: FlatFile, inputTags: FlatFile) {
    this.#txids = txids
    this.#inputStarts = inputStarts
    this.#inputTags = inputTags
  }

  /** Opens or makes the files and cuts them to what counts; see `counts`. Throws StorageError. */
  static async open(directory: string, options: IndexFilesOptions, disk: Disk): Promise<IndexFiles> {
    const { txCount, inputCount, cacheBytes } = options
    const opened: FlatFile[] = []
    const pace = new ReadPace()
    const open = async (name: string, rows: FlatFileOptions): Promise<FlatFile> => {
      const file = await FlatFile.open(join(directory, name), { ...rows, pace }, disk)
      opened.push(file)
      return file
    }
    try {
      const txids = await open('txids', { rowSize: TXID_SIZE, count: txCount, cacheBytes })
      const inputStarts = await open('inputstarts', { rowSize: START_SIZE, count: txCount })
      return new IndexFiles(txids, inputStarts, await open('inputs', { rowSize: TAG_SIZE, count: inputCount }))
    } catch (error) {
      for (const file of opened) await file.close()
      throw error
    }
  }

  /** Rows that there are: fewer than count where a file was too short. */
  get counts(): FileCounts {
    return { txCount: Math.min(this.#txids.count, this.#inputStarts.count), inputCount: this.#inputTags.count }
  }

  /** Forgets the last rows but these; before anything is read, written or appended. */
  shorten({ txCount, inputCount }: FileCounts): void {
    this.#txids.shorten(txCount)
    this.#inputStarts.shorten(txCount)
    this.#inputTags.shorten(inputCount)
  }

  get size(): number {
    return this.#txids.count * (TXID_SIZE + START_SIZE) + this.#inputTags.count * TAG_SIZE
  }

  /** True if write() will put rows where others stood that were cut off: they are gone for good then. */
  get overwrites(): boolean {
    return this.#overwrites
  }

  append(rows: InputRows, txids: Uint8Array): void {
    const { buffer, byteOffset, byteLength } = rows.inputStarts
    this.#txids.append(txids)
    this.#inputStarts.append(new Uint8Array(buffer, byteOffset, byteLength))
    this.#inputTags.append(rows.inputTags)
  }

  /** Settles once what was appended before would outlive a loss of power. */
  async write(): Promise<void> {
    const writes = this.#files().map((file) => file.write())
    const settled = await Promise.allSettled(writes)
    for (const write of settled) if (write.status === 'rejected') throw write.reason
    this.#overwrites = false
  }

  /** The last rows, for cut(). Everything must have been written before. */
  async lastRows({ txCount, inputCount }: FileCounts): Promise<LostRows> {
    const txids = await this.#txids.lastRows(txCount)
    const starts = await this.#inputStarts.lastRows(txCount)
    const tags = await this.#inputTags.lastRows(inputCount)
    return { txids: txids.bytes, segments: [txids, starts, tags] }
  }

  cut({ segments }: LostRows): void {
    this.#overwrites = true
    for (const [i, file] of this.#files().entries()) {
      const segment = segments[i]
      if (segment !== undefined) file.cut(segment)
    }
  }

  reader(): FilesReader {
    const [txids, inputStarts, inputTags] = [this.#txids.reader(), this.#inputStarts.reader(), this.#inputTags.reader()]
    return {
      txids,
      inputStarts,
      inputTags,
      close: () => {
        for (const reader of [txids, inputStarts, inputTags]) reader.close()
      },
    }
  }

  async close(): Promise<void> {
    const settled = await Promise.allSettled(this.#files().map((file) => file.close()))
    for (const closing of settled) if (closing.status === 'rejected') throw closing.reason
  }

  #files(): readonly FlatFile[] {
    return [this.#txids, this.#inputStarts, this.#inputTags]
  }
}
