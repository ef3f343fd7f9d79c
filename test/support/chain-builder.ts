import { headerHash, serializeHeader } from '../../src/chain/headers.ts'
import { compactSize, parseWholeTx, serializeTx, type Tx, type TxInput, type TxOutput } from '../../src/chain/tx.ts'
import { concat, copyOf, fromHex, toLatin1, writeUint32LE, writeUint64LE } from '../../src/lib/bytes.ts'
import { merkleRoot } from '../../src/lib/merkle.ts'

/** A block as a node would send it, and what it is made of. */
export interface BuiltBlock {
  readonly height: number
  readonly hash: Uint8Array
  readonly prevHash: Uint8Array
  readonly raw: Uint8Array
  readonly txs: readonly Tx[]
}

export interface Coin {
  readonly txid: Uint8Array
  readonly vout: number
  readonly value: bigint
}

/** How blocks are filled. */
export interface BlockPlan {
  /** Transactions besides the coinbase. */
  readonly txs: number
  /** Scripts to choose from; few make long histories. */
  readonly scripts: number
}

const SUBSIDY = 50_0000_0000n

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

/** Output script number `n`: pay to witness public key hash. */
export function scriptOf(n: number): Uint8Array {
  const script = concat(fromHex('0014'), new Uint8Array(20))
  writeUint32LE(script, n + 1, 2)
  return script
}

export function outpointOf(txid: Uint8Array, vout: number): Uint8Array {
  const outpoint = new Uint8Array(36)
  outpoint.set(txid)
  writeUint32LE(outpoint, vout, 32)
  return outpoint
}

/** The block of these transactions on top of `prevHash`. Its proof of work is not looked for. */
export function buildBlock(height: number, prevHash: Uint8Array, txs: readonly Tx[], nonce = 0): BuiltBlock {
  const header = serializeHeader({
    version: 0x2000_0000,
    prevHash,
    merkleRoot: merkleRoot(concat(...txs.map((tx) => tx.txid))),
    time: 1_600_000_000 + height * 600,
    bits: 0x207f_ffff,
    nonce,
  })
  const raw = concat(header, compactSize(txs.length), ...txs.map((tx) => tx.raw))
  return { height, hash: headerHash(header), prevHash, raw, txs }
}

export function buildTx(inputs: readonly TxInput[], outputs: readonly TxOutput[], locktime = 0): Tx {
  return parseWholeTx(serializeTx({ version: 2, inputs, outputs, locktime }))
}

/** A coinbase that is unlike every other one of another height or `salt`. */
export function buildCoinbase(height: number, salt: number, outputs: readonly TxOutput[]): Tx {
  const script = new Uint8Array(9)
  script[0] = 8
  writeUint32LE(script, height, 1)
  writeUint32LE(script, salt, 5)
  const input = { prevTxid: new Uint8Array(32), prevIndex: 0xffff_ffff, script, sequence: 0xffff_ffff, witness: [] }
  return buildTx([input], outputs)
}

/** Chains at random: the blocks are real bytes, with spends inside the block, unspendable outputs, repeated scripts. */
export class RandomChain {
  readonly blocks: BuiltBlock[] = []
  readonly #random: () => number
  #coins: Coin[] = []
  #salt = 0

  constructor(random: () => number) {
    this.#random = random
    this.#push(buildBlock(0, new Uint8Array(32), [buildCoinbase(0, 0, [{ value: SUBSIDY, script: scriptOf(0) }])]))
    this.#coins = []
  }

  get height(): number {
    return this.blocks.length - 1
  }

  get tip(): BuiltBlock {
    return this.at(this.height)
  }

  get genesisHash(): Uint8Array {
    return this.at(0).hash
  }

  at(height: number): BuiltBlock {
    const block = this.blocks[height]
    if (block === undefined) throw new Error(`no block ${height}`)
    return block
  }

  /** Another chain with the same blocks, that can go on in another way. */
  fork(height = this.height): RandomChain {
    const chain = new RandomChain(this.#random)
    chain.blocks.length = 0
    chain.#coins = []
    for (const block of this.blocks.slice(0, height + 1)) chain.#push(block)
    chain.#salt = this.#salt + 1_000_000
    return chain
  }

  mine(plan: BlockPlan): BuiltBlock {
    const txs: Tx[] = []
    const made: Coin[] = []
    let fees = 0n
    for (let i = 0; i < plan.txs && this.#coins.length + made.length > 0; i++) {
      const { tx, fee } = this.#spend(made, plan)
      fees += fee
      txs.push(tx)
    }
    this.#salt += 1
    const coinbase = buildCoinbase(this.height + 1, this.#salt, this.#outputs(SUBSIDY + fees, plan))
    return this.#push(buildBlock(this.height + 1, this.tip.hash, [coinbase, ...txs], this.#salt))
  }

  /** A block with just these transactions, the coinbase among them. */
  mineExactly(txs: readonly Tx[]): BuiltBlock {
    return this.#push(buildBlock(this.height + 1, this.tip.hash, txs, ++this.#salt))
  }

  #spend(made: Coin[], plan: BlockPlan): { readonly tx: Tx; readonly fee: bigint } {
    const coins: Coin[] = []
    const wanted = 1 + this.#below(3)
    while (coins.length < wanted && this.#coins.length + made.length > 0) {
      const coin = this.#take(
        made.length > 0 && (this.#coins.length === 0 || this.#random() < 0.3) ? made : this.#coins,
      )
      if (coin !== undefined) coins.push(coin)
    }
    const total = coins.reduce((sum, coin) => sum + coin.value, 0n)
    const fee = total / 1000n
    const witness = this.#random() < 0.7 ? [new Uint8Array(71), new Uint8Array(33)] : []
    const inputs = coins.map(({ txid, vout }) => ({
      prevTxid: txid,
      prevIndex: vout,
      script: witness.length > 0 ? new Uint8Array(0) : new Uint8Array(107),
      sequence: 0xffff_fffd,
      witness,
    }))
    const tx = buildTx(inputs, this.#outputs(total - fee, plan))
    made.push(...coinsOf(tx))
    return { tx, fee }
  }

  #outputs(total: bigint, plan: BlockPlan): TxOutput[] {
    const outputs: TxOutput[] = []
    let left = total
    for (let count = 1 + this.#below(4); count > 0; count--) {
      const value = count === 1 ? left : left / BigInt(1 + this.#below(4) + 1)
      left -= value
      outputs.push({ value, script: scriptOf(this.#below(plan.scripts)) })
    }
    if (this.#random() < 0.15) outputs.push({ value: 0n, script: fromHex('6a0568656c6c6f') })
    return outputs
  }

  #take(coins: Coin[]): Coin | undefined {
    const at = this.#below(coins.length)
    const coin = coins[at]
    const last = coins.pop()
    if (last !== undefined && at < coins.length) coins[at] = last
    return coin
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }

  #push(block: BuiltBlock): BuiltBlock {
    this.blocks.push(block)
    const spent = new Set(block.txs.flatMap((tx) => tx.inputs.map((input) => coinKey(input.prevTxid, input.prevIndex))))
    this.#coins = this.#coins.filter((coin) => !spent.has(coinKey(coin.txid, coin.vout)))
    if (block.height === 0) return block
    const made = block.txs.flatMap(coinsOf)
    this.#coins.push(...made.filter((coin) => !spent.has(coinKey(coin.txid, coin.vout))))
    return block
  }
}

function coinsOf(tx: Tx): Coin[] {
  return tx.outputs.flatMap(({ value, script }, vout) =>
    script[0] === 0x6a ? [] : [{ txid: copyOf(tx.txid), vout, value }],
  )
}

function coinKey(txid: Uint8Array, vout: number): string {
  return `${toLatin1(txid)}:${vout}`
}

/** What a block spends, as REST `spenttxouts` would tell it; `blocks` are those up to and with it. */
export function spentTxOuts(blocks: readonly BuiltBlock[]): Uint8Array {
  const outputs = new Map<string, TxOutput>()
  for (const { txs } of blocks) {
    for (const tx of txs) {
      for (const [vout, output] of tx.outputs.entries()) outputs.set(coinKey(tx.txid, vout), output)
    }
  }
  const { txs = [] } = blocks.at(-1) ?? {}
  const lists = txs.map((tx, position) => {
    const inputs = position === 0 ? [] : tx.inputs
    const spent = inputs.map(({ prevTxid, prevIndex }) => outputs.get(coinKey(prevTxid, prevIndex))!)
    return concat(compactSize(spent.length), ...spent.map(outputBytes))
  })
  return concat(compactSize(txs.length), ...lists)
}

function outputBytes({ value, script }: TxOutput): Uint8Array {
  const amount = new Uint8Array(8)
  writeUint64LE(amount, value, 0)
  return concat(amount, compactSize(script.length), script)
}
