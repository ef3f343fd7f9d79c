import { CborMap, type CborValue } from '../../lib/cbor/values.ts'
import type { Pause } from '../past.ts'
import { keyText, type ShownValues, type Wire, wireOf } from './values.ts'

/** What is shown before others get their turn, in values: a millisecond or two. */
const SHOWN_PER_TURN = 8_192
/**
 * Lists and maps up to here have turns between their members, what is in these is shown in one go: large states are maps
 * of thousands of items, or of a few maps of such.
 */
const LEVELS = 3

/** Shows values just as wireOf() does, with turns for others between where they are large, or many. */
export class ShownInTurns {
  readonly #shown: ShownValues
  readonly #pause: Pause
  /** How much had been shown at the last turn. */
  #since: number

  constructor(shown: ShownValues, pause: Pause) {
    this.#shown = shown
    this.#pause = pause
    this.#since = shown.work
  }

  wireOf(value: CborValue): Promise<Wire> {
    return this.#wireOf(value, 0)
  }

  async #wireOf(value: CborValue, depth: number): Promise<Wire> {
    if (this.#shown.work - this.#since >= SHOWN_PER_TURN) await this.#turn()
    if (depth < LEVELS && Array.isArray(value)) return this.#listOf(value, depth)
    if (depth < LEVELS && value instanceof CborMap) return this.#mapOf(value, depth)
    return wireOf(value, this.#shown, depth)
  }

  async #listOf(list: readonly CborValue[], depth: number): Promise<Wire> {
    if (!this.#shown.take()) return null
    const shown: Wire[] = []
    for (const item of list) shown.push(await this.#wireOf(item, depth + 1))
    return shown
  }

  async #mapOf(map: CborMap, depth: number): Promise<Wire> {
    if (!this.#shown.take()) return null
    const entries: [string, Wire][] = []
    for (const { key, value } of map.entries()) {
      const name = keyText(key, this.#shown, depth)
      entries.push([name, await this.#wireOf(value, depth + 1)])
    }
    return Object.fromEntries(entries)
  }

  async #turn(): Promise<void> {
    await this.#pause()
    this.#since = this.#shown.work
  }
}
