import { setImmediate as nextTurn } from 'node:timers/promises'
import { fromLatin1, toLatin1 } from '../lib/bytes.ts'
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
    const edits = new Edits(this.#layers, range, reverse)
    const rows: RowOf<K, V>[] = []
    let work = 0
    // Of the rows that are read some may have been taken away since: then more of them are.
    for (let left: KeyRange | undefined = range; left !== undefined && rows.length < limit; ) {
      const { gte, lt }: KeyRange = left
      const wanted = limit - rows.length
      const stored = await this.#reader.rows({ gte, lt, reverse, limit: wanted })
      left = stored.length < wanted ? undefined : beyond(left, stored.at(-1)?.[0], reverse)
      for (const [key, value] of withEdits(stored, edits, left === undefined)) {
        if (++work % ROWS_PER_TURN === 0) await nextTurn()
        if (value === undefined) continue
        rows.push({ key: space.readKey(key), value: space.readValue(value) })
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

/** What layers have of a range, in the order that is read; of a row that several have, what the last of them has. */
class Edits {
  readonly #reverse: boolean
  /** Of each layer, the last first. */
  readonly #layers: Iterator<RowWrite, void>[]
  /** What comes next of each. */
  readonly #next: (RowWrite | undefined)[]

  constructor(layers: readonly PendingLayer[], { gte, lt }: KeyRange, reverse: boolean) {
    const [from, end] = [toLatin1(gte), toLatin1(lt)]
    this.#reverse = reverse
    this.#layers = layers.toReversed().map((layer) => layer.each(from, end, reverse))
    this.#next = this.#layers.map(nextOf)
  }

  /** Takes out the one that comes first, unless that is behind `last`. */
  take(last?: string): RowWrite | undefined {
    let first: RowWrite | undefined
    for (const next of this.#next) {
      if (next !== undefined && (first === undefined || this.#isBefore(next.key, first.key))) first = next
    }
    if (first === undefined || (last !== undefined && this.#isBefore(last, first.key))) return undefined
    for (const [i, layer] of this.#layers.entries()) {
      if (this.#next[i]?.key === first.key) this.#next[i] = nextOf(layer)
    }
    return first
  }

  get isEmpty(): boolean {
    return this.#next.every((next) => next === undefined)
  }

  #isBefore(key: string, other: string): boolean {
    return this.#reverse ? key > other : key < other
  }
}

function nextOf(writes: Iterator<RowWrite, void>): RowWrite | undefined {
  const { done, value } = writes.next()
  return done === true ? undefined : (value ?? undefined)
}

/** Stored rows with the edits up to the last of them, or `all`; a row that is gone has no value. */
function* withEdits(
  stored: readonly Row[],
  edits: Edits,
  all: boolean,
): Generator<readonly [key: Uint8Array, value: Uint8Array | undefined]> {
  if (edits.isEmpty) {
    yield* stored
    return
  }
  for (const row of stored) {
    const text = toLatin1(row[0])
    let replaced = false
    for (let edit = edits.take(text); edit !== undefined; edit = edits.take(text)) {
      replaced ||= edit.key === text
      yield rowOf(edit)
    }
    if (!replaced) yield row
  }
  if (!all) return
  for (let edit = edits.take(); edit !== undefined; edit = edits.take()) yield rowOf(edit)
}

function rowOf({ key, value }: RowWrite): readonly [Uint8Array, Uint8Array | undefined] {
  return [fromLatin1(key), value === undefined ? undefined : fromLatin1(value)]
}
