import { setImmediate as nextTurn } from 'node:timers/promises'
import { ClassicLevel, type Iterator, type Snapshot } from 'classic-level'
import { InvariantError } from '../errors.ts'
import { Bursts } from './bursts.ts'
import { type Disk, storageErrorOf } from './disk.ts'
import { following, type KeyRange } from './layout.ts'
import { ReadPace } from './pace.ts'
import type { RangeOptions, Row, Store, StoreBatch, StoreOptions, StoreReader, StoreSnapshot } from './store.ts'

const EVERYTHING: KeyRange = { gte: new Uint8Array(0), lt: new Uint8Array(64).fill(0xff) }

/** Before every key: compacting what is there touches no table, and makes one of what the log holds. */
const NOWHERE = Uint8Array.of(0)

type Level = ClassicLevel<Uint8Array, Uint8Array>
type LevelIterator = Iterator<Level, Uint8Array, Uint8Array>

/** Larger write buffers miss the processor's caches in their skip list, smaller ones are compacted more often. */
const WRITE_BUFFER_BYTES = 16 << 20
/** With 128 MiB the bench's sync takes 8 % longer, and on top of 7 GB a fifth more is compacted (OPERATIONS.md). */
const TABLE_BYTES = 16 << 20
/**
 * Tables that stay open. LevelDB maps 1000 into memory and closes their descriptors; of each further one it keeps a
 * descriptor and a copy of the filter that is a sixteenth of the table. What does not stay open is opened, and its index
 * unpacked, for each look-up; either 992 tables hold the index, or they had better be small (measured: OPERATIONS.md).
 */
const OPEN_FILES = 1000
/**
 * A read of a row unpacks a block of each level. Of the index of the bench's chain in one level 20,000 rows that nobody
 * has asked for yet take 4.1 µs each, 6.7 µs with blocks of 8 KiB and 3.2 µs with 2 KiB; the disk 87, 84 and 90 MB.
 */
const BLOCK_BYTES = 4096
const BLOCK_RESTARTS = 16
/** Rows fetched at a time while scanning. */
const SCAN_ROWS = 1000
/**
 * Rows of a range that are fetched at first, and then by the same iterator. Most ranges have one or two, and one more tells
 * that there are no others: to ask again costs some 25 µs, to make a row that is not wanted 2 (two buffers and an array).
 */
const FEW_ROWS = [3, 6] as const
/**
 * Iterators of a snapshot that wait for the next question. Each pins a block or two of the store. Fifty wallets
 * that subscribe five scripts each use 250 at once, and a new iterator costs more than what it is made for.
 */
const MOST_IDLE = 1024
/** Iterators closed between two turns: each takes some 20 µs, and a new block does away with all of them. */
const CLOSED_PER_TURN = 16
/**
 * Encodings that are meant anyway: otherwise each call copies its options to add them. In Node 20 that costs more than a read
 * from memory (getSync: 4.8 µs without, 1.6 µs with them): see "Objects that are copied" in ARCHITECTURE.md.
 */
const SEEK = { keyEncoding: 'view' } as const
const READ = { keyEncoding: 'view', valueEncoding: 'view' } as const

/** Opens or makes the LevelDB in `directory`. Throws StorageError: 'locked', 'corrupt', 'io' and so on. */
export async function openLevelStore(directory: string, options: StoreOptions, disk: Disk): Promise<Store> {
  const level: Level = new ClassicLevel(directory, {
    keyEncoding: 'view',
    valueEncoding: 'view',
    cacheSize: options.cacheBytes,
    writeBufferSize: WRITE_BUFFER_BYTES,
    maxFileSize: options.tableBytes ?? TABLE_BYTES,
    maxOpenFiles: OPEN_FILES,
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
  readonly #options: typeof READ & { readonly snapshot?: Snapshot }

  constructor(level: Level, snapshot?: Snapshot) {
    this.#level = level
    this.#options = snapshot === undefined ? READ : { snapshot, ...READ }
  }

  getSync(key: Uint8Array): Uint8Array | undefined {
    return attempt(() => plain(this.#level.getSync(key, this.#options)))
  }

  get(key: Uint8Array): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    return this.#getAside(key)
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
      const found = await this.#level.iterator(this.#over(range)).all()
      return found.map(plainRow)
    } catch (error) {
      throw storageErrorOf(error, 'read')
    }
  }

  async each(range: RangeOptions, use: (key: Uint8Array, value: Uint8Array) => void): Promise<void> {
    for await (const rows of this.scan(range)) for (const [key, value] of rows) use(key, value)
  }

  async *scanKeys(range: RangeOptions): AsyncGenerator<readonly Uint8Array[]> {
    const keys = attempt(() => this.#level.keys(this.#over(range)))
    try {
      for (;;) {
        const found = await keys.nextv(SCAN_ROWS)
        if (found.length === 0) return
        yield found.map(plainBytes)
      }
    } catch (error) {
      throw storageErrorOf(error, 'read')
    } finally {
      await keys.close()
    }
  }

  async *scan(range: RangeOptions): AsyncGenerator<readonly Row[]> {
    const iterator = attempt(() => this.#level.iterator(this.#over(range)))
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

  async #getAside(key: Uint8Array): Promise<Uint8Array | undefined> {
    const [value] = await this.getMany([key])
    return value
  }

  #over({ gte, lt, reverse = false, limit = Number.POSITIVE_INFINITY }: RangeOptions) {
    return { gte, lt, reverse, limit, ...this.#options }
  }
}

/**
 * Most ranges that wallets ask for have a few rows. An iterator costs as much to make and to close as those do to read: so
 * here they are used again, for whatever range. Finding the place blocks (4 µs from memory), which ReadPace watches.
 */
class LevelSnapshot extends LevelReader implements StoreSnapshot {
  readonly #level: Level
  readonly #snapshot: Snapshot
  readonly #pace: ReadPace
  readonly #idle: LevelIterator[] = []
  readonly #bursts: Bursts
  #closed = false

  constructor(level: Level, snapshot: Snapshot, pace: ReadPace, bursts: Bursts) {
    super(level, snapshot)
    this.#level = level
    this.#snapshot = snapshot
    this.#pace = pace
    this.#bursts = bursts
  }

  override get(key: Uint8Array): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    return this.#pace.mayBlock ? this.#pace.blocking(() => this.getSync(key)) : super.get(key)
  }

  override async rows(range: RangeOptions): Promise<Row[]> {
    const first = await this.#firstRows(range)
    if (first.next === undefined) return first.rows
    const rest = await super.rows(first.next)
    return first.rows.length === 0 ? rest : [...first.rows, ...rest]
  }

  override async *scan(range: RangeOptions): AsyncGenerator<readonly Row[]> {
    const { rows, next } = await this.#firstRows(range)
    if (rows.length > 0) yield rows
    if (next !== undefined) yield* super.scan(next)
  }

  override async each(range: RangeOptions, use: (key: Uint8Array, value: Uint8Array) => void): Promise<void> {
    const { rows, next } = await this.#firstRows(range)
    for (const [key, value] of rows) use(key, value)
    if (next === undefined) return
    for await (const more of super.scan(next)) for (const [key, value] of more) use(key, value)
  }

  async close(): Promise<void> {
    this.#closed = true
    while (this.#idle.length > 0) {
      await Promise.all(this.#idle.splice(0, CLOSED_PER_TURN).map((iterator) => iterator.close()))
      await nextTurn()
    }
    await this.#snapshot.close()
  }

  /** A few rows, and the range of the others if there may be any. */
  async #firstRows(range: RangeOptions): Promise<{ readonly rows: Row[]; readonly next?: RangeOptions }> {
    const limit = range.limit ?? Number.POSITIVE_INFINITY
    if (range.reverse === true || this.#closed || limit <= 0 || !this.#pace.mayBlock) return { rows: [], next: range }
    let iterator: LevelIterator | undefined
    try {
      const used = (iterator = this.#idle.pop() ?? this.#level.iterator({ snapshot: this.#snapshot }))
      this.#pace.blocking(() => used.seek(range.gte, SEEK))
      await this.#bursts.next()
      const rows: Row[] = []
      const isAll = await readFew(used, { range, limit }, rows)
      this.#giveBack(used)
      const last = rows.at(-1)
      if (isAll || last === undefined) return { rows }
      return {
        rows,
        next: {
          ...range,
          gte: following(last[0]),
          ...(range.limit === undefined ? {} : { limit: limit - rows.length }),
        },
      }
    } catch (error) {
      await iterator?.close()
      throw storageErrorOf(error, 'read')
    }
  }

  #giveBack(iterator: LevelIterator): void {
    if (this.#closed || this.#idle.length >= MOST_IDLE) void iterator.close()
    else this.#idle.push(iterator)
  }
}

/** Adds the first few rows of a range to `rows`; true if there are no more of them. */
async function readFew(
  iterator: LevelIterator,
  { range, limit }: { readonly range: KeyRange; readonly limit: number },
  rows: Row[],
): Promise<boolean> {
  for (const few of FEW_ROWS) {
    const found = await iterator.nextv(Math.min(few, limit - rows.length))
    for (const row of found) {
      if (Buffer.compare(row[0], range.lt) >= 0) return true
      rows.push(plainRow(row))
    }
    // Fewer than asked for does not mean that there are no more: LevelDB's thread stops at 16 KiB too.
    if (found.length === 0 || rows.length >= limit) return true
  }
  return false
}

class LevelStore extends LevelReader implements Store {
  readonly #level: Level
  readonly #disk: Disk
  readonly #pace = new ReadPace()
  readonly #bursts = new Bursts()

  constructor(level: Level, disk: Disk) {
    super(level)
    this.#level = level
    this.#disk = disk
  }

  snapshot(): StoreSnapshot {
    return new LevelSnapshot(this.#level, this.#level.snapshot(), this.#pace, this.#bursts)
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

  async settle(): Promise<void> {
    try {
      await this.#level.compactRange(NOWHERE, NOWHERE)
    } catch (error) {
      throw storageErrorOf(error, 'write')
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
  return bytes === undefined ? undefined : plainBytes(bytes)
}

function plainBytes({ buffer, byteOffset, byteLength }: Uint8Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength)
}

function plainRow([key, value]: readonly [Uint8Array, Uint8Array]): Row {
  return [plainBytes(key), plainBytes(value)]
}

function attempt<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw storageErrorOf(error, 'read')
  }
}
