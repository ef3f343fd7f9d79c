import { setImmediate as nextTurn } from 'node:timers/promises'
import { fromLatin1, toLatin1 } from '../lib/bytes.ts'
import { Edits, withEdits } from './edits.ts'
import { following, type KeyRange, type KeySpace, type RowWrite } from './layout.ts'
import type { PendingLayer } from './pending.ts'
import type { Row, StoreReader } from './store.ts'
import type { CoinRows, PageOptions, RowOf } from './view.ts'

/** Rows that are read out of their bytes, or passed over, before others get their turn: a millisecond or two. */
const ROWS_PER_TURN = 2_048

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

  /** Rows of a range with what the layers have of it, however much that is: others have turns between. */
  async #merged<K, V>(
    space: KeySpace<K, V>,
    range: KeyRange,
    { reverse = false, limit = Number.POSITIVE_INFINITY }: { readonly reverse?: boolean; readonly limit?: number },
  ): Promise<readonly RowOf<K, V>[]> {
    const [from, end] = [toLatin1(range.gte), toLatin1(range.lt)]
    const written = this.#layers.toReversed().map((layer) => layer.each(from, end, reverse))
    const edits = new Edits(written, reverse)
    const rows: RowOf<K, V>[] = []
    let work = 0
    // Of the rows that are read some may have been taken away since: then more of them are.
    for (let left: KeyRange | undefined = range; left !== undefined && rows.length < limit; ) {
      const { gte, lt }: KeyRange = left
      const wanted = limit - rows.length
      const stored = await this.#reader.rows({ gte, lt, reverse, limit: wanted })
      left = stored.length < wanted ? undefined : beyond(left, stored.at(-1)?.[0], reverse)
      for (const row of withEdits(stored, edits, left === undefined, STORED)) {
        if (++work % ROWS_PER_TURN === 0) await nextTurn()
        if (row === undefined) continue
        rows.push({ key: space.readKey(row[0]), value: space.readValue(row[1]) })
        if (rows.length === limit) break
      }
    }
    return rows
  }
}

/** The rest of a range behind a key that was read, in the direction that is read. */
function beyond({ gte, lt }: KeyRange, key: Uint8Array | undefined, reverse: boolean): KeyRange | undefined {
  if (key === undefined) return undefined
  return reverse ? { gte, lt: key } : { gte: following(key), lt }
}

const STORED = {
  keyOf: ([key]: Row): string => toLatin1(key),
  rowOf: ({ key, value }: RowWrite): Row | undefined =>
    value === undefined ? undefined : [fromLatin1(key), fromLatin1(value)],
}
