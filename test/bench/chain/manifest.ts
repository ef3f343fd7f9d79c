import { toDisplayHex, toHex } from '../../../src/lib/bytes.ts'
import { sha256 } from '../../../src/lib/hash.ts'
import type { ChainParameters } from './parameters.ts'
import { Random } from './random.ts'
import type { Scripts } from './scripts.ts'
import type { Addresses } from './shape.ts'

/** What benches need to know of a chain to ask for it. */
export interface Manifest {
  readonly parameters: ChainParameters
  readonly tip: { readonly height: number; readonly hash: string; readonly time: number }
  readonly totals: Readonly<Totals>
  /** Longest histories first. */
  readonly hot: readonly AddressFacts[]
  /** Longest histories first. */
  readonly warm: readonly AddressFacts[]
  /** With three to ten transactions. */
  readonly few: readonly AddressFacts[]
  /** With one or two transactions. */
  readonly single: readonly AddressFacts[]
  readonly transactions: readonly TxFacts[]
  readonly wallet: { readonly salt: number; readonly outputs: readonly WalletOutput[] }
}

export interface AddressFacts {
  /** As on the wire. */
  readonly scripthash: string
  /** Hex. */
  readonly script: string
  readonly history: number
}

export interface TxFacts {
  /** As displayed. */
  readonly txid: string
  readonly height: number
  readonly pos: number
}

export interface WalletOutput {
  /** As displayed. */
  readonly txid: string
  readonly vout: number
  /** Satoshis. */
  readonly value: number
  readonly address: number
}

export interface Totals {
  blocks: number
  txs: number
  inputs: number
  outputs: number
  bytes: number
  /** Pairs of an address and a transaction that touches it. */
  historyRows: number
}

const MOST_SINGLE = 150_000
const MOST_FEW = 5000
const MOST_TXS = 40_000

interface ManifestParts {
  readonly parameters: ChainParameters
  readonly salt: number
  readonly scripts: Scripts
  readonly addresses: Addresses
  readonly tip: Manifest['tip']
  readonly totals: Totals
  readonly wallet: readonly WalletOutput[]
  readonly transactions: readonly TxFacts[]
}

export function manifestOf(parts: ManifestParts): Manifest {
  const { parameters, addresses, scripts } = parts
  const describe = (address: number): AddressFacts => {
    const script = scripts.script(address, addresses.kindOf(address))
    return { scripthash: toDisplayHex(sha256(script)), script: toHex(script), history: addresses.history(address) }
  }
  const busy = (from: number, to: number): AddressFacts[] =>
    Array.from({ length: to - from }, (_, i) => describe(from + i)).sort((a, b) => b.history - a.history)
  const { single, few } = pickQuiet(addresses, new Random(`pick:${parameters.seed}`))
  return {
    parameters,
    tip: parts.tip,
    totals: parts.totals,
    hot: busy(0, parameters.hotAddresses),
    warm: busy(parameters.hotAddresses, addresses.firstFresh),
    few: few.map(describe),
    single: single.map(describe),
    transactions: parts.transactions,
    wallet: { salt: parts.salt, outputs: parts.wallet },
  }
}

/** Addresses with little history, at random, none twice; fewer than wished for on a small chain. */
function pickQuiet(addresses: Addresses, random: Random): { single: number[]; few: number[] } {
  const single: number[] = []
  const few: number[] = []
  const seen = new Set<number>()
  for (let draws = 4 * addresses.count; draws > 0 && (single.length < MOST_SINGLE || few.length < MOST_FEW); draws--) {
    const address = random.whole(addresses.firstFresh, addresses.count - 1)
    if (seen.has(address) || addresses.isPlain(address)) continue
    seen.add(address)
    const history = addresses.history(address)
    if (history >= 1 && history <= 2 && single.length < MOST_SINGLE) single.push(address)
    if (history >= 3 && history <= 10 && few.length < MOST_FEW) few.push(address)
  }
  return { single, few }
}

/** Some of a stream of transactions, each as likely as any other (reservoir sampling). Coinbases are not offered. */
export class TxSample {
  readonly taken: TxFacts[] = []
  readonly #random: Random
  #offered = 0

  constructor(random: Random) {
    this.#random = random
  }

  offer(txid: Uint8Array, height: number, pos: number): void {
    this.#offered += 1
    if (this.taken.length < MOST_TXS) {
      this.taken.push({ txid: toDisplayHex(txid), height, pos })
      return
    }
    const place = Math.floor(this.#random.fraction() * this.#offered)
    if (place < MOST_TXS) this.taken[place] = { txid: toDisplayHex(txid), height, pos }
  }
}
