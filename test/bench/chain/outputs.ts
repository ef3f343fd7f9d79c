import type { Random } from './random.ts'

/** Outputs that there can be at a time; arrays are zero pages until used. */
const CAPACITY = 6_000_000
/** How far down the newest outputs reach. */
const YOUNG = 8000
/** Steps over spent places before they are swept out. */
const MOST_PROBES = 20_000

/**
 * The outputs that can still be spent, as numbers in flat arrays. Taken by a mix of ages as on mainnet: a fifth among the
 * newest, half by a power law over age, the rest of any age.
 */
export class Outputs {
  readonly #tx = new Int32Array(CAPACITY)
  readonly #index = new Uint16Array(CAPACITY)
  readonly #address = new Int32Array(CAPACITY)
  readonly #value = new Float64Array(CAPACITY)
  readonly #free: number[] = []
  #slots = 0
  /** Slots in the order of their outputs' making; -1 where one was taken. */
  readonly #order = new Int32Array(CAPACITY)
  #ordered = 0
  #count = 0

  get count(): number {
    return this.#count
  }

  /** `tx`: number of the transaction; `value`: satoshis. */
  add(tx: number, index: number, address: number, value: number): void {
    const slot = this.#free.pop() ?? this.#slots++
    if (this.#ordered === CAPACITY) this.#sweep()
    this.#tx[slot] = tx
    this.#index[slot] = index
    this.#address[slot] = address
    this.#value[slot] = value
    this.#order[this.#ordered++] = slot
    this.#count += 1
  }

  take(random: Random): { tx: number; index: number; address: number; value: number } {
    if (this.#ordered > 200_000 && this.#ordered > 2 * this.#count) this.#sweep()
    const slot = this.#draw(random)
    this.#count -= 1
    this.#free.push(slot)
    return {
      tx: this.#tx[slot]!,
      index: this.#index[slot]!,
      address: this.#address[slot]!,
      value: this.#value[slot]!,
    }
  }

  #draw(random: Random): number {
    const total = this.#ordered
    let place = total - 1 - Math.min(age(random, total), total - 1)
    for (let probes = 0; this.#order[place]! < 0; ) {
      place = place === 0 ? total - 1 : place - 1
      if (++probes > MOST_PROBES) {
        this.#sweep()
        if (this.#count === 0) throw new Error('no outputs left to spend')
        place = Math.floor(random.fraction() * this.#ordered)
        probes = 0
      }
    }
    const slot = this.#order[place]!
    this.#order[place] = -1
    return slot
  }

  #sweep(): void {
    let kept = 0
    for (let i = 0; i < this.#ordered; i++) {
      const slot = this.#order[i]!
      if (slot >= 0) this.#order[kept++] = slot
    }
    this.#ordered = kept
  }
}

/** How many newer outputs there are: 0 for the newest. */
function age(random: Random, total: number): number {
  const young = Math.min(YOUNG, total)
  const at = random.fraction()
  if (at < 0.2) return Math.floor(young ** random.fraction())
  if (at < 0.7) return Math.floor(young * (total / young) ** random.fraction())
  return Math.floor(random.fraction() * total)
}
