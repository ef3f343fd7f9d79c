import { DaemonError } from '../errors.ts'
import { toDisplayHex } from '../lib/bytes.ts'
import type { Clock } from '../lib/clock.ts'
import type { Endpoint } from './endpoint.ts'
import { type Bounds, HttpPeer } from './exchange.ts'
import { NodeFailure } from './failure.ts'
import { RpcClient } from './http-client.ts'
import { readAs, readReply } from './read-reply.ts'
import { Hash, IndexInfoReply, WorkReply } from './replies.ts'
import { type RestAbilities, RestClient } from './rest-client.ts'

export interface NodeOptions {
  readonly endpoint: Endpoint
  /** Connections at once. */
  readonly connections: number
  /** Hash, in internal byte order, of the header that a block begins with; throws RangeError if it is too short. */
  readonly blockHash: (block: Uint8Array) => Uint8Array
}

export interface NodeAbilities extends RestAbilities {
  /** It has an index of transactions (`txindex=1`), or makes one. */
  readonly txIndex: boolean
}

/** One bitcoind: JSON-RPC, REST where it has it, and what is known of it since it was last found. */
export class BitcoinNode {
  readonly #endpoint: Endpoint
  readonly #blockHash: NodeOptions['blockHash']
  readonly #http: HttpPeer
  readonly #rpc: RpcClient
  readonly #rest: RestClient
  #abilities: NodeAbilities | undefined
  #genesis: string | undefined
  #known = false

  constructor(options: NodeOptions, collaborators: { readonly clock: Clock }) {
    this.#endpoint = options.endpoint
    this.#blockHash = options.blockHash
    this.#http = new HttpPeer(options, collaborators)
    this.#rpc = new RpcClient(options, { http: this.#http, onNewCookie: () => this.forget() })
    this.#rest = new RestClient(options, { http: this.#http })
  }

  get address(): string {
    return this.#endpoint.address
  }

  get rpc(): RpcClient {
    return this.#rpc
  }

  /** What was found last; undefined before the first time. */
  get abilities(): NodeAbilities | undefined {
    return this.#abilities
  }

  /** Hash of its block 0, as found last. */
  get genesis(): string | undefined {
    return this.#genesis
  }

  /** False before `probe`, and after `forget`. */
  get known(): boolean {
    return this.#known
  }

  /** It may have been started anew, with other settings: probe before it is used again. */
  forget(): void {
    this.#known = false
  }

  /** Finds out whether it answers, of which chain it is and what it can do. */
  async probe(bounds: Bounds): Promise<void> {
    const genesis = readReply('getblockhash', await this.#rpc.call('getblockhash', [0], bounds), Hash)
    this.#abilities = { ...(await this.#rest.probe(genesis, bounds)), txIndex: await this.#hasTxIndex(bounds) }
    this.#genesis = genesis
    this.#known = true
  }

  /** All the work in its best chain. DaemonError, NodeFailure. */
  async work(bounds: Bounds): Promise<bigint> {
    const reply = readReply('getblockchaininfo', await this.#rpc.call('getblockchaininfo', [], bounds), WorkReply)
    return BigInt(`0x${reply.chainwork}`)
  }

  /** A block by the fastest way there is. DaemonError -5 if there is none; NodeFailure `wrong` if it is another. */
  async rawBlock(hash: string, bounds: Bounds): Promise<Uint8Array> {
    if (this.#abilities?.rest === true) {
      const block = await this.#rest.block(hash, bounds)
      if (block !== undefined) return this.#checkedBlock(hash, block)
      this.forget()
    }
    // 0 and not false: every version understands the number.
    const result = await this.#rpc.call('getblock', [hash, 0], bounds)
    const block = readAs('getblock', () => result.hex())
    return this.#checkedBlock(hash, block)
  }

  async spentTxOuts(hash: string, bounds: Bounds): Promise<Uint8Array> {
    // Where it was not found before, as of a node that stands in for another, there is nothing to be found anew.
    if (this.#abilities?.spentTxOuts === true) {
      const outputs = await this.#rest.spentTxOuts(hash, bounds)
      if (outputs !== undefined) return outputs
      this.forget()
    }
    throw new NodeFailure('http', `bitcoind at ${this.address} does not give spenttxouts`)
  }

  /**
   * Bytes of a block; undefined where there is no such thing. DaemonError -5 if there is no such block. What they are is
   * for the caller to check.
   */
  async blockPart(hash: string, offset: number, size: number, bounds: Bounds): Promise<Uint8Array | undefined> {
    return this.#abilities?.blockParts === true ? this.#rest.blockPart(hash, offset, size, bounds) : undefined
  }

  close(): void {
    this.#http.close()
  }

  async #hasTxIndex(bounds: Bounds): Promise<boolean> {
    try {
      const reply = readReply('getindexinfo', await this.#rpc.call('getindexinfo', [], bounds), IndexInfoReply)
      return 'txindex' in reply
    } catch (error) {
      // Before 0.21, and where an rpcwhitelist has it not, there is no telling.
      if (error instanceof DaemonError || (error instanceof NodeFailure && error.kind === 'forbidden')) return false
      throw error
    }
  }

  #checkedBlock(hash: string, block: Uint8Array): Uint8Array {
    let found: string
    try {
      found = toDisplayHex(this.#blockHash(block))
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      throw new NodeFailure('wrong', `bitcoind at ${this.address} sent ${block.length} bytes as block ${hash}`)
    }
    if (found === hash) return block
    throw new NodeFailure('wrong', `bitcoind at ${this.address} sent block ${found} when asked for ${hash}`)
  }
}
