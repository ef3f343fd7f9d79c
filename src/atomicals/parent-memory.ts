import { equalBytes } from '../lib/bytes.ts'
import type { StateChange } from './state.ts'
import type { IdText } from './transfer/holding.ts'

/** Parents, and changes of each, that are remembered from one block to the next. */
const MAX_PARENTS = 100
const MAX_CHANGES = 1_000

interface Remembered {
  readonly changes: StateChange[]
  /** What was made of the first so many changes, by what it is. */
  readonly derived: Map<string, unknown>
}

/**
 * Histories of parents that names are minted under, with what was made of them: thousands of items are minted under the
 * same rules. Holds for one tip; another one empties it.
 */
export class ParentMemory {
  readonly #parents = new Map<IdText, Remembered>()
  #tip: Uint8Array | undefined

  /** To be called before a block on top of `base`: forgets what was learnt of another chain, or in a block that failed. */
  begin(base: Uint8Array): void {
    if (this.#tip === undefined || !equalBytes(this.#tip, base)) this.#parents.clear()
    this.#tip = undefined
  }

  /** To be called after a block. Forgets what is too much. */
  end(tip: Uint8Array): void {
    this.#tip = tip
    for (const [id, { changes }] of this.#parents) {
      if (this.#parents.size > MAX_PARENTS || changes.length > MAX_CHANGES) this.#parents.delete(id)
    }
  }

  /** What `make` makes of the changes up to a height, made once for the same changes. `name`: of what it makes. */
  async derive<T>(
    id: IdText,
    name: string,
    maxHeight: number,
    load: () => Promise<readonly StateChange[]>,
    make: (changes: readonly StateChange[]) => T,
  ): Promise<T> {
    const { changes, derived } = await this.#remembered(id, load)
    const count = countUpTo(changes, maxHeight)
    const key = `${name} ${count}`
    if (!derived.has(key)) derived.set(key, make(changes.slice(0, count)))
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- one name is made by one function
    return derived.get(key) as T
  }

  /** Adds a change of this block, if the parent is remembered. */
  add(id: IdText, change: StateChange): void {
    this.#parents.get(id)?.changes.push(change)
  }

  async #remembered(id: IdText, load: () => Promise<readonly StateChange[]>): Promise<Remembered> {
    const known = this.#parents.get(id)
    if (known !== undefined) return known
    const fresh = { changes: [...(await load())], derived: new Map<string, unknown>() }
    this.#parents.set(id, fresh)
    return fresh
  }
}

/** How many changes are not above a height; heights rise. */
function countUpTo(changes: readonly StateChange[], maxHeight: number): number {
  let low = 0
  let high = changes.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((changes[middle]?.height ?? 0) <= maxHeight) low = middle + 1
    else high = middle
  }
  return low
}
