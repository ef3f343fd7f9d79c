import type { Tx } from '../chain/tx.ts'
import type { KeySpace } from '../db/layout.ts'
import type { ChainView, RowOf, Tip } from '../db/view.ts'
import { applyTx } from './apply-tx.ts'
import { type AtomicalsHeights, isActive } from './constants.ts'
import { type DeploySource, Deploys } from './deploys.ts'
import { type AtomicalsRules, rulesAt } from './height-rules.ts'
import { ACTIVITY, BLOCKS, type HeldRow, type PlaceKey } from './layout.ts'
import { Ledger, type PlacedTx } from './ledger.ts'
import { MayCarry } from './may-carry.ts'
import { findOperation } from './operation.ts'
import { ParentMemory } from './parent-memory.ts'
import { RecordedPast } from './past.ts'
import { RowVersions, VersionedRows, VersionWriter } from './row-versions.ts'
import { type PagedRows, ViewRows } from './rows.ts'
import type { TickerMemory } from './steps/distribute.ts'
import { type CommitPlace, knownCommit } from './steps/mint.ts'
import type { IdText } from './transfer/holding.ts'

/** A transaction that is not in a block. */
export interface UnconfirmedTx {
  readonly tx: Tx
  /** Place in an order of all unconfirmed transactions, in which the earlier of two claims on a name is found. */
  readonly order: number
  /** The same of the transaction whose output input 0 spends; undefined if that one is confirmed. */
  readonly commitOrder: number | undefined
}

/**
 * Unconfirmed transactions under the rules of the next height, one after the other as if they were the next block. More
 * can be applied to it at any time; who reads it goes on seeing as many as there were. Parents have to come first.
 */
export class UnconfirmedBlock {
  readonly tip: Tip
  readonly #heights: AtomicalsHeights
  readonly #rules: AtomicalsRules
  readonly #versions = new RowVersions()
  readonly #writer: VersionWriter
  readonly #ledger: Ledger
  readonly #deploys: Deploys
  readonly #mayCarry: MayCarry
  readonly #tickers: TickerMemory = new Map()
  /** Transactions by the id in whose history they are, with their numbers. */
  readonly #listed = new Map<IdText, { readonly txid: Uint8Array; readonly at: number }[]>()

  private constructor(heights: AtomicalsHeights, view: ChainView, deploys: Deploys) {
    this.#heights = heights
    this.tip = view.tip
    this.#rules = rulesAt(heights, view.tip.height + 1)
    this.#deploys = deploys
    this.#mayCarry = new MayCarry(this.#rules, deploys)
    const base = new ViewRows(view)
    this.#writer = new VersionWriter(this.#versions, base)
    const count = base.get(BLOCKS, { height: Math.max(0, view.tip.height) })?.count ?? 0
    this.#ledger = new Ledger({ count }, { overlay: this.#writer, parents: new ParentMemory() })
  }

  /** Nothing applied yet. Undefined if the protocol has not begun at the next height. */
  static on(view: ChainView, heights: AtomicalsHeights): UnconfirmedBlock | undefined {
    return isActive(heights.start, view.tip.height + 1) ? new UnconfirmedBlock(heights, view, new Deploys()) : undefined
  }

  /**
   * True if a token was deployed after a mint that may be of it: what mayHold() says is too little then, until the same
   * transactions were applied to again().
   */
  get missesDeploys(): boolean {
    return this.#deploys.late
  }

  /** Nothing applied yet, and what the transactions that were applied to this deploy is known. `view`: of the same tip. */
  again(view: ChainView): UnconfirmedBlock {
    return new UnconfirmedBlock(this.#heights, view, this.#deploys.begunAgain())
  }

  /** Distributed tokens that the transactions make in some order. */
  get deploys(): DeploySource {
    return this.#deploys
  }

  /** Transactions that were applied. */
  get applied(): number {
    return this.#writer.at
  }

  /**
   * Applies one more; one call at a time. `view`: of the tip that this stands on, open until the promise settles. After
   * an error nothing more can be done with it.
   */
  async apply({ tx, order, commitOrder }: UnconfirmedTx, view: ChainView): Promise<void> {
    const base = new ViewRows(view)
    this.#writer.base = base
    const { txCount, height } = this.tip
    const placed: PlacedTx = { tx, txid: tx.txid, txNum: txCount + order, height: height + 1 }
    const operation = findOperation(tx, { argsMayHaveBytes: this.#rules.density })
    const commit = operation === undefined ? undefined : await this.#commitOf(tx, commitOrder, view)
    const spent = this.#ledger.spendInputs(placed)
    const input = { placed, spent, operation, commitOf: () => commit }
    const result = await applyTx(this.#ledger, input, this.#tickers, this.#rules)
    if (result.activity !== undefined) this.#writer.put(ACTIVITY, { txNum: placed.txNum }, result.activity)
    if (result.counts) {
      if (result.operation !== undefined) this.#ledger.keepPayload(placed.txNum, result.operation)
      for (const id of result.listedUnder) this.#list(id, placed.txid)
    }
    const minted = result.activity?.minted !== undefined
    const heldAt = (place: PlaceKey) => this.#ledger.location(place)?.held ?? []
    await this.#mayCarry.add(
      { placed, operation, commit, spent, heldAt, minted },
      { confirmed: new RecordedPast(base), applied: this.#ledger, txCount },
      this.#writer.at,
    )
    this.#writer.at += 1
  }

  /** The rows with the first `upTo` of the transactions. `base`: those of a view of the same tip. */
  rows(base: PagedRows, upTo: number): PagedRows {
    return new VersionedRows({ upTo }, { versions: this.#versions, base })
  }

  /** What may come to sit at an output besides what does, by the first `upTo` transactions in another order. */
  mayHold(place: PlaceKey, upTo: number): readonly HeldRow[] {
    return this.#mayCarry.heldAt(place, upTo)
  }

  /** Rows that the first `upTo` transactions wrote and left, in the order in which they did so first. */
  written<K, V>(space: KeySpace<K, V>, upTo: number): Iterable<RowOf<K, V>> {
    return this.#versions.listed(space, upTo)
  }

  /** Those of the first `upTo` transactions that are in the history of an id, in their order; 32 bytes, internal order. */
  listedUnder(id: IdText, upTo: number): readonly Uint8Array[] {
    return (this.#listed.get(id) ?? []).filter(({ at }) => at < upTo).map(({ txid }) => txid)
  }

  #list(id: IdText, txid: Uint8Array): void {
    const entry = { txid, at: this.#writer.at }
    const listed = this.#listed.get(id)
    if (listed === undefined) this.#listed.set(id, [entry])
    else listed.push(entry)
  }

  async #commitOf({ inputs }: Tx, order: number | undefined, view: ChainView): Promise<CommitPlace | undefined> {
    const { txCount, height } = this.tip
    if (order !== undefined) return { txNum: txCount + order, height: height + 1 }
    const txid = inputs[0]?.prevTxid
    return txid === undefined ? undefined : knownCommit(await view.findTransaction(txid), this.#heights.start)
  }
}
