import { CborMap, type CborValue } from '../lib/cbor/values.ts'
import { integerOf, isTruthy } from './python.ts'

/** One change of an atomical's state, as its payload has it. */
export interface StateChange {
  readonly txNum: number
  readonly height: number
  readonly payload: CborMap
}

/** Maps inside maps that a change is followed into; the reference does not get further than about a thousand. */
const MAX_DEPTH = 900

/**
 * The state after changes, in the order of transactions. Changes are not altered: a map that would be is copied first.
 */
export function foldState(changes: readonly StateChange[]): CborMap {
  const fold = new Fold()
  for (const { payload } of changes) fold.apply(payload)
  return fold.state
}

/** A mint's first change: its payload without `args`, or undefined if nothing is left. */
export function initialState(payload: CborMap): CborMap | undefined {
  const state = new CborMap()
  for (const [name, { key, value }] of payload.named()) if (key !== 'args') state.put(name, key, value)
  return state.size === 0 ? undefined : state
}

class Fold {
  #state = new CborMap()
  /** Maps of ours, which may be altered. */
  readonly #own = new WeakSet<CborMap>([this.#state])

  get state(): CborMap {
    return this.#state
  }

  apply(change: CborMap): void {
    if (integerOf(change.get('$a')) === 1n) this.#state = this.#without(this.#state, change, 0)
    else this.#set(this.#state, change, 0)
  }

  // CONSENSUS: falsy values are replaced by anything; a map that is not empty is only ever changed inside.
  #set(target: CborMap, change: CborMap, depth: number): void {
    for (const [name, { key, value }] of change.named()) {
      if (isReserved(key, depth)) continue
      const before = target.get(name)
      if (!isTruthy(before) || !(before instanceof CborMap)) target.put(name, key, value)
      else if (value instanceof CborMap && depth < MAX_DEPTH)
        this.#set(this.#owned(target, name, key, before), value, depth + 1)
    }
  }

  /** A copy without what `change` marks with true. */
  #without(target: CborMap, change: CborMap, depth: number): CborMap {
    const copy = this.#made()
    for (const [name, { key, value }] of target.named()) {
      const mark = isReserved(key, depth) ? undefined : change.get(name)
      if (mark === true) continue
      const descends = mark instanceof CborMap && value instanceof CborMap && depth < MAX_DEPTH
      copy.put(name, key, descends ? this.#without(value, mark, depth + 1) : value)
    }
    return copy
  }

  /** The map under a name of ours, as one of ours. */
  #owned(target: CborMap, name: string, key: CborValue, map: CborMap): CborMap {
    if (this.#own.has(map)) return map
    const copy = this.#made()
    for (const [entryName, entry] of map.named()) copy.put(entryName, entry.key, entry.value)
    target.put(name, key, copy)
    return copy
  }

  #made(): CborMap {
    const map = new CborMap()
    this.#own.add(map)
    return map
  }
}

function isReserved(key: CborValue, depth: number): boolean {
  return key === '$a' || (depth === 0 && key === 'args')
}
