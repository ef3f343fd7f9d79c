import type { z } from 'zod'
import { ConfigError, DaemonError } from '../errors.ts'
import { linkSignals } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import type { Service } from '../lib/service.ts'
import type { Logger } from '../log.ts'
import {
  type BitcoindOptions,
  type DaemonSizes,
  type DaemonTimes,
  DEFAULT_SIZES,
  DEFAULT_TIMES,
  headerHash,
} from './bitcoind-options.ts'
import { BlockTransactions } from './block-transactions.ts'
import type {
  AcceptResult,
  ChainInfo,
  ChainTip,
  Daemon,
  DaemonAbilities,
  DaemonNotices,
  MempoolIds,
  MempoolInfo,
  NetworkInfo,
  NodeOutput,
  Outpoint,
  PackageResult,
  TransactionPlace,
} from './daemon.ts'
import { parseEndpoint } from './endpoint.ts'
import type { Bounds } from './exchange.ts'
import { NodeFailure } from './failure.ts'
import { BitcoinNode } from './node.ts'
import { type DaemonObserver, NodePool } from './node-pool.ts'
import { checkedTransaction, confirmedBatchOf, outputsOf, transactionsOf } from './node-reads.ts'
import { readAs, readReply } from './read-reply.ts'
import * as replies from './replies.ts'
import { type TransactionAsk, TransactionBatches } from './transaction-batches.ts'
import { ZmqNotices } from './zmq.ts'

/** Calls in one batch: hashes are short, transactions are not. */
const HASHES_PER_BATCH = 2000
const TRANSACTIONS_PER_BATCH = 200
const OUTPUTS_PER_BATCH = 500
/** Batches of transactions at once; half the connections, so that others get through. */
const BATCHES_AT_ONCE = 4

/** Of a node that has an index of transactions: half the connections, so that others get through. */
const INDEXED_BATCHES = { atOnce: 4, most: 50, mostWaiting: 10_000 } as const

const BLOCK_CACHE_BYTES = 16 * 1024 * 1024

const WAITING_LOG_MS = 30_000
/** Words of getchaintips; the others are of branches that were never verified as a whole. */
const TIP_STATUS: Readonly<Record<string, ChainTip['status']>> = {
  active: 'active',
  invalid: 'invalid',
  'valid-fork': 'verified',
}

/** bitcoind, or several of them: JSON-RPC, REST where there is REST, and ZMQ if it is configured. */
export class Bitcoind implements Daemon, Service {
  readonly name = 'daemon'
  readonly #log: Logger
  readonly #clock: Clock
  readonly #pool: NodePool
  readonly #times: DaemonTimes
  readonly #sizes: DaemonSizes
  readonly #zmq: string | undefined
  readonly #blocks: BlockTransactions
  readonly #batches: TransactionBatches
  #notices: ZmqNotices | undefined

  /** Throws ConfigError if a URL is none. */
  constructor(
    options: BitcoindOptions,
    collaborators: { readonly log: Logger; readonly clock: Clock; readonly observer?: DaemonObserver | undefined },
  ) {
    this.#log = collaborators.log
    this.#clock = collaborators.clock
    this.#times = { ...DEFAULT_TIMES, ...options.times }
    this.#sizes = { ...DEFAULT_SIZES, ...options.sizes }
    this.#zmq = options.zmq
    const [first, ...others] = options.urls.map((url, index) => {
      const label = options.urls.length === 1 ? 'DAEMON_URL' : `DAEMON_URL (number ${index + 1})`
      const endpoint = parseEndpoint(url, {
        label,
        defaultPort: options.defaultPort ?? 8332,
        cookieFile: options.cookieFile,
      })
      const { connections = 8, blockHash = headerHash } = options
      return new BitcoinNode({ endpoint, connections, blockHash }, collaborators)
    })
    if (first === undefined) throw new ConfigError(['DAEMON_URL is empty'])
    const probe: Bounds = { timeout: this.#times.call, maxBytes: this.#sizes.block }
    this.#pool = new NodePool(
      { returnAfter: this.#times.returnAfter, probe },
      { ...collaborators, nodes: [first, ...others] },
    )
    const block = { timeout: this.#times.bulk, maxBytes: this.#sizes.block, signal: this.#pool.stopped }
    this.#blocks = new BlockTransactions({ maxBytes: options.blockCacheBytes ?? BLOCK_CACHE_BYTES, block })
    this.#batches = new TransactionBatches(INDEXED_BATCHES, {
      send: (asks) => this.#confirmedBatch(asks),
    })
  }

  /** Before start() has settled nothing is known, and nothing promised. */
  get abilities(): DaemonAbilities {
    const found = this.#pool.current.abilities
    return {
      rest: found?.rest ?? false,
      spentTxOuts: found?.spentTxOuts ?? false,
      zmq: this.#notices?.endpoint,
    }
  }

  get address(): string {
    return this.#pool.current.address
  }

  get turn(): number {
    return this.#pool.turn
  }

  get trouble(): string | undefined {
    return this.#pool.trouble
  }

  preferBest(signal?: AbortSignal): Promise<boolean> {
    return this.#pool.preferBest(signal)
  }

  /** What bitcoind tells by itself; undefined where no ZMQ endpoint is configured, or before start() has settled. */
  get notices(): DaemonNotices | undefined {
    return this.#notices
  }

  /**
   * Waits until a node answers, however long it takes. Throws ConfigError if all of them refuse our credentials or our
   * address, DaemonUnavailableError if what answers is no bitcoind.
   */
  async start(signal: AbortSignal): Promise<void> {
    const begun = this.#clock.monotonic()
    let toldAt = begun
    const onWait = (failure: NodeFailure): void => {
      const now = this.#clock.monotonic()
      if (now - toldAt < WAITING_LOG_MS) return
      toldAt = now
      const seconds = Math.round((now - begun) / 1000)
      this.#log.info({ address: this.address, reason: failure.message, seconds }, 'still waiting for bitcoind')
    }
    try {
      // The probe that comes before any work is all that is wanted here.
      await this.#pool.ask(() => Promise.resolve(), { signal, patience: Number.POSITIVE_INFINITY, onWait })
    } catch (error) {
      if (error instanceof NodeFailure && error.kind === 'refused') throw new ConfigError([error.message])
      throw error
    }
    if (this.#zmq !== undefined) await this.#startZmq(this.#zmq, signal)
  }

  async stop(): Promise<void> {
    await this.#pool.stop()
  }

  chainInfo(signal?: AbortSignal): Promise<ChainInfo> {
    return this.#read('getblockchaininfo', [], replies.ChainInfoReply, signal).then((reply) => ({
      chain: reply.chain,
      blocks: reply.blocks,
      headers: reply.headers,
      bestBlockHash: reply.bestblockhash,
      initialBlockDownload: reply.initialblockdownload,
      pruned: reply.pruned,
    }))
  }

  networkInfo(signal?: AbortSignal): Promise<NetworkInfo> {
    return this.#read('getnetworkinfo', [], replies.NetworkInfoReply, signal).then((reply) => ({
      version: reply.version,
      subversion: reply.subversion,
      relayFee: reply.relayfee,
    }))
  }

  mempoolInfo(signal?: AbortSignal): Promise<MempoolInfo> {
    return this.#read('getmempoolinfo', [], replies.MempoolInfoReply, signal).then((reply) => ({
      size: reply.size,
      loaded: reply.loaded ?? true,
      mempoolMinFee: reply.mempoolminfee,
      minRelayTxFee: reply.minrelaytxfee ?? reply.mempoolminfee,
      // What every version did before it said so.
      incrementalRelayFee: reply.incrementalrelayfee ?? 0.00001,
    }))
  }

  height(signal?: AbortSignal): Promise<number> {
    return this.#read('getblockcount', [], replies.Height, signal)
  }

  async chainTips(signal?: AbortSignal): Promise<readonly ChainTip[]> {
    const tips = await this.#read('getchaintips', [], replies.ChainTipsReply, signal)
    return tips.map(({ height, hash, branchlen, status }) => ({
      height,
      hash,
      fork: height - branchlen,
      status: TIP_STATUS[status] ?? 'known',
    }))
  }

  async blockHashes(start: number, count: number, signal?: AbortSignal): Promise<string[]> {
    const hashes: string[] = []
    while (hashes.length < count) {
      const from = start + hashes.length
      const wanted = Math.min(HASHES_PER_BATCH, count - hashes.length)
      const found = await this.#hashBatch(from, wanted, signal)
      hashes.push(...found)
      if (found.length < wanted) break
    }
    return hashes
  }

  rawBlock(hash: string, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#ask((node, bounds) => node.rawBlock(hash, bounds), 'block', signal)
  }

  spentTxOuts(hash: string, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#ask((node, bounds) => node.spentTxOuts(hash, bounds), 'spentTxOuts', signal)
  }

  async unspentOutputs(outpoints: readonly Outpoint[], signal?: AbortSignal): Promise<(NodeOutput | undefined)[]> {
    const found: (NodeOutput | undefined)[] = []
    for (let start = 0; start < outpoints.length; start += OUTPUTS_PER_BATCH) {
      const some = outpoints.slice(start, start + OUTPUTS_PER_BATCH)
      found.push(...(await this.#ask((node, bounds) => outputsOf(node, some, bounds), 'bulk', signal)))
    }
    return found
  }

  async mempoolIds(signal?: AbortSignal): Promise<MempoolIds> {
    const begun = this.#clock.monotonic()
    const read = async (node: BitcoinNode, params: readonly unknown[], bounds: Bounds): Promise<MempoolIds> => {
      const waited = this.#clock.monotonic() - begun
      const result = await node.rpc.call('getrawmempool', params, bounds)
      const reply = readReply('getrawmempool', result, replies.MempoolIdsReply)
      return { txids: reply.txids, sequence: reply.mempool_sequence, waited }
    }
    return this.#ask(
      async (node, bounds) => {
        try {
          return await read(node, [false, true], bounds)
        } catch (error) {
          // Before 0.21 there was no second parameter.
          if (error instanceof DaemonError && error.daemonCode === replies.MISC_ERROR) return read(node, [], bounds)
          throw error
        }
      },
      'bulk',
      signal,
    )
  }

  async mempoolTransactions(txids: readonly string[], signal?: AbortSignal): Promise<(Uint8Array | undefined)[]> {
    const found: (Uint8Array | undefined)[] = []
    const count = Math.ceil(txids.length / TRANSACTIONS_PER_BATCH)
    const batches = Array.from({ length: count }, (_, batch) => batch).values()
    const failed = new AbortController()
    const link = linkSignals(signal, failed.signal)
    // A few lanes take batches from one list; the first that fails ends the others.
    const lane = async (): Promise<void> => {
      for (const batch of batches) {
        const start = batch * TRANSACTIONS_PER_BATCH
        const raws = await this.#transactionBatch(txids.slice(start, start + TRANSACTIONS_PER_BATCH), link.signal)
        for (const [index, raw] of raws.entries()) found[start + index] = raw
      }
    }
    try {
      await Promise.all(Array.from({ length: Math.min(BATCHES_AT_ONCE, count) }, lane))
      return found
    } finally {
      failed.abort()
      link.unlink()
    }
  }

  rawTransaction(txid: string, blockHash?: string, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#ask(
      async (node, bounds) => {
        const params = blockHash === undefined ? [txid] : [txid, false, blockHash]
        const result = await node.rpc.call('getrawtransaction', params, bounds)
        const raw = readAs('getrawtransaction', () => result.hex())
        return checkedTransaction(txid, raw, node)
      },
      'call',
      signal,
    )
  }

  async indexedTransaction(txid: string, signal?: AbortSignal): Promise<Uint8Array | undefined> {
    if (this.#pool.current.abilities?.txIndex !== true) return undefined
    try {
      return await this.#batches.get({ txid, blockHash: undefined }, signal)
    } catch (error) {
      if (error instanceof DaemonError && error.daemonCode === replies.NOT_FOUND) return undefined
      throw error
    }
  }

  async confirmedTransaction(txid: string, place: TransactionPlace, signal?: AbortSignal): Promise<Uint8Array> {
    const { rest = false, txIndex = false } = this.#pool.current.abilities ?? {}
    if (txIndex) return this.#batches.get({ txid, blockHash: place.blockHash }, signal)
    if (!rest) return this.rawTransaction(txid, place.blockHash, signal)
    return this.#ask((node, bounds) => this.#fromBlock(node, txid, place, bounds), 'call', signal)
  }

  verboseTransaction(txid: string, blockHash?: string, signal?: AbortSignal): Promise<string> {
    return this.#ask(
      async (node, bounds) => {
        const params = blockHash === undefined ? [txid, true] : [txid, true, blockHash]
        const result = await node.rpc.call('getrawtransaction', params, bounds)
        // Parsed as well, although the text goes out as it is: what is not JSON would spoil our own answer.
        const reply = readReply('getrawtransaction', result, replies.TransactionReply)
        if (reply.txid === txid) return result.text()
        throw new NodeFailure('wrong', `bitcoind's answer to getrawtransaction ${txid} is ${reply.txid}`)
      },
      'call',
      signal,
    )
  }

  broadcast(rawHex: string, signal?: AbortSignal): Promise<string> {
    return this.#read('sendrawtransaction', [rawHex], replies.Hash, signal)
  }

  broadcastPackage(rawHexes: readonly string[], signal?: AbortSignal): Promise<PackageResult> {
    return this.#ask(
      async (node, bounds) => {
        const result = await node.rpc.call('submitpackage', [rawHexes], bounds)
        const reply = readReply('submitpackage', result, replies.PackageReply)
        const errors = Object.values(reply['tx-results']).flatMap(({ txid, error }) =>
          error === undefined ? [] : [{ txid, error }],
        )
        return { packageMessage: reply.package_msg, errors, raw: result.value() }
      },
      'call',
      signal,
    )
  }

  testMempoolAccept(rawHexes: readonly string[], signal?: AbortSignal): Promise<readonly AcceptResult[]> {
    return this.#read('testmempoolaccept', [rawHexes], replies.AcceptReply, signal).then((reply) =>
      reply.map((one) => ({
        txid: one.txid,
        wtxid: one.wtxid,
        allowed: one.allowed ?? false,
        reason: one['reject-reason'] ?? one['package-error'],
      })),
    )
  }

  async estimateFee(target: number, mode?: string, signal?: AbortSignal): Promise<number | undefined> {
    const params = mode === undefined ? [target] : [target, mode]
    const { feerate } = await this.#read('estimatesmartfee', params, replies.FeeEstimateReply, signal)
    // Some versions and forks say "no estimate" with -1.
    return feerate !== undefined && feerate > 0 ? feerate : undefined
  }

  async #fromBlock(node: BitcoinNode, txid: string, place: TransactionPlace, bounds: Bounds): Promise<Uint8Array> {
    const raw = await this.#blocks.find(node, place, bounds)
    try {
      return checkedTransaction(txid, raw, node)
    } catch (error) {
      this.#blocks.drop(place.blockHash)
      throw error
    }
  }

  #hashBatch(start: number, count: number, signal: AbortSignal | undefined): Promise<string[]> {
    return this.#ask(
      async (node, bounds) => {
        const heights = Array.from({ length: count }, (_, index) => [start + index])
        const outcomes = await node.rpc.batch('getblockhash', heights, bounds)
        const beyond = outcomes.findIndex(
          (outcome) => outcome instanceof DaemonError && outcome.daemonCode === replies.INVALID_PARAMETER,
        )
        return outcomes.slice(0, beyond === -1 ? count : beyond).map((outcome) => {
          if (outcome instanceof DaemonError) throw outcome
          return readReply('getblockhash', outcome, replies.Hash)
        })
      },
      'bulk',
      signal,
    )
  }

  async #confirmedBatch(asks: readonly TransactionAsk[]): Promise<(Uint8Array | DaemonError)[]> {
    try {
      return await this.#ask((node, bounds) => confirmedBatchOf(node, asks, bounds), 'bulk', undefined)
    } catch (error) {
      if (!(error instanceof NodeFailure) || error.kind !== 'too-large' || asks.length === 1) throw error
      const half = asks.length >> 1
      return [...(await this.#confirmedBatch(asks.slice(0, half))), ...(await this.#confirmedBatch(asks.slice(half)))]
    }
  }

  async #transactionBatch(
    txids: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<(Uint8Array | undefined)[]> {
    try {
      return await this.#ask((node, bounds) => transactionsOf(node, txids, bounds), 'bulk', signal)
    } catch (error) {
      // A mempool can hold transactions of 800 kB of hex each: in halves, then.
      if (!(error instanceof NodeFailure) || error.kind !== 'too-large' || txids.length === 1) throw error
      const half = txids.length >> 1
      const before = await this.#transactionBatch(txids.slice(0, half), signal)
      return [...before, ...(await this.#transactionBatch(txids.slice(half), signal))]
    }
  }

  #read<S extends z.ZodType>(
    method: string,
    params: readonly unknown[],
    schema: S,
    signal: AbortSignal | undefined,
  ): Promise<z.output<S>> {
    return this.#ask(
      async (node, bounds) => readReply(method, await node.rpc.call(method, params, bounds), schema),
      'call',
      signal,
    )
  }

  #ask<T>(
    work: (node: BitcoinNode, bounds: Bounds) => Promise<T>,
    size: 'call' | 'bulk' | 'block' | 'spentTxOuts',
    signal: AbortSignal | undefined,
  ): Promise<T> {
    const timeout = size === 'call' ? this.#times.call : this.#times.bulk
    const maxBytes = this.#sizes[size === 'bulk' ? 'call' : size]
    return this.#pool.ask((node, both) => work(node, { timeout, maxBytes, signal: both }), {
      signal,
      patience: this.#times.patience,
    })
  }

  async #startZmq(endpoint: string, signal: AbortSignal): Promise<void> {
    const { zmqConnect } = this.#times
    this.#notices = await ZmqNotices.load({ endpoint, stopped: this.#pool.stopped, zmqConnect }, { log: this.#log })
    if (this.#notices === undefined) return
    try {
      const found = await this.#read('getzmqnotifications', [], replies.ZmqNotificationsReply, signal)
      const topics = found.map(({ type }) => type).filter((type) => type === 'pubsequence' || type === 'pubhashblock')
      if (topics.length === 0) {
        this.#log.warn({ endpoint }, 'bitcoind publishes neither sequence nor hashblock over ZMQ; relying on polling')
      } else this.#log.info({ endpoint, topics }, 'listening to bitcoind over ZMQ')
    } catch (error) {
      // Also where an rpcwhitelist has it not.
      const isRefused = error instanceof DaemonError || (error instanceof NodeFailure && error.kind === 'forbidden')
      if (!isRefused) throw error
      this.#log.info({ endpoint, reason: error.message }, 'listening over ZMQ; bitcoind does not say what it publishes')
    }
  }
}
