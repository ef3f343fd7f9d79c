import type {
  ChainInfo,
  Daemon,
  DaemonAbilities,
  DaemonNotice,
  DaemonNotices,
  MempoolIds,
  MempoolInfo,
} from '../../src/daemon/daemon.ts'
import { DaemonUnavailableError } from '../../src/errors.ts'
import type { ModelNode } from './model-node.ts'

/**
 * A daemon that answers from a model node and does what a test scripts: be away, be slow, let something happen between
 * two answers. What the mempool and the follower do not ask throws.
 */
export class ScriptedDaemon implements Daemon, DaemonNotices {
  readonly abilities: DaemonAbilities = { rest: false, spentTxOuts: false, zmq: undefined }
  readonly address = 'scripted'
  turn = 0
  trouble: string | undefined
  readonly node: ModelNode
  /** Names of the calls made, in order. */
  readonly calls: string[] = []
  /** Calls fail while this is true. */
  away = false
  /** False: it was started a moment ago, and takes in what it had in its mempool. */
  loaded = true
  /** Runs before a call is answered. */
  before: ((call: string) => Promise<void> | void) | undefined
  #told = 0
  readonly #listeners = new Set<(notice: DaemonNotice) => void>()

  constructor(node: ModelNode) {
    this.node = node
  }

  get listeners(): number {
    return this.#listeners.size
  }

  listen(listener: (notice: DaemonNotice) => void, signal: AbortSignal): void {
    this.#listeners.add(listener)
    signal.addEventListener('abort', () => this.#listeners.delete(listener), { once: true })
  }

  notify(notice: DaemonNotice): void {
    for (const listener of this.#listeners) listener(notice)
  }

  /** Gives notice of all that happened to the node's mempool since the last time. */
  tell(): void {
    const news = this.node.notices.slice(this.#told)
    this.#told = this.node.notices.length
    for (const notice of news) this.notify(notice)
  }

  async chainInfo(signal?: AbortSignal): Promise<ChainInfo> {
    await this.#enter('chainInfo', signal)
    const { height, tipHash } = this.node
    return {
      chain: 'regtest',
      blocks: height,
      headers: height,
      bestBlockHash: tipHash,
      initialBlockDownload: false,
      pruned: false,
    }
  }

  async height(signal?: AbortSignal): Promise<number> {
    await this.#enter('height', signal)
    return this.node.height
  }

  async mempoolIds(signal?: AbortSignal): Promise<MempoolIds> {
    await this.#enter('mempoolIds', signal)
    return { txids: [...this.node.mempool.keys()], sequence: this.node.notices.length, waited: 0 }
  }

  async mempoolTransactions(txids: readonly string[], signal?: AbortSignal): Promise<(Uint8Array | undefined)[]> {
    await this.#enter('mempoolTransactions', signal)
    return txids.map((txid) => this.node.mempool.get(txid)?.raw)
  }

  preferBest(): Promise<boolean> {
    return Promise.resolve(false)
  }

  chainTips(): never {
    return unscripted()
  }

  networkInfo(): never {
    return unscripted()
  }

  async mempoolInfo(signal?: AbortSignal): Promise<MempoolInfo> {
    await this.#enter('mempoolInfo', signal)
    const fee = 0.00001
    return {
      size: this.node.mempool.size,
      loaded: this.loaded,
      mempoolMinFee: fee,
      minRelayTxFee: fee,
      incrementalRelayFee: fee,
    }
  }

  blockHashes(): never {
    return unscripted()
  }

  rawBlock(): never {
    return unscripted()
  }

  spentTxOuts(): never {
    return unscripted()
  }

  unspentOutputs(): never {
    return unscripted()
  }

  /** For a test to replace. */
  rawTransaction: (txid: string) => Promise<Uint8Array> = unscripted

  /** As a node without an index of transactions. */
  indexedTransaction(): Promise<undefined> {
    return Promise.resolve(undefined)
  }

  confirmedTransaction(txid: string): Promise<Uint8Array> {
    return this.rawTransaction(txid)
  }

  verboseTransaction(): never {
    return unscripted()
  }

  broadcast(): never {
    return unscripted()
  }

  broadcastPackage(): never {
    return unscripted()
  }

  testMempoolAccept(): never {
    return unscripted()
  }

  estimateFee(): never {
    return unscripted()
  }

  async #enter(call: string, signal: AbortSignal | undefined): Promise<void> {
    this.calls.push(call)
    await this.before?.(call)
    signal?.throwIfAborted()
    if (this.away) throw new DaemonUnavailableError(`no answer to ${call}`)
  }
}

function unscripted(): never {
  throw new Error('nobody scripted this call')
}
