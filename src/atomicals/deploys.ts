import type { Deploy } from './steps/mint.ts'
import type { IdText } from './transfer/holding.ts'

/** Distributed tokens that are not confirmed. */
export interface DeploySource {
  /** Those whose mints name this ticker and have so many satoshis at output 0. */
  of(ticker: string, amount: bigint): readonly Deploy[]
}

/**
 * Distributed tokens that unconfirmed transactions make in some order: which of them has the ticker when a mint of it
 * is mined is the miner's choice. Mints are asked about one after the other, so who finds `late` true at the end asks
 * again with begunAgain(), which knows all from the beginning.
 */
export class Deploys implements DeploySource {
  readonly #below: DeploySource | undefined
  readonly #tokens = new Map<string, Map<IdText, Deploy>>()
  /** What was asked for. */
  readonly #asked = new Set<string>()
  #late = false

  /** `below`: of other transactions that are not confirmed. */
  constructor(below?: DeploySource) {
    this.#below = below
  }

  /** True if one was added that was asked for before. */
  get late(): boolean {
    return this.#late
  }

  add(deploy: Deploy): void {
    const key = keyOf(deploy.ticker, BigInt(deploy.terms.mintAmount))
    const known = this.#tokens.get(key) ?? new Map<IdText, Deploy>()
    if (known.has(deploy.id)) return
    known.set(deploy.id, deploy)
    this.#tokens.set(key, known)
    if (this.#asked.has(key)) this.#late = true
  }

  of(ticker: string, amount: bigint): readonly Deploy[] {
    const key = keyOf(ticker, amount)
    this.#asked.add(key)
    return [...(this.#tokens.get(key)?.values() ?? []), ...(this.#below?.of(ticker, amount) ?? [])]
  }

  /** The same tokens, and nobody has asked yet. */
  begunAgain(): Deploys {
    const again = new Deploys(this.#below)
    for (const known of this.#tokens.values()) for (const deploy of known.values()) again.add(deploy)
    return again
  }
}

function keyOf(ticker: string, amount: bigint): string {
  return `${ticker} ${amount}`
}
