import type { KeySpace } from '../db/layout.ts'
import type { StoreReader } from '../db/store.ts'
import type { CoinRows, PageOptions, RowOf } from '../db/view.ts'

export type { RowOf } from '../db/view.ts'

/** Rows by key spaces, as a block or a question sees them. The overlay of a block is one. */
export interface RowSource {
  get<K, V>(space: KeySpace<K, V>, key: K): V | undefined
  /** Rows whose keys go on with `start` (without the prefix), in the order of keys. */
  rows<K, V>(space: KeySpace<K, V>, start: Uint8Array): Promise<readonly RowOf<K, V>[]>
}

/** Rows that transactions write: the overlay of a block, the mempool, or what is only tried out. */
export interface EditableRows extends RowSource {
  put<K, V>(space: KeySpace<K, V>, key: K, value: V): void
  remove<K, V>(space: KeySpace<K, V>, key: K): void
}

/** Rows that questions are answered from: they ask for pages too. */
export interface PagedRows extends RowSource {
  /** The first or last so many rows whose keys go on with `start` (without the prefix). */
  page<K, V>(space: KeySpace<K, V>, start: Uint8Array, options: PageOptions): Promise<readonly RowOf<K, V>[]>
}

/** Rows of a view, or of a height that it can go back to. Every read is told to `onRead` before it is made, with the rows that it may have. */
export class ViewRows implements PagedRows {
  readonly #view: CoinRows
  readonly #onRead: (rows: number) => void

  constructor(view: CoinRows, onRead: (rows: number) => void = () => {}) {
    this.#view = view
    this.#onRead = onRead
  }

  get<K, V>(space: KeySpace<K, V>, key: K): V | undefined {
    this.#onRead(1)
    return this.#view.row(space, key)
  }

  async rows<K, V>(space: KeySpace<K, V>, start: Uint8Array): Promise<readonly RowOf<K, V>[]> {
    const rows = await this.#view.rows(space, start)
    this.#onRead(1 + rows.length)
    return rows
  }

  async page<K, V>(space: KeySpace<K, V>, start: Uint8Array, options: PageOptions): Promise<readonly RowOf<K, V>[]> {
    const rows = await this.#view.page(space, start, options)
    this.#onRead(1 + rows.length)
    return rows
  }
}

/** Rows of a store or a snapshot, as far as they are flushed. */
export class StoredRows implements PagedRows {
  readonly #reader: StoreReader

  constructor(reader: StoreReader) {
    this.#reader = reader
  }

  get<K, V>(space: KeySpace<K, V>, key: K): V | undefined {
    const value = this.#reader.getSync(space.keyBytes(key))
    return value === undefined ? undefined : space.readValue(value)
  }

  async rows<K, V>(space: KeySpace<K, V>, start: Uint8Array): Promise<readonly RowOf<K, V>[]> {
    const rows = await this.#reader.rows(space.range(start))
    return rows.map(([key, value]) => ({ key: space.readKey(key), value: space.readValue(value) }))
  }

  async page<K, V>(
    space: KeySpace<K, V>,
    start: Uint8Array,
    { beyond, reverse = false, limit }: PageOptions,
  ): Promise<readonly RowOf<K, V>[]> {
    const range = space.rangeBeyond(start, beyond, reverse ? 'below' : 'above')
    const rows = await this.#reader.rows({ gte: range.gte, lt: range.lt, reverse, limit })
    return rows.map(([key, value]) => ({ key: space.readKey(key), value: space.readValue(value) }))
  }
}
