import { SeededRandom } from '../../support/crash-random.ts'
import type { ProxyClient } from '../../support/proxy-client.ts'
import { type Coin, type Payee, type SignedTransaction, TaprootKey, transactionOf } from '../../support/taproot.ts'

/** So many coins are paid from by turns, so that chains in the mempool stay short. */
const PURSES = 60
const LEAST_VALUE = 20_000_000
const MATURITY = 101
const FEE = 2_000
/** The same coin, spent again and again for more. */
const FEES = [1_000, 3_000, 9_000] as const
const TRIES = 5

interface Unspent {
  readonly tx_hash: string
  readonly tx_pos: number
  readonly value: number
  readonly height: number
}

/** Who has the coins of the chain, pays to many, and replaces what was sent. Everything goes through the server. */
export class Bank {
  readonly key = new TaprootKey('bank')
  readonly #api: ProxyClient
  readonly #random: SeededRandom
  #purses: Coin[] = []
  #turn = 0

  constructor(api: ProxyClient, random: SeededRandom) {
    this.#api = api
    this.#random = random
  }

  /** Looks what there is, at `height`. */
  async look(height: number): Promise<void> {
    const rows = await this.#api.call<readonly Unspent[]>('blockchain.scripthash.listunspent', this.key.scripthash)
    this.#purses = rows
      .filter((row) => row.height > 0 && height - row.height >= MATURITY && row.value >= LEAST_VALUE)
      .slice(0, PURSES)
      .map((row) => ({ txid: row.tx_hash, vout: row.tx_pos, value: row.value }))
    if (this.#purses.length === 0) throw new Error('the bank has nothing')
  }

  /** Gives coins away, one for each payee; they stand first in the transaction, in this order. */
  async give(...payees: readonly Payee[]): Promise<SignedTransaction> {
    for (let left = TRIES; ; left--) {
      try {
        return await this.#pay(this.#next(), payees, FEE)
      } catch (error) {
        if (left === 0) throw error
      }
    }
  }

  /** Pays, and replaces the payment by others to other keys. */
  async replace(keys: readonly TaprootKey[]): Promise<void> {
    const at = this.#next()
    const coin = this.#purses[at]!
    for (const fee of FEES) {
      this.#purses[at] = coin
      await this.#pay(at, [{ script: this.#random.pick(keys).script, value: 20_000 }], fee)
    }
  }

  #next(): number {
    if (this.#purses.length === 0) throw new Error('the bank has nothing left')
    return this.#turn++ % this.#purses.length
  }

  /** A purse that cannot be spent any more, because a branch went, is thrown away. */
  async #pay(at: number, payees: readonly Payee[], fee: number): Promise<SignedTransaction> {
    const coin = this.#purses[at]!
    const value = payees.reduce((left, payee) => left - payee.value, coin.value - fee)
    const to = [...payees, { script: this.key.script, value }]
    const tx = transactionOf({ from: [{ coin, key: this.key }], to })
    try {
      await this.#api.call('blockchain.transaction.broadcast', tx.hex)
    } catch (error) {
      this.#purses.splice(at, 1)
      throw error
    }
    this.#purses[at] = { txid: tx.txid, vout: to.length - 1, value }
    return tx
  }
}
