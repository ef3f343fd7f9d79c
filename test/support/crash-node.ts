import { addressOf, BITCOIN_ADDRESSES } from '../../src/chain/address.ts'
import { parseWholeTx, serializeTx } from '../../src/chain/tx.ts'
import { concat, fromDisplayHex } from '../../src/lib/bytes.ts'
import { RegtestNode } from '../../src/regtest/node.ts'
import { serve } from '../bench/support/child.ts'
import { NodeRpc } from '../bench/support/node-rpc.ts'
import { encodeCbor, envelopeWitness } from './atomicals-chain.ts'
import { SeededRandom } from './crash-random.ts'

/** What the chain of a crash test is told to do; each is answered with the node's tip. */
export type ChainOrder =
  | { readonly kind: 'start'; readonly directory: string; readonly seed: number }
  /** Starts the node again, elsewhere: with or without telling what blocks spend. Its mempool is lost. */
  | { readonly kind: 'restart'; readonly spentTxOuts: boolean }
  /** Mines `blocks`, each of `txs` transactions with about `fan` outputs. */
  | { readonly kind: 'grow'; readonly blocks: number; readonly txs: number; readonly fan: number }
  /** Replaces the last `depth` blocks: by empty ones, or by some that have other transactions and those lost. */
  | { readonly kind: 'reorganize'; readonly depth: number; readonly empty: boolean }

export interface ChainTip {
  readonly height: number
  readonly hash: string
  readonly environment: Readonly<Record<string, string>>
}

interface Coin {
  readonly txid: Uint8Array
  readonly index: number
  readonly value: bigint
}

const COIN = 100_000_000n
const FEE = 20_000n
const HOT_SCRIPTS = 100
/** The first block whose coinbase can be spent is the hundredth: some more give the faucet enough to begin with. */
const FIRST_BLOCKS = 120
const COINS_KEPT = 5000
const OPERATIONS = ['nft', 'nft', 'nft', 'mod', 'evt', 'dat', 'sl', 'x', 'y', 'z']

/** A chain with reorganisations, made of random transactions whose outputs anybody can spend. */
class Chain {
  #node: RegtestNode
  readonly #random: SeededRandom
  readonly #hot: readonly Uint8Array[]
  #coins: Coin[] = []

  constructor(node: RegtestNode, random: SeededRandom) {
    this.#node = node
    this.#random = random
    this.#hot = Array.from({ length: HOT_SCRIPTS }, () => witnessScript(random))
  }

  get tip(): ChainTip {
    const node = this.#node
    const environment = { DAEMON_URL: node.url, DAEMON_COOKIE_FILE: node.cookieFile, DAEMON_ZMQ: node.zmqEndpoint }
    return { height: node.height, hash: node.bestBlockHash, environment: { NET: 'regtest', ...environment } }
  }

  moveTo(node: RegtestNode): void {
    this.#node = node
  }

  grow(blocks: number, txs: number, fan: number): void {
    for (let block = 0; block < blocks; block++) {
      this.#fund()
      for (let tx = 0; tx < txs; tx++) this.#spendSome(fan)
      this.#node.mine(1)
    }
  }

  async reorganize(depth: number, empty: boolean): Promise<void> {
    if (empty) {
      this.#node.reorganize(depth)
      return
    }
    const { height } = this.#node
    const rpc = new NodeRpc(this.#node.url, this.#node.cookieFile)
    try {
      this.#node.invalidate(await rpc.call<string>('getblockhash', height - depth + 1))
    } finally {
      rpc.close()
    }
    // Branches that were left before may take its place at once.
    while (this.#node.height <= height) this.grow(1, 3, 6)
  }

  /** A coin from the faucet now and then: what is spent without luck is lost. */
  #fund(): void {
    const script = this.#random.pick(this.#hot)
    const value = 10n * COIN
    try {
      const txid = this.#node.send(addressOf(script, BITCOIN_ADDRESSES.regtest)!, value)
      this.#coins.push({ txid: fromDisplayHex(txid), index: 0, value })
    } catch (error) {
      // A faucet that is empty for the moment is no fault: coins mature as blocks come.
      if (!(error instanceof RangeError)) throw error
    }
  }

  #spendSome(fan: number): void {
    const coins = Array.from({ length: this.#random.between(1, 3) }, () => this.#takeCoin())
    const inputs = coins.filter((coin) => coin !== undefined)
    const total = inputs.reduce((sum, { value }) => sum + value, 0n)
    const count = this.#random.between(1, fan)
    const value = (total - FEE - BigInt(count) * 100n) / BigInt(count)
    if (value < 1000n) return
    const outputs = Array.from({ length: count }, () => ({ value, script: this.#script() }))
    // One that no index keeps, as transactions have that carry data.
    if (this.#random.chance(0.2))
      outputs.push({ value: 0n, script: concat(Uint8Array.of(0x6a, 8), this.#random.bytes(8)) })
    const tx = parseWholeTx(
      serializeTx({
        version: 2,
        inputs: inputs.map(({ txid, index }, at) => ({
          prevTxid: txid,
          prevIndex: index,
          script: new Uint8Array(0),
          sequence: 0xffff_fffd,
          witness: at === 0 ? this.#witness() : [],
        })),
        outputs,
        locktime: 0,
      }),
    )
    // Refused ones (a chain of unconfirmed ones too long, a coin lost in a reorganisation) only make the block smaller.
    if (this.#node.submitTx(tx.raw).kind !== 'accepted') return
    for (let index = 0; index < count; index++) this.#coins.push({ txid: Uint8Array.from(tx.txid), index, value })
    if (this.#coins.length > COINS_KEPT) this.#coins = this.#coins.slice(-COINS_KEPT / 2)
  }

  /** Some transactions show an operation; what carries an atomical is spent by any of them. */
  #witness(): Uint8Array[] {
    if (this.#random.chance(0.6)) return []
    const payload = { a: this.#random.between(0, 1000), args: { i: this.#random.chance(0.1) } }
    return envelopeWitness(this.#random.pick(OPERATIONS), encodeCbor(payload))
  }

  #takeCoin(): Coin | undefined {
    if (this.#coins.length === 0) return undefined
    const at = this.#random.between(0, this.#coins.length - 1)
    const last = this.#coins.pop()!
    const coin = this.#coins[at] ?? last
    if (at < this.#coins.length) this.#coins[at] = last
    return coin
  }

  #script(): Uint8Array {
    return this.#random.chance(0.5) ? this.#random.pick(this.#hot) : witnessScript(this.#random)
  }
}

function witnessScript(random: SeededRandom): Uint8Array {
  return concat(Uint8Array.of(0, 20), random.bytes(20))
}

let directory = ''
let node: RegtestNode | undefined
let chain: Chain | undefined

async function startNode(spentTxOuts: boolean): Promise<RegtestNode> {
  await node?.stop()
  node = new RegtestNode({ directory, policy: 'loose', initialBlocks: FIRST_BLOCKS, spentTxOuts })
  await node.start(AbortSignal.timeout(60_000))
  return node
}

serve(
  async (question) => {
    const order = question as ChainOrder
    if (order.kind === 'start') {
      directory = order.directory
      chain = new Chain(await startNode(true), new SeededRandom(order.seed))
    } else if (order.kind === 'restart') {
      chain?.moveTo(await startNode(order.spentTxOuts))
    } else if (order.kind === 'grow') {
      chain?.grow(order.blocks, order.txs, order.fan)
    } else {
      await chain?.reorganize(order.depth, order.empty)
    }
    return chain?.tip
  },
  async () => {
    await node?.stop()
  },
)
