/** A row that was written on top of others: its key, one character a byte, and what it says now. */
interface Written {
  readonly key: string
}

/** What writers have of a range, in the order that is read; of a row that several have, what the first of them has. */
export class Edits<E extends Written> {
  readonly #writers: readonly Iterator<E, void>[]
  readonly #reverse: boolean
  /** What comes next of each. */
  readonly #next: (E | undefined)[]

  /** Each writer tells its rows in the order of keys, or from the last one to the first. */
  constructor(writers: readonly Iterator<E, void>[], reverse = false) {
    this.#writers = writers
    this.#reverse = reverse
    this.#next = writers.map(nextOf)
  }

  get isEmpty(): boolean {
    return this.#next.every((next) => next === undefined)
  }

  /** Takes out the one that comes first, unless that is behind `last`. */
  take(last?: string): E | undefined {
    let first: E | undefined
    for (const next of this.#next) {
      if (next !== undefined && (first === undefined || this.#isBefore(next.key, first.key))) first = next
    }
    if (first === undefined || (last !== undefined && this.#isBefore(last, first.key))) return undefined
    for (const [i, writer] of this.#writers.entries()) {
      if (this.#next[i]?.key === first.key) this.#next[i] = nextOf(writer)
    }
    return first
  }

  #isBefore(key: string, other: string): boolean {
    return this.#reverse ? key > other : key < other
  }
}

function nextOf<E>(writer: Iterator<E, void>): E | undefined {
  const { done, value } = writer.next()
  return done === true ? undefined : (value ?? undefined)
}

/** What a row has to do with an edit. */
interface RowKind<R, E> {
  /** The key that an edit of it has. */
  readonly keyOf: (row: R) => string
  /** The row that an edit makes; undefined where it takes one away. */
  readonly rowOf: (edit: E) => R | undefined
}

/** Rows with the edits up to the last of them, or with `all`; undefined in place of a row that is gone. */
export function* withEdits<R, E extends Written>(
  rows: readonly R[],
  edits: Edits<E>,
  all: boolean,
  { keyOf, rowOf }: RowKind<R, E>,
): Generator<R | undefined, void> {
  for (const row of rows) {
    let isReplaced = false
    if (!edits.isEmpty) {
      const key = keyOf(row)
      for (let edit = edits.take(key); edit !== undefined; edit = edits.take(key)) {
        isReplaced ||= edit.key === key
        yield rowOf(edit)
      }
    }
    if (!isReplaced) yield row
  }
  if (!all) return
  for (let edit = edits.take(); edit !== undefined; edit = edits.take()) yield rowOf(edit)
}
