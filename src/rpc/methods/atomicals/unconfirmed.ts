import { setImmediate as nextTurn } from 'node:timers/promises'
import type { AtomicalsHeights } from '../../../atomicals/constants.ts'
import type { DeploySource } from '../../../atomicals/deploys.ts'
import type { HeldRow, PlaceKey } from '../../../atomicals/layout.ts'
import type { PagedRows, RowOf } from '../../../atomicals/rows.ts'
import type { IdText } from '../../../atomicals/transfer/holding.ts'
import { UnconfirmedBlock } from '../../../atomicals/unconfirmed.ts'
import { parseWholeTx, type Tx } from '../../../chain/tx.ts'
import type { KeySpace } from '../../../db/layout.ts'
import { ERROR_CODES, RpcError } from '../../../errors.ts'
import { throwIfAborted, untilAborted } from '../../../lib/abort.ts'
import { equalBytes, toDisplayHex } from '../../../lib/bytes.ts'
import type { KeptList, KeptTx } from '../../../mempool/kept.ts'
import type { MempoolView } from '../../../mempool/moment.ts'
import type { RpcContext } from '../../method.ts'

type Asking = Pick<RpcContext, 'moment' | 'daemon' | 'signal'>

/** What the mempool of a moment does to Atomicals. Belongs to that moment: its rows stand on rows of its view. */
export interface UnconfirmedRows {
  /** Rows of the view with those of the mempool on top. */
  over(base: PagedRows): PagedRows
  /** What may come to sit at an output besides what does, if its transactions are mined in another order, or later. */
  mayHold(place: PlaceKey): readonly HeldRow[]
  /** Distributed tokens that its transactions make in some order. */
  readonly deploys: DeploySource
  /** Rows that the mempool wrote and left, of those that are listed: atomicals and names. In the order of its doing. */
  written<K, V>(space: KeySpace<K, V>): Iterable<RowOf<K, V>>
  /** Transactions in the history of an id: 32 bytes each, internal order. */
  listedUnder(id: IdText): readonly Uint8Array[]
}

/** Transactions applied before others get a turn. */
const APPLIED_AT_ONCE = 20
/** Transactions that the node is asked for in one call. */
const FETCHED_AT_ONCE = 200

/** Transactions of one mempool, as far as they were applied. */
class Run {
  readonly block: UnconfirmedBlock
  /** In the order in which they came. */
  readonly txs: KeptTx[] = []
  /** How many were applied by the time each of them was; more than its place where parents came later than children. */
  readonly counts: number[] = []
  readonly applied = new Set<string>()
  /** Those whose outputs applied transactions spend. */
  readonly parents = new Set<string>()
  /** The list that was applied last to its end, with how many that were: spares the comparison. */
  whole: { readonly kept: KeptList; readonly count: number } | undefined
  /** False while one is applied, and for good if that failed. */
  isWhole = true

  constructor(block: UnconfirmedBlock) {
    this.block = block
  }

  /** How many of the first of `txs` are these, in this order. A transaction that left and came again is another one. */
  common(txs: readonly KeptTx[]): number {
    const end = Math.min(txs.length, this.txs.length)
    for (let i = 0; i < end; i++) if (txs[i] !== this.txs[i]) return i
    return end
  }
}

/**
 * What the mempool does to Atomicals, worked out when it is asked for and kept: transactions that come later are applied
 * on top of those before, and only where one has gone, or the tip is another one, all that matter are applied anew. Those
 * that do not matter are never looked at.
 */
export class UnconfirmedAtomicals {
  readonly #heights: AtomicalsHeights
  #run: Run | undefined
  /** Who asks works for all: one at a time, each with his own view and until his own request ends. */
  #turn: Promise<void> = Promise.resolve()

  constructor(options: { readonly heights: AtomicalsHeights }) {
    this.#heights = options.heights
  }

  /**
   * Undefined if nothing in the mempool can do anything. Throws RpcError -102 if the node has no longer a transaction
   * that is not kept here; rejects with AbortError when the request ends.
   */
  async of(asking: Asking): Promise<UnconfirmedRows | undefined> {
    const { txs } = asking.moment.mempool.kept
    if (txs.length === 0) return undefined
    const known = this.#known(asking)
    if (known !== undefined) return known
    const before = this.#turn
    const own = untilAborted(before, asking.signal).then(() => this.#known(asking) ?? this.#work(asking))
    // Whoever comes next waits for the one before too, where this one gave up waiting.
    this.#turn = Promise.allSettled([before, own]).then(forget)
    return own
  }

  /** What is at hand. */
  #known({ moment }: Asking): UnconfirmedRows | undefined {
    const run = this.#run
    if (run === undefined || !equalBytes(run.block.tip.hash, moment.tip.hash)) return undefined
    if (run.block.missesDeploys) return undefined
    const { kept } = moment.mempool
    if (kept === run.whole?.kept) return rowsOf(run.block, run.whole.count)
    const { txs } = kept
    if (txs.length > run.txs.length || run.common(txs) < txs.length) return undefined
    const count = run.counts[txs.length - 1]
    // Of fewer transactions, unless some that came later were applied before them.
    if (count === undefined || (txs.length < run.txs.length && count !== txs.length)) return undefined
    return rowsOf(run.block, count)
  }

  async #work(asking: Asking): Promise<UnconfirmedRows | undefined> {
    const { tip, mempool } = asking.moment
    const { txs } = mempool.kept
    const last = this.#run
    const goesOn =
      last !== undefined && equalBytes(last.block.tip.hash, tip.hash) && last.common(txs) === last.txs.length
    let run = goesOn ? last : this.#begin(asking)
    if (run === undefined) return undefined
    this.#run = run
    try {
      if (!(await this.#applyAll(run, txs.slice(run.txs.length), asking))) {
        // A parent came after its child, which was applied: from the beginning, parents first.
        run = this.#begin(asking)
        if (run === undefined) return undefined
        this.#run = run
        await this.#applyAll(run, txs, asking)
      }
      if (run.block.missesDeploys) {
        // A token was deployed after a mint that may be of it: from the beginning, with it in mind.
        run = this.#run = new Run(run.block.again(asking.moment.view))
        await this.#applyAll(run, txs, asking)
      }
      run.whole = { kept: mempool.kept, count: run.block.applied }
    } finally {
      // What was applied stays for the next who asks, also where this one gave up; not with parents that came later.
      if (run?.isWhole === false || run?.applied.size !== run?.txs.length) this.#run = undefined
    }
    return rowsOf(run.block, run.block.applied)
  }

  #begin({ moment }: Asking): Run | undefined {
    const block = UnconfirmedBlock.on(moment.view, this.#heights)
    return block === undefined ? undefined : new Run(block)
  }

  /** False if one of them is a parent of what was applied before. */
  async #applyAll(run: Run, txs: readonly KeptTx[], asking: Asking): Promise<boolean> {
    const { signal } = asking
    const waiting = new Map(txs.map((tx) => [tx.txid, tx]))
    let worked = 0
    for (let from = 0; from < txs.length; from += FETCHED_AT_ONCE) {
      const raws = await rawsOf(txs.slice(from, from + FETCHED_AT_ONCE), asking)
      for (const kept of txs.slice(from, from + FETCHED_AT_ONCE)) {
        if (!run.applied.has(kept.txid) && run.parents.has(kept.txid)) return false
        for (const [one, tx] of await withParents(kept, { run, waiting, raws, asking })) {
          if (++worked % APPLIED_AT_ONCE === 0) await nextTurn()
          throwIfAborted(signal)
          await apply(run, one, tx, asking)
        }
        run.txs.push(kept)
        run.counts.push(run.block.applied)
      }
    }
    return true
  }
}

/** What came of all who asked before would else be kept for as long as anybody asks. */
function forget(): void {}

function rowsOf(block: UnconfirmedBlock, upTo: number): UnconfirmedRows {
  return {
    over: (base) => block.rows(base, upTo),
    mayHold: (place) => block.mayHold(place, upTo),
    deploys: block.deploys,
    written: (space) => block.written(space, upTo),
    listedUnder: (id) => block.listedUnder(id, upTo),
  }
}

async function apply(run: Run, { txid, order }: KeptTx, tx: Tx, { moment }: Asking): Promise<void> {
  const { view, mempool } = moment
  run.isWhole = false
  await run.block.apply({ tx, order, commitOrder: commitOrderOf(tx, mempool) }, view)
  run.isWhole = true
  run.applied.add(txid)
  for (const { prevTxid } of tx.inputs) run.parents.add(toDisplayHex(prevTxid))
}

function commitOrderOf({ inputs }: Tx, mempool: MempoolView): number | undefined {
  const [first] = inputs
  return first === undefined ? undefined : mempool.orderOf(toDisplayHex(first.prevTxid))
}

interface Ordering {
  readonly run: Run
  readonly waiting: ReadonlyMap<string, KeptTx>
  readonly raws: ReadonlyMap<string, Uint8Array>
  readonly asking: Asking
}

/** A transaction that is not applied yet, after those of its parents that are not: after a reorganisation they come later. */
async function withParents(kept: KeptTx, ordering: Ordering): Promise<readonly (readonly [KeptTx, Tx])[]> {
  const { run, waiting, raws, asking } = ordering
  const found: (readonly [KeptTx, Tx])[] = []
  const seen = new Set<string>()
  const work: { readonly kept: KeptTx; readonly tx?: Tx }[] = [{ kept }]
  for (let next = work.pop(); next !== undefined; next = work.pop()) {
    if (next.tx !== undefined) {
      found.push([next.kept, next.tx])
      continue
    }
    const { txid } = next.kept
    if (run.applied.has(txid) || seen.has(txid)) continue
    seen.add(txid)
    const raw = raws.get(txid) ?? (await rawsOf([next.kept], asking)).get(txid)
    if (raw === undefined) throw moved()
    const tx = parseWholeTx(raw)
    work.push({ kept: next.kept, tx })
    for (const { prevTxid } of tx.inputs) {
      const parent = waiting.get(toDisplayHex(prevTxid))
      if (parent !== undefined) work.push({ kept: parent })
    }
  }
  return found
}

/** Bytes by id; of those that are not kept, from the node. */
async function rawsOf(txs: readonly KeptTx[], { daemon, signal }: Asking): Promise<ReadonlyMap<string, Uint8Array>> {
  const raws = new Map<string, Uint8Array>()
  for (const { txid, raw } of txs) if (raw !== undefined) raws.set(txid, raw)
  const missing = txs.filter(({ txid }) => !raws.has(txid)).map(({ txid }) => txid)
  if (missing.length === 0) return raws
  for (const [i, raw] of (await daemon.mempoolTransactions(missing, signal)).entries()) {
    const txid = missing[i]
    if (raw === undefined || txid === undefined) throw moved()
    raws.set(txid, raw)
  }
  return raws
}

function moved(): RpcError {
  return new RpcError(ERROR_CODES.busy.code, 'the mempool is changing: ask again')
}
