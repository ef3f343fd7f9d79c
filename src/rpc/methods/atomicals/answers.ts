import { setImmediate as nextTurn } from 'node:timers/promises'
import type { AtomicalsHeights } from '../../../atomicals/constants.ts'
import type { DeploySource } from '../../../atomicals/deploys.ts'
import { AtomicalFormat, type AtomicalWire, scriptHashText } from '../../../atomicals/format/atomical.ts'
import { ShownInTurns } from '../../../atomicals/format/in-turns.ts'
import { ShownValues, type Wire, type WireObject } from '../../../atomicals/format/values.ts'
import { compactOfIdText, historyKey, idText, indexOfIdText, txidOfIdText } from '../../../atomicals/id-text.ts'
import { idOf as idBytes } from '../../../atomicals/ids.ts'
import {
  ATOMICALS,
  type HeldRow,
  HOLDERS,
  type LocationRow,
  NAMES,
  SUBNAMES,
  type SubName,
  type TopName,
} from '../../../atomicals/layout.ts'
import type { Pause, RecordedChange } from '../../../atomicals/past.ts'
import { AtomicalsQueries, type Holder, type NameEntry } from '../../../atomicals/queries.ts'
import { type RowOf, ViewRows } from '../../../atomicals/rows.ts'
import type { IdText } from '../../../atomicals/transfer/holding.ts'
import { type AddressVersions, addressOf } from '../../../chain/address.ts'
import { hashXOf } from '../../../chain/script.ts'
import { type KeySpace, TXID_KEY_SIZE } from '../../../db/layout.ts'
import type { ChainView, PastRows, Tip, Utxo } from '../../../db/view.ts'
import { ERROR_CODES, RpcError } from '../../../errors.ts'
import { equalBytes, fromDisplayHex, toDisplayHex, toHex } from '../../../lib/bytes.ts'
import type { Clock } from '../../../lib/clock.ts'
import type { MempoolUtxo } from '../../../mempool/moment.ts'
import { clip } from '../../failure.ts'
import type { AtomicalsShape, RpcContext } from '../../method.ts'
import type { AtomicalRef } from './params.ts'
import type { UnconfirmedAtomicals, UnconfirmedRows } from './unconfirmed.ts'

export interface AtomicalsSettings {
  /** What the reference calls coin and network: `Bitcoin`, `mainnet`; `BitcoinRegtest`, `regtest`. */
  readonly coin: string
  readonly network: string
  readonly addresses: AddressVersions
  /** Form of `atomicals` in unspent outputs: id to amount, or a list of ids. */
  readonly shape?: AtomicalsShape | undefined
  /** Those of the index. */
  readonly heights: AtomicalsHeights
}

/** The height that an answer is of, where one was asked for. */
export interface PastMoment {
  readonly tip: Pick<Tip, 'height' | 'hash'>
  readonly rows: PastRows
}

/** What is seen other than the chain up to the tip. */
export type Sight =
  /** The mempool on top of it: names are judged at the next height. */
  | { readonly pending?: UnconfirmedRows; readonly past?: never }
  /** An earlier height instead, which has no mempool. */
  | { readonly past: PastMoment; readonly pending?: never }

export interface AtomicalsCollaborators {
  readonly clock: Clock
  readonly unconfirmed: UnconfirmedAtomicals
}

/** Cost of a row that was read. */
export const ROW_COST = 0.002
/** Cost of an output, as of those that listunspent reads. */
export const OUTPUT_COST = 1 / 50
/** Hashes of blocks that `global` shows at most. */
const MOST_HASHES = 100
/** Outputs of an atomical that its location info lists. */
const LISTED_LOCATIONS = 50
/** Outputs that are looked at before others get their turn. */
const OUTPUTS_PER_TURN = 200
/** Rows of the mempool that are looked at before others get their turn. */
const WRITTEN_PER_TURN = 1_000
/** Things that are shown before others get their turn, or fewer that are large, in values. */
const SHOWN_PER_TURN = 20
const VALUES_PER_TURN = 8_192

function notFound({ text }: AtomicalRef): RpcError {
  return badRequest(`"${clip(text)}" is not found`)
}

export function badRequest(message: string): RpcError {
  return new RpcError(ERROR_CODES.badRequest.code, message)
}

/** An output of a script with what sits at it. `height` 0 in the mempool. */
export interface ColouredUtxo {
  readonly utxo: Pick<Utxo, 'txid' | 'vout' | 'height'> & { readonly value: number | bigint }
  readonly held: readonly HeldRow[]
  /** Of one in the mempool: what may come to sit there besides, if its transactions are mined in another order, or later. */
  readonly mayHold?: readonly HeldRow[]
}

/** What the Atomicals methods have in common, out of the view of one request. Every row that is read is charged. */
export class AtomicalsAnswers {
  readonly settings: AtomicalsSettings
  readonly ctx: RpcContext
  readonly view: ChainView
  readonly queries: AtomicalsQueries
  /** Of the view; each read is charged. */
  readonly rows: ViewRows
  readonly shown = new ShownValues()
  /** Lets others have a turn. Rejects once the request has ended. */
  readonly pause: Pause = () => nextTurn(undefined, { signal: this.ctx.signal })
  /** What was shown since the last turn: how many things, and how much before it. */
  #things = 0
  #work = 0
  readonly #collaborators: AtomicalsCollaborators
  readonly #format: AtomicalFormat
  /** The last block that the answer knows of. */
  readonly tip: Pick<Tip, 'height' | 'hash'>
  readonly #pending: UnconfirmedRows | undefined
  readonly #past: PastRows | undefined

  constructor(
    settings: AtomicalsSettings,
    ctx: RpcContext,
    collaborators: AtomicalsCollaborators,
    { pending, past }: Sight = {},
  ) {
    this.settings = settings
    this.ctx = ctx
    this.view = ctx.moment.view
    this.#collaborators = collaborators
    this.tip = past?.tip ?? this.view.tip
    this.#pending = pending
    this.#past = past?.rows
    this.rows = new ViewRows(this.#past ?? this.view, (count) => ctx.charge(count * ROW_COST))
    this.queries = new AtomicalsQueries(
      { height: pending === undefined ? this.height : this.height + 1, pause: this.pause },
      pending?.over(this.rows) ?? this.rows,
    )
    this.#format = new AtomicalFormat(this.queries, this.view, this.shown)
  }

  get height(): number {
    return this.tip.height
  }

  /** Where the index stands; `hashes`: how many of the last blocks are shown with their Atomicals hash. */
  global(hashes = 10): GlobalWire {
    const { height, hash } = this.tip
    const shown: [string, string | null][] = []
    const lowest = Math.max(0, height - Math.min(hashes, MOST_HASHES) + 1)
    for (let at = height; at >= lowest; at--) shown.push([String(at), this.blockHash(at)])
    return {
      coin: this.settings.coin,
      network: this.settings.network,
      height,
      block_tip: toDisplayHex(hash),
      server_time: new Date(this.#collaborators.clock.now()).toISOString().slice(0, -1),
      atomicals_block_tip: this.blockHash(height),
      atomical_count: this.queries.block(height)?.count ?? 0,
      atomicals_block_hashes: Object.fromEntries(shown),
    }
  }

  /** Atomicals hash of a block as displayed; null where the index has none. */
  blockHash(height: number): string | null {
    const row = this.queries.block(height)
    return row === undefined ? null : toDisplayHex(row.hash)
  }

  /** The id that a request names. Throws RpcError 1 for a number that no atomical has. */
  idOf(ref: AtomicalRef): IdText {
    const id = 'id' in ref ? ref.id : this.queries.idOfNumber(ref.number)
    if (id === undefined) throw badRequest(`not found atomical: ${clip(ref.text)}`)
    return id
  }

  /** False where the answer is of a height that was asked for: what is not confirmed is no part of it. */
  get hasMempool(): boolean {
    return this.#past === undefined
  }

  /** The same questions with the mempool as the next block; undefined if it does nothing to Atomicals. */
  async unconfirmed(): Promise<AtomicalsAnswers | undefined> {
    const pending = this.hasMempool ? await this.#collaborators.unconfirmed.of(this.ctx) : undefined
    if (pending === undefined) return undefined
    return new AtomicalsAnswers(this.settings, this.ctx, this.#collaborators, { pending })
  }

  /** The id of an atomical that there is, confirmed or not. Throws RpcError 1 for one that there is not. */
  async knownId(ref: AtomicalRef): Promise<IdText> {
    const id = this.idOf(ref)
    if (this.queries.atomical(id) !== undefined) return id
    if ((await this.unconfirmed())?.queries.atomical(id) === undefined) throw notFound(ref)
    return id
  }

  /** What `get` shows. Throws RpcError 1 for what nobody minted. */
  async atomical(ref: AtomicalRef): Promise<{ readonly id: IdText; readonly wire: AtomicalWire }> {
    const id = this.idOf(ref)
    const wire = await this.#format.atomical(id)
    if (wire === undefined) throw notFound(ref)
    return { id, wire }
  }

  async wireOf(id: IdText): Promise<AtomicalWire> {
    return (await this.atomical({ id, text: compactOfIdText(id) })).wire
  }

  /** To be called for each of many things that are shown: others have a turn now and then. Rejects once the request has ended. */
  letOthers(): Promise<unknown> | undefined {
    this.#things += 1
    if (this.#things < SHOWN_PER_TURN && this.shown.work - this.#work < VALUES_PER_TURN) return undefined
    this.#things = 0
    this.#work = this.shown.work
    return this.pause()
  }

  /** The members that say where an atomical is. */
  async locationInfo(id: IdText): Promise<WireObject> {
    const first = await this.queries.holdersPage(id, LISTED_LOCATIONS)
    const count = first.length < LISTED_LOCATIONS ? first.length : (await this.queries.holderTotals(id)).locations
    const locations = first
      .map((holder) => ({ holder, row: this.queries.location(holder.location) }))
      .sort((a, b) => (b.row?.txNum ?? 0) - (a.row?.txNum ?? 0))
      .map(({ holder, row }) => this.#wireOfHolder(holder, row))
    return { location_info_obj: { locations }, location_info: locations, location_counts: count }
  }

  #wireOfHolder({ location, satoshis, script }: Holder, row: LocationRow | undefined): WireObject {
    return {
      location: compactOfIdText(location),
      txid: toDisplayHex(txidOfIdText(location)),
      index: indexOfIdText(location),
      scripthash: scriptHashText(script),
      value: satoshis,
      script: toHex(script),
      atomicals_at_location: (row?.held ?? []).map(({ id }) => compactOfIdText(id)),
      tx_num: this.#ifConfirmed(row?.txNum ?? 0, row?.txNum ?? 0),
    }
  }

  /** What is said of a transaction: null in the mempool, where numbers are above all that there are and mean nothing. */
  #ifConfirmed(txNum: number, value: number): number | null {
    return txNum < this.view.tip.txCount ? value : null
  }

  /** The state after all changes. */
  async state(id: IdText): Promise<Wire> {
    return new ShownInTurns(this.shown, this.pause).wireOf(await this.queries.state(id))
  }

  /** Changes of state, or events, the last first; those of the mempool without number and height. */
  async changes(recorded: readonly RecordedChange[]): Promise<WireObject[]> {
    const shown = new ShownInTurns(this.shown, this.pause)
    const changes: WireObject[] = []
    for (const { txNum, height, txid, vout, payload } of recorded) {
      changes.push({
        tx_num: this.#ifConfirmed(txNum, txNum),
        height: this.#ifConfirmed(txNum, height),
        txid: toDisplayHex(txid),
        index: vout,
        data: await shown.wireOf(payload),
      })
    }
    return changes.reverse()
  }

  /** Confirmed transactions of an atomical, the last block first. Throws RpcError 10001 if there are too many. */
  async txHistory(id: IdText): Promise<WireObject[]> {
    const { confirmed } = await this.ctx.moment.history(historyKey(id))
    this.ctx.charge(confirmed.length * ROW_COST)
    return confirmed
      .map(({ txid, height }) => ({ tx_hash: toDisplayHex(txid), height }))
      .filter(({ height }) => height <= this.height)
      .sort((a, b) => b.height - a.height)
  }

  /** Atomicals that the mempool mints, in the order in which they came: the first `limit` of them. */
  async pendingMints(limit: number): Promise<IdText[]> {
    return (await this.#written(ATOMICALS, () => true, limit)).map(({ key: { id } }) => id)
  }

  /** Claims that the mempool makes on names of a kind that begin with `prefix`, in the order in which they came. */
  async pendingNames(kind: TopName, prefix: string): Promise<NameEntry[]> {
    const rows = await this.#written(NAMES, (key) => key.kind === kind && key.name.startsWith(prefix))
    return rows.map(({ key: { name, txNum }, value }) => ({ name, txNum, ...value }))
  }

  /** The same on names below a parent. */
  async pendingSubnames(kind: SubName, parent: IdText, prefix: string): Promise<NameEntry[]> {
    const rows = await this.#written(
      SUBNAMES,
      (key) => key.kind === kind && key.parent === parent && key.name.startsWith(prefix),
    )
    return rows.map(({ key: { name, txNum }, value }) => ({ name, txNum, ...value }))
  }

  /** Rows of the mempool that are wanted, with turns for others between: a hundred thousand may wait there. */
  async #written<K, V>(
    space: KeySpace<K, V>,
    isWanted: (key: K) => boolean,
    limit = Number.POSITIVE_INFINITY,
  ): Promise<readonly RowOf<K, V>[]> {
    const rows: RowOf<K, V>[] = []
    let looked = 0
    for (const row of this.#pending?.written(space) ?? []) {
      if (rows.length >= limit) break
      if (++looked % WRITTEN_PER_TURN === 0) await this.pause()
      if (isWanted(row.key)) rows.push(row)
    }
    this.ctx.charge(looked * ROW_COST)
    return rows
  }

  /** Transactions of the mempool in the history of an atomical, in the order in which they came. */
  pendingHistory(id: IdText): WireObject[] {
    const txids = this.#pending?.listedUnder(id) ?? []
    this.ctx.charge(txids.length * ROW_COST)
    return txids.map((txid) => ({ tx_hash: toDisplayHex(txid), height: 0 }))
  }

  /**
   * Confirmed outputs of a script that something sits at, or all of them, in chain order, whatever the mempool spends of
   * them. They are read as flat memory and charged before anything is made of each. Rejects with RpcError -32600 if they
   * are more than an answer holds.
   */
  async outputsOf(hashX: Uint8Array, which: 'coloured' | 'all'): Promise<ColouredUtxo[]> {
    const list = await this.ctx.moment.outputs(hashX)
    this.ctx.charge(list.length * OUTPUT_COST)
    if (this.#past !== undefined) {
      return this.coloured(await this.#withSpent(await this.view.utxos(hashX), hashX, this.#past))
    }
    const outputs: ColouredUtxo[] = []
    for (let i = 0; i < list.length; i++) {
      if (i % OUTPUTS_PER_TURN === OUTPUTS_PER_TURN - 1) await nextTurn(undefined, { signal: this.ctx.signal })
      const utxo = list.at(i)
      const held = this.heldAt(utxo.txid, utxo.vout)
      if (which === 'all' || held.length > 0) outputs.push({ utxo, held })
    }
    return outputs
  }

  /** Outputs of a script as they were: of those that were spent since, the ones that something sat at. */
  async #withSpent(utxos: readonly Utxo[], hashX: Uint8Array, past: PastRows): Promise<readonly Utxo[]> {
    const outputs = new Map<IdText, Utxo>()
    for (const utxo of utxos) if (utxo.height <= this.height) outputs.set(idText(utxo.txid, utxo.vout), utxo)
    let seen = 0
    for (const { key, value } of past.changed(HOLDERS)) {
      seen += 1
      if (seen % OUTPUTS_PER_TURN === 0) await nextTurn(undefined, { signal: this.ctx.signal })
      const { location } = key
      if (outputs.has(location) || !equalBytes(hashXOf(value.script), hashX)) continue
      const [txid, vout] = [txidOfIdText(location), indexOfIdText(location)]
      const place = await this.view.findTransaction(txid)
      if (place === undefined) continue
      outputs.set(location, { txid, vout, value: BigInt(value.satoshis), ...place })
    }
    this.ctx.charge(seen * ROW_COST)
    return [...outputs.values()].sort((a, b) => a.txNum - b.txNum || a.vout - b.vout)
  }

  /** Confirmed outputs with what sits at each. */
  async coloured(utxos: readonly Utxo[]): Promise<ColouredUtxo[]> {
    const outputs: ColouredUtxo[] = []
    for (const [i, utxo] of utxos.entries()) {
      if (i % OUTPUTS_PER_TURN === OUTPUTS_PER_TURN - 1) await nextTurn(undefined, { signal: this.ctx.signal })
      outputs.push({ utxo, held: this.heldAt(utxo.txid, utxo.vout) })
    }
    return outputs
  }

  /** Outputs that the mempool makes for a script with what sits at each, and those of `outputs` that it spends. */
  async changesOf(hashX: Uint8Array, outputs: readonly ColouredUtxo[]): Promise<OutputChanges> {
    const { mempool } = this.ctx.moment
    if (!this.hasMempool || mempool.items(hashX).length === 0) return { made: [], spent: new Map() }
    const spent = new Map<ColouredUtxo, string>()
    for (const output of outputs) {
      const spender = mempool.spenderOf(idBytes(output.utxo.txid, output.utxo.vout))
      if (spender !== undefined) spent.set(output, spender.txid)
    }
    return { made: await this.made(mempool.utxos(hashX)), spent }
  }

  /**
   * Throws RpcError -102 after a reorganisation while the mempool is still that of the branch that is lost: what stands on
   * transactions that are in no block any more, and not back yet, would be told as plain.
   */
  requireRegained(): void {
    if (this.ctx.moment.mempool.regained) return
    const message = 'transactions of blocks that were lost are not back in the mempool yet: ask again'
    throw new RpcError(ERROR_CODES.busy.code, message)
  }

  /**
   * The same, and throws RpcError -102 too while the mempool is loaded: a token may be deployed by a transaction that is
   * not here yet, and what mints of it came before would be told as plain.
   */
  requireWhole(): void {
    this.requireRegained()
    if (this.ctx.moment.mempool.whole) return
    throw new RpcError(ERROR_CODES.busy.code, 'the mempool is still being loaded: ask again')
  }

  /** Throws RpcError -102 where it is not known yet what sits at outputs of these transactions of the mempool. */
  requireKnown(txids: readonly string[]): void {
    const { kept } = this.ctx.moment.mempool
    if (txids.some((txid) => kept.has(txid))) this.requireWhole()
    else if (txids.length > 0) this.requireRegained()
  }

  /** Outputs that the mempool makes with what sits at each. Rejects with RpcError -102 as requireKnown() throws. */
  async made(utxos: readonly MempoolUtxo[]): Promise<ColouredUtxo[]> {
    const { kept } = this.ctx.moment.mempool
    this.requireKnown(utxos.map(({ txid }) => txid))
    // Nothing sits at outputs of others.
    const pending = utxos.some(({ txid }) => kept.has(txid)) ? await this.unconfirmed() : undefined
    return utxos.map(({ txid, vout, value }) => {
      const utxo = { txid: fromDisplayHex(txid), vout, value, height: 0 }
      if (!kept.has(txid)) return { utxo, held: [] }
      return { utxo, held: pending?.heldAt(utxo.txid, vout) ?? [], mayHold: pending?.mayHoldAt(utxo.txid, vout) ?? [] }
    })
  }

  heldAt(txid: Uint8Array, vout: number): readonly HeldRow[] {
    return this.queries.location(idText(txid, vout))?.held ?? []
  }

  /** What may come to sit at an output besides; nothing without the mempool. */
  mayHoldAt(txid: Uint8Array, vout: number): readonly HeldRow[] {
    return this.#pending?.mayHold({ txid: txid.subarray(0, TXID_KEY_SIZE), vout }) ?? []
  }

  /** Distributed tokens that the mempool makes in some order; undefined without the mempool. */
  get deploys(): DeploySource | undefined {
    return this.#pending?.deploys
  }

  /** Address of a script, or null if it has none. */
  address(script: Uint8Array): string | null {
    return addressOf(script, this.settings.addresses) ?? null
  }
}

export interface GlobalWire extends WireObject {
  readonly coin: string
  readonly network: string
  readonly height: number
  readonly block_tip: string
  readonly server_time: string
  readonly atomicals_block_tip: string | null
  readonly atomical_count: number
  readonly atomicals_block_hashes: Readonly<Record<string, string | null>>
}

/** What the mempool makes of the outputs of a script. */
export interface OutputChanges {
  readonly made: readonly ColouredUtxo[]
  /** Confirmed outputs by the id, as displayed, of what spends them. */
  readonly spent: ReadonlyMap<ColouredUtxo, string>
}

/** Units at an output by id. */
export function amountsOf(held: readonly HeldRow[]): Readonly<Record<string, number>> {
  return Object.fromEntries(held.map(({ id, value }) => [compactOfIdText(id), value]))
}
