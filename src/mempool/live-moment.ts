import { setImmediate as turn } from 'node:timers/promises'
import { OutpointSet, type UtxoList } from '../db/utxo-list.ts'
import type { ChainView, HistoryItem, Tip } from '../db/view.ts'
import { ERROR_CODES, invariant, RpcError } from '../errors.ts'
import { type Awaitable, after } from '../lib/awaitable.ts'
import { toLatin1 } from '../lib/bytes.ts'
import { ConfirmedHistory, KEEP_STATE } from './confirmed-history.ts'
import type {
  MempoolItem,
  MempoolUtxo,
  Moment,
  ScriptBalance,
  ScriptHistory,
  ScriptUnspent,
  StatusOfHistory,
} from './moment.ts'
import { OutputTexts } from './output-texts.ts'
import type { ConfirmedOutputs, ScriptCache } from './script-cache.ts'
import type { MempoolSnapshot } from './snapshot.ts'

export interface LiveMomentOptions {
  /** Transactions, confirmed and not, that a history may have. */
  readonly historyLimit: number
}

export interface LiveMomentCollaborators {
  readonly view: ChainView
  readonly mempool: MempoolSnapshot
  readonly scripts: ScriptCache
}

/** Transactions of a history that are read in one go; longer ones are read part by part, with turns for others between. */
const IN_ONE_GO = 2048
/** Outputs among which those are looked for that the mempool spends, likewise: a millisecond's work. */
const LOOKED_AT_ONCE = 32_768

const NO_ITEMS: readonly MempoolItem[] = Object.freeze([])
const NO_UTXOS: readonly MempoolUtxo[] = Object.freeze([])

/** What a history is read for: all of it is told, or a hash over it. */
type Purpose = 'list' | 'status'

function serves({ list }: ConfirmedHistory, purpose: Purpose): boolean {
  return purpose === 'status' || list !== undefined
}

/** A view and a mempool snapshot that belong together. It answers the same for as long as it is used. */
export class LiveMoment implements Moment {
  readonly view: ChainView
  readonly mempool: MempoolSnapshot
  readonly #options: LiveMomentOptions
  readonly #scripts: ScriptCache
  /** Number of the view in the cache. */
  readonly #number: number

  constructor(options: LiveMomentOptions, { view, mempool, scripts }: LiveMomentCollaborators) {
    this.#options = options
    this.view = view
    this.mempool = mempool
    this.#scripts = scripts
    this.#number = scripts.view
  }

  get tip(): Tip {
    return this.view.tip
  }

  history(hashX: Uint8Array): Awaitable<ScriptHistory> {
    const key = toLatin1(hashX)
    return after(this.#confirmed(hashX, key, 'list'), ({ list, memo }) => {
      invariant(list !== undefined, 'a list was asked for')
      return { confirmed: list, mempool: this.#mempoolItems(key), memo }
    })
  }

  status(hashX: Uint8Array): Awaitable<StatusOfHistory> {
    const key = toLatin1(hashX)
    return after(this.#confirmed(hashX, key, 'status'), (confirmed) => confirmed.status(this.#mempoolItems(key)))
  }

  balance(hashX: Uint8Array): Awaitable<ScriptBalance> {
    const key = toLatin1(hashX)
    const kept = this.#scripts.outputs.get(key, this.#number)
    return after(kept ?? this.#readSum(hashX, key), ({ sum, count }) => {
      const unconfirmed = this.mempool.touches(key) ? this.mempool.balanceDelta(hashX) : 0n
      return { confirmed: sum, unconfirmed, outputs: count }
    })
  }

  unspent(hashX: Uint8Array): Awaitable<ScriptUnspent> {
    const key = toLatin1(hashX)
    return after(this.#outputs(hashX, key), ({ list, texts }) => {
      invariant(list !== undefined, 'a list was asked for')
      if (!this.mempool.touches(key)) return { confirmed: list, mempool: NO_UTXOS, texts }
      return after(this.#left(list, key), (left) => {
        const own = left === list ? texts : new OutputTexts()
        return { confirmed: left, mempool: this.mempool.utxos(hashX), texts: own }
      })
    })
  }

  outputs(hashX: Uint8Array): Awaitable<UtxoList> {
    return after(this.#outputs(hashX, toLatin1(hashX)), ({ list }) => {
      invariant(list !== undefined, 'a list was asked for')
      return list
    })
  }

  #outputs(hashX: Uint8Array, key: string): Awaitable<ConfirmedOutputs> {
    const kept = this.#scripts.outputs.get(key, this.#number)
    return kept?.list === undefined ? this.#readOutputs(hashX, key) : kept
  }

  /** The outputs that the mempool does not spend; looked for part by part where there are many. */
  #left(list: UtxoList, key: string): Awaitable<UtxoList> {
    const outpoints = this.mempool.spentOf(key)
    if (outpoints.length === 0) return list
    const spent = new OutpointSet(outpoints)
    if (list.length <= LOOKED_AT_ONCE) return list.without(list.find(spent, 0, list.length))
    return this.#leftOfMany(list, spent)
  }

  async #leftOfMany(list: UtxoList, spent: OutpointSet): Promise<UtxoList> {
    const places: number[] = []
    for (let start = 0; start < list.length; start += LOOKED_AT_ONCE) {
      places.push(...list.find(spent, start, Math.min(list.length, start + LOOKED_AT_ONCE)))
      await turn()
    }
    return list.without(places)
  }

  #mempoolItems(key: string): readonly MempoolItem[] {
    return this.mempool.touches(key) ? this.mempool.itemsOf(key) : NO_ITEMS
  }

  /** At once where it is kept, or the beginning is and what came since is in memory. */
  #confirmed(hashX: Uint8Array, key: string, purpose: Purpose): Awaitable<ConfirmedHistory> {
    const { histories } = this.#scripts
    const kept = histories.get(key, this.#number)
    if (kept !== undefined && serves(kept, purpose)) return this.#withRoom(key, kept)
    const beginning = histories.beginning(key, this.#number)
    if (beginning === undefined || !serves(beginning.value, purpose)) return this.#read(hashX, key, purpose)
    const { value, branched } = beginning
    const from = branched ? value.last + 1 : value.complete
    const recent = this.view.recentHistory(hashX, from)
    if (recent === undefined) return this.#readOn(hashX, key, purpose, { history: value, from })
    return this.#keep(key, value.with(recent, this.tip.txCount))
  }

  async #read(hashX: Uint8Array, key: string, purpose: Purpose): Promise<ConfirmedHistory> {
    const room = this.#roomFor(key)
    if (room < 0) throw this.#tooLong()
    const items = await this.view.history(hashX, Math.min(room, IN_ONE_GO))
    const from = (items.at(-1)?.txNum ?? -1) + 1
    const history = this.#withRoom(key, ConfirmedHistory.EMPTY.with(items, from))
    if (items.length > IN_ONE_GO) return this.#readOn(hashX, key, purpose, { history, from })
    return this.#keep(key, history.with([], this.tip.txCount))
  }

  /** Reads what comes behind `history`, of which there may be much. */
  async #readOn(
    hashX: Uint8Array,
    key: string,
    purpose: Purpose,
    { history, from }: { readonly history: ConfirmedHistory; readonly from: number },
  ): Promise<ConfirmedHistory> {
    let whole = history
    for await (const items of this.view.historyFrom(hashX, from)) {
      whole = this.#withRoom(key, this.#longer(whole, items, purpose))
      await turn()
    }
    return this.#keep(key, whole.with([], this.tip.txCount))
  }

  /** For a status nothing is piled up that is too much to keep. */
  #longer(history: ConfirmedHistory, items: readonly HistoryItem[], purpose: Purpose): ConfirmedHistory {
    const { longestList } = this.#scripts
    // A hash over much is made part by part too.
    if (history.count >= KEEP_STATE) history.hashed()
    const longer = history.with(items, history.complete)
    return purpose === 'status' && longer.count > longestList ? longer.withoutList() : longer
  }

  /** Throws RpcError 10001 if that many are not told. */
  #withRoom(key: string, history: ConfirmedHistory): ConfirmedHistory {
    if (history.count > this.#roomFor(key)) throw this.#tooLong()
    return history
  }

  #keep(key: string, history: ConfirmedHistory): ConfirmedHistory {
    const { histories, longestList } = this.#scripts
    if (longestList > 0) {
      histories.put(key, this.#number, history.count > longestList ? history.withoutList() : history)
    }
    return this.#withRoom(key, history)
  }

  async #readSum(hashX: Uint8Array, key: string): Promise<ConfirmedOutputs> {
    const { value, outputs } = await this.view.balance(hashX)
    return this.#scripts.putOutputs(key, this.#number, { list: undefined, sum: value, count: outputs })
  }

  async #readOutputs(hashX: Uint8Array, key: string): Promise<ConfirmedOutputs> {
    // An output takes more room in an answer than a transaction of a history.
    const limit = this.#options.historyLimit
    const list = await this.view.unspent(hashX, limit)
    if (list === undefined) {
      throw new RpcError(ERROR_CODES.invalidRequest.code, `response too large: more than ${limit} unspent outputs`)
    }
    return this.#scripts.putOutputs(key, this.#number, { list, sum: BigInt(list.sum()), count: list.length })
  }

  /** Confirmed transactions that a history may have, given those of the mempool. */
  #roomFor(key: string): number {
    return this.#options.historyLimit - this.mempool.countOf(key)
  }

  #tooLong(): RpcError {
    const { code } = ERROR_CODES.historyTooLong
    const message = `history too long: more than ${this.#options.historyLimit} transactions`
    return new RpcError(code, message, { limit: 'history' })
  }
}
