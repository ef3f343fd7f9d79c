import type { Disk } from './disk.ts'
import type { KeyRange } from './layout.ts'

export type Row = readonly [key: Uint8Array, value: Uint8Array]

export interface RangeOptions extends KeyRange {
  /** From the last key to the first. */
  readonly reverse?: boolean
  /** At most so many rows. */
  readonly limit?: number
}

/** Reads of a store or of a snapshot of it. All of them can throw StorageError. */
export interface StoreReader {
  getSync(key: Uint8Array): Uint8Array | undefined
  /** At once as long as rows come from memory, else without holding anybody up. */
  get(key: Uint8Array): Uint8Array | undefined | Promise<Uint8Array | undefined>
  /** Values in the order of the keys. */
  getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]>
  /** All rows of a range, in order. */
  rows(range: RangeOptions): Promise<Row[]>
  /** Rows of a range in order, some at a time, for ranges that may be long. */
  scan(range: RangeOptions): AsyncIterable<readonly Row[]>
  /** Their keys only. */
  scanKeys(range: RangeOptions): AsyncIterable<readonly Uint8Array[]>
  /** Hands out the rows of a range in order: scan() without what a generator costs where there are few. */
  each(range: RangeOptions, use: (key: Uint8Array, value: Uint8Array) => void): Promise<void>
}

/** The store as it was when the snapshot was taken. close() it once. */
export interface StoreSnapshot extends StoreReader {
  close(): Promise<void>
}

/** Writes that happen together or not at all. */
export interface StoreBatch {
  /** Both are copied at once, so the caller may use their memory again. */
  put(key: Uint8Array, value: Uint8Array): void
  del(key: Uint8Array): void
  /** Settles once the batch would outlive a loss of power. Afterwards the batch is spent. */
  write(): Promise<void>
  /** Instead of write(). */
  discard(): Promise<void>
}

/** Rows sorted by key. One process has it open at a time. */
export interface Store extends StoreReader {
  /** Synchronous: nothing that is written afterwards is in it, everything written before is. */
  snapshot(): StoreSnapshot
  batch(): StoreBatch
  /** Approximate bytes on disk, of a range or of all. */
  size(range?: KeyRange): Promise<number>
  /** Writes the rows of a range anew without what is left of rows that are gone. */
  compact(range: KeyRange): Promise<void>
  /**
   * Moves all that was written out of the log, to where it stays even if the log loses its end. Takes about as long as
   * the rows in memory (some megabytes) take to be written.
   */
  settle(): Promise<void>
  /** Snapshots are to be closed before. */
  close(): Promise<void>
}

export interface StoreOptions {
  /** Bytes of LevelDB's cache of blocks. */
  readonly cacheBytes: number
  /** Where a table of LevelDB ends and the next begins; 16 MiB if it is not given. */
  readonly tableBytes?: number
  /** Open only what is there already. */
  readonly mustExist?: boolean
  /** Other threads of this process open it too; the one that was first closes it last. */
  readonly shared?: boolean
}

export type OpenStore = (directory: string, options: StoreOptions, disk: Disk) => Promise<Store>

/** Bytes that are written anew in one go: a second or two. */
const SLICE_BYTES = 64 << 20
const MOST_SLICES = 4096

/** A range of rows with keys that begin with one byte and go on with random ones, cut into parts of about one size. */
export async function slicesOf(store: Store, range: KeyRange): Promise<KeyRange[]> {
  const count = Math.min(MOST_SLICES, Math.ceil((await store.size(range)) / SLICE_BYTES))
  const prefix = range.gte[0] ?? 0
  const bounds = Array.from({ length: Math.max(0, count - 1) }, (_, i) => {
    const at = Math.floor(((i + 1) * 0x1_0000) / count)
    return Uint8Array.of(prefix, at >>> 8, at)
  })
  return [range.gte, ...bounds].map((gte, i) => ({ gte, lt: bounds[i] ?? range.lt }))
}
