import { Block, Transaction } from 'bitcoinjs-lib'
import { toDisplayHex } from '../../../src/lib/bytes.ts'
import type { NodeRpc } from '../../bench/support/node-rpc.ts'
import { scripthashOf } from '../../support/taproot.ts'

/** What a script should have, by nothing but the node's blocks and mempool. */
export interface Expected {
  /** In chain order. */
  readonly confirmed: readonly { readonly txid: string; readonly height: number }[]
  /** Height 0, or -1 where something unconfirmed is spent, by txid. */
  readonly mempool: ReadonlyMap<string, number>
  /** Satoshis. */
  readonly balance: { readonly confirmed: number; readonly unconfirmed: number }
  /** `txid:vout:value`, sorted. */
  readonly unspent: readonly string[]
}

interface Output {
  readonly scripthash: string
  readonly value: number
}

interface BlockRecord {
  readonly hash: string
  readonly header: string
  readonly txids: readonly string[]
  readonly made: readonly string[]
  readonly spent: readonly (readonly [string, Output])[]
  readonly touched: readonly string[]
}

/**
 * The histories of some scripts, recomputed from the node's blocks by a library that the server does not use for it. Ask
 * after follow() only, and while nothing moves.
 */
export class Oracle {
  readonly #rpc: () => NodeRpc
  readonly #histories: Map<string, { txid: string; height: number }[]>
  readonly #coins = new Map<string, Output>()
  readonly #heights = new Map<string, number>()
  readonly #blocks: BlockRecord[] = []
  #mempool = new Map<string, Transaction>()

  /** `rpc` is asked each time: the node is started anew now and then. */
  constructor(rpc: () => NodeRpc, scripthashes: readonly string[]) {
    this.#rpc = rpc
    this.#histories = new Map(scripthashes.map((scripthash) => [scripthash, []]))
  }

  get height(): number {
    return this.#blocks.length - 1
  }

  get mempoolSize(): number {
    return this.#mempool.size
  }

  /** Hex of a header. */
  header(height: number): string | undefined {
    return this.#blocks[height]?.header
  }

  /** Ids of a block's transactions, in order. */
  txids(height: number): readonly string[] {
    return this.#blocks[height]?.txids ?? []
  }

  /** Of the block that a transaction is in; undefined if it is in none. */
  heightOf(txid: string): number | undefined {
    return this.#heights.get(txid)
  }

  /** Goes where the node is. Scripts that something happened to on the way. */
  async follow(): Promise<ReadonlySet<string>> {
    const rpc = this.#rpc()
    const touched = new Set<string>()
    const tip = await rpc.call<number>('getblockcount')
    while (this.#blocks.length > 0 && !(await this.#agrees(rpc, tip))) this.#rollBack(touched)
    while (this.height < tip) {
      const hash = await rpc.call<string>('getblockhash', this.#blocks.length)
      this.#apply(hash, Block.fromHex(await rpc.call<string>('getblock', hash, 0)), touched)
    }
    await this.#followMempool(rpc, touched)
    return touched
  }

  expected(scripthash: string): Expected {
    const confirmed = this.#histories.get(scripthash)
    if (confirmed === undefined) throw new Error(`${scripthash} is not followed`)
    const made = new Map<string, Output>()
    const spent = new Set<string>()
    const mempool = new Map<string, number>()
    for (const [txid, tx] of this.#mempool) {
      for (const [outpoint, output] of outputsOf(txid, tx))
        if (output.scripthash === scripthash) made.set(outpoint, output)
    }
    for (const [txid, tx] of this.#mempool) {
      const spends = outpointsOf(tx)
      for (const outpoint of spends) spent.add(outpoint)
      const concerned =
        spends.some((outpoint) => made.has(outpoint) || this.#coins.get(outpoint)?.scripthash === scripthash) ||
        outputsOf(txid, tx).some(([outpoint]) => made.has(outpoint))
      if (concerned) mempool.set(txid, spends.some((one) => this.#mempool.has(one.slice(0, 64))) ? -1 : 0)
    }
    const own = [...this.#coins].filter(([, output]) => output.scripthash === scripthash)
    const sum = own.reduce((total, [, { value }]) => total + value, 0)
    const left = [...own, ...made].filter(([outpoint]) => !spent.has(outpoint))
    const after = left.reduce((total, [, { value }]) => total + value, 0)
    return {
      confirmed,
      mempool,
      balance: { confirmed: sum, unconfirmed: after - sum },
      unspent: left.map(([outpoint, { value }]) => `${outpoint}:${value}`).sort(),
    }
  }

  async #agrees(rpc: NodeRpc, tip: number): Promise<boolean> {
    if (this.height > tip) return false
    return (await rpc.call<string>('getblockhash', this.height)) === this.#blocks[this.height]?.hash
  }

  #apply(hash: string, block: Block, touched: Set<string>): void {
    const height = this.#blocks.length
    const spent: [string, Output][] = []
    const made: string[] = []
    const changed: string[] = []
    const txids: string[] = []
    for (const tx of block.transactions ?? []) {
      const txid = tx.getId()
      txids.push(txid)
      const concerned = new Set<string>()
      for (const outpoint of outpointsOf(tx)) {
        const output = this.#coins.get(outpoint)
        if (output === undefined) continue
        this.#coins.delete(outpoint)
        spent.push([outpoint, output])
        concerned.add(output.scripthash)
      }
      for (const [outpoint, output] of outputsOf(txid, tx)) {
        if (!this.#histories.has(output.scripthash)) continue
        this.#coins.set(outpoint, output)
        made.push(outpoint)
        concerned.add(output.scripthash)
      }
      for (const scripthash of concerned) {
        this.#histories.get(scripthash)?.push({ txid, height })
        changed.push(scripthash)
        touched.add(scripthash)
      }
      this.#heights.set(txid, height)
    }
    const header = Buffer.from(block.toBuffer(true)).toString('hex')
    this.#blocks.push({ hash, header, txids, made, spent, touched: changed })
  }

  #rollBack(touched: Set<string>): void {
    const block = this.#blocks.pop()
    if (block === undefined) return
    for (const scripthash of block.touched) {
      this.#histories.get(scripthash)?.pop()
      touched.add(scripthash)
    }
    // What was made and spent in this block comes back first, and goes then.
    for (const [outpoint, output] of block.spent) this.#coins.set(outpoint, output)
    for (const outpoint of block.made) this.#coins.delete(outpoint)
    for (const txid of block.txids) this.#heights.delete(txid)
  }

  async #followMempool(rpc: NodeRpc, touched: Set<string>): Promise<void> {
    const before = this.#mempool
    const now = new Map<string, Transaction>()
    for (const txid of await rpc.call<string[]>('getrawmempool')) {
      const tx = before.get(txid) ?? Transaction.fromHex(await rpc.call<string>('getrawtransaction', txid))
      now.set(txid, tx)
      if (!before.has(txid)) this.#touchedBy(txid, tx, touched)
    }
    for (const [txid, tx] of before) if (!now.has(txid)) this.#touchedBy(txid, tx, touched)
    this.#mempool = now
  }

  #touchedBy(txid: string, tx: Transaction, touched: Set<string>): void {
    const inputs = outpointsOf(tx).map((outpoint) => this.#coins.get(outpoint))
    for (const output of [...inputs, ...outputsOf(txid, tx).map(([, one]) => one)]) {
      if (output !== undefined && this.#histories.has(output.scripthash)) touched.add(output.scripthash)
    }
  }
}

function outpointsOf(tx: Transaction): string[] {
  return tx.ins.map(({ hash, index }) => `${toDisplayHex(hash)}:${index}`)
}

function outputsOf(txid: string, tx: Transaction): [string, Output][] {
  return tx.outs.map(({ script, value }, vout) => [
    `${txid}:${vout}`,
    { scripthash: scripthashOf(script), value: Number(value) },
  ])
}
