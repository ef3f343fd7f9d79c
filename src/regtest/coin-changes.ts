import { ByteReader } from '../chain/reader.ts'
import { compactSize, type Tx } from '../chain/tx.ts'
import { InvariantError } from '../errors.ts'
import { concat, readUint32LE, writeUint32LE, writeUint64LE } from '../lib/bytes.ts'
import type { Block } from './block-check.ts'
import type { Coin, CoinSet } from './coins.ts'
import { MAX_BLOCK_SIGOPS_COST, MAX_SCRIPT_SIZE, subsidyAt } from './params.ts'
import { type Reject, refuse } from './reject.ts'
import { sigopCost } from './sigops.ts'
import { checkInputs, type LockContext, meetsSequenceLocks } from './tx-check.ts'

/** What a block spent, to put it back. */
export interface BlockUndo {
  /** Outputs spent by each transaction, as REST spenttxouts gives them. */
  readonly spent: Uint8Array
  /** Of each of them in the same order, 4 bytes little-endian: height times two, plus one for a coinbase. */
  readonly origins: Uint8Array
}

/** True for outputs that Core keeps no coin of. */
export function isUnspendableScript(script: Uint8Array): boolean {
  return script[0] === 0x6a || script.length > MAX_SCRIPT_SIZE
}

/**
 * Applies a block to the coins, checking all that can be known without running scripts; what Core's ConnectBlock does
 * beside those. On a refusal the coins are as they were.
 */
export function connectBlock(coins: CoinSet, block: Block, context: LockContext): BlockUndo | Reject {
  const spent: Coin[][] = []
  let fees = 0n
  let sigops = 0
  const back = (reject: Reject): Reject => {
    revert(coins, block.txs.slice(0, spent.length), spent)
    return reject
  }
  for (const tx of block.txs) {
    const inputs = tx.isCoinbase ? [] : tx.inputs.map(({ prevTxid, prevIndex }) => coins.get(prevTxid, prevIndex))
    if (!tx.isCoinbase) {
      const result = checkInputs(tx, inputs, context.height)
      if (result.reject !== undefined) return back(result.reject)
      fees += result.fee
    }
    const known = inputs.filter((coin) => coin !== undefined)
    if (!meetsSequenceLocks(tx, known, context)) return back(refuse('bad-txns-nonfinal'))
    sigops += sigopCost(tx, known)
    if (sigops > MAX_BLOCK_SIGOPS_COST) return back(refuse('bad-blk-sigops', 'too many sigops'))
    applyTx(coins, tx, context.height)
    spent.push(known)
  }
  const paid = block.txs[0]?.outputs.reduce((sum, { value }) => sum + value, 0n) ?? 0n
  if (paid > fees + subsidyAt(context.height)) return back(refuse('bad-cb-amount'))
  return undoOf(spent)
}

/** Applies a block that has been checked before. */
export function reconnectBlock(coins: CoinSet, block: Block, height: number): void {
  for (const tx of block.txs) applyTx(coins, tx, height)
}

/** Takes a block off the coins. */
export function disconnectBlock(coins: CoinSet, block: Block, undo: BlockUndo): void {
  revert(coins, block.txs, spentCoins(undo))
}

function applyTx(coins: CoinSet, tx: Tx, height: number): void {
  const coinbase = tx.isCoinbase
  if (!coinbase) {
    for (const { prevTxid, prevIndex } of tx.inputs) {
      if (coins.spend(prevTxid, prevIndex) === undefined) throw new InvariantError('a block spends what is not there')
    }
  }
  tx.outputs.forEach(({ value, script }, index) => {
    if (!isUnspendableScript(script)) coins.add(tx.txid, index, { height, coinbase, value, script })
  })
}

/** Takes transactions off the coins, last first; `spent` are the coins that each of them spent. */
function revert(coins: CoinSet, txs: readonly Tx[], spent: readonly (readonly Coin[])[]): void {
  for (let i = txs.length - 1; i >= 0; i--) {
    const tx = txs[i]
    if (tx === undefined) continue
    tx.outputs.forEach((_, index) => coins.spend(tx.txid, index))
    spent[i]?.forEach((coin, input) => {
      const outpoint = tx.inputs[input]
      if (outpoint !== undefined) coins.add(outpoint.prevTxid, outpoint.prevIndex, coin)
    })
  }
}

function undoOf(spent: readonly (readonly Coin[])[]): BlockUndo {
  const parts: Uint8Array[] = [compactSize(spent.length)]
  const coins = spent.flat()
  const origins = new Uint8Array(coins.length * 4)
  coins.forEach((coin, i) => {
    writeUint32LE(origins, coin.height * 2 + (coin.coinbase ? 1 : 0), i * 4)
  })
  for (const list of spent) {
    parts.push(compactSize(list.length))
    for (const coin of list) {
      const value = new Uint8Array(8)
      writeUint64LE(value, coin.value, 0)
      parts.push(value, compactSize(coin.script.length), coin.script)
    }
  }
  return { spent: concat(...parts), origins }
}

/** The coins that each transaction of a block spent; none for the coinbase. */
export function spentCoins({ spent, origins }: BlockUndo): Coin[][] {
  const reader = new ByteReader(spent)
  let next = 0
  return Array.from({ length: reader.count(1) }, () =>
    Array.from({ length: reader.count(9) }, () => {
      const value = BigInt(reader.amount())
      const script = reader.prefixed()
      const packed = readUint32LE(origins, 4 * next++)
      return { value, script, height: Math.floor(packed / 2), coinbase: packed % 2 === 1 }
    }),
  )
}
