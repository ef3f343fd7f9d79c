import type { Tx } from '../chain/tx.ts'
import { compareBytes, toDisplayHex } from '../lib/bytes.ts'
import type { Clock } from '../lib/clock.ts'
import type { ChainState } from './chain-state.ts'
import { ClusterPlan } from './cluster-plan.ts'
import type { Coin } from './coins.ts'
import { MEMPOOL_HEIGHT, type Mempool, type MempoolEntry, type NewEntry } from './mempool.ts'
import { checkCosts, checkSpends, checkStandard, dustOf, feeAtRate, type Policy, policyWeight } from './policy.ts'
import { MISSING_INPUTS, moneyText, type Reject, refuse, refuseForFee } from './reject.ts'
import { sigopCost } from './sigops.ts'
import { checkInputs, checkTransaction, isFinal, meetsSequenceLocks } from './tx-check.ts'

/** How a transaction comes in. */
export interface AcceptOptions {
  /** Only say what would happen. */
  readonly test?: boolean
  /** From a block that was taken back: fees and limits do not matter. */
  readonly fromBlock?: boolean
  /** Satoshis per 1000 virtual bytes that must not be exceeded. */
  readonly maxRate?: bigint | undefined
}

/** What became of a transaction. Fees in satoshis; ids as displayed. */
export type Acceptance =
  | {
      readonly kind: 'accepted'
      readonly vsize: number
      readonly fee: bigint
      /** Satoshis per 1000 virtual bytes, of the transaction or of the package it came in. */
      readonly rate: bigint
      /** Wtxids that the rate is about. */
      readonly includes: readonly string[]
      readonly replaced: readonly string[]
    }
  | { readonly kind: 'known'; readonly vsize: number; readonly fee: bigint }
  | { readonly kind: 'other-witness'; readonly wtxid: string }
  | { readonly kind: 'rejected'; readonly reject: Reject }

/** A transaction that passed the checks that do not depend on others of its package. */
export interface Candidate {
  readonly fresh: NewEntry
  /** Entries that spend the same outputs. */
  readonly conflicts: ReadonlySet<MempoolEntry>
}

/** Decides what may come into the mempool, in the order of Core's checks, scripts aside: they are never run. */
export class Acceptor {
  readonly policy: Policy
  readonly mempool: Mempool
  readonly #chain: ChainState
  readonly #clock: Clock

  constructor(
    options: { readonly policy: Policy },
    collaborators: { readonly mempool: Mempool; readonly chain: ChainState; readonly clock: Clock },
  ) {
    this.policy = options.policy
    this.mempool = collaborators.mempool
    this.#chain = collaborators.chain
    this.#clock = collaborators.clock
  }

  /** Takes a transaction in, or says why not. */
  accept(tx: Tx, options: AcceptOptions = {}): Acceptance {
    const candidate = this.examine(tx, { fees: options.fromBlock !== true, replace: true })
    if ('reason' in candidate) return { kind: 'rejected', reject: candidate }
    const { fresh, conflicts } = candidate
    const replaced = this.mempool.withDescendants(conflicts)
    const reject = this.#judge(candidate, replaced, options)
    if (reject !== undefined) return { kind: 'rejected', reject }
    if (options.test !== true) {
      this.mempool.remove(replaced, 'replaced')
      this.mempool.add(fresh)
    }
    return {
      kind: 'accepted',
      vsize: fresh.vsize,
      fee: fresh.fee,
      rate: rateOf(fresh.fee, fresh.vsize),
      includes: [fresh.wtxid],
      replaced: [...replaced].map(({ txid }) => txid),
    }
  }

  /** Satoshis that a size has to pay at least, or the reason why a fee is too low. */
  checkFee(fee: bigint, vsize: number): Reject | undefined {
    const least = feeAtRate(this.policy.minRelayRate, vsize)
    return fee < least ? refuseForFee('min relay fee not met', `${fee} < ${least}`) : undefined
  }

  /**
   * All checks of a transaction by itself and against chain and mempool. `extra` gives coins of transactions that came
   * before it in its package.
   */
  examine(
    tx: Tx,
    checks: { readonly fees: boolean; readonly replace: boolean },
    extra?: (txid: Uint8Array, index: number) => Coin | undefined,
  ): Candidate | Reject {
    const early = this.#checkAlone(tx)
    if (early !== undefined) return early
    const conflicts = new Set<MempoolEntry>()
    for (const { prevTxid, prevIndex } of tx.inputs) {
      const spender = this.mempool.spenderOf(prevTxid, prevIndex)
      if (spender === undefined) continue
      if (!checks.replace) return refuse('bip125-replacement-disallowed')
      conflicts.add(spender)
    }
    const coins = tx.inputs.map(
      ({ prevTxid, prevIndex }) => extra?.(prevTxid, prevIndex) ?? this.coin(prevTxid, prevIndex),
    )
    const known = coins.filter((coin) => coin !== undefined)
    if (known.length < coins.length) {
      return this.isConfirmed(tx) ? refuse('txn-already-known') : MISSING_INPUTS
    }
    const spent = this.#checkSpent(tx, known)
    if (typeof spent !== 'bigint') return spent
    const cost = sigopCost(tx, known)
    const fresh = this.#entry(tx, spent, cost)
    const late =
      checkCosts(tx, spent, cost, this.policy) ?? (checks.fees ? this.checkFee(spent, fresh.vsize) : undefined)
    return late ?? { fresh, conflicts }
  }

  /** True if an output of the transaction is unspent in the chain. */
  isConfirmed(tx: Tx): boolean {
    return tx.outputs.some((_, index) => this.#chain.coins.has(tx.txid, index))
  }

  /** An output of the chain or of the mempool, whether the mempool spends it or not. */
  coin(txid: Uint8Array, index: number): Coin | undefined {
    return this.mempool.coinOf(txid, index) ?? this.#chain.coins.get(txid, index)
  }

  /** True if the transaction could still be in the next block: asked of all after a block was taken back. */
  isStillValid({ tx }: MempoolEntry): boolean {
    const next = this.#chain.contextAfter(this.#chain.tip)
    const coins = tx.inputs.map(({ prevTxid, prevIndex }) => this.coin(prevTxid, prevIndex))
    const known = coins.filter((coin) => coin !== undefined)
    if (known.length < coins.length || !isFinal(tx, next.height, next.medianTime)) return false
    return (
      meetsSequenceLocks(tx, atHeight(known, next.height), next) &&
      checkInputs(tx, known, next.height).reject === undefined
    )
  }

  #checkAlone(tx: Tx): Reject | undefined {
    const consensus = checkTransaction(tx)
    if (consensus !== undefined) return consensus
    if (tx.isCoinbase) return refuse('coinbase')
    const standard = checkStandard(tx, this.policy)
    if (standard !== undefined) return standard
    const next = this.#chain.contextAfter(this.#chain.tip)
    if (!isFinal(tx, next.height, next.medianTime)) return refuse('non-final')
    if (this.mempool.getByWtxid(toDisplayHex(tx.wtxid)) !== undefined) return refuse('txn-already-in-mempool')
    const sameTxid = this.mempool.get(toDisplayHex(tx.txid)) !== undefined
    return sameTxid ? refuse('txn-same-nonwitness-data-in-mempool') : undefined
  }

  #checkSpent(tx: Tx, coins: readonly Coin[]): bigint | Reject {
    const next = this.#chain.contextAfter(this.#chain.tip)
    if (!meetsSequenceLocks(tx, atHeight(coins, next.height), next)) return refuse('non-BIP68-final')
    const inputs = checkInputs(tx, coins, next.height)
    if (inputs.reject !== undefined) return inputs.reject
    return checkSpends(tx, coins, this.policy) ?? inputs.fee
  }

  #entry(tx: Tx, fee: bigint, cost: number): NewEntry {
    const weight = policyWeight(tx, cost)
    return {
      tx,
      txid: toDisplayHex(tx.txid),
      wtxid: toDisplayHex(tx.wtxid),
      fee,
      weight,
      vsize: Math.ceil(weight / 4),
      time: Math.floor(this.#clock.now() / 1000),
      height: this.#chain.height,
    }
  }

  #judge(candidate: Candidate, replaced: ReadonlySet<MempoolEntry>, options: AcceptOptions): Reject | undefined {
    const { fresh, conflicts } = candidate
    if (conflicts.size > 0) {
      const reject = this.#checkReplacement(fresh, replaced)
      if (reject !== undefined) return reject
    }
    const parents = this.mempool.parentsOf(fresh.tx)
    // A transaction that joins nobody is a cluster of its own, which no limit of one transaction exceeds.
    const limited = options.fromBlock !== true && (parents.size > 0 || replaced.size > 0)
    if (limited && !new ClusterPlan(this.mempool, replaced, [fresh]).withinLimits) return refuse('too-large-cluster')
    const ancestors = [...this.mempool.withAncestors(parents)].sort((a, b) => compareBytes(a.tx.txid, b.tx.txid))
    const conflicting = ancestors.find((ancestor) => conflicts.has(ancestor))
    if (conflicting !== undefined) {
      const details = `${fresh.txid} spends conflicting transaction ${conflicting.txid}`
      return refuse('bad-txns-spends-conflicting-tx', details)
    }
    if (options.maxRate !== undefined && rateOf(fresh.fee, fresh.vsize) > options.maxRate) {
      return refuse('max feerate exceeded')
    }
    return options.fromBlock === true
      ? undefined
      : unspentDust(
          fresh.tx,
          [...parents].map(({ tx }) => tx),
          this.policy,
        )
  }

  #checkReplacement(fresh: NewEntry, replaced: ReadonlySet<MempoolEntry>): Reject | undefined {
    const old = [...replaced].reduce((sum, { fee }) => sum + fee, 0n)
    const poor = paysForReplacement(fresh, old, this.policy)
    if (poor !== undefined) return refuseForFee('insufficient fee', poor)
    const plan = new ClusterPlan(this.mempool, replaced, [fresh])
    if (!plan.withinLimits) return refuse('too-large-cluster')
    if (plan.improves) return undefined
    return refuseForFee('replacement-failed', 'insufficient feerate: does not improve feerate diagram')
  }
}

/** Why a replacement pays too little for what it replaces, in Core's words; undefined if it does not. */
export function paysForReplacement(
  fresh: Pick<NewEntry, 'txid' | 'fee' | 'vsize'>,
  old: bigint,
  policy: Policy,
): string | undefined {
  const start = `rejecting replacement ${fresh.txid},`
  if (fresh.fee < old) return `${start} less fees than conflicting txs; ${moneyText(fresh.fee)} < ${moneyText(old)}`
  const more = fresh.fee - old
  const least = feeAtRate(policy.incrementalRate, fresh.vsize)
  if (more >= least) return undefined
  return `${start} not enough additional fees to relay; ${moneyText(more)} < ${moneyText(least)}`
}

/** A transaction has to spend all dust of its unconfirmed parents. */
export function unspentDust(tx: Tx, parents: readonly Tx[], policy: Policy): Reject | undefined {
  if (!policy.requireStandard) return undefined
  for (const parent of parents) {
    const parentId = toDisplayHex(parent.txid)
    const spent = tx.inputs
      .filter(({ prevTxid }) => toDisplayHex(prevTxid) === parentId)
      .map(({ prevIndex }) => prevIndex)
    if (dustOf(parent, policy).every((index) => spent.includes(index))) continue
    const name = `tx ${toDisplayHex(tx.txid)} (wtxid=${toDisplayHex(tx.wtxid)})`
    return refuse('missing-ephemeral-spends', `${name} did not spend parent's ephemeral dust`)
  }
  return undefined
}

/** Satoshis per 1000 virtual bytes, rounded down. */
export function rateOf(fee: bigint, vsize: number): bigint {
  return (fee * 1000n) / BigInt(vsize)
}

/** Unconfirmed coins count as if they were in the next block. */
function atHeight(coins: readonly Coin[], height: number): Coin[] {
  return coins.map((coin) => (coin.height === MEMPOOL_HEIGHT ? { ...coin, height } : coin))
}
