import { fromDisplayHex } from '../../../src/lib/bytes.ts'
import type { NodeRpc } from '../support/node-rpc.ts'
import { BlockBuilder, type BuiltBlock } from './block-builder.ts'
import type { Manifest, WalletOutput } from './manifest.ts'
import { mix32, Random } from './random.ts'
import { KIND, Scripts } from './scripts.ts'
import { type KeptTx, keep, noiseOf, TxBuilder } from './tx-builder.ts'

const BLOCK_SECONDS = 600
/** OP_TRUE: to nobody in particular. */
const ANYONE = Uint8Array.of(0x51)

export interface Payment {
  /** Satoshis. */
  readonly value: number
  readonly script: Uint8Array
}

/** Spends the outputs that the chain set aside, and mines. */
export class Wallet {
  readonly scripts: Scripts
  readonly outputs: readonly WalletOutput[]
  readonly #salt: number
  readonly #builder: TxBuilder
  readonly #random = new Random('spend')

  constructor({ wallet }: Manifest) {
    this.#salt = wallet.salt
    this.outputs = wallet.outputs
    this.scripts = new Scripts(wallet.salt)
    this.#builder = new TxBuilder(this.scripts, noiseOf(new Random('spend-noise')))
  }

  /** A transaction with one input. What the payments leave is the fee. */
  spend(output: WalletOutput, payments: readonly Payment[]): KeptTx {
    return this.spendAll([output], payments)
  }

  /** A transaction that spends all of these, with an OP_RETURN output behind the payments if `withData`. */
  spendAll(outputs: readonly WalletOutput[], payments: readonly Payment[], withData = false): KeptTx {
    this.#builder.begin()
    let left = 0
    for (const { txid, vout, address, value } of outputs) {
      this.#builder.input(fromDisplayHex(txid), vout, address, KIND.wsh, this.#random)
      left += value
    }
    for (const { value, script } of payments) {
      this.#builder.outputScript(value, script)
      left -= value
    }
    if (withData) this.#builder.dataOutput(this.#random)
    if (left < 0) throw new Error('more is paid than there is')
    return keep(this.#builder.finish(), left)
  }

  /** A block on the node's tip; not yet given to the node. */
  async block(rpc: NodeRpc, txs: readonly KeptTx[]): Promise<BuiltBlock> {
    const tip = await rpc.call<string>('getbestblockhash')
    const { height, time } = await rpc.call<{ height: number; time: number }>('getblockheader', tip)
    const builder = new BlockBuilder(this.#builder)
    builder.begin()
    for (const tx of txs) builder.add(tx, tx.fee)
    const place = {
      height: height + 1,
      prevHash: fromDisplayHex(tip),
      time: time + BLOCK_SECONDS,
      tag: Buffer.from(`spend/${mix32(height + 1, this.#salt).toString(16)}`),
    }
    return builder.close(place, (tx, value) => tx.outputScript(value, ANYONE))
  }
}
