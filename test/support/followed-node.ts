import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bitcoinRegtest } from '../../src/coins/bitcoin.ts'
import { Bitcoind } from '../../src/daemon/bitcoind.ts'
import type { BitcoindOptions } from '../../src/daemon/bitcoind-options.ts'
import { IndexDatabase } from '../../src/db/index-db.ts'
import { fromDisplayHex } from '../../src/lib/bytes.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/log.ts'
import { RegtestNode } from '../../src/regtest/node.ts'
import { BlockProcessor } from '../../src/sync/block-processor.ts'
import type { ChainListener } from '../../src/sync/follower.ts'
import { NodeProxy, type Trick } from './node-proxy.ts'

/** Whom payments go to, and who else a test pays. */
export const PAYEE = 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080'

export const NOBODY: ChainListener = { applied: () => undefined, rolledBack: () => undefined }
export const never = (): AbortSignal => new AbortController().signal

/** The client, the catch-up and an index on disk of its own. */
export interface Following {
  readonly daemon: Bitcoind
  readonly db: IndexDatabase
  readonly processor: BlockProcessor
}

export interface ChainPlan {
  readonly initialBlocks: number
  /** Blocks after those, each with `payments` to PAYEE. */
  readonly blocks: number
  readonly payments: number
  readonly txindex?: boolean
}

/** The built-in node with a chain of payments, and whatever follows it, directly or over proxies that play tricks. */
export class FollowedNode {
  readonly node: RegtestNode
  readonly directory: string
  readonly #undo: (() => unknown)[] = []

  private constructor(node: RegtestNode, directory: string) {
    this.node = node
    this.directory = directory
  }

  static async start({ blocks, payments, ...options }: ChainPlan): Promise<FollowedNode> {
    const directory = await mkdtemp(join(tmpdir(), 'followed-node-'))
    const node = new RegtestNode({ directory: join(directory, 'node'), ...options })
    await node.start(never())
    for (let block = 0; block < blocks; block += 1) {
      for (let i = 0; i < payments; i += 1) node.send(PAYEE, 10_000n + BigInt(i))
      node.mine(1)
    }
    return new FollowedNode(node, directory)
  }

  /** A client of `urls` and an empty index for what it finds there. */
  async follow(
    urls: readonly string[],
    options: Pick<BitcoindOptions, 'times' | 'cookieFile'>,
    reorgLimit = bitcoinRegtest.reorgLimit,
  ): Promise<Following> {
    const daemon = new Bitcoind(
      { urls, cookieFile: this.node.cookieFile, ...options },
      { log: silentLogger(), clock: systemClock },
    )
    this.#undo.push(() => daemon.stop())
    await daemon.start(never())
    const db = await IndexDatabase.open({
      directory: await mkdtemp(join(this.directory, 'index-')),
      coin: bitcoinRegtest.name,
      net: bitcoinRegtest.net,
      genesisHash: fromDisplayHex(bitcoinRegtest.genesisHash),
      reorgLimit,
      cacheBytes: 8 << 20,
      pendingBytes: 64 << 20,
    })
    this.#undo.push(() => db.close())
    const processor = new BlockProcessor({}, { db, daemon, clock: systemClock, log: silentLogger() })
    this.#undo.push(() => processor.stop())
    return { daemon, db, processor }
  }

  async proxy(...tricks: readonly Trick[]): Promise<NodeProxy> {
    const made = await NodeProxy.before(this.node.url)
    this.#undo.push(() => made.close())
    made.tricks = [...tricks]
    return made
  }

  /** Stops what follows, for the next test. */
  async leave(): Promise<void> {
    for (const step of this.#undo.splice(0).reverse()) await step()
  }

  async stop(): Promise<void> {
    await this.leave()
    await this.node.stop()
    await rm(this.directory, { recursive: true })
  }
}
