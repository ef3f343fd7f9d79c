import { addressOf, BITCOIN_ADDRESSES } from '../chain/address.ts'
import { bitsToTarget } from '../chain/headers.ts'
import { scriptKind } from '../chain/script.ts'
import type { Tx, TxInput, TxOutput } from '../chain/tx.ts'
import { toDisplayHex, toHex } from '../lib/bytes.ts'
import { asmOf } from './asm.ts'
import type { Block } from './block-check.ts'
import { type BlockNode, forkOf, medianTimePast } from './block-tree.ts'
import type { ChainState } from './chain-state.ts'
import { spentCoins } from './coin-changes.ts'
import type { Coin } from './coins.ts'
import { descriptorOf } from './descriptor.ts'
import type { Json, JsonObject } from './json.ts'
import type { Mempool, MempoolEntry } from './mempool.ts'

/** Objects as Core's RPC and REST give them. */

/** What the node says of itself where Core warns of test builds. */
export const NODE_WARNINGS = ['This node is built in for tests: it checks blocks and transactions, but runs no scripts']

export function scriptJson(script: Uint8Array): JsonObject {
  return {
    asm: asmOf(script),
    desc: descriptorOf(script),
    hex: toHex(script),
    address: addressOf(script, BITCOIN_ADDRESSES.regtest),
    type: scriptKind(script),
  }
}

/** How much of what a transaction spends is told: nothing, the fee it leaves, or each output too. */
export interface SpentDetail {
  readonly coins: readonly Coin[]
  readonly prevouts: boolean
}

export function txJson(tx: Tx, spent?: SpentDetail): JsonObject {
  const out = tx.outputs.reduce((sum, { value }) => sum + value, 0n)
  return {
    txid: toDisplayHex(tx.txid),
    hash: toDisplayHex(tx.wtxid),
    version: tx.version >>> 0,
    size: tx.size,
    vsize: tx.vsize,
    weight: tx.weight,
    locktime: tx.locktime,
    vin: tx.inputs.map((input, i) =>
      inputJson(input, tx.isCoinbase, spent?.prevouts === true ? spent.coins[i] : undefined),
    ),
    vout: tx.outputs.map(({ value, script }, n) => ({ value, n, scriptPubKey: scriptJson(script) })),
    fee: spent && spent.coins.reduce((sum, { value }) => sum + value, 0n) - out,
    hex: toHex(tx.raw),
  }
}

function inputJson(input: TxInput, coinbase: boolean, coin: Coin | undefined): JsonObject {
  const source: JsonObject = coinbase
    ? { coinbase: toHex(input.script) }
    : {
        txid: toDisplayHex(input.prevTxid),
        vout: input.prevIndex,
        scriptSig: { asm: asmOf(input.script, true), hex: toHex(input.script) },
      }
  const prevout = coin && {
    generated: coin.coinbase,
    height: coin.height,
    value: coin.value,
    scriptPubKey: scriptJson(coin.script),
  }
  const witness = input.witness.length === 0 ? undefined : input.witness.map(toHex)
  return { ...source, txinwitness: witness, prevout, sequence: input.sequence }
}

export function outputJson({ value, script }: TxOutput): JsonObject {
  return { value, scriptPubKey: scriptJson(script) }
}

/** Blocks from this one to the tip, both counted; -1 off the active chain. */
export function confirmationsOf(chain: ChainState, node: BlockNode): number {
  return chain.isActive(node) ? chain.height - node.height + 1 : -1
}

export function headerJson(chain: ChainState, node: BlockNode): JsonObject {
  const { header } = node
  return {
    hash: node.id,
    confirmations: confirmationsOf(chain, node),
    height: node.height,
    version: header.version,
    versionHex: hex32(header.version),
    merkleroot: toDisplayHex(header.merkleRoot),
    time: header.time,
    mediantime: medianTimePast(node),
    nonce: header.nonce,
    bits: hex32(header.bits),
    target: hex256(bitsToTarget(header.bits)),
    difficulty: difficultyOf(header.bits),
    chainwork: hex256(node.work),
    nTx: node.txCount,
    previousblockhash: node.parent?.id,
    nextblockhash: chain.isActive(node) ? chain.at(node.height + 1)?.id : undefined,
  }
}

/** How the transactions of a block are told: ids, all but what they spend, or all. */
export type BlockDetail = 'ids' | 'transactions' | 'prevouts'

export function blockJson(chain: ChainState, node: BlockNode, block: Block, detail: BlockDetail): JsonObject {
  const undo = detail === 'ids' ? undefined : chain.store.undoSync(node)
  const spent = undo && spentCoins(undo)
  const txs: Json[] = block.txs.map((tx, i) => {
    if (detail === 'ids') return toDisplayHex(tx.txid)
    const coins = i === 0 ? undefined : spent?.[i]
    return txJson(tx, coins && { coins, prevouts: detail === 'prevouts' })
  })
  return {
    ...headerJson(chain, node),
    strippedsize: block.baseSize,
    size: block.raw.length,
    weight: block.baseSize * 3 + block.raw.length,
    coinbase_tx: coinbaseJson(block.txs[0]),
    tx: txs,
  }
}

function coinbaseJson(tx: Tx | undefined): JsonObject | undefined {
  const input = tx?.inputs[0]
  if (tx === undefined || input === undefined) return undefined
  return {
    version: tx.version >>> 0,
    locktime: tx.locktime,
    sequence: input.sequence,
    coinbase: toHex(input.script),
    witness: input.witness[0] && toHex(input.witness[0]),
  }
}

export function mempoolEntryJson(mempool: Mempool, entry: MempoolEntry): JsonObject {
  const ancestors = [entry, ...mempool.ancestors(entry)]
  const descendants = [entry, ...mempool.descendants(entry)]
  const chunk = mempool.chunkOf(entry)
  const sizeOf = (entries: readonly MempoolEntry[]): number => entries.reduce((sum, { vsize }) => sum + vsize, 0)
  const feeOf = (entries: readonly MempoolEntry[]): bigint => entries.reduce((sum, { fee }) => sum + fee, 0n)
  return {
    vsize: entry.vsize,
    weight: entry.tx.weight,
    time: entry.time,
    height: entry.height,
    descendantcount: descendants.length,
    descendantsize: sizeOf(descendants),
    ancestorcount: ancestors.length,
    ancestorsize: sizeOf(ancestors),
    wtxid: entry.wtxid,
    chunkweight: chunk.weight,
    fees: {
      base: entry.fee,
      modified: entry.fee,
      ancestor: feeOf(ancestors),
      descendant: feeOf(descendants),
      chunk: chunk.fee,
    },
    depends: [...entry.parents].map(({ txid }) => txid).sort(),
    spentby: [...entry.children].map(({ txid }) => txid),
    unbroadcast: mempool.isUnbroadcast(entry),
  }
}

export function chainTipsJson(chain: ChainState): JsonObject[] {
  const others = chain.tree.tips().filter((node) => node !== chain.tip && !chain.isActive(node))
  return [chain.tip, ...others]
    .sort((a, b) => b.height - a.height)
    .map((node) => ({
      height: node.height,
      hash: node.id,
      branchlen: node.height - forkOf(node, chain.tip).height,
      status: statusOf(chain, node),
    }))
}

function statusOf(chain: ChainState, node: BlockNode): string {
  if (chain.isActive(node)) return 'active'
  if (node.condemned) return 'invalid'
  return node.undo === undefined ? 'valid-headers' : 'valid-fork'
}

/** How many times harder than the easiest target of the main network. */
export function difficultyOf(bits: number): number {
  let difficulty = 0xffff / (bits & 0xff_ffff)
  for (let shift = bits >>> 24; shift < 29; shift++) difficulty *= 256
  for (let shift = bits >>> 24; shift > 29; shift--) difficulty /= 256
  return difficulty
}

export function hex32(value: number): string {
  return (value >>> 0).toString(16).padStart(8, '0')
}

export function hex256(value: bigint): string {
  return value.toString(16).padStart(64, '0')
}
