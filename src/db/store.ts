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
  /** Values in the order of the keys. */
  getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]>
  /** All rows of a range, in order. */
  rows(range: RangeOptions): Promise<Row[]>
  /** Rows of a range in order, some at a time, for ranges that may be long. */
  scan(range: RangeOptions): AsyncIterable<readonly Row[]>
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
  /** Approximate bytes on disk. */
  size(): Promise<number>
  /** Snapshots are to be closed before. */
  close(): Promise<void>
}

export interface StoreOptions {
  /** Bytes of LevelDB's cache of blocks. */
  readonly cacheBytes: number
  /** Open only what is there already. */
  readonly mustExist?: boolean
  /** Other threads of this process open it too; the one that was first closes it last. */
  readonly shared?: boolean
}

export type OpenStore = (directory: string, options: StoreOptions, disk: Disk) => Promise<Store>
