import { InvariantError } from '../errors.ts'
import { fromLatin1, toLatin1 } from '../lib/bytes.ts'
import type { AnyKeySpace, KeySpace, RowWrite } from './layout.ts'
import type { Tip } from './view.ts'

/** A row as a block leaves it. */
export interface RowEdit extends RowWrite {
  /** True if there was certainly no such row below this block. */
  readonly fresh: boolean
}

/** All that a block writes besides the indexes that every coin has. */
export interface FinishedBlock {
  readonly redo: readonly RowEdit[]
  /** Writes that lead back to what was before; undefined if the block is too deep to be taken back. */
  readonly undo: readonly RowWrite[] | undefined
}

/** What stands below the block that an overlay is for: the store, and finished blocks on top of it. */
export interface OverlayBase {
  get(key: string): string | undefined
  getMany(keys: readonly string[]): Promise<(string | undefined)[]>
  /** Rows of a group (see KeySpace.groupSize) whose keys begin with `prefix`, by key. */
  group(space: AnyKeySpace, prefix: string): Promise<Map<string, string>>
}

interface Edit {
  readonly key: string
  value: string | undefined
  /** What was there before the block; only right where `known`. */
  readonly before: string | undefined
  readonly known: boolean
  readonly fresh: boolean
}

/** Where `key` stands, or would stand, among sorted ones. */
export function lowerBound(sorted: readonly string[], key: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle] ?? '') < key) low = middle + 1
    else high = middle
  }
  return low
}

/** Keys by group, for the key spaces that ask for it. */
export class GroupIndex {
  readonly #sizes: ReadonlyMap<number, number>
  /** In order, so that thousands of names below one parent do not make each of them slow to find. */
  readonly #groups = new Map<string, string[]>()

  constructor(spaces: readonly AnyKeySpace[]) {
    this.#sizes = new Map(spaces.filter((space) => space.groupSize > 0).map((space) => [space.prefix, space.groupSize]))
  }

  add(key: string): void {
    if (this.#sizes.size === 0) return
    const size = this.#sizes.get(key.charCodeAt(0))
    if (size === undefined) return
    const name = key.slice(0, size)
    const group = this.#groups.get(name)
    if (group === undefined) {
      this.#groups.set(name, [key])
      return
    }
    const at = lowerBound(group, key)
    if (group[at] !== key) group.splice(at, 0, key)
  }

  /** Keys that begin with `prefix`, in order. */
  keys(space: AnyKeySpace, prefix: string): string[] {
    if (space.groupSize === 0 || prefix.length < space.groupSize) {
      throw new InvariantError(
        `rows of ${space.name} are not asked for by ${prefix.length} bytes while blocks are open`,
      )
    }
    const group = this.#groups.get(prefix.slice(0, space.groupSize))
    if (group === undefined) return []
    const start = lowerBound(group, prefix)
    let end = start
    while (group[end]?.startsWith(prefix) === true) end += 1
    return group.slice(start, end)
  }

  clear(): void {
    this.#groups.clear()
  }
}

/**
 * The write set of one block, and the only way to write for indexes that a coin adds. Reads see the block's own writes, then what is below. Every
 * write notes what was there before, so taking the block back is nobody's work. One overlay serves one block.
 */
export class BlockOverlay {
  readonly #below: OverlayBase
  readonly #base: Tip
  readonly #recordsUndo: boolean
  readonly #edits = new Map<string, Edit>()
  readonly #groups: GroupIndex
  /** What prefetch() found below. */
  readonly #read = new Map<string, string | undefined>()

  constructor(
    options: { readonly base: Tip; readonly recordsUndo: boolean; readonly spaces: readonly AnyKeySpace[] },
    below: OverlayBase,
  ) {
    this.#base = options.base
    this.#recordsUndo = options.recordsUndo
    this.#groups = new GroupIndex(options.spaces)
    this.#below = below
  }

  /** The tip below this block. */
  get base(): Tip {
    return this.#base
  }

  /** False while catching up deeper than blocks are ever taken back; then values that are removed need not be read. */
  get recordsUndo(): boolean {
    return this.#recordsUndo
  }

  get<K, V>(space: KeySpace<K, V>, key: K): V | undefined {
    const value = this.getText(space.keyText(key))
    return value === undefined ? undefined : space.readValueText(value)
  }

  put<K, V>(space: KeySpace<K, V>, key: K, value: V): void {
    this.putText(space.keyText(key), space.valueText(value))
  }

  /** put for a key that is certainly not there: saves the read. */
  insert<K, V>(space: KeySpace<K, V>, key: K, value: V): void {
    this.insertText(space.keyText(key), space.valueText(value))
  }

  remove<K, V>(space: KeySpace<K, V>, key: K): void {
    this.removeText(space.keyText(key))
  }

  /** Rows of a space that declares groups, whose keys begin with `start` (without the prefix), in the order of keys. */
  async rows<K, V>(space: KeySpace<K, V>, start: Uint8Array): Promise<{ readonly key: K; readonly value: V }[]> {
    const prefix = String.fromCharCode(space.prefix) + toLatin1(start)
    const rows = await this.#below.group(space, prefix)
    for (const key of this.#groups.keys(space, prefix)) {
      const value = this.#edits.get(key)?.value
      if (value === undefined) rows.delete(key)
      else rows.set(key, value)
    }
    return [...rows]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => ({ key: space.readKey(fromLatin1(key)), value: space.readValueText(value) }))
  }

  /** Reads rows from below in one go, so that later reads of them find them here. */
  async prefetch(keys: readonly string[]): Promise<void> {
    const missing = keys.filter((key) => !this.#read.has(key))
    const values = await this.#below.getMany(missing)
    for (const [i, key] of missing.entries()) this.#read.set(key, values[i])
  }

  /** get and so on for keys and values as text of one character a byte. */
  getText(key: string): string | undefined {
    const edit = this.#edits.get(key)
    return edit === undefined ? this.#readBelow(key) : edit.value
  }

  putText(key: string, value: string): void {
    const edit = this.#edits.get(key)
    if (edit !== undefined) edit.value = value
    else this.#add(key, value, this.#readBelow(key))
  }

  insertText(key: string, value: string): void {
    const edit = this.#edits.get(key)
    if (edit === undefined) this.#add(key, value, undefined)
    else if (edit.value === undefined) edit.value = value
    else throw new InvariantError('a row that was to be new is there already')
  }

  removeText(key: string): void {
    const edit = this.#edits.get(key)
    if (edit === undefined) {
      if (this.#recordsUndo || this.#read.has(key)) this.#add(key, undefined, this.#readBelow(key))
      else this.#edits.set(key, { key, value: undefined, before: undefined, known: false, fresh: false })
      this.#groups.add(key)
    } else if (edit.fresh) {
      // Made and taken away by the same block: nothing happened.
      this.#edits.delete(key)
    } else {
      edit.value = undefined
    }
  }

  /** The block's writes, and the writes that take them back. Nothing can be written afterwards. */
  finish(): FinishedBlock {
    const redo: RowEdit[] = []
    const undo: RowWrite[] = []
    for (const edit of this.#edits.values()) {
      if (edit.known && edit.before === edit.value) continue
      redo.push(edit)
      if (this.#recordsUndo) undo.push({ key: edit.key, value: edit.before })
    }
    return { redo, undo: this.#recordsUndo ? undo : undefined }
  }

  #add(key: string, value: string | undefined, before: string | undefined): void {
    this.#edits.set(key, { key, value, before, known: true, fresh: before === undefined })
    this.#groups.add(key)
  }

  #readBelow(key: string): string | undefined {
    return this.#read.has(key) ? this.#read.get(key) : this.#below.get(key)
  }
}
