import type { ChainView, Tip } from '../db/view.ts'
import { ERROR_CODES, RpcError } from '../errors.ts'
import { concat, toDisplayHex, writeUint32LE } from '../lib/bytes.ts'
import { sha256 } from '../lib/hash.ts'
import type { Moment, ScriptBalance, ScriptHistory, ScriptUnspent } from './moment.ts'
import type { MempoolSnapshot } from './snapshot.ts'

export interface LiveMomentOptions {
  /** Transactions, confirmed and not, that a history may have. */
  readonly historyLimit: number
}

/** A view and a mempool snapshot that belong together. It answers the same for as long as it is used. */
export class LiveMoment implements Moment {
  readonly view: ChainView
  readonly mempool: MempoolSnapshot
  readonly #options: LiveMomentOptions

  constructor(
    options: LiveMomentOptions,
    collaborators: { readonly view: ChainView; readonly mempool: MempoolSnapshot },
  ) {
    this.#options = options
    this.view = collaborators.view
    this.mempool = collaborators.mempool
  }

  get tip(): Tip {
    return this.view.tip
  }

  async history(hashX: Uint8Array): Promise<ScriptHistory> {
    const room = this.#options.historyLimit - this.mempool.count(hashX)
    if (room < 0) throw this.#tooLong()
    const confirmed = await this.view.history(hashX, room)
    if (confirmed.length > room) throw this.#tooLong()
    return { confirmed, mempool: this.mempool.items(hashX) }
  }

  async balance(hashX: Uint8Array): Promise<ScriptBalance> {
    return { confirmed: await this.view.balance(hashX), unconfirmed: this.mempool.balanceDelta(hashX) }
  }

  async unspent(hashX: Uint8Array): Promise<ScriptUnspent> {
    const utxos = await this.view.utxos(hashX)
    const confirmed = utxos.filter(({ txid, vout }) => !this.mempool.isSpent(outpointBytes(txid, vout)))
    return { confirmed, mempool: this.mempool.utxos(hashX) }
  }

  async status(hashX: Uint8Array): Promise<Uint8Array | undefined> {
    const { confirmed, mempool } = await this.history(hashX)
    if (confirmed.length + mempool.length === 0) return undefined
    const parts = confirmed.map(({ txid, height }) => `${toDisplayHex(txid)}:${height}:`)
    for (const { txid, height } of mempool) parts.push(`${txid}:${height}:`)
    return sha256(Buffer.from(parts.join(''), 'latin1'))
  }

  #tooLong(): RpcError {
    const { code } = ERROR_CODES.historyTooLong
    return new RpcError(code, `history too long: more than ${this.#options.historyLimit} transactions`)
  }
}

function outpointBytes(txid: Uint8Array, vout: number): Uint8Array {
  const index = new Uint8Array(4)
  writeUint32LE(index, vout, 0)
  return concat(txid, index)
}
