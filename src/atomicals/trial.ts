import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Tx } from '../chain/tx.ts'
import type { ChainView } from '../db/view.ts'
import { toLatin1 } from '../lib/bytes.ts'
import { applyTx } from './apply-tx.ts'
import type { AtomicalsHeights } from './constants.ts'
import type { Deploys } from './deploys.ts'
import { type AtomicalsRules, rulesAt } from './height-rules.ts'
import { NO_SUMS } from './holder-sums.ts'
import { BLOCKS, type PlaceKey } from './layout.ts'
import { Ledger, type PlacedTx } from './ledger.ts'
import { MayCarry } from './may-carry.ts'
import { findOperation } from './operation.ts'
import { ParentMemory } from './parent-memory.ts'
import { RecordedPast } from './past.ts'
import type { RowSource } from './rows.ts'
import { type Coloured, colour, type TxOperation } from './steps/colour.ts'
import { type CommitPlace, knownCommit, type Minted, mint } from './steps/mint.ts'
import { holdingsOf, type SpentOutput, spentOutput } from './steps/spend.ts'
import { byText, type IdText } from './transfer/holding.ts'
import { TrialRows } from './trial-rows.ts'

/** Inputs that are looked at before others get their turn. */
const INPUTS_PER_TURN = 200
/**
 * Tokens times outputs of a transaction that is judged: each token may have units at each output. Nobody paid for a
 * transaction that is only asked about, so what a block may cost is too much here.
 */
const MAX_ASSIGNMENTS = 50_000

/** What a transaction would do. */
export interface Judged {
  readonly tx: Tx
  /** Outputs it spends that something sits at; `held` of each by id. */
  readonly spent: readonly SpentOutput[]
  /** The operation it was judged by. One at which the reference halts moves nothing: `coloured` is without it. */
  readonly operation: TxOperation | undefined
  readonly coloured: Coloured
  /** Where it spends outputs that something may come to sit at: what it moves and burns if all of that does. */
  readonly unsettled: Coloured | undefined
}

/** A transaction that cannot be judged; `message` says why, for people. */
export class UnfitForTrial extends Error {
  override readonly name = 'UnfitForTrial'
}

/** What is tried, and what it is tried on. */
export interface TrialCollaborators {
  readonly view: ChainView
  /** Rows of that view; what is not confirmed may lie on top of them. */
  readonly rows: RowSource
  /** Distributed tokens that are not confirmed; those of the transactions that are tried are added. */
  readonly deploys: Deploys
}

/**
 * The index as it would be if some transactions stood in the next block, written nowhere: for transactions that somebody
 * asks about, with their unconfirmed parents applied first. To be used while the view is open.
 */
export class Trial {
  readonly #view: ChainView
  readonly #start: number
  readonly #rules: AtomicalsRules
  readonly #ledger: Ledger
  readonly #mayCarry: MayCarry
  readonly #confirmed: RecordedPast
  readonly #tickers = new Map<string, IdText>()
  /** Where the transactions stand that were applied, by txid (one character a byte). */
  readonly #places = new Map<string, CommitPlace>()

  constructor({ heights }: { readonly heights: AtomicalsHeights }, { view, rows, deploys }: TrialCollaborators) {
    this.#view = view
    this.#start = heights.start
    this.#rules = rulesAt(heights, view.tip.height + 1)
    this.#mayCarry = new MayCarry(this.#rules, deploys)
    this.#confirmed = new RecordedPast(rows)
    const count = rows.get(BLOCKS, { height: view.tip.height })?.count ?? 0
    // What is tried may have been spent long ago: then those that it came from have nothing left to give.
    const collaborators = { overlay: new TrialRows(rows), parents: new ParentMemory(), sums: NO_SUMS }
    this.#ledger = new Ledger({ count }, collaborators)
  }

  /** Applies a transaction, after those that it stands on. */
  async apply(tx: Tx, signal?: AbortSignal): Promise<void> {
    const placed = this.#place(tx)
    const outputs = await this.#spentBy(tx, signal)
    requireBounded(tx, outputs)
    for (const { place, row, location } of outputs) this.#ledger.spend(place, row, location, placed.txNum)
    const commit = await this.#commitOf(tx)
    const found = findOperation(tx, { argsMayHaveBytes: this.#rules.density })
    const spent = outputs.flatMap(holdingsOf)
    const input = { placed, spent, operation: found, commitOf: () => commit }
    const { operation, counts, activity } = await applyTx(this.#ledger, input, this.#tickers, this.#rules)
    const minted = activity?.minted !== undefined
    const heldAt = (place: PlaceKey) => this.#ledger.location(place)?.held ?? []
    await this.#mayCarry.add(
      { placed, operation: found, commit, spent, heldAt, minted },
      { confirmed: this.#confirmed, applied: this.#ledger, txCount: this.#view.tip.txCount },
      this.#places.size,
    )
    if (counts && operation !== undefined) this.#ledger.keepPayload(placed.txNum, operation)
    this.#places.set(toLatin1(tx.txid), placed)
  }

  /**
   * What a transaction would move and burn; it is not applied. `operation`: another one than its witnesses show. Throws
   * UnfitForTrial for one that spends an output twice, or is so large that judging it takes too much.
   */
  async judge(tx: Tx, operation?: TxOperation, signal?: AbortSignal): Promise<Judged> {
    const spent = await this.#spentBy(tx, signal)
    requireBounded(tx, spent)
    const found = operation ?? findOperation(tx, { argsMayHaveBytes: this.#rules.density })
    const holdings = spent.flatMap(holdingsOf)
    const placed = this.#place(tx)
    const coloured = colour(placed, holdings, found, this.#rules) ?? colour(placed, holdings, undefined, this.#rules)
    if (coloured === undefined) throw new UnfitForTrial('cannot be coloured')
    const may = this.#mayCarry.spentBy(tx)
    if (may.length === 0) return { tx, spent, operation: found, coloured, unsettled: undefined }
    const all = [...holdings, ...may].sort((a, b) => a.input - b.input || byText(a.id, b.id))
    requireFew(all, tx)
    const unsettled = colour(placed, all, found, this.#rules) ?? colour(placed, all, undefined, this.#rules)
    return { tx, spent, operation: found, coloured, unsettled }
  }

  /** What a transaction that was judged would mint by `nft`, `ft` or `dft`; undefined if there is no mint. */
  async mintOf({ tx, spent, operation }: Judged): Promise<Minted | undefined> {
    if (operation === undefined) return undefined
    const commit = await this.#commitOf(tx)
    return mint(this.#ledger, this.#place(tx), operation, spent.flatMap(holdingsOf), () => commit, this.#rules)
  }

  #place(tx: Tx): PlacedTx {
    const { height, txCount } = this.#view.tip
    return { tx, txid: tx.txid, txNum: txCount + this.#places.size, height: height + 1 }
  }

  async #spentBy(tx: Tx, signal: AbortSignal | undefined): Promise<SpentOutput[]> {
    const outputs: SpentOutput[] = []
    const seen = new Set<string>()
    for (const [input, { prevTxid, prevIndex }] of tx.inputs.entries()) {
      if (input % INPUTS_PER_TURN === INPUTS_PER_TURN - 1) await nextTurn(undefined, { signal })
      const name = `${toLatin1(prevTxid)}${prevIndex}`
      if (seen.has(name)) throw new UnfitForTrial('spends an output twice')
      seen.add(name)
      const output = spentOutput((place) => this.#ledger.location(place), tx, input)
      if (output === undefined) continue
      const held = [...output.row.held].sort((a, b) => byText(a.id, b.id))
      outputs.push({ ...output, row: { ...output.row, held } })
    }
    return outputs
  }

  /** Where the transaction stands whose output input 0 spends. */
  async #commitOf({ inputs }: Tx): Promise<CommitPlace | undefined> {
    const txid = inputs[0]?.prevTxid
    if (txid === undefined) return undefined
    const tried = this.#places.get(toLatin1(txid))
    if (tried !== undefined) return tried
    return knownCommit(await this.#view.findTransaction(txid), this.#start)
  }
}

function requireBounded(tx: Tx, spent: readonly SpentOutput[]): void {
  requireFew(
    spent.flatMap(({ row }) => row.held),
    tx,
  )
}

function requireFew(held: readonly { readonly id: IdText }[], tx: Tx): void {
  const ids = new Set(held.map(({ id }) => id))
  if (ids.size * tx.outputs.length > MAX_ASSIGNMENTS) {
    throw new UnfitForTrial(`moves ${ids.size} atomicals over ${tx.outputs.length} outputs, too much to be checked`)
  }
}
