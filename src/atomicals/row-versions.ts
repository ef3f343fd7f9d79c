import type { AnyKeySpace, KeySpace } from '../db/layout.ts'
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

/** Rows of which all that were written are asked for. */
const LISTED: ReadonlySet<AnyKeySpace> = new Set<AnyKeySpace>([ATOMICALS, NAMES, SUBNAMES])

/**
 * Rows that transactions write one after the other, each kept with the number of the transaction. Who reads them up to
 * a number goes on reading the same while more is written.
 */
export class RowVersions {
  readonly #versions = new Map<string, Version[]>()
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

  /** Rows whose keys begin with `start` (prefix included) that were written below `upTo`, in no order. */
  *written(space: AnyKeySpace, start: string, upTo: number): Generator<readonly [key: string, value: unknown]> {
    const size = GROUP_SIZES.get(space)
    invariant(
      size !== undefined && start.length >= size,
      `unconfirmed rows of ${space.name} are not asked for together`,
    )
    for (const key of this.#groups.get(start.slice(0, size)) ?? []) {
      const version = key.startsWith(start) ? this.read(key, upTo) : undefined
      if (version !== undefined) yield [key, version.value]
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
    pushTo(this.#groups, text.slice(0, size), text)
  }
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
    const written = [...this.#versions.written(space, textOf(space, start), this.#upTo)].filter(
      ([key]) => from === undefined || (reverse ? key < from : key > from),
    )
    // As many more as can be taken away again.
    const below = await this.#base.page(space, start, { ...options, limit: limit + written.length })
    const rows = merged(space, below, written)
    if (reverse) rows.reverse()
    return rows.slice(0, limit)
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

function withWritten<K, V>(
  space: KeySpace<K, V>,
  below: readonly RowOf<K, V>[],
  versions: RowVersions,
  start: Uint8Array,
  upTo: number,
): readonly RowOf<K, V>[] {
  const written = [...versions.written(space, textOf(space, start), upTo)]
  return written.length === 0 ? below : merged(space, below, written)
}

/** In the order of keys. */
function merged<K, V>(
  space: KeySpace<K, V>,
  below: readonly RowOf<K, V>[],
  written: readonly (readonly [key: string, value: unknown])[],
): RowOf<K, V>[] {
  const rows = new Map(below.map((row) => [space.keyText(row.key), row]))
  for (const [key, value] of written) {
    if (value === undefined) rows.delete(key)
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as above
    else rows.set(key, { key: space.readKey(fromLatin1(key)), value: value as V })
  }
  return [...rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row)
}
