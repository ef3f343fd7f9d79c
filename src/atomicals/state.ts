import { CborMap, CborTag, type CborValue } from '../lib/cbor/values.ts'
import { mayShareParts } from '../lib/cbor.ts'
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
  readonly state = new CborMap()
  #steps = 0
  /** Maps of ours, which may be altered. */
  readonly #own = new WeakSet<CborMap>([this.state])

  /** How much was done so far. */
  get steps(): number {
    return this.#steps
  }

  // CONSENSUS: maps that one change shares between places stay one map, so what a later change does to it at one place it
  // does at all; the first state of a mint shares nothing.
  apply(change: CborMap): void {
    this.#steps += STEPS_PER_CHANGE
    const payload = mayShareParts(change) ? this.#copiedMap(change, new Map()) : change
    if (integerOf(payload.get('$a')) === 1n) this.#delete(this.state, payload, 0)
    else this.#set(this.state, payload, 0)
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

  /** Removes what `change` marks with true. */
  #delete(target: CborMap, change: CborMap, depth: number): void {
    this.#steps += change.size
    for (const [name, { key, value }] of change.named()) {
      if (isReserved(key, depth)) continue
      if (value === true) target.remove(name)
      const before = target.get(name)
      if (value instanceof CborMap && before instanceof CborMap && depth < MAX_DEPTH)
        this.#delete(this.#owned(target, name, key, before), value, depth + 1)
    }
  }

  /** The map under a name of ours, as one of ours: a copy that is for this place alone where it was not ours yet. */
  #owned(target: CborMap, name: string, key: CborValue, map: CborMap): CborMap {
    if (this.#own.has(map)) return map
    const copy = this.#made()
    this.#steps += map.size
    for (const [entryName, entry] of map.named()) copy.put(entryName, entry.key, entry.value)
    target.put(name, key, copy)
    return copy
  }

  /** A copy in which what was one object is one object again. `copies`: those that were made for it. */
  #copiedMap(map: CborMap, copies: Map<CborValue, CborValue>): CborMap {
    const copy = this.#made()
    copies.set(map, copy)
    this.#steps += map.size
    for (const [name, { key, value }] of map.named()) copy.put(name, key, this.#copied(value, copies))
    return copy
  }

  #copied(value: CborValue, copies: Map<CborValue, CborValue>): CborValue {
    const known = copies.get(value)
    if (known !== undefined) return known
    if (value instanceof CborMap) return this.#copiedMap(value, copies)
    if (Array.isArray(value)) {
      const list: CborValue[] = []
      copies.set(value, list)
      for (const item of value) list.push(this.#copied(item, copies))
      return list
    }
    if (!(value instanceof CborTag)) return value
    const tag = new CborTag(value.tag)
    copies.set(value, tag)
    tag.complete = value.complete
    tag.value = this.#copied(value.value, copies)
    return tag
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
