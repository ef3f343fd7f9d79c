import { sortedInTurns } from '../lib/sort.ts'
import type { UnspentRow } from './keys.ts'

/** Numbers that a row is: of its transaction, of the output in that, and satoshis. */
const NUMBERS = 3
const FIRST_ROWS = 2

/** Unspent outputs as they are found, in flat memory: a million objects would be copied about by the collector. */
export class UnspentRows {
  #numbers = new Float64Array(FIRST_ROWS * NUMBERS)
  #count = 0

  get count(): number {
    return this.#count
  }

  add({ txNum, vout, value }: UnspentRow): void {
    const at = this.#count * NUMBERS
    if (at === this.#numbers.length) {
      const larger = new Float64Array(2 * at)
      larger.set(this.#numbers)
      this.#numbers = larger
    }
    this.#numbers[at] = txNum
    this.#numbers[at + 1] = vout
    this.#numbers[at + 2] = value
    this.#count += 1
  }

  at(row: number): UnspentRow {
    const at = row * NUMBERS
    const numbers = this.#numbers
    return { txNum: numbers[at] ?? 0, vout: numbers[at + 1] ?? 0, value: numbers[at + 2] ?? 0 }
  }

  /** The first `count` rows in chain order, then by output index; sorted with turns for others where they are many. */
  sorted(count: number): Promise<Uint32Array> {
    const numbers = this.#numbers
    return sortedInTurns(count, (a, b) => {
      const one = a * NUMBERS
      const other = b * NUMBERS
      return (numbers[one] ?? 0) - (numbers[other] ?? 0) || (numbers[one + 1] ?? 0) - (numbers[other + 1] ?? 0)
    })
  }
}
