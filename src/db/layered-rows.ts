import { fromLatin1, toLatin1 } from '../lib/bytes.ts'
import type { KeyRange, KeySpace } from './layout.ts'
import type { PendingLayer } from './pending.ts'
import type { StoreReader } from './store.ts'
import type { CoinRows, PageOptions, RowOf } from './view.ts'

/** Rows of a snapshot with what was written on top of them since, or taken back. */
export class LayeredRows implements CoinRows {
  readonly #reader: StoreReader
  /** The last wins. */
  readonly #layers: readonly PendingLayer[]

  constructor(reader: StoreReader, layers: readonly PendingLayer[]) {
    this.#reader = reader
    this.#layers = layers
  }

  row<K, V>(space: KeySpace<K, V>, key: K): V | undefined {
    const text = space.keyText(key)
    for (let i = this.#layers.length - 1; i >= 0; i--) {
      const written = this.#layers[i]?.get(text)
      if (written !== undefined) return written.value === undefined ? undefined : space.readValueText(written.value)
    }
    const value = this.#reader.getSync(space.keyBytes(key))
    return value === undefined ? undefined : space.readValue(value)
  }

  rows<K, V>(space: KeySpace<K, V>, start: Uint8Array): Promise<readonly RowOf<K, V>[]> {
    return this.#merged(space, space.range(start), {})
  }

  page<K, V>(
    space: KeySpace<K, V>,
    start: Uint8Array,
    { beyond, reverse = false, limit }: PageOptions,
  ): Promise<readonly RowOf<K, V>[]> {
    const range = space.rangeBeyond(start, beyond, reverse ? 'below' : 'above')
    return this.#merged(space, range, { reverse, limit })
  }

  async #merged<K, V>(
    space: KeySpace<K, V>,
    { gte, lt }: KeyRange,
    { reverse = false, limit }: { readonly reverse?: boolean; readonly limit?: number },
  ): Promise<readonly RowOf<K, V>[]> {
    const [from, end] = [toLatin1(gte), toLatin1(lt)]
    const written = this.#layers.flatMap((layer) => layer.between(from, end))
    // Of the stored rows, at most those that were taken away since are not in the answer.
    const taken = written.filter(({ value }) => value === undefined).length
    const bound = limit === undefined ? {} : { limit: limit + taken }
    const stored = await this.#reader.rows({ gte, lt, reverse, ...bound })
    if (written.length === 0) {
      return stored.map(([key, value]) => ({ key: space.readKey(key), value: space.readValue(value) }))
    }
    const rows = new Map(stored.map((row) => [toLatin1(row[0]), row[1]]))
    for (const { key, value } of written) {
      if (value === undefined) rows.delete(key)
      else rows.set(key, fromLatin1(value))
    }
    const up = reverse ? -1 : 1
    const sorted = [...rows].sort(([a], [b]) => (a < b ? -up : up))
    return sorted
      .slice(0, limit)
      .map(([key, value]) => ({ key: space.readKey(fromLatin1(key)), value: space.readValue(value) }))
  }
}
