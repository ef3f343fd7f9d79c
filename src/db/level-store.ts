import { ClassicLevel, type Snapshot } from 'classic-level'
import { InvariantError } from '../errors.ts'
import { type Disk, storageErrorOf } from './disk.ts'
import type { KeyRange } from './layout.ts'
import type { RangeOptions, Row, Store, StoreBatch, StoreOptions, StoreReader, StoreSnapshot } from './store.ts'

const EVERYTHING: KeyRange = { gte: new Uint8Array(0), lt: new Uint8Array(64).fill(0xff) }

type Level = ClassicLevel<Uint8Array, Uint8Array>

/** Larger write buffers miss the processor's caches in their skip list, smaller ones are compacted more often. */
const WRITE_BUFFER_BYTES = 16 << 20
const FILE_BYTES = 16 << 20
/** Twice what LevelDB does by itself: 3 % less disk for 10 % longer reads of single rows (measured, not worth more). */
const BLOCK_BYTES = 8192
const BLOCK_RESTARTS = 32
/** Rows fetched at a time while scanning. */
const SCAN_ROWS = 1000

/** Opens or makes the LevelDB in `directory`. Throws StorageError: 'locked', 'corrupt', 'io' and so on. */
export async function openLevelStore(directory: string, options: StoreOptions, disk: Disk): Promise<Store> {
  const level: Level = new ClassicLevel(directory, {
    keyEncoding: 'view',
    valueEncoding: 'view',
    cacheSize: options.cacheBytes,
    writeBufferSize: WRITE_BUFFER_BYTES,
    maxFileSize: FILE_BYTES,
    blockSize: BLOCK_BYTES,
    blockRestartInterval: BLOCK_RESTARTS,
    createIfMissing: options.mustExist !== true,
    multithreading: options.shared === true,
  })
  try {
    await level.open()
  } catch (error) {
    throw storageErrorOf(error, `open ${directory}`)
  }
  return new LevelStore(level, disk)
}

class LevelReader implements StoreReader {
  readonly #level: Level
  readonly #options: { readonly snapshot?: Snapshot }

  constructor(level: Level, snapshot?: Snapshot) {
    this.#level = level
    this.#options = snapshot === undefined ? {} : { snapshot }
  }

  getSync(key: Uint8Array): Uint8Array | undefined {
    return attempt(() => plain(this.#level.getSync(key, this.#options)))
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    if (keys.length === 0) return []
    try {
      const values = await this.#level.getMany([...keys], this.#options)
      return values.map(plain)
    } catch (error) {
      throw storageErrorOf(error, 'read')
    }
  }

  async rows(range: RangeOptions): Promise<Row[]> {
    try {
      const found = await this.#level.iterator({ ...range, ...this.#options }).all()
      return found.map(plainRow)
    } catch (error) {
      throw storageErrorOf(error, 'read')
    }
  }

  async *scan(range: RangeOptions): AsyncGenerator<readonly Row[]> {
    const iterator = attempt(() => this.#level.iterator({ ...range, ...this.#options }))
    try {
      for (;;) {
        const found = await iterator.nextv(SCAN_ROWS)
        if (found.length === 0) return
        yield found.map(plainRow)
      }
    } catch (error) {
      throw storageErrorOf(error, 'read')
    } finally {
      await iterator.close()
    }
  }
}

class LevelSnapshot extends LevelReader implements StoreSnapshot {
  readonly #snapshot: Snapshot

  constructor(level: Level, snapshot: Snapshot) {
    super(level, snapshot)
    this.#snapshot = snapshot
  }

  close(): Promise<void> {
    return this.#snapshot.close()
  }
}

class LevelStore extends LevelReader implements Store {
  readonly #level: Level
  readonly #disk: Disk

  constructor(level: Level, disk: Disk) {
    super(level)
    this.#level = level
    this.#disk = disk
  }

  snapshot(): StoreSnapshot {
    return new LevelSnapshot(this.#level, this.#level.snapshot())
  }

  /** A chained batch: one made of an array needs an object for every row. */
  batch(): StoreBatch {
    const batch = this.#level.batch()
    let spent = false
    const spend = (): void => {
      if (spent) throw new InvariantError('a batch is written or discarded once')
      spent = true
    }
    return {
      put: (key, value) => void batch.put(key, value),
      del: (key) => void batch.del(key),
      write: async () => {
        spend()
        try {
          await this.#disk.commit(() => batch.write({ sync: true }))
        } catch (error) {
          throw storageErrorOf(error, 'write')
        }
      },
      discard: async () => {
        spend()
        await batch.close()
      },
    }
  }

  async size({ gte, lt } = EVERYTHING): Promise<number> {
    try {
      return await this.#level.approximateSize(gte, lt)
    } catch (error) {
      throw storageErrorOf(error, 'read')
    }
  }

  async compact({ gte, lt }: KeyRange): Promise<void> {
    try {
      await this.#level.compactRange(gte, lt)
    } catch (error) {
      throw storageErrorOf(error, 'compact')
    }
  }

  async close(): Promise<void> {
    try {
      await this.#level.close()
    } catch (error) {
      throw storageErrorOf(error, 'close')
    }
  }
}

/** classic-level gives Buffers; slices of those would share memory where slices of a Uint8Array do not. */
function plain(bytes: Uint8Array | undefined): Uint8Array | undefined {
  return bytes === undefined ? undefined : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function plainRow([key, value]: readonly [Uint8Array, Uint8Array]): Row {
  return [
    new Uint8Array(key.buffer, key.byteOffset, key.byteLength),
    new Uint8Array(value.buffer, value.byteOffset, value.byteLength),
  ]
}

function attempt<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw storageErrorOf(error, 'read')
  }
}
