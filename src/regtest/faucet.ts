import { OP } from '../chain/script.ts'
import { parseWholeTx, serializeTx, type Tx, type TxFields } from '../chain/tx.ts'
import { compareBytes, concat, copyOf, readUint32LE, toLatin1 } from '../lib/bytes.ts'
import { sha256 } from '../lib/hash.ts'
import type { Block } from './block-check.ts'
import type { CoinSet } from './coins.ts'
import type { Mempool } from './mempool.ts'
import { COINBASE_MATURITY } from './params.ts'

const WITNESS_SCRIPT = Uint8Array.of(OP.TRUE)
/** A witness script that is true by itself, so that spending it takes no signature. Anybody can; it is play money. */
export const FAUCET_SCRIPT = concat(Uint8Array.of(OP.FALSE, 32), sha256(WITNESS_SCRIPT))

/** Satoshis per virtual byte that the faucet pays. */
const FEE_RATE = 2n
const BASE_VSIZE = 12
const INPUT_VSIZE = 42
const OUTPUT_VSIZE = 43
/** Smaller change is left to the miner. */
const LEAST_CHANGE = 330n

interface FaucetCoin {
  readonly txid: Uint8Array
  readonly index: number
  readonly value: bigint
  /** Height from which it may be spent; Infinity for none yet. */
  readonly spendableAt: number
}

/** The node's own coins: what it mines to nobody in particular. */
export class Faucet {
  readonly #coins = new Map<string, FaucetCoin>()
  /** First bytes of the txids of all coins there ever were: spares nearly every input of a large block its lookup. */
  readonly #heads = new Set<number>()

  /** Starts anew with what the chain has. */
  load(coins: CoinSet): void {
    this.#coins.clear()
    const ours = []
    for (const entry of coins.entries()) if (isOurs(entry.coin.script)) ours.push(entry)
    ours.sort((a, b) => a.coin.height - b.coin.height || compareBytes(a.txid, b.txid) || a.index - b.index)
    for (const { txid, index, coin } of ours) {
      const spendableAt = coin.coinbase ? coin.height + COINBASE_MATURITY : coin.height
      this.#add({ txid, index, value: coin.value, spendableAt })
    }
  }

  /** Notes what a block of the chain gives and takes. */
  connected(height: number, block: Block): void {
    for (const tx of block.txs) {
      for (const { prevTxid, prevIndex } of tx.inputs) {
        if (this.#heads.has(readUint32LE(prevTxid, 0))) this.#coins.delete(keyOf(prevTxid, prevIndex))
      }
      const spendableAt = tx.isCoinbase ? height + COINBASE_MATURITY : height
      this.#take(tx, spendableAt)
    }
  }

  /** Notes that a block was taken back; `coins` are those of the chain without it. */
  disconnected(block: Block, coins: CoinSet): void {
    for (const tx of block.txs) {
      tx.outputs.forEach((_, index) => this.#coins.delete(keyOf(tx.txid, index)))
      for (const { prevTxid: txid, prevIndex: index } of tx.inputs) {
        const coin = coins.get(txid, index)
        if (coin === undefined || !isOurs(coin.script)) continue
        const spendableAt = coin.coinbase ? coin.height + COINBASE_MATURITY : coin.height
        this.#add({ txid, index, value: coin.value, spendableAt })
      }
    }
  }

  /**
   * A transaction that pays `value` satoshis to a script and the change back. Spends coins of the chain before those of the
   * mempool. Throws RangeError if there are not enough.
   */
  pay(script: Uint8Array, value: bigint, mempool: Mempool, nextHeight: number): Tx {
    const chosen: FaucetCoin[] = []
    let total = 0n
    for (const coin of this.#spendable(mempool, nextHeight)) {
      chosen.push(coin)
      total += coin.value
      const fee = FEE_RATE * BigInt(BASE_VSIZE + chosen.length * INPUT_VSIZE + 2 * OUTPUT_VSIZE + script.length)
      if (total < value + fee) continue
      const change = total - value - fee
      const outputs = [{ value, script }]
      if (change >= LEAST_CHANGE) outputs.push({ value: change, script: FAUCET_SCRIPT })
      return parseWholeTx(serializeTx(spend(chosen, outputs)))
    }
    throw new RangeError(`the faucet cannot pay ${value} satoshis with the coins that are mature: mine some blocks`)
  }

  *#spendable(mempool: Mempool, nextHeight: number): Generator<FaucetCoin, void> {
    const free = ({ txid, index }: FaucetCoin): boolean => mempool.spenderOf(txid, index) === undefined
    for (const coin of this.#coins.values()) if (coin.spendableAt <= nextHeight && free(coin)) yield coin
    for (const { tx } of mempool.entries()) {
      for (const [index, { value, script }] of tx.outputs.entries()) {
        const coin = { txid: tx.txid, index, value, spendableAt: nextHeight }
        if (isOurs(script) && free(coin)) yield coin
      }
    }
  }

  #take(tx: Tx, spendableAt: number): void {
    tx.outputs.forEach(({ value, script }, index) => {
      if (isOurs(script)) this.#add({ txid: tx.txid, index, value, spendableAt })
    })
  }

  #add(coin: FaucetCoin): void {
    this.#heads.add(readUint32LE(coin.txid, 0))
    this.#coins.set(keyOf(coin.txid, coin.index), { ...coin, txid: copyOf(coin.txid) })
  }
}

function spend(coins: readonly FaucetCoin[], outputs: TxFields['outputs']): TxFields {
  return {
    version: 2,
    inputs: coins.map(({ txid, index }) => ({
      prevTxid: txid,
      prevIndex: index,
      script: new Uint8Array(0),
      sequence: 0xffff_fffd,
      witness: [WITNESS_SCRIPT],
    })),
    outputs,
    locktime: 0,
  }
}

function isOurs(script: Uint8Array): boolean {
  return script.length === FAUCET_SCRIPT.length && toLatin1(script) === FAUCET_KEY
}

const FAUCET_KEY = toLatin1(FAUCET_SCRIPT)

function keyOf(txid: Uint8Array, index: number): string {
  return `${toLatin1(txid)}${index}`
}
