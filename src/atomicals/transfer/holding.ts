import { isUnspendable } from '../../chain/script.ts'
import type { Tx } from '../../chain/tx.ts'

/**
 * Atomical id (outpoint of the commit: txid in internal order, index LE) as text of one character a byte: a key for Map
 * and Set that sorts as the bytes do.
 */
export type IdText = string

export type AtomicalKind = 'NFT' | 'FT'

/** Some atomical, or some units of a token, at an outpoint. */
export interface Holding {
  readonly id: IdText
  readonly kind: AtomicalKind
  /** No mod, evt or seal of NFTs that were minted so; FTs never are. */
  readonly immutable: boolean
  /** Token units; of an NFT the satoshis of its output. */
  readonly value: bigint
}

/** A holding that an input spends. */
export interface SpentHolding extends Holding {
  readonly input: number
  /** Satoshis of the output spent. */
  readonly satoshis: bigint
}

/** All of a token, or an NFT, that a transaction spends. */
export interface SpentSum {
  readonly id: IdText
  readonly value: bigint
  /** Index of the first input that has some. */
  readonly firstInput: number
}

/** Sums by id, in the order in which inputs bring them. */
export function sumById(holdings: readonly SpentHolding[]): Map<IdText, SpentSum> {
  const sums = new Map<IdText, SpentSum>()
  for (const { id, value, input } of holdings) {
    const sum = sums.get(id)
    sums.set(id, sum === undefined ? { id, value, firstInput: input } : { ...sum, value: sum.value + value })
  }
  return sums
}

/** What colouring looks at in an output. */
export interface Slot {
  /** Satoshis. */
  readonly value: bigint
  readonly unspendable: boolean
}

/** Outputs as colouring looks at them. Many tokens may pass over many outputs, so what they pass over is known before. */
export class Slots {
  readonly all: readonly Slot[]
  /** Indexes of the outputs that can be spent. */
  readonly spendable: readonly number[]
  /** Satoshis of all outputs before each, and of all at the end. */
  readonly #before: readonly bigint[]

  constructor(all: readonly Slot[]) {
    this.all = all
    this.spendable = [...all.keys()].filter((output) => all[output]?.unspendable === false)
    const before = [0n]
    let sum = 0n
    for (const { value } of all) before.push((sum += value))
    this.#before = before
  }

  static of(tx: Pick<Tx, 'outputs'>): Slots {
    return new Slots(tx.outputs.map(({ value, script }) => ({ value, unspendable: isUnspendable(script) })))
  }

  get count(): number {
    return this.all.length
  }

  value(output: number): bigint {
    return this.all[output]?.value ?? 0n
  }

  /** Where the first spendable output from `start` on stands in `spendable`. */
  firstSpendable(start: number): number {
    return lowerBound(this.spendable.length, (at) => (this.spendable[at] ?? 0) >= start)
  }

  /** The first output before which there are at least `satoshis`; the count of outputs if there are not so many. */
  after(satoshis: bigint): number {
    return Math.min(
      this.count,
      lowerBound(this.count, (at) => (this.#before[at] ?? 0n) >= satoshis),
    )
  }

  /** `output`, or 0 if there is no such output or it cannot be spent. */
  // CONSENSUS: output 0 takes what has no other place, even if it is itself unspendable.
  orFirst(output: number): number {
    const slot = this.all[output]
    return slot === undefined || slot.unspendable ? 0 : output
  }
}

/** The first of `count` places at which `holds` is true, if it is false before and true from there on. */
function lowerBound(count: number, holds: (at: number) => boolean): number {
  let low = 0
  let high = count
  while (low < high) {
    const middle = (low + high) >>> 1
    if (holds(middle)) high = middle
    else low = middle + 1
  }
  return low
}

export function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
