import { InvariantError } from '../errors.ts'
import { copyOf, fromLatin1, toLatin1 } from '../lib/bytes.ts'
import type { Disk } from './disk.ts'
import { storageErrorOf } from './disk.ts'
import type { KeyRange } from './layout.ts'
import type { RangeOptions, Row, Store, StoreBatch, StoreReader, StoreSnapshot } from './store.ts'

/** Rows at one moment; never changed once it is shared, so a snapshot costs nothing. */
interface Rows {
  readonly values: Map<string, Uint8Array>
  sorted: readonly string[] | undefined
}

const SCAN_ROWS = 100

class MemoryReader implements StoreReader {
  protected rowsNow: Rows
  protected open = true

  constructor(rows: Rows) {
    this.rowsNow = rows
  }

  getSync(key: Uint8Array): Uint8Array | undefined {
    this.checkOpen()
    const value = this.rowsNow.values.get(toLatin1(key))
    return value === undefined ? undefined : copyOf(value)
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.getSync(key)
  }

  getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return Promise.resolve().then(() => keys.map((key) => this.getSync(key)))
  }

  rows(range: RangeOptions): Promise<Row[]> {
    return Promise.resolve().then(() => this.#select(range))
  }

  async *scan(range: RangeOptions): AsyncGenerator<readonly Row[]> {
    const all = await this.rows(range)
    for (let start = 0; start < all.length; start += SCAN_ROWS) yield all.slice(start, start + SCAN_ROWS)
  }

  async *scanKeys(range: RangeOptions): AsyncGenerator<readonly Uint8Array[]> {
    for await (const rows of this.scan(range)) yield rows.map(([key]) => key)
  }

  async each(range: RangeOptions, use: (key: Uint8Array, value: Uint8Array) => void): Promise<void> {
    for (const [key, value] of await this.rows(range)) use(key, value)
  }

  protected checkOpen(): void {
    if (!this.open) throw storageErrorOf(new Error('not open'), 'read')
  }

  #select({ gte, lt, reverse, limit }: RangeOptions): Row[] {
    this.checkOpen()
    const { values } = this.rowsNow
    this.rowsNow.sorted ??= [...values.keys()].sort()
    const [from, to] = [toLatin1(gte), toLatin1(lt)]
    const keys = this.rowsNow.sorted.filter((key) => key >= from && key < to)
    if (reverse === true) keys.reverse()
    return keys.slice(0, limit).map((key) => [fromLatin1(key), copyOf(values.get(key) ?? new Uint8Array(0))])
  }
}

class MemorySnapshot extends MemoryReader implements StoreSnapshot {
  close(): Promise<void> {
    this.open = false
    return Promise.resolve()
  }
}

/** A store that forgets: the same contract without a disk, for tests and for trying things out. */
export class MemoryStore extends MemoryReader implements Store {
  readonly #disk: Disk

  constructor(disk: Disk) {
    super({ values: new Map(), sorted: undefined })
    this.#disk = disk
  }

  snapshot(): StoreSnapshot {
    this.checkOpen()
    return new MemorySnapshot(this.rowsNow)
  }

  batch(): StoreBatch {
    this.checkOpen()
    const writes: (readonly [string, Uint8Array | undefined])[] = []
    let spent = false
    const spend = (): void => {
      if (spent) throw new InvariantError('a batch is written or discarded once')
      spent = true
    }
    return {
      put: (key, value) => void writes.push([toLatin1(key), copyOf(value)]),
      del: (key) => void writes.push([toLatin1(key), undefined]),
      write: async () => {
        spend()
        try {
          await this.#disk.commit(() => this.#apply(writes))
        } catch (error) {
          throw storageErrorOf(error, 'write')
        }
      },
      discard: () => {
        spend()
        return Promise.resolve()
      },
    }
  }

  size(range?: KeyRange): Promise<number> {
    let sum = 0
    const [from, to] = range === undefined ? ['', undefined] : [toLatin1(range.gte), toLatin1(range.lt)]
    for (const [key, value] of this.rowsNow.values) {
      if (key >= from && (to === undefined || key < to)) sum += key.length + value.length
    }
    return Promise.resolve(sum)
  }

  /** Nothing is left of rows that are gone. */
  settle(): Promise<void> {
    return Promise.resolve()
  }

  compact(_range: KeyRange): Promise<void> {
    return Promise.resolve()
  }

  close(): Promise<void> {
    this.open = false
    return Promise.resolve()
  }

  async #apply(writes: readonly (readonly [string, Uint8Array | undefined])[]): Promise<void> {
    this.checkOpen()
    const values = new Map(this.rowsNow.values)
    for (const [key, value] of writes) {
      if (value === undefined) values.delete(key)
      else values.set(key, value)
    }
    this.rowsNow = { values, sorted: undefined }
    await Promise.resolve()
  }
}
