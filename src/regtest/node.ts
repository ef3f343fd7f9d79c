import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { BITCOIN_ADDRESSES, scriptOfAddress } from '../chain/address.ts'
import { parseWholeTx } from '../chain/tx.ts'
import { InvariantError } from '../errors.ts'
import { type Clock, systemClock } from '../lib/clock.ts'
import type { Service } from '../lib/service.ts'
import { type Logger, silentLogger } from '../log.ts'
import type { Acceptance } from './acceptor.ts'
import { RegtestCore } from './core.ts'
import { type FaultHook, HttpFront } from './http.ts'
import { POLICIES } from './policy.ts'
import { RpcTable } from './rpc.ts'
import { CHAIN_CALLS } from './rpc-chain.ts'
import { NODE_CALLS } from './rpc-node.ts'
import { TRANSACTION_CALLS } from './rpc-transactions.ts'
import { ZmqPublisher } from './zmq.ts'

export interface RegtestNodeOptions {
  /** Where the chain is kept; made if it is not there. */
  readonly directory: string
  /** Port of 127.0.0.1 for JSON-RPC and REST; 0 (the default) = any. */
  readonly port?: number
  /** Port of 127.0.0.1 for ZMQ; 0 (the default) = any. */
  readonly zmqPort?: number
  /** A chain of nothing but genesis is given so many blocks at start. 101 and more give the faucet something to pay with. */
  readonly initialBlocks?: number
  /** What the mempool takes: as Core by default (`ordinary`), or non-standard transactions and dust too (`loose`, default). */
  readonly policy?: 'loose' | 'ordinary'
  /** Keep -txindex and -txospenderindex; default no. */
  readonly txindex?: boolean
  /** Answer REST; default yes. */
  readonly rest?: boolean
  /** Answer REST spenttxouts; default yes. False looks like a Core older than 30. */
  readonly spentTxOuts?: boolean
}

export interface RegtestNodeCollaborators {
  readonly clock?: Clock
  readonly log?: Logger
  /** For tests of those who talk to the node: asked before each answer. */
  readonly fault?: FaultHook
}

/**
 * A regtest node that is built in: reached like a bitcoind, by JSON-RPC and REST over loopback HTTP with a cookie, and by
 * ZMQ. It checks blocks and transactions as Core does, but for one thing: it runs no scripts, so anybody can spend
 * anything. Never to be used where coins are worth something.
 */
export class RegtestNode implements Service {
  readonly name = 'regtest node'
  /** File with `user:password`, as long as the node runs. */
  readonly cookieFile: string
  readonly #options: RegtestNodeOptions
  readonly #collaborators: RegtestNodeCollaborators
  readonly #clock: Clock
  #running: Running | undefined

  constructor(options: RegtestNodeOptions, collaborators: RegtestNodeCollaborators = {}) {
    this.#options = options
    this.#collaborators = collaborators
    this.#clock = collaborators.clock ?? systemClock
    this.cookieFile = join(options.directory, '.cookie')
  }

  /** Where HTTP is answered, without credentials; once started. */
  get url(): string {
    return `http://127.0.0.1:${this.#now.http.port}`
  }

  /** Where ZMQ is published, once started. */
  get zmqEndpoint(): string {
    return this.#now.zmq.address
  }

  get height(): number {
    return this.#now.core.chain.height
  }

  /** Hash of the best block as displayed. */
  get bestBlockHash(): string {
    return this.#now.core.chain.tip.id
  }

  /** Ids of the mempool's transactions as displayed. */
  get mempool(): string[] {
    return [...this.#now.core.mempool.entries()].map(({ txid }) => txid)
  }

  /** Throws StorageError if the directory cannot be used. Can be started again after stop(): the mempool is empty then. */
  async start(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    mkdirSync(this.#options.directory, { recursive: true, mode: 0o700 })
    const running = this.#build()
    this.#running = running
    try {
      await running.zmq.start(this.#options.zmqPort ?? 0)
      await running.http.start()
      await running.core.load(signal)
      if (running.core.chain.height === 0) running.core.mine(this.#options.initialBlocks ?? 0)
      running.http.ready()
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  async stop(): Promise<void> {
    const running = this.#running
    this.#running = undefined
    if (running === undefined) return
    running.core.wakeAll()
    await running.http.stop()
    await running.zmq.stop()
    running.core.close()
  }

  /** Mines blocks with what the mempool has, to an address or to the faucet; their hashes as displayed. */
  mine(count: number, address?: string): string[] {
    return this.#now.core.mine(count, address === undefined ? undefined : scriptOf(address))
  }

  /**
   * Pays satoshis from the faucet to an address: the txid of a transaction in the mempool. Throws RangeError if the faucet
   * has not enough mature coins, ParseError if the address is none of regtest.
   */
  send(address: string, satoshis: bigint): string {
    return this.#now.core.send(scriptOf(address), satoshis)
  }

  /** Takes a block in; the answer is submitblock's: null, `inconclusive`, `duplicate` or a reason. Throws ParseError. */
  submitBlock(raw: Uint8Array): string | null {
    return this.#now.core.submitBlock(raw)
  }

  /** Takes a transaction into the mempool, or says why not. Throws ParseError. */
  submitTx(raw: Uint8Array): Acceptance {
    return this.#now.core.accept(parseWholeTx(raw))
  }

  /** Takes a block and all that build on it off the chain. Throws RangeError for a block that is not known. */
  invalidate(hash: string): void {
    const { chain } = this.#now.core
    const node = chain.tree.get(hash)
    if (node === undefined) throw new RangeError('no such block')
    chain.invalidate(node)
  }

  /** Takes back invalidate(). Throws RangeError for a block that is not known. */
  reconsider(hash: string): void {
    const { chain } = this.#now.core
    const node = chain.tree.get(hash)
    if (node === undefined) throw new RangeError('no such block')
    chain.reconsider(node)
  }

  /**
   * Replaces the last `depth` blocks by `depth + 1` empty ones: a reorganisation. What was in them is back in the mempool.
   * Returns the new hashes as displayed.
   */
  reorganize(depth: number): string[] {
    const { core } = this.#now
    return core.replaceTip(depth)
  }

  get #now(): Running {
    if (this.#running === undefined) throw new InvariantError('the regtest node does not run')
    return this.#running
  }

  #build(): Running {
    const { directory, txindex = false, rest = true, spentTxOuts = true, policy = 'loose', port = 0 } = this.#options
    const zmq = new ZmqPublisher()
    const core = new RegtestCore(
      { directory, txindex, policy: POLICIES[policy] },
      { clock: this.#clock, publisher: zmq },
    )
    const startedAt = this.#clock.monotonic()
    const table = new RpcTable([...CHAIN_CALLS, ...TRANSACTION_CALLS, ...NODE_CALLS], {
      core,
      uptime: () => Math.floor((this.#clock.monotonic() - startedAt) / 1000),
      zmq: () => zmq.notifications,
    })
    const http = new HttpFront(
      { port, cookieFile: this.cookieFile, rest: rest ? { spentTxOuts } : undefined },
      { core, table, log: this.#collaborators.log ?? silentLogger(), fault: this.#collaborators.fault },
    )
    return { core, zmq, http }
  }
}

interface Running {
  readonly core: RegtestCore
  readonly zmq: ZmqPublisher
  readonly http: HttpFront
}

function scriptOf(address: string): Uint8Array {
  return scriptOfAddress(address, BITCOIN_ADDRESSES.regtest)
}
