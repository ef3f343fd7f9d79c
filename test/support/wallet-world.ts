import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { NODE_KINDS, type ReachedNode } from './e2e-nodes.ts'
import { type ProxyClient, postingClient } from './proxy-client.ts'
import { ServerProcess } from './server-process.ts'
import { type Coin, type Payee, type SignedTransaction, TaprootKey, transactionOf } from './taproot.ts'

const MATURITY = 100
const FEE = 1_000
const ASK_AGAIN_MS = 15

/** Who mines: the node within the server, commanded over its admin port, or bitcoind. */
interface Miner {
  readonly environment: Readonly<Record<string, string>>
  mine(server: ServerProcess, count: number, address: string): Promise<unknown>
  stop(): Promise<void>
}

export interface MinerKind {
  readonly kind: string
  start(): Promise<Miner>
}

const withinServer: MinerKind = {
  kind: 'the node within the server',
  start: () =>
    Promise.resolve({
      environment: { NET: 'regtest' },
      mine: (server, count, address) => server.admin('regtest', 'mine', String(count), address),
      stop: () => Promise.resolve(),
    }),
}

function reachedOver(node: ReachedNode): Miner {
  return {
    environment: node.environment,
    mine: (_server, count, address) => node.rpc('generatetoaddress', count, address),
    stop: () => node.stop(),
  }
}

/** The node within the server, which checks no signatures, and bitcoind, which does, where $BITCOIND names it. */
export const MINER_KINDS: readonly MinerKind[] = [
  withinServer,
  ...NODE_KINDS.filter(({ kind }) => kind === 'bitcoind').map((node) => ({
    kind: node.kind,
    start: async () => reachedOver(await node.start()),
  })),
]

/** The built server over a chain of its own, with somebody who mines and gives coins away. */
export class WalletWorld {
  readonly server: ServerProcess
  readonly api: ProxyClient
  readonly #miner: Miner
  readonly #directory: string
  readonly #bank = new TaprootKey('bank')
  #purse: Coin | undefined

  private constructor(server: ServerProcess, miner: Miner, directory: string) {
    this.server = server
    this.#miner = miner
    this.#directory = directory
    this.api = postingClient(server.port('http'))
  }

  static async start(kind: MinerKind): Promise<WalletWorld> {
    const miner = await kind.start()
    const directory = await mkdtemp(join(tmpdir(), 'valence-wallets-'))
    const server = ServerProcess.start({
      ...miner.environment,
      DB_DIRECTORY: directory,
      SERVICES: ['http', 'ws', 'rpc'].map((service) => `${service}://127.0.0.1:0`).join(','),
      // Waits are made by asking again.
      COST_SOFT_LIMIT: '0',
      COST_HARD_LIMIT: '0',
    })
    await server.ready()
    const world = new WalletWorld(server, miner, directory)
    await world.mine(MATURITY + 1)
    const coins = await world.unspent(world.#bank.scripthash)
    world.#purse = coins.sort((a, b) => a.height - b.height)[0]
    return world
  }

  get port(): number {
    return this.server.port('http')
  }

  async stop(): Promise<void> {
    await this.server.stop()
    await this.#miner.stop()
    await rm(this.#directory, { recursive: true, force: true })
  }

  /** The height of the index, as wallets learn it. */
  async height(): Promise<number> {
    const { global } = await this.api.call<{ readonly global: { readonly height: number } }>(
      'blockchain.atomicals.get_global',
      1,
    )
    return global.height
  }

  /** Mines blocks with what the mempool has and settles once the server has them. */
  async mine(count = 1): Promise<number> {
    const height = (await this.height()) + count
    await this.#miner.mine(this.server, count, this.#bank.address)
    await this.until(`a height of ${height}`, async () => ((await this.height()) === height ? true : undefined))
    return height
  }

  /** Outputs of a script, those of the mempool too. */
  async unspent(scripthash: string): Promise<(Coin & { readonly height: number })[]> {
    const rows = await this.api.call<readonly Unspent[]>('blockchain.scripthash.listunspent', scripthash)
    return rows.map(({ tx_hash, tx_pos, value, height }) => ({ txid: tx_hash, vout: tx_pos, value, height }))
  }

  /** Gives coins away, one for each payee; they stand first in the transaction, in this order. */
  async give(...payees: readonly Payee[]): Promise<SignedTransaction> {
    const purse = this.#purse
    if (purse === undefined) throw new Error('the bank has nothing')
    const value = payees.reduce((left, payee) => left - payee.value, purse.value - FEE)
    const to = [...payees, { script: this.#bank.script, value }]
    const tx = transactionOf({ from: [{ coin: purse, key: this.#bank }], to })
    await this.api.call('blockchain.transaction.broadcast', tx.hex)
    this.#purse = { txid: tx.txid, vout: to.length - 1, value }
    return tx
  }

  /** Asks until there is something; throws if there never is. */
  async until<T>(what: string, ask: () => Promise<T | undefined>, timeoutMs = 120_000): Promise<T> {
    const deadline = Date.now() + timeoutMs
    for (;;) {
      const found = await ask()
      if (found !== undefined) return found
      if (Date.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`)
      await delay(ASK_AGAIN_MS)
    }
  }
}

/** Members of a coin that wallets read. */
interface Unspent {
  readonly tx_hash: string
  readonly tx_pos: number
  readonly value: number
  readonly height: number
}
