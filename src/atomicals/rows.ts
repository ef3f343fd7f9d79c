import type { KeySpace } from '../db/layout.ts'
import type { StoreReader } from '../db/store.ts'
import type { ChainView } from '../db/view.ts'

export interface RowOf<K, V> {
  readonly key: K
  readonly value: V
}

/** Rows by key spaces, as a block or a question sees them. The overlay of a block is one. */
export interface RowSource {
  get<K, V>(space: KeySpace<K, V>, key: K): V | undefined
  /** Rows whose keys go on with `start` (without the prefix), in the order of keys. */
  rows<K, V>(space: KeySpace<K, V>, start: Uint8Array): Promise<readonly RowOf<K, V>[]>
}

/** Rows as a view has them: those of its tip, whatever is flushed. */
export class ViewRows implements RowSource {
  readonly #view: ChainView

  constructor(view: ChainView) {
    this.#view = view
  }

  get<K, V>(space: KeySpace<K, V>, key: K): V | undefined {
    return this.#view.row(space, key)
  }

  rows<K, V>(space: KeySpace<K, V>, start: Uint8Array): Promise<readonly RowOf<K, V>[]> {
    return this.#view.rows(space, start)
  }
}

/** Rows of a store or a snapshot, as far as they are flushed. */
export class StoredRows implements RowSource {
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
}
