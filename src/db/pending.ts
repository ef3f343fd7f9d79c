import { fromLatin1, toLatin1 } from '../lib/bytes.ts'
import { hashXOfKey, isHistoryKey, KeyWriter, lastOfHistory } from './keys.ts'
import { type AnyKeySpace, type RowWrite, rangeOf } from './layout.ts'
import { type FinishedBlock, GroupIndex, type OverlayBase, type RowEdit } from './overlay.ts'
import { textOf } from './row-text.ts'
import type { StoreReader } from './store.ts'

/** What a row costs in memory beyond its characters, about (strings, the edit, its place in a Map). */
const ROW_OVERHEAD = 160

/** History of one script over several blocks, to be one row. */
interface PackedHistory {
  readonly first: number
  last: number
  /** Value of the row so far. */
  deltas: string
}

/**
 * Finished blocks that are not yet in the store, merged: a row made and taken away in between leaves no trace, and the
 * history of a script is one row for all blocks that will never be taken back.
 */
export class PendingBlocks implements OverlayBase {
  readonly #store: StoreReader
  readonly #merged = new Map<string, RowEdit>()
  readonly #history = new Map<string, PackedHistory>()
  readonly #groups: GroupIndex
  readonly #keys = new KeyWriter()
  #blocks: FinishedBlock[] = []
  #layer: PendingLayer | undefined
  #bytes = 0

  constructor(spaces: readonly AnyKeySpace[], store: StoreReader) {
    this.#groups = new GroupIndex(spaces)
    this.#store = store
  }

  get blocks(): readonly FinishedBlock[] {
    return this.#blocks
  }

  /** Bytes of memory that they take, about. */
  get bytes(): number {
    return this.#bytes
  }

  add(block: FinishedBlock): void {
    const packs = block.undo === undefined
    for (const edit of block.redo) {
      if (packs && edit.value !== undefined && isHistoryKey(edit.key)) this.#pack(edit.key, edit.value)
      else this.#merge(edit)
      this.#bytes += ROW_OVERHEAD + edit.key.length + (edit.value?.length ?? 0)
    }
    for (const write of block.undo ?? []) this.#bytes += ROW_OVERHEAD / 2 + (write.value?.length ?? 0)
    this.#bytes += block.txids.length
    this.#blocks.push(block)
    this.#layer = undefined
  }

  clear(): void {
    this.#merged.clear()
    this.#history.clear()
    this.#groups.clear()
    this.#blocks = []
    this.#layer = undefined
    this.#bytes = 0
  }

  /** The writes that bring the store from the base of the first block to the tip of the last. */
  *writes(): Generator<RowWrite> {
    yield* this.#merged.values()
    for (const [hashX, row] of this.#history) {
      yield { key: this.#keys.history(hashX, row.first), value: row.deltas }
    }
  }

  /** What views read from: these blocks as they are now. */
  layer(): PendingLayer {
    this.#layer ??= new PendingLayer([...this.#blocks])
    return this.#layer
  }

  get(key: string): string | undefined {
    const edit = this.#merged.get(key)
    if (edit !== undefined) return edit.value
    const value = this.#store.getSync(fromLatin1(key))
    return value === undefined ? undefined : textOf(value)
  }

  async getMany(keys: readonly string[]): Promise<(string | undefined)[]> {
    const found: (string | undefined)[] = []
    const missing: { readonly at: number; readonly key: Uint8Array }[] = []
    for (const [at, key] of keys.entries()) {
      const edit = this.#merged.get(key)
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
    const own = this.#groups.keys(space, prefix)
    const start = fromLatin1(prefix)
    const stored = await this.#store.rows(rangeOf(start))
    const rows = new Map(stored.map(([key, value]) => [toLatin1(key), textOf(value)]))
    for (const key of own) {
      const edit = this.#merged.get(key)
      if (edit === undefined) continue
      if (edit.value === undefined) rows.delete(key)
      else rows.set(key, edit.value)
    }
    return rows
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

  #pack(key: string, deltas: string): void {
    const hashX = hashXOfKey(key)
    const { first, last } = lastOfHistory(key, deltas)
    const row = this.#history.get(hashX)
    if (row === undefined) {
      this.#history.set(hashX, { first, last, deltas })
    } else {
      row.deltas += this.#keys.varint(first - row.last) + deltas
      row.last = last
    }
  }
}

/** Finished blocks on top of a snapshot, as a view sees them: never changed. Made ready at the first question. */
export class PendingLayer {
  readonly blocks: readonly FinishedBlock[]
  #rows: Map<string, string | undefined> | undefined
  #sorted: string[] | undefined

  constructor(blocks: readonly FinishedBlock[]) {
    this.blocks = blocks
  }

  get isEmpty(): boolean {
    return this.blocks.length === 0
  }

  /** The row if these blocks wrote it: `value` undefined if they took it away. */
  get(key: string): { readonly value: string | undefined } | undefined {
    if (this.isEmpty) return undefined
    const rows = this.#all()
    return rows.has(key) ? { value: rows.get(key) } : undefined
  }

  /** Rows written whose keys begin with `prefix`, in the order of keys. */
  range(prefix: string): { readonly key: string; readonly value: string | undefined }[] {
    if (this.isEmpty) return []
    const rows = this.#all()
    this.#sorted ??= [...rows.keys()].sort()
    const found: { key: string; value: string | undefined }[] = []
    for (let at = lowerBound(this.#sorted, prefix); at < this.#sorted.length; at++) {
      const key = this.#sorted[at]
      if (key === undefined || !key.startsWith(prefix)) break
      found.push({ key, value: rows.get(key) })
    }
    return found
  }

  #all(): Map<string, string | undefined> {
    if (this.#rows === undefined) {
      this.#rows = new Map()
      for (const block of this.blocks) for (const { key, value } of block.redo) this.#rows.set(key, value)
    }
    return this.#rows
  }
}

function lowerBound(sorted: readonly string[], key: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle] ?? '') < key) low = middle + 1
    else high = middle
  }
  return low
}
