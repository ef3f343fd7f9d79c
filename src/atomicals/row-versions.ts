import { setImmediate as nextTurn } from 'node:timers/promises'
import { Edits, withEdits } from '../db/edits.ts'
import type { AnyKeySpace, KeySpace } from '../db/layout.ts'
import { lowerBound } from '../db/overlay.ts'
import type { PageOptions } from '../db/view.ts'
import { invariant } from '../errors.ts'
import { fromLatin1, toLatin1 } from '../lib/bytes.ts'
import { ID_SIZE } from './ids.ts'
import { ATOMICALS, CHANGES, HOLDERS, MINTS, NAMES, RANKS, SUBNAMES } from './layout.ts'
import type { EditableRows, PagedRows, RowOf, RowSource } from './rows.ts'

interface Version {
  /** How many transactions were applied before the one that wrote it. */
  readonly at: number
  /** Undefined where the row was taken away. */
  readonly value: unknown
}

/** Characters of a key, prefix included, that rows are found by which are asked for together. */
const GROUP_SIZES: ReadonlyMap<AnyKeySpace, number> = new Map<AnyKeySpace, number>([
  [NAMES, NAMES.groupSize],
  [SUBNAMES, SUBNAMES.groupSize],
  [CHANGES, CHANGES.groupSize],
  [HOLDERS, 1 + ID_SIZE],
  [RANKS, 1 + ID_SIZE],
  [MINTS, 1 + ID_SIZE],
])

/** Rows that are put together before others get their turn: a millisecond or two. */
const ROWS_PER_TURN = 2_048

/** Rows of which all that were written are asked for. */
const LISTED: ReadonlySet<AnyKeySpace> = new Set<AnyKeySpace>([ATOMICALS, NAMES, SUBNAMES])

/**
 * Rows that transactions write one after the other, each kept with the number of the transaction. Who reads them up to
 * a number goes on reading the same while more is written.
 */
export class RowVersions {
  readonly #versions = new Map<string, Version[]>()
  /** Keys by group, each group in order. */
  readonly #groups = new Map<string, string[]>()
  readonly #listed = new Map<AnyKeySpace, string[]>()

  write<K, V>(space: KeySpace<K, V>, key: K, version: { readonly at: number; readonly value: V | undefined }): void {
    const text = space.keyText(key)
    const known = this.#versions.get(text)
    if (known === undefined) {
      this.#versions.set(text, [version])
      this.#group(space, text)
      if (LISTED.has(space)) pushTo(this.#listed, space, text)
    } else if (known.at(-1)?.at === version.at) known[known.length - 1] = version
    else known.push(version)
  }

  /** The last version of a row below `upTo`; undefined if nobody wrote it. */
  read(text: string, upTo: number): Version | undefined {
    return this.#versions.get(text)?.findLast(({ at }) => at < upTo)
  }

  /**
   * Rows whose keys begin with `start` (prefix included) that were written below `upTo`, by key or from the last one to
   * the first; with `beyond` those behind that key. More may be written while they are gone through.
   */
  *written(space: AnyKeySpace, start: string, upTo: number, { beyond, reverse = false }: Part = {}): Generator<Edit> {
    const size = GROUP_SIZES.get(space)
    invariant(
      size !== undefined && start.length >= size,
      `unconfirmed rows of ${space.name} are not asked for together`,
    )
    const keys = this.#groups.get(start.slice(0, size)) ?? []
    let count = keys.length
    let at = firstOf(keys, start, beyond, reverse)
    for (let key = keys[at]; key?.startsWith(start) === true; key = keys[at]) {
      const version = this.read(key, upTo)
      if (version !== undefined) yield { key, value: version.value }
      if (keys.length === count) at += reverse ? -1 : 1
      else at = firstOf(keys, start, key, reverse)
      count = keys.length
    }
  }

  /** Rows of a key space that were written below `upTo` and not taken away, in the order in which they first were. */
  *listed<K, V>(space: KeySpace<K, V>, upTo: number): Generator<RowOf<K, V>> {
    invariant(LISTED.has(space), `all unconfirmed rows of ${space.name} are not asked for`)
    for (const text of this.#listed.get(space) ?? []) {
      const value = this.read(text, upTo)?.value
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written under a key of this space
      if (value !== undefined) yield { key: space.readKey(fromLatin1(text)), value: value as V }
    }
  }

  #group(space: AnyKeySpace, text: string): void {
    const size = GROUP_SIZES.get(space)
    if (size === undefined) return
    const name = text.slice(0, size)
    const group = this.#groups.get(name)
    if (group === undefined) this.#groups.set(name, [text])
    else group.splice(lowerBound(group, text), 0, text)
  }
}

/** Which rows of those that begin alike are gone through. */
interface Part {
  readonly beyond?: string | undefined
  readonly reverse?: boolean
}

/** A row that was written; taken away where `value` is undefined. */
interface Edit {
  readonly key: string
  readonly value: unknown
}

/** Where to begin among keys in order. */
function firstOf(keys: readonly string[], start: string, beyond: string | undefined, reverse: boolean): number {
  if (!reverse) {
    const at = lowerBound(keys, beyond === undefined || beyond < start ? start : beyond)
    return keys[at] === beyond ? at + 1 : at
  }
  // Behind all that go on with `start`: the characters of keys are bytes.
  const end = lowerBound(keys, `${start}\u0100`)
  return Math.min(end, beyond === undefined ? end : lowerBound(keys, beyond)) - 1
}

function pushTo<K>(lists: Map<K, string[]>, name: K, text: string): void {
  const list = lists.get(name)
  if (list === undefined) lists.set(name, [text])
  else list.push(text)
}

/** Rows below with those of transactions on top of them. */
export class VersionedRows implements PagedRows {
  readonly #versions: RowVersions
  readonly #base: PagedRows
  readonly #upTo: number

  /** `upTo`: transactions that are seen. */
  constructor(options: { readonly upTo: number }, collaborators: { versions: RowVersions; base: PagedRows }) {
    this.#upTo = options.upTo
    this.#versions = collaborators.versions
    this.#base = collaborators.base
  }

  get<K, V>(space: KeySpace<K, V>, key: K): V | undefined {
    return readRow(this.#versions, this.#upTo, this.#base, space, key)
  }

  async rows<K, V>(space: KeySpace<K, V>, start: Uint8Array): Promise<readonly RowOf<K, V>[]> {
    return withWritten(space, await this.#base.rows(space, start), this.#versions, start, this.#upTo)
  }

  async page<K, V>(space: KeySpace<K, V>, start: Uint8Array, options: PageOptions): Promise<readonly RowOf<K, V>[]> {
    const { beyond, reverse = false, limit } = options
    const from = beyond === undefined ? undefined : String.fromCharCode(space.prefix) + toLatin1(beyond)
    const written = this.#versions.written(space, textOf(space, start), this.#upTo, { beyond: from, reverse })
    const edits = new Edits([written], reverse)
    const kind = versionsOf(space)
    const rows: RowOf<K, V>[] = []
    let work = 0
    // Of the rows below some may have been taken away: then more of them are read.
    for (let last = beyond, isLast = false; !isLast && rows.length < limit; ) {
      const wanted = limit - rows.length
      const below = await this.#base.page(space, start, { beyond: last, reverse, limit: wanted })
      const end = below.at(-1)
      isLast = below.length < wanted || end === undefined
      last = end === undefined ? last : space.keyBytes(end.key).subarray(1)
      for (const row of withEdits(below, edits, isLast, kind)) {
        if (++work % ROWS_PER_TURN === 0) await nextTurn()
        if (row !== undefined) rows.push(row)
        if (rows.length === limit) break
      }
    }
    return rows
  }
}

/** How rows of a space come out of what was written of them. */
function versionsOf<K, V>(space: KeySpace<K, V>) {
  return {
    keyOf: (row: RowOf<K, V>): string => space.keyText(row.key),
    rowOf: ({ key, value }: Edit): RowOf<K, V> | undefined =>
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written under a key of this space, whose prefix no other has
      value === undefined ? undefined : { key: space.readKey(fromLatin1(key)), value: value as V },
  }
}

/** The same for whoever writes the rows. What is below can be another source of the same rows at each turn. */
export class VersionWriter implements EditableRows {
  readonly #versions: RowVersions
  base: RowSource
  /** Number of the transaction that writes. */
  at = 0

  constructor(versions: RowVersions, base: RowSource) {
    this.#versions = versions
    this.base = base
  }

  get<K, V>(space: KeySpace<K, V>, key: K): V | undefined {
    return readRow(this.#versions, this.at + 1, this.base, space, key)
  }

  async rows<K, V>(space: KeySpace<K, V>, start: Uint8Array): Promise<readonly RowOf<K, V>[]> {
    return withWritten(space, await this.base.rows(space, start), this.#versions, start, this.at + 1)
  }

  put<K, V>(space: KeySpace<K, V>, key: K, value: V): void {
    this.#versions.write(space, key, { at: this.at, value })
  }

  remove<K, V>(space: KeySpace<K, V>, key: K): void {
    this.#versions.write(space, key, { at: this.at, value: undefined })
  }
}

function readRow<K, V>(
  versions: RowVersions,
  upTo: number,
  base: RowSource,
  space: KeySpace<K, V>,
  key: K,
): V | undefined {
  const version = versions.read(space.keyText(key), upTo)
  if (version === undefined) return base.get(space, key)
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written under a key of this space, whose prefix no other has
  return version.value as V | undefined
}

function textOf(space: AnyKeySpace, start: Uint8Array): string {
  return String.fromCharCode(space.prefix) + toLatin1(start)
}

async function withWritten<K, V>(
  space: KeySpace<K, V>,
  below: readonly RowOf<K, V>[],
  versions: RowVersions,
  start: Uint8Array,
  upTo: number,
): Promise<readonly RowOf<K, V>[]> {
  const edits = new Edits([versions.written(space, textOf(space, start), upTo)])
  if (edits.isEmpty) return below
  const rows: RowOf<K, V>[] = []
  let work = 0
  for (const row of withEdits(below, edits, true, versionsOf(space))) {
    if (++work % ROWS_PER_TURN === 0) await nextTurn()
    if (row !== undefined) rows.push(row)
  }
  return rows
}
