import { fromLatin1, toLatin1 } from '../lib/bytes.ts'
import { type AnyKeySpace, type RowWrite, rangeOf } from './layout.ts'
import { type FinishedBlock, GroupIndex, lowerBound, type OverlayBase, type RowEdit } from './overlay.ts'
import { textOf } from './row-text.ts'
import type { StoreReader } from './store.ts'

/** What a row costs in memory beyond its characters, about (strings, the edit, its place in a Map). */
const ROW_OVERHEAD = 160

/**
 * What indexes that a coin adds have written to finished blocks that are not yet in the store, merged: a row made and
 * taken away in between leaves no trace. Stands on those that a flush is writing, while one is under way, and on the
 * store.
 */
export class PendingRows implements OverlayBase {
  readonly #store: StoreReader
  readonly #merged = new Map<string, RowEdit>()
  readonly #groups: GroupIndex
  #below: PendingRows | undefined
  #layer: PendingLayer | undefined
  #bytes = 0

  constructor(spaces: readonly AnyKeySpace[], store: StoreReader, below?: PendingRows) {
    this.#groups = new GroupIndex(spaces)
    this.#store = store
    this.#below = below
  }

  /** Bytes of memory that they take, about. */
  get bytes(): number {
    return this.#bytes
  }

  add(block: FinishedBlock): void {
    for (const edit of block.redo) {
      this.#merge(edit)
      this.#bytes += ROW_OVERHEAD + edit.key.length + (edit.value?.length ?? 0)
    }
    this.#layer = undefined
  }

  /** The writes that bring the store from below the first block to above the last. */
  writes(): Iterable<RowWrite> {
    return this.#merged.values()
  }

  /** To be called once what it stands on is in the store. */
  standOnStore(): void {
    this.#below = undefined
    this.#layer = undefined
  }

  /** What views read from: all rows that are not in the store, as they are now. */
  layer(): PendingLayer {
    this.#layer ??= new PendingLayer([...(this.#below?.layer().rows ?? []), ...rowsOf(this.#merged)])
    return this.#layer
  }

  get(key: string): string | undefined {
    const edit = this.#edit(key)
    if (edit !== undefined) return edit.value
    const value = this.#store.getSync(fromLatin1(key))
    return value === undefined ? undefined : textOf(value)
  }

  async getMany(keys: readonly string[]): Promise<(string | undefined)[]> {
    const found: (string | undefined)[] = []
    const missing: { readonly at: number; readonly key: Uint8Array }[] = []
    for (const [at, key] of keys.entries()) {
      const edit = this.#edit(key)
      if (edit === undefined) missing.push({ at, key: fromLatin1(key) })
      found.push(edit?.value)
    }
    if (missing.length === 0) return found
    const values = await this.#store.getMany(missing.map(({ key }) => key))
    for (const [i, { at }] of missing.entries()) {
      const value = values[i]
      if (value !== undefined) found[at] = textOf(value)
    }
    return found
  }

  async group(space: AnyKeySpace, prefix: string): Promise<Map<string, string>> {
    // Before the store is asked: a flush may end meanwhile.
    const edits = [...(this.#below?.groupEdits(space, prefix) ?? []), ...this.groupEdits(space, prefix)]
    const stored = await this.#store.rows(rangeOf(fromLatin1(prefix)))
    const rows = new Map(stored.map(([key, value]) => [toLatin1(key), textOf(value)]))
    for (const { key, value } of edits) {
      if (value === undefined) rows.delete(key)
      else rows.set(key, value)
    }
    return rows
  }

  groupEdits(space: AnyKeySpace, prefix: string): RowWrite[] {
    return this.#groups.keys(space, prefix).flatMap((key) => this.#merged.get(key) ?? [])
  }

  #edit(key: string): RowEdit | undefined {
    return this.#merged.get(key) ?? this.#below?.ownEdit(key)
  }

  ownEdit(key: string): RowEdit | undefined {
    return this.#merged.get(key)
  }

  #merge(edit: RowEdit): void {
    const earlier = this.#merged.get(edit.key)
    if (earlier === undefined) {
      this.#merged.set(edit.key, edit)
      this.#groups.add(edit.key)
    } else if (earlier.fresh && edit.value === undefined) {
      this.#merged.delete(edit.key)
    } else {
      this.#merged.set(edit.key, { key: edit.key, value: edit.value, fresh: earlier.fresh })
    }
  }
}

function* rowsOf(merged: ReadonlyMap<string, RowEdit>): Generator<readonly [string, string | undefined]> {
  for (const [key, { value }] of merged) yield [key, value]
}

/** Rows of finished blocks on top of a snapshot, as a view sees them: never changed. */
export class PendingLayer {
  readonly rows: ReadonlyMap<string, string | undefined>
  #sorted: readonly string[] | undefined

  /** `sorted`: the keys in order, where they are many and somebody has put them so. */
  constructor(rows: Iterable<readonly [string, string | undefined]>, sorted?: readonly string[]) {
    this.rows = new Map(rows)
    this.#sorted = sorted
  }

  /** The row if these blocks wrote it: `value` undefined if they took it away. */
  get(key: string): { readonly value: string | undefined } | undefined {
    return this.rows.has(key) ? { value: this.rows.get(key) } : undefined
  }

  /** Rows written with keys from `from` on and before `end`, in the order of keys or from the last, as they are asked for. */
  *each(from: string, end: string, reverse = false): Generator<RowWrite, void, undefined> {
    const sorted = this.#inOrder()
    const first = lowerBound(sorted, from)
    const count = lowerBound(sorted, end) - first
    for (let i = 0; i < count; i++) {
      const key = sorted[reverse ? first + count - 1 - i : first + i] ?? ''
      yield { key, value: this.rows.get(key) }
    }
  }

  #inOrder(): readonly string[] {
    this.#sorted ??= [...this.rows.keys()].sort()
    return this.#sorted
  }
}
