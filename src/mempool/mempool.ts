import { setImmediate as nextTurn } from 'node:timers/promises'
import { hashXOf, isUnspendable } from '../chain/script.ts'
import { parseWholeTx, type Tx } from '../chain/tx.ts'
import type { ChainInfo, Daemon } from '../daemon/daemon.ts'
import type { ChainView } from '../db/view.ts'
import { throwIfAborted } from '../lib/abort.ts'
import { toDisplayHex, toLatin1 } from '../lib/bytes.ts'
import type { Logger } from '../log.ts'
import { compareWithList, isWaiting, type Known } from './comparison.ts'
import {
  type Candidate,
  type Coin,
  coinAt,
  forEachHashX,
  indexOf,
  keyBytes,
  type MempoolEntry,
  type OutputKey,
  prevoutAt,
  toEntry,
  txidOf,
} from './entry.ts'
import { type CompactHistogram, FeeHistogram } from './fee-histogram.ts'
import { Fetcher, type Sources } from './fetcher.ts'
import { MempoolGraph } from './graph.ts'
import { type Interest, KeptTxs } from './kept.ts'
import { Orphans } from './orphans.ts'
import { MempoolSnapshot, RECENT_KEPT } from './snapshot.ts'

const TXID_SIZE = 32
/** Transactions that are taken in, or dropped, before others get a turn. */
const CHANGED_AT_ONCE = 250
/** Outpoints that a block spends: next to none of them is spent by anything that is left. */
const SPENT_AT_ONCE = 2000

export interface MempoolOptions {
  /** Transactions that are asked for in one call. */
  readonly batch: number
  /** Such calls at a time. What they bring is taken in at once; only then come the next ones. */
  readonly inFlight: number
  /** Transactions kept that wait for a parent. */
  readonly orphans: number
  /** Bytes of transactions that are kept whole: see KeptTxs. */
  readonly keptBytes: number
}

export const MEMPOOL_DEFAULTS: MempoolOptions = { batch: 200, inFlight: 5, orphans: 10_000, keptBytes: 64 * 2 ** 20 }

export interface MempoolCollaborators {
  readonly log: Logger
  /** hashX of output scripts: the same that the index uses. */
  readonly keyOf?: OutputKey
  readonly parse?: (raw: Uint8Array) => Tx
  /** Which transactions are kept whole. None without it. */
  readonly interest?: Interest | undefined
}

/** Transactions, as displayed, that came into the node's mempool and left it otherwise than by a block. */
export interface MempoolNews {
  /** In the order in which they came. */
  readonly added: readonly string[]
  readonly removed: readonly string[]
}

/** How a refresh ended. */
export interface Refreshed {
  /** The node as it was when it named its transactions. */
  readonly node: ChainInfo
  /** Place of the node's list among its notices, where it told it. */
  readonly sequence: number | undefined
  /** Milliseconds of all that it took in which the node was away before it gave the list. */
  readonly waited: number
  /** Ids of the transactions that were found to be new or gone. */
  readonly changed: readonly string[]
  /**
   * `current`: the mempool is what the node has, but for transactions that wait for a parent. `behind`: the node's tip
   * is another than the view's, so nothing was changed: what is gone from its mempool could be in a block. `paused`:
   * the caller wanted to do something else first; the next refresh goes on where this one ended.
   */
  readonly outcome: 'current' | 'behind' | 'paused'
  /**
   * The node was started anew and has not taken in all that it had before: what it lacks is kept, for it may come back.
   * Ask for the list again soon.
   */
  readonly loading: boolean
  /** hashXs (Latin-1) whose answers may have changed, but for those given to `step` before. */
  readonly touched: Set<string>
}

/**
 * Told of what was taken in so far while more is to come; says whether to go on. Nothing changes between such a call
 * and the next turn of the event loop.
 */
export type RefreshStep = (touched: Set<string>) => 'continue' | 'pause'

/**
 * The node's mempool with resolved inputs. One owner calls refresh, update and applyBlock, one at a time; readers have
 * snapshots, which these calls never change.
 */
export class Mempool {
  readonly #options: MempoolOptions
  readonly #log: Logger
  readonly #fetcher: Fetcher
  readonly #graph = new MempoolGraph()
  readonly #orphans: Orphans
  readonly #interest: Interest | undefined
  readonly #kept: KeptTxs
  readonly #fees = new FeeHistogram()
  /** In the order in which they came, with some that are gone. */
  #arrivals: MempoolEntry[] = []
  #histogram: CompactHistogram = []
  #complete = false
  #virtualBytes = 0
  /** Ids of what came, went, or changed its height since somebody took them. */
  #stirred = new Set<string>()
  /** Transactions that ever came. */
  #came = 0
  /** True from a block that was taken back until everything was looked at again for what matters. */
  #interestStale = false
  /** The node was still loading its mempool when it was asked last. */
  #nodeLoads = false
  /** False from a block that was taken back until a refresh has gone through. */
  #regained = true
  /** False before the first load is done, and while some of many that have come at once are still to be fetched. */
  #whole = false

  constructor(options: Partial<MempoolOptions>, collaborators: MempoolCollaborators) {
    this.#options = { ...MEMPOOL_DEFAULTS, ...options }
    this.#log = collaborators.log
    const { log, keyOf = indexedKey, parse = parseWholeTx, interest } = collaborators
    this.#fetcher = new Fetcher(this.#options, { log, keyOf, parse, interest, has: (txid) => this.#graph.has(txid) })
    this.#orphans = new Orphans(this.#options.orphans)
    this.#interest = interest
    this.#kept = new KeptTxs({ maxBytes: this.#options.keptBytes })
  }

  get size(): number {
    return this.#graph.size
  }

  /** Virtual bytes of all transactions. */
  get virtualBytes(): number {
    return this.#virtualBytes
  }

  /** True once a refresh has gone through of a node that had loaded its own mempool. */
  get complete(): boolean {
    return this.#complete
  }

  /** Transactions that wait for a parent. */
  get waiting(): number {
    return this.#orphans.size
  }

  /** Transactions that matter to an index of the coin. */
  get keptTransactions(): number {
    return this.#kept.size
  }

  /** Bytes of those that are kept whole. */
  get keptBytes(): number {
    return this.#kept.bytes
  }

  /** What readers see from now on; of one instant, for as long as they keep it. */
  snapshot(): MempoolSnapshot {
    const facts = {
      complete: this.#complete,
      regained: this.#regained,
      whole: this.#whole,
      histogram: this.#histogram,
      recent: this.#recent(),
      kept: this.#kept.list(),
    }
    return new MempoolSnapshot(facts, this.#graph.freeze())
  }

  /** Ids, as displayed, of what came, went, or changed its height since this was called last. */
  takeStirred(): ReadonlySet<string> {
    const stirred = this.#stirred
    this.#stirred = new Set()
    return stirred
  }

  /** A block was taken back: what its outputs carry may change, so transactions that did not matter may do so now. */
  rolledBack(): void {
    this.#regained = false
    this.#interestStale = this.#interest !== undefined
    // Those that wait know of outputs of a branch that is lost: they are fetched and looked at anew.
    this.#orphans.takeAll()
  }

  /** Makes the fee histogram anew for the snapshots to come. */
  renewHistogram(): void {
    this.#histogram = this.#fees.compact()
  }

  /**
   * Brings the mempool to what the node has now, by its list. `view` is where confirmed outputs are looked up. Large
   * changes are taken in by steps, of which `step` hears; `listed` is called when the list is there, and what is new has
   * still to be fetched. Throws what the daemon throws; what was taken in stays.
   */
  async refresh(
    view: ChainView,
    daemon: Daemon,
    signal: AbortSignal,
    step: RefreshStep = goOn,
    listed: () => void = () => undefined,
  ): Promise<Refreshed> {
    const { turn } = daemon
    const { txids, sequence, waited } = await daemon.mempoolIds(signal)
    // Asked after the ids: if this tip is the view's, so it was when the ids were listed. By the same node, that is.
    const node = await daemon.chainInfo(signal)
    if (!standsOn(view, node) || daemon.turn !== turn) return behind(node)
    await this.#renewInterest(view, signal)
    const { gone, fresh } = await compareWithList(txids, this.#known, signal)
    const mayLoad = gone.length > 0 || this.#nodeLoads || !this.#complete
    const loading = mayLoad && (await this.#isLoading(daemon, signal))
    listed()
    const result = await this.#takeIn(loading ? [] : gone, fresh, { view, daemon, signal, step })
    if (result.outcome === 'current') this.#regained = true
    if (result.outcome === 'current' && !loading) this.#complete = this.#whole = true
    return { ...result, loading, node, sequence, waited }
  }

  /** True also when the node has come to the end since it was asked last, for its list may be from before that. */
  async #isLoading(daemon: Daemon, signal: AbortSignal): Promise<boolean> {
    const before = this.#nodeLoads
    this.#nodeLoads = !(await daemon.mempoolInfo(signal)).loaded
    return before || this.#nodeLoads
  }

  /** The same by what the node told of changes since the last refresh or update; all of them, or the two drift apart. */
  async update(
    news: MempoolNews,
    view: ChainView,
    daemon: Daemon,
    signal: AbortSignal,
    step: RefreshStep = goOn,
  ): Promise<Refreshed> {
    const fresh = news.added.filter((txid) => !this.#isKnown(txid))
    const sources = { view, daemon, signal }
    // At once, for a node that has much to do lets either wait; nothing is changed before its tip is known.
    const [asked, fetched] = await Promise.allSettled([
      daemon.chainInfo(signal),
      this.#fetcher.fetch(fresh.slice(0, this.#stepSize), [], sources),
    ])
    const node = valueOf(asked)
    if (!standsOn(view, node)) return behind(node)
    const first = valueOf(fetched)
    for (const txid of news.removed) {
      this.#orphans.delete(txid)
      this.#fetcher.unreadable.delete(txid)
    }
    const gone = news.removed.filter((txid) => this.#graph.has(txid))
    const before = this.#whole
    const result = await this.#takeIn(gone, fresh, { ...sources, step }, first)
    if (result.outcome === 'current') this.#whole = before
    return { ...result, loading: false, node, sequence: undefined, waited: 0 }
  }

  /**
   * Takes out what a block confirms, and what spends an outpoint that the block spends otherwise, with all that depends
   * on it. `txids`: 32 bytes each, internal order; `spent`: outpoints of 36 bytes. Gives the touched hashXs (Latin-1). Others
   * have turns meanwhile, who see nothing of it: they have snapshots, and the owner takes none.
   */
  async applyBlock(txids: Uint8Array, spent: Iterable<Uint8Array>): Promise<Set<string>> {
    const touched = new Set<string>()
    let looked = 0
    for (let at = 0; at < txids.length && this.#graph.size + this.#orphans.size > 0; at += TXID_SIZE) {
      if (++looked % CHANGED_AT_ONCE === 0) await nextTurn()
      this.#drop(toDisplayHex(txids.subarray(at, at + TXID_SIZE)), touched)
    }
    for (const outpoint of spent) {
      if (this.#graph.size === 0) break
      if (++looked % SPENT_AT_ONCE === 0) await nextTurn()
      this.#dropSpender(toLatin1(outpoint), touched)
    }
    return touched
  }

  /** Transactions that are fetched before what came is taken in. */
  get #stepSize(): number {
    return this.#options.batch * this.#options.inFlight
  }

  /** `first`: those of the first step of `fresh` where they have been fetched before. */
  async #takeIn(
    gone: readonly string[],
    fresh: readonly string[],
    { step, ...sources }: Sources & { readonly step: RefreshStep },
    first?: readonly Candidate[],
  ): Promise<Pick<Refreshed, 'outcome' | 'touched' | 'changed'>> {
    const changed = [...gone, ...fresh]
    let touched = new Set<string>()
    // Their parents may have come meanwhile, into the mempool or into the chain.
    let waiting = this.#orphans.takeAll()
    const size = this.#stepSize
    for (let from = 0; from === 0 || from < fresh.length; from += size) {
      const here = from === 0 ? first : undefined
      let candidates: readonly Candidate[]
      try {
        const txids = here === undefined ? fresh.slice(from, from + size) : []
        candidates = await this.#fetcher.fetch(txids, [...waiting, ...(here ?? [])], sources)
      } catch (error) {
        for (const candidate of waiting) this.#defer(candidate)
        throw error
      }
      waiting = []
      // Together, so that nobody sees a transaction gone and the one that replaces it not yet there.
      if (from === 0) await this.#dropAll(gone, touched)
      await this.#accept(candidates, touched)
      if (from + size < fresh.length) {
        this.#whole = false
        if (step(touched) === 'pause') return { outcome: 'paused', touched: new Set(), changed }
        touched = new Set()
      }
    }
    return { outcome: 'current', touched, changed }
  }

  get #known(): Known {
    return { graph: this.#graph, orphans: this.#orphans, unreadable: this.#fetcher.unreadable }
  }

  #isKnown(txid: string): boolean {
    return this.#graph.has(txid) || isWaiting(this.#known, txid)
  }

  /** Lets others have a turn as accept() does: a node that was started without its mempool lacks all that it had. */
  async #dropAll(txids: readonly string[], touched: Set<string>): Promise<void> {
    for (const [i, txid] of txids.entries()) {
      if (i % CHANGED_AT_ONCE === CHANGED_AT_ONCE - 1) await nextTurn()
      this.#drop(txid, touched)
    }
  }

  /**
   * Takes in the candidates whose inputs are all known, parents first; the others wait. Lets others have a turn now and
   * then, who see nothing of it: they have snapshots.
   */
  async #accept(candidates: readonly Candidate[], touched: Set<string>): Promise<void> {
    const work = [...candidates].reverse()
    let looked = 0
    for (let candidate = work.pop(); candidate !== undefined; candidate = work.pop()) {
      if (++looked % CHANGED_AT_ONCE === 0) await nextTurn()
      if (this.#graph.has(candidate.txid)) continue
      const missing = this.#fillFromMempool(candidate)
      if (missing !== undefined) {
        this.#defer(candidate, missing)
        continue
      }
      const entry = toEntry(candidate, this.#came++)
      for (let i = 0; i < entry.inputValues.length; i++) this.#dropSpender(prevoutAt(entry.prevouts, i), touched)
      this.#insert(entry, touched)
      this.#keepIfItMatters(entry, candidate.interest)
      work.push(...this.#orphans.takeChildren(entry.txid))
    }
  }

  /**
   * The id of the first parent that is not known, or undefined if all are. Of a candidate that has to wait nothing is
   * filled in: by the time its parents are here a block may have confirmed one that is here now, and whether something
   * sits at an output of that one is asked where the coin is found.
   */
  #fillFromMempool(candidate: Candidate): string | undefined {
    const found: (readonly [input: number, coin: Coin])[] = []
    for (const [input, coin] of candidate.coins.entries()) {
      if (coin !== undefined) continue
      const outpoint = prevoutAt(candidate.prevouts, input)
      const txid = txidOf(outpoint)
      const parent = this.#graph.get(txid)
      const paid = parent === undefined ? undefined : coinAt(parent, indexOf(outpoint))
      if (paid === undefined) return txid
      found.push([input, paid])
    }
    for (const [input, coin] of found) candidate.coins[input] = coin
    return undefined
  }

  #defer(candidate: Candidate, missing = txidOf(candidate.prevouts)): void {
    if (!this.#orphans.add(candidate, missing)) {
      this.#log.debug({ txid: candidate.txid }, 'no room for a transaction that waits for a parent')
    }
  }

  #insert(entry: MempoolEntry, touched: Set<string>): void {
    this.#graph.add(entry)
    this.#fees.add(entry.fee, entry.vsize)
    this.#virtualBytes += entry.vsize
    this.#arrivals.push(entry)
    this.#touch(entry, touched)
  }

  #keepIfItMatters(entry: MempoolEntry, interest: Candidate['interest']): void {
    if (interest === undefined || !(interest.matters || this.#hasKeptParent(entry))) return
    this.#keep(entry, interest.raw)
  }

  #hasKeptParent({ prevouts, inputValues }: MempoolEntry): boolean {
    if (this.#kept.size === 0) return false
    for (let i = 0; i < inputValues.length; i++) if (this.#kept.has(txidOf(prevoutAt(prevouts, i)))) return true
    return false
  }

  /** Keeps it and, after a reorganisation, what was there before its parent. */
  #keep(entry: MempoolEntry, raw?: Uint8Array): void {
    this.#kept.add({ txid: entry.txid, order: entry.order, raw })
    for (const { txid, order } of this.#graph.descendants(entry)) this.#kept.add({ txid, order, raw: undefined })
  }

  async #renewInterest(view: ChainView, signal: AbortSignal): Promise<void> {
    if (!this.#interestStale) return
    let looked = 0
    for (const txid of this.#graph.txids()) {
      if (++looked % CHANGED_AT_ONCE === 0) await nextTurn()
      const entry = this.#graph.get(txid)
      if (entry !== undefined && !this.#kept.has(txid) && this.#spendsCarrier(entry, view)) this.#keep(entry)
    }
    throwIfAborted(signal)
    this.#interestStale = false
  }

  #spendsCarrier({ prevouts, inputValues }: MempoolEntry, view: ChainView): boolean {
    for (let i = 0; i < inputValues.length; i++) {
      const outpoint = prevoutAt(prevouts, i)
      if (this.#graph.has(txidOf(outpoint))) continue
      if (this.#interest?.carries(view, keyBytes(outpoint)) === true) return true
    }
    return false
  }

  /** Takes out a transaction if it is there, and leaves its dependents: those of a confirmed one stay. */
  #drop(txid: string, touched: Set<string>): void {
    this.#orphans.delete(txid)
    const entry = this.#graph.get(txid)
    if (entry === undefined) return
    this.#touch(entry, touched)
    this.#graph.remove(entry)
    this.#kept.delete(txid)
    this.#fees.remove(entry.fee, entry.vsize)
    this.#virtualBytes -= entry.vsize
    if (this.#arrivals.length > 2 * this.#graph.size + 8 * RECENT_KEPT) {
      this.#arrivals = this.#arrivals.filter((arrived) => this.#graph.get(arrived.txid) === arrived)
    }
  }

  #dropSpender(outpoint: string, touched: Set<string>): void {
    const spender = this.#graph.spenderOf(outpoint)
    if (spender === undefined) return
    for (const entry of this.#graph.descendants(spender)) this.#drop(entry.txid, touched)
  }

  /** Its own scripts, and those of its children: their height changes between 0 and -1 as their parent comes or goes. */
  #touch(entry: MempoolEntry, touched: Set<string>): void {
    const add = (hashX: string): void => void touched.add(hashX)
    forEachHashX(entry, add)
    this.#stirred.add(entry.txid)
    for (const child of this.#graph.children(entry)) {
      forEachHashX(child, add)
      this.#stirred.add(child.txid)
    }
  }

  #recent(): readonly MempoolEntry[] {
    const recent: MempoolEntry[] = []
    for (let i = this.#arrivals.length - 1; i >= 0 && recent.length < RECENT_KEPT; i--) {
      const entry = this.#arrivals[i]
      if (entry !== undefined && this.#graph.get(entry.txid) === entry) recent.push(entry)
    }
    return recent
  }
}

/** What the index keeps, so that nothing is seen in the mempool that vanishes once it is confirmed. */
function indexedKey(script: Uint8Array): Uint8Array | undefined {
  return isUnspendable(script) ? undefined : hashXOf(script)
}

function valueOf<T>(result: PromiseSettledResult<T>): T {
  if (result.status === 'rejected') throw result.reason
  return result.value
}

function standsOn(view: ChainView, node: ChainInfo): boolean {
  return node.bestBlockHash === toDisplayHex(view.tip.hash)
}

function behind(node: ChainInfo): Refreshed {
  return { node, sequence: undefined, changed: [], outcome: 'behind', loading: false, waited: 0, touched: new Set() }
}

function goOn(): 'continue' {
  return 'continue'
}
