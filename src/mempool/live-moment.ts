import type { ChainView, Tip, Utxo } from '../db/view.ts'
import { ERROR_CODES, RpcError } from '../errors.ts'
import { type Awaitable, after } from '../lib/awaitable.ts'
import { concat, fromHex, toLatin1, writeUint32LE } from '../lib/bytes.ts'
import type { MempoolItem, MempoolUtxo, Moment, ScriptBalance, ScriptHistory, ScriptUnspent } from './moment.ts'
import type { ConfirmedHistory, ConfirmedOutputs, ScriptCache } from './script-cache.ts'
import type { MempoolSnapshot } from './snapshot.ts'
import { statusOf } from './status.ts'

export interface LiveMomentOptions {
  /** Transactions, confirmed and not, that a history may have. */
  readonly historyLimit: number
}

export interface LiveMomentCollaborators {
  readonly view: ChainView
  readonly mempool: MempoolSnapshot
  readonly scripts: ScriptCache
}

const NO_ITEMS: readonly MempoolItem[] = Object.freeze([])
const NO_UTXOS: readonly MempoolUtxo[] = Object.freeze([])

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
    const kept = this.#scripts.histories.get(key, this.#number)
    if (kept !== undefined) return this.#withMempool(key, kept)
    return this.#readHistory(hashX, key).then((confirmed) => this.#withMempool(key, confirmed))
  }

  balance(hashX: Uint8Array): Awaitable<ScriptBalance> {
    const key = toLatin1(hashX)
    return after(this.#outputs(hashX, key), ({ sum, utxos }) => {
      const unconfirmed = this.mempool.touches(key) ? this.mempool.balanceDelta(hashX) : 0n
      return { confirmed: sum, unconfirmed, outputs: utxos.length }
    })
  }

  unspent(hashX: Uint8Array): Awaitable<ScriptUnspent> {
    const key = toLatin1(hashX)
    return after(this.#outputs(hashX, key), ({ utxos, memo }) => {
      if (!this.mempool.touches(key)) return { confirmed: utxos, mempool: NO_UTXOS, memo }
      const left = utxos.filter(({ txid, vout }) => !this.mempool.isSpent(outpointBytes(txid, vout)))
      const own = left.length === utxos.length ? memo : { text: undefined }
      return { confirmed: left, mempool: this.mempool.utxos(hashX), memo: own }
    })
  }

  async status(hashX: Uint8Array): Promise<Uint8Array | undefined> {
    const { status } = statusOf(await this.history(hashX))
    return status === null ? undefined : fromHex(status)
  }

  #withMempool(key: string, { items, memo }: ConfirmedHistory): ScriptHistory {
    if (items.length > this.#roomFor(key)) throw this.#tooLong()
    const mempool = this.mempool.touches(key) ? this.mempool.itemsOf(key) : NO_ITEMS
    return { confirmed: items, mempool, memo }
  }

  async #readHistory(hashX: Uint8Array, key: string): Promise<ConfirmedHistory> {
    const room = this.#roomFor(key)
    if (room < 0) throw this.#tooLong()
    const items = await this.view.history(hashX, room)
    if (items.length > room) throw this.#tooLong()
    const history = { items: Object.freeze(items), memo: { text: undefined, status: undefined } }
    this.#scripts.histories.put(key, this.#number, history)
    return history
  }

  #outputs(hashX: Uint8Array, key: string): Awaitable<ConfirmedOutputs> {
    return this.#scripts.outputs.get(key, this.#number) ?? this.#readOutputs(hashX, key)
  }

  async #readOutputs(hashX: Uint8Array, key: string): Promise<ConfirmedOutputs> {
    const utxos = await this.view.utxos(hashX)
    const outputs = { utxos: Object.freeze(utxos), sum: sumOf(utxos), memo: { text: undefined } }
    this.#scripts.outputs.put(key, this.#number, outputs)
    return outputs
  }

  /** Confirmed transactions that a history may have, given those of the mempool. */
  #roomFor(key: string): number {
    return this.#options.historyLimit - this.mempool.countOf(key)
  }

  #tooLong(): RpcError {
    const { code } = ERROR_CODES.historyTooLong
    return new RpcError(code, `history too long: more than ${this.#options.historyLimit} transactions`)
  }
}

function sumOf(utxos: readonly Utxo[]): bigint {
  let sum = 0n
  for (const { value } of utxos) sum += value
  return sum
}

function outpointBytes(txid: Uint8Array, vout: number): Uint8Array {
  const index = new Uint8Array(4)
  writeUint32LE(index, vout, 0)
  return concat(txid, index)
}
