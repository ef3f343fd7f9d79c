import { fromHex } from '../../../src/lib/bytes.ts'
import type { AddressFacts, Manifest } from '../chain/manifest.ts'
import { Random } from '../chain/random.ts'
import { DATA_SHARE, INPUT_COUNTS, OUTPUT_COUNTS } from '../chain/shape.ts'
import type { KeptTx } from '../chain/tx-builder.ts'
import { type Payment, Wallet } from '../chain/wallet.ts'

/** What consensus allows, less what the coinbase takes. */
const FULL_WEIGHT = 3_994_000
const FEE = 2000
/** Of a thousand outputs: up to which draw they pay a hot address, a warm one, one with some history; else a new one. */
const PAYS = { hot: 36, warm: 86, few: 220 } as const
/** Numbers of addresses that the chain has not reached. */
const FIRST_NEW = 100_000_000

/** Transactions of blocks as full as may be, in the shape of the chain's, that spend the wallet's outputs. */
export class FullBlocks {
  readonly wallet: Wallet
  readonly #manifest: Manifest
  readonly #random = new Random('tip')
  #spent = 0
  #address = FIRST_NEW

  constructor(manifest: Manifest) {
    this.#manifest = manifest
    this.wallet = new Wallet(manifest)
  }

  /** For the next block: each of `followed` is paid by it at least once. Throws if the wallet does not last. */
  transactions(followed: readonly AddressFacts[]): KeptTx[] {
    const due = [...followed]
    const txs: KeptTx[] = []
    for (let weight = 0; ; ) {
      const tx = this.#ordinary(due)
      weight += tx.weight
      // One that does not fit is left out, with the outputs that it would have spent.
      if (weight > FULL_WEIGHT) break
      txs.push(tx)
    }
    if (due.length > 0) throw new Error(`${due.length} scripts do not fit into a block`)
    return txs
  }

  #ordinary(due: AddressFacts[]): KeptTx {
    const random = this.#random
    const inputs = this.wallet.outputs.slice(this.#spent, (this.#spent += INPUT_COUNTS.draw(random)))
    if (this.#spent > this.wallet.outputs.length) throw new Error('the wallet has not so many outputs')
    const count = OUTPUT_COUNTS.draw(random)
    const sum = inputs.reduce((total, { value }) => total + value, 0)
    const value = Math.floor((sum - FEE) / count)
    const payments = Array.from({ length: count }, (): Payment => {
      // Two of three, so that they are found all through the block.
      const wanted = random.fraction() < 2 / 3 ? due.pop() : undefined
      return { value, script: wanted === undefined ? this.#script() : fromHex(wanted.script) }
    })
    return this.wallet.spendAll(inputs, payments, random.fraction() < DATA_SHARE)
  }

  #script(): Uint8Array {
    const { hot, warm, few } = this.#manifest
    const at = this.#random.whole(0, 999)
    const list = at < PAYS.hot ? hot : at < PAYS.warm ? warm : at < PAYS.few ? few : []
    const known = list[this.#random.uint32() % Math.max(1, list.length)]
    if (known !== undefined) return fromHex(known.script)
    const address = this.#address++
    return this.wallet.scripts.script(address, this.wallet.scripts.kindOf(address))
  }
}
