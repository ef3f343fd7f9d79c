import { isUnspendable } from '../../src/chain/script.ts'
import type {
  ChainInfo,
  ChainTip,
  Daemon,
  DaemonAbilities,
  MempoolIds,
  NodeOutput,
  Outpoint,
} from '../../src/daemon/daemon.ts'
import { DaemonError } from '../../src/errors.ts'
import { throwIfAborted } from '../../src/lib/abort.ts'
import { toDisplayHex } from '../../src/lib/bytes.ts'
import { type RandomChain, spentTxOuts } from './chain-builder.ts'

/** A daemon with a chain and nothing else, that does to blocks what a test scripts. Other calls throw. */
export class FakeDaemon implements Daemon {
  abilities: DaemonAbilities = { rest: false, spentTxOuts: false, zmq: undefined }
  readonly address = 'fake'
  turn = 0
  /** Stands in for what several nodes do. */
  preferBest: () => Promise<boolean> = () => Promise.resolve(false)
  /** What the node thinks of the chains that it was on before; undefined where it never heard of them. */
  left: 'invalid' | 'verified' | 'known' | undefined = 'invalid'
  #chain: RandomChain
  readonly #before = new Set<RandomChain>()
  /** Stands in for what rawBlock gives. */
  tamper: (raw: Uint8Array, hash: string) => Uint8Array | Promise<Uint8Array> = (raw) => raw
  /** Stands in for what spentTxOuts gives. */
  tamperSpent: (spent: Uint8Array, hash: string) => Uint8Array = (spent) => spent
  /** Runs before each call is answered. */
  before: (call: string) => void | Promise<void> = () => undefined
  readonly calls: string[] = []
  /** Blocks being fetched at this moment, and the most that ever were. */
  underWay = 0
  mostUnderWay = 0
  /** Every block ever seen: a node keeps those of lost branches too. */
  readonly #blocks = new Map<string, { readonly raw: Uint8Array; readonly spent: () => Uint8Array }>()

  constructor(chain: RandomChain) {
    this.#chain = chain
  }

  get chain(): RandomChain {
    return this.#chain
  }

  set chain(chain: RandomChain) {
    if (chain !== this.#chain) this.#before.add(this.#chain)
    this.#chain = chain
  }

  async chainTips(signal?: AbortSignal): Promise<readonly ChainTip[]> {
    await this.#enter('chainTips', signal)
    const { chain, left } = this
    const { height } = chain
    const tips: ChainTip[] = [{ height, hash: toDisplayHex(chain.tip.hash), fork: height, status: 'active' }]
    for (const { tip, blocks } of left === undefined ? [] : this.#before) {
      const hash = toDisplayHex(tip.hash)
      const fork = blocks.findLastIndex((block, at) => chain.blocks[at] === block)
      if (left !== undefined && fork < tip.height) tips.push({ height: tip.height, hash, fork, status: left })
    }
    return tips
  }

  async height(signal?: AbortSignal): Promise<number> {
    await this.#enter('height', signal)
    return this.chain.height
  }

  async blockHashes(start: number, count: number, signal?: AbortSignal): Promise<string[]> {
    await this.#enter('blockHashes', signal)
    const blocks = this.chain.blocks.slice(start, start + count)
    const all = this.chain.blocks.slice()
    for (const { hash, raw, height } of blocks) {
      this.#blocks.set(toDisplayHex(hash), { raw, spent: () => spentTxOuts(all.slice(0, height + 1)) })
    }
    return blocks.map(({ hash }) => toDisplayHex(hash))
  }

  async rawBlock(hash: string, signal?: AbortSignal): Promise<Uint8Array> {
    this.underWay += 1
    this.mostUnderWay = Math.max(this.mostUnderWay, this.underWay)
    try {
      await this.#enter('rawBlock', signal)
      const raw = this.#blocks.get(hash)?.raw
      if (raw === undefined) throw new DaemonError(-5, 'Block not found')
      return await this.tamper(raw, hash)
    } finally {
      this.underWay -= 1
    }
  }

  async spentTxOuts(hash: string, signal?: AbortSignal): Promise<Uint8Array> {
    await this.#enter('spentTxOuts', signal)
    const block = this.#blocks.get(hash)
    if (block === undefined) throw new DaemonError(-5, 'Block not found')
    return this.tamperSpent(block.spent(), hash)
  }

  async unspentOutputs(outpoints: readonly Outpoint[], signal?: AbortSignal): Promise<(NodeOutput | undefined)[]> {
    await this.#enter('unspentOutputs', signal)
    const outputs = new Map<string, NodeOutput>()
    const bestBlock = toDisplayHex(this.chain.tip.hash)
    for (const { txs } of this.chain.blocks.slice(1)) {
      for (const tx of txs) {
        for (const { prevTxid, prevIndex } of tx.inputs) outputs.delete(`${toDisplayHex(prevTxid)}:${prevIndex}`)
        for (const [vout, { script, value }] of tx.outputs.entries()) {
          if (!isUnspendable(script)) outputs.set(`${toDisplayHex(tx.txid)}:${vout}`, { bestBlock, script, value })
        }
      }
    }
    return outpoints.map(({ txid, vout }) => outputs.get(`${txid}:${vout}`))
  }

  chainInfo = (): Promise<ChainInfo> => this.#refuse('chainInfo')
  networkInfo = (): Promise<never> => this.#refuse('networkInfo')
  mempoolInfo = (): Promise<never> => this.#refuse('mempoolInfo')
  mempoolIds = (): Promise<MempoolIds> => this.#refuse('mempoolIds')
  mempoolTransactions = (): Promise<never> => this.#refuse('mempoolTransactions')
  rawTransaction = (): Promise<never> => this.#refuse('rawTransaction')
  indexedTransaction = (): Promise<never> => this.#refuse('indexedTransaction')
  confirmedTransaction = (): Promise<never> => this.#refuse('confirmedTransaction')
  verboseTransaction = (): Promise<never> => this.#refuse('verboseTransaction')
  broadcast = (): Promise<never> => this.#refuse('broadcast')
  broadcastPackage = (): Promise<never> => this.#refuse('broadcastPackage')
  testMempoolAccept = (): Promise<never> => this.#refuse('testMempoolAccept')
  estimateFee = (): Promise<never> => this.#refuse('estimateFee')

  async #enter(call: string, signal: AbortSignal | undefined): Promise<void> {
    this.calls.push(call)
    await this.before(call)
    throwIfAborted(signal)
  }

  #refuse(call: string): Promise<never> {
    return Promise.reject(new Error(`${call} is not expected of sync`))
  }
}
