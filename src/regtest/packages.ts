import type { Tx } from '../chain/tx.ts'
import { toDisplayHex, toLatin1 } from '../lib/bytes.ts'
import { type Acceptance, type Acceptor, type Candidate, paysForReplacement, rateOf, unspentDust } from './acceptor.ts'
import { ClusterPlan } from './cluster-plan.ts'
import type { Coin } from './coins.ts'
import { MEMPOOL_HEIGHT, type MempoolEntry } from './mempool.ts'
import { type Reject, rejectText } from './reject.ts'

/** Transactions in a package at most. */
export const PACKAGE_LIMIT = 25
const PACKAGE_WEIGHT_LIMIT = 404_000

/** What became of a package: undefined `problem` = all is well; results by wtxid, none for those not looked at. */
export interface PackageOutcome {
  /** `policy`: the package as such is refused, else one of its transactions. */
  readonly problem: { readonly policy: boolean; readonly text: string } | undefined
  readonly results: ReadonlyMap<string, Acceptance>
}

const FAILED = { policy: false, text: 'transaction failed' } as const

/** Says of several transactions, parents first, whether they would be taken; replacing nothing, each paying for itself. */
export function testPackage(acceptor: Acceptor, txs: readonly Tx[]): PackageOutcome {
  return evaluate(acceptor, txs, { submit: false })
}

/** Takes a child with its parents in; parents that pay too little may be paid for by the child. */
export function submitPackage(acceptor: Acceptor, txs: readonly Tx[], maxRate: bigint | undefined): PackageOutcome {
  const malformed = malformation(txs)
  if (malformed !== undefined) return { problem: { policy: true, text: malformed }, results: new Map() }
  if (txs.length > 1 && !isChildWithParents(txs)) {
    return { problem: { policy: true, text: 'package-not-child-with-parents' }, results: new Map() }
  }
  const results = new Map<string, Acceptance>()
  const again: Tx[] = []
  let failed = false
  for (const tx of txs) {
    const wtxid = toDisplayHex(tx.wtxid)
    const result = knownResult(acceptor, tx) ?? acceptor.accept(tx, { maxRate })
    results.set(wtxid, result)
    if (result.kind !== 'rejected') continue
    if (txs.length > 1 && result.reject.kind !== 'rule') again.push(tx)
    else failed = true
  }
  if (failed || again.length === 0) return { problem: failed ? FAILED : undefined, results }
  const outcome =
    again.length === 1 ? single(acceptor, again, maxRate) : evaluate(acceptor, again, { submit: true, maxRate })
  for (const [wtxid, result] of outcome.results) results.set(wtxid, result)
  return { problem: outcome.problem, results }
}

function single(acceptor: Acceptor, txs: readonly Tx[], maxRate: bigint | undefined): PackageOutcome {
  const results = new Map(txs.map((tx) => [toDisplayHex(tx.wtxid), acceptor.accept(tx, { maxRate })]))
  const failed = [...results.values()].some(({ kind }) => kind === 'rejected')
  return { problem: failed ? FAILED : undefined, results }
}

function knownResult({ mempool }: Acceptor, tx: Tx): Acceptance | undefined {
  const same = mempool.getByWtxid(toDisplayHex(tx.wtxid))
  if (same !== undefined) return { kind: 'known', vsize: same.vsize, fee: same.fee }
  const other = mempool.get(toDisplayHex(tx.txid))
  return other && { kind: 'other-witness', wtxid: other.wtxid }
}

interface Evaluation {
  /** True: take them in, replacing others, and count their fees together. */
  readonly submit: boolean
  readonly maxRate?: bigint | undefined
}

function evaluate(acceptor: Acceptor, txs: readonly Tx[], how: Evaluation): PackageOutcome {
  const malformed = malformation(txs)
  if (malformed !== undefined) return { problem: { policy: true, text: malformed }, results: new Map() }
  const candidates: Candidate[] = []
  const coins = new Map<string, Coin>()
  const failing = (tx: Tx, reject: Reject, text: string = FAILED.text): PackageOutcome => ({
    problem: { policy: false, text },
    results: new Map([[toDisplayHex(tx.wtxid), { kind: 'rejected', reject }]]),
  })
  for (const tx of txs) {
    const checks = { fees: !how.submit, replace: how.submit }
    const candidate = acceptor.examine(tx, checks, (txid, index) => coins.get(`${toLatin1(txid)}${index}`))
    if ('reason' in candidate) return failing(tx, candidate)
    const { fee, vsize } = candidate.fresh
    if (how.maxRate !== undefined && rateOf(fee, vsize) > how.maxRate) {
      return failing(tx, { reason: 'max feerate exceeded', kind: 'rule' })
    }
    candidates.push(candidate)
    tx.outputs.forEach((output, index) => {
      coins.set(`${toLatin1(tx.txid)}${index}`, { ...output, height: MEMPOOL_HEIGHT, coinbase: false })
    })
  }
  const fee = candidates.reduce((sum, { fresh }) => sum + fresh.fee, 0n)
  const vsize = candidates.reduce((sum, { fresh }) => sum + fresh.vsize, 0)
  const last = txs.at(-1)
  const poor = how.submit ? acceptor.checkFee(fee, vsize) : undefined
  if (poor !== undefined && last !== undefined) return failing(last, poor)
  const problem = checkTogether(acceptor, candidates, { fee, vsize })
  if (problem !== undefined) return { problem: { policy: true, text: problem }, results: new Map() }
  for (const tx of txs) {
    const parents = txs.filter((each) => spends(tx, each))
    const inMempool = [...acceptor.mempool.parentsOf(tx)].map((entry) => entry.tx)
    const dust = unspentDust(tx, [...parents, ...inMempool], acceptor.policy)
    if (dust !== undefined) return failing(tx, dust, 'unspent-dust')
  }
  return { problem: undefined, results: finish(acceptor, candidates, how, { fee, vsize }) }
}

interface Total {
  readonly fee: bigint
  readonly vsize: number
}

function finish(
  acceptor: Acceptor,
  candidates: readonly Candidate[],
  how: Evaluation,
  total: Total,
): Map<string, Acceptance> {
  const { mempool } = acceptor
  const replaced = mempool.withDescendants(conflictsOf(candidates))
  if (how.submit) {
    mempool.remove(replaced, 'replaced')
    for (const { fresh } of candidates) mempool.add(fresh)
  }
  const wtxids = candidates.map(({ fresh }) => fresh.wtxid)
  return new Map(
    candidates.map(({ fresh }) => [
      fresh.wtxid,
      {
        kind: 'accepted',
        vsize: fresh.vsize,
        fee: fresh.fee,
        rate: how.submit ? rateOf(total.fee, total.vsize) : rateOf(fresh.fee, fresh.vsize),
        includes: how.submit ? wtxids : [fresh.wtxid],
        replaced: [...replaced].map(({ txid }) => txid),
      },
    ]),
  )
}

function conflictsOf(candidates: readonly Candidate[]): Set<MempoolEntry> {
  return new Set(candidates.flatMap(({ conflicts }) => [...conflicts]))
}

/** Why the transactions cannot come in together, in Core's words. */
function checkTogether(acceptor: Acceptor, candidates: readonly Candidate[], total: Total): string | undefined {
  const { mempool } = acceptor
  const replaced = mempool.withDescendants(conflictsOf(candidates))
  const plan = new ClusterPlan(
    mempool,
    replaced,
    candidates.map(({ fresh }) => fresh),
  )
  if (replaced.size > 0) {
    const [parent, child] = candidates
    if (candidates.length !== 2 || parent === undefined || child === undefined) {
      return 'package RBF failed: package must be 1-parent-1-child'
    }
    if (candidates.some(({ fresh }) => mempool.parentsOf(fresh.tx).size > 0)) {
      return 'package RBF failed: new transaction cannot have mempool ancestors'
    }
    const old = [...replaced].reduce((sum, { fee }) => sum + fee, 0n)
    const poor = paysForReplacement({ txid: child.fresh.txid, ...total }, old, acceptor.policy)
    if (poor !== undefined) return `package RBF failed: insufficient anti-DoS fees, ${poor}`
    if (total.fee * BigInt(parent.fresh.vsize) <= parent.fresh.fee * BigInt(total.vsize)) {
      return 'package RBF failed: package feerate is less than or equal to parent feerate'
    }
  }
  if (!plan.withinLimits) return 'too-large-cluster'
  if (replaced.size === 0 || plan.improves) return undefined
  return 'package RBF failed: insufficient feerate: does not improve feerate diagram'
}

/** Why a list of transactions is no package, whatever they say. */
function malformation(txs: readonly Tx[]): string | undefined {
  const weight = txs.reduce((sum, tx) => sum + tx.weight, 0)
  if (txs.length > PACKAGE_LIMIT) return 'package-too-many-transactions'
  if (txs.length > 1 && weight > PACKAGE_WEIGHT_LIMIT) return 'package-too-large'
  const later = new Set(txs.map((tx) => toDisplayHex(tx.txid)))
  if (later.size < txs.length) return 'package-contains-duplicates'
  for (const tx of txs) {
    if (tx.inputs.some(({ prevTxid }) => later.has(toDisplayHex(prevTxid)))) return 'package-not-sorted'
    later.delete(toDisplayHex(tx.txid))
  }
  const spent = txs.flatMap((tx) => tx.inputs.map(({ prevTxid, prevIndex }) => `${toLatin1(prevTxid)}${prevIndex}`))
  return new Set(spent).size < spent.length ? 'conflict-in-package' : undefined
}

/** True if all but the last are parents of the last. */
export function isChildWithParents(txs: readonly Tx[]): boolean {
  const child = txs.at(-1)
  return child !== undefined && txs.length > 1 && txs.slice(0, -1).every((parent) => spends(child, parent))
}

/** True if besides no parent spends another one. */
export function isChildWithIndependentParents(txs: readonly Tx[]): boolean {
  const parents = txs.slice(0, -1)
  return isChildWithParents(txs) && !parents.some((a) => parents.some((b) => spends(a, b)))
}

function spends(child: Tx, parent: Tx): boolean {
  const id = toDisplayHex(parent.txid)
  return child.inputs.some(({ prevTxid }) => toDisplayHex(prevTxid) === id)
}

/** The line that tells of a result that was refused. */
export function resultError(result: Acceptance): string | undefined {
  return result.kind === 'rejected' ? rejectText(result.reject) : undefined
}
