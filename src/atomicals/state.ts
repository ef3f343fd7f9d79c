import { CborMap, type CborValue } from '../lib/cbor/values.ts'
import { integerOf, isTruthy } from './python.ts'

/** One change of an atomical's state, as its payload has it. */
export interface StateChange {
  readonly txNum: number
  readonly height: number
  readonly payload: CborMap
}

/** Entries of maps that are looked at, or copied, before others get their turn: a millisecond or two. */
const STEPS_PER_TURN = 10_000
/** What a change counts beside its entries. */
const STEPS_PER_CHANGE = 5

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

/** The same with turns for others between, where there is much to do. */
export async function foldInTurns(changes: readonly StateChange[], pause: () => Promise<unknown>): Promise<CborMap> {
  const fold = new Fold()
  let end = STEPS_PER_TURN
  for (const { payload } of changes) {
    if (fold.steps >= end) {
      await pause()
      end = fold.steps + STEPS_PER_TURN
    }
    fold.apply(payload)
  }
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
  #steps = 0
  /** Maps of ours, which may be altered. */
  readonly #own = new WeakSet<CborMap>([this.#state])

  get state(): CborMap {
    return this.#state
  }

  /** How much was done so far. */
  get steps(): number {
    return this.#steps
  }

  apply(change: CborMap): void {
    this.#steps += STEPS_PER_CHANGE
    if (integerOf(change.get('$a')) === 1n) this.#state = this.#without(this.#state, change, 0)
    else this.#set(this.#state, change, 0)
  }

  // CONSENSUS: falsy values are replaced by anything; a map that is not empty is only ever changed inside.
  #set(target: CborMap, change: CborMap, depth: number): void {
    this.#steps += change.size
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
    this.#steps += target.size
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
    this.#steps += map.size
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
