import type { ChainParameters } from './parameters.ts'
import { Mixture, type Random } from './random.ts'
import { busyKind, KIND, type Kind, type Scripts } from './scripts.ts'

/** Inputs of a transaction: mean 2.2, tails to 200. */
export const INPUT_COUNTS = new Mixture([
  [0.641, 1],
  [0.2, 2],
  [0.07, 3],
  [0.03, 4],
  [0.05, (random) => random.whole(5, 10)],
  [0.014, (random) => random.logWhole(11, 60)],
  [0.0005, (random) => random.whole(100, 200)],
])

/** Outputs of a transaction: mean 2.85, tails to 500. */
export const OUTPUT_COUNTS = new Mixture([
  [0.14, 1],
  [0.725, 2],
  [0.05, 3],
  [0.06, (random) => random.whole(4, 10)],
  [0.012, (random) => random.logWhole(11, 60)],
  [0.001, (random) => random.whole(100, 500)],
])

/** Share of transactions with an OP_RETURN output. */
export const DATA_SHARE = 0.09

/** Weights of the hot addresses: three far ahead, the others near 11,000 transactions each. */
const HOT_WEIGHTS = [50, 25, 15]
const OTHER_HOT_WEIGHT = 10.5
/** Up to which draw an output pays a hot address, a warm one, one seen lately; else a new one. */
const PAYS = { hot: 0.036, warm: 0.086, recent: 0.22 } as const
const MOST_RECENT = 1 << 16
const MOST_ADDRESSES = 12_000_000

/**
 * Who is paid. Addresses are numbers: the hot ones, the warm ones, then one for each new one. Counts the transactions
 * that touch each.
 */
export class Addresses {
  readonly firstFresh: number
  readonly #parameters: ChainParameters
  readonly #scripts: Scripts
  readonly #hot: Mixture
  /** Made to be of the kind that a mempool takes: wallet outputs and coinbases. */
  readonly #plain = new Set<number>()
  readonly #recent = new Int32Array(MOST_RECENT)
  #recentCount = 0
  #next: number
  readonly #histories = new Uint32Array(MOST_ADDRESSES)
  /** Number of the last transaction that touched an address, plus one. */
  readonly #lastTx = new Int32Array(MOST_ADDRESSES)

  constructor(parameters: ChainParameters, scripts: Scripts) {
    this.#parameters = parameters
    this.#scripts = scripts
    this.firstFresh = parameters.hotAddresses + parameters.warmAddresses
    this.#next = this.firstFresh
    this.#hot = new Mixture(
      Array.from({ length: parameters.hotAddresses }, (_, i) => [HOT_WEIGHTS[i] ?? OTHER_HOT_WEIGHT, i]),
    )
  }

  get count(): number {
    return this.#next
  }

  kindOf(address: number): Kind {
    if (address < this.firstFresh) return busyKind(address)
    return this.#plain.has(address) ? KIND.wsh : this.#scripts.kindOf(address)
  }

  /** Of the wallet or of a coinbase. */
  isPlain(address: number): boolean {
    return this.#plain.has(address)
  }

  history(address: number): number {
    return this.#histories[address]!
  }

  fresh(): number {
    if (this.#next >= MOST_ADDRESSES) throw new Error('more addresses than there is room for')
    return this.#next++
  }

  plain(): number {
    const address = this.fresh()
    this.#plain.add(address)
    return address
  }

  draw(random: Random): number {
    const { hotAddresses, warmAddresses } = this.#parameters
    const at = random.fraction()
    if (at < PAYS.hot) return this.#hot.draw(random)
    if (at < PAYS.warm) return hotAddresses + random.whole(0, warmAddresses - 1)
    if (at < PAYS.recent && this.#recentCount > 1000) {
      return this.#recent[random.uint32() % Math.min(this.#recentCount, MOST_RECENT)]!
    }
    const address = this.fresh()
    this.#recent[this.#recentCount++ % MOST_RECENT] = address
    return address
  }

  /** Notes that transaction `tx` has to do with an address. True if it was not known. */
  touch(address: number, tx: number): boolean {
    if (this.#lastTx[address] === tx + 1) return false
    this.#lastTx[address] = tx + 1
    this.#histories[address]! += 1
    return true
  }
}
