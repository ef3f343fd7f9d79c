import { bitsToTarget } from '../chain/headers.ts'
import { ParseError } from '../errors.ts'
import { fromDisplayHex, fromHex, isHex, toHex } from '../lib/bytes.ts'
import type { BlockNode } from './block-tree.ts'
import { medianTimePast } from './block-tree.ts'
import type { ChainState } from './chain-state.ts'
import type { JsonObject } from './json.ts'
import { MEMPOOL_HEIGHT } from './mempool.ts'
import { type Args, asInteger, RPC, type RpcCall, type RpcContext, RpcFault } from './rpc.ts'
import {
  type BlockDetail,
  blockJson,
  chainTipsJson,
  difficultyOf,
  headerJson,
  hex32,
  hex256,
  NODE_WARNINGS,
  scriptJson,
} from './shapes.ts'

const HEX_LIMIT = 8_000_000

export function chainInfoJson(chain: ChainState): JsonObject {
  const { tip } = chain
  return {
    chain: 'regtest',
    blocks: chain.height,
    headers: chain.height,
    bestblockhash: tip.id,
    bits: hex32(tip.header.bits),
    target: hex256(bitsToTarget(tip.header.bits)),
    difficulty: difficultyOf(tip.header.bits),
    time: tip.header.time,
    mediantime: medianTimePast(tip),
    verificationprogress: 1,
    initialblockdownload: false,
    chainwork: hex256(tip.work),
    size_on_disk: chain.store.size,
    pruned: false,
    warnings: NODE_WARNINGS,
  }
}

function nodeOf({ core }: RpcContext, id: string): BlockNode {
  const node = core.chain.tree.get(id)
  if (node === undefined) throw new RpcFault(RPC.notFound, 'Block not found')
  return node
}

/** Verbosity as number or, for old callers, as boolean. */
export function verbosityOf(args: Args, index: number, otherwise: number): number {
  const value = args.raw(index)
  if (value === undefined) return otherwise
  return typeof value === 'boolean' ? Number(value) : asInteger(value)
}

async function getBlock(context: RpcContext, args: Args): Promise<string | JsonObject> {
  const id = args.hash(0, 'blockhash')
  const verbosity = verbosityOf(args, 1, 1)
  const { chain } = context.core
  const node = nodeOf(context, id)
  if (verbosity <= 0) return toHex(await chain.store.block(node))
  const details: readonly BlockDetail[] = ['ids', 'transactions', 'prevouts']
  return blockJson(chain, node, chain.readBlock(node), details[Math.min(verbosity, 3) - 1] ?? 'ids')
}

function getTxOut({ core }: RpcContext, args: Args): JsonObject | null {
  const txid = fromDisplayHex(args.hash(0, 'txid'))
  const index = args.integer(1)
  const { chain, mempool, acceptor } = core
  const unconfirmed = args.flag(2, true)
  if (unconfirmed && mempool.spenderOf(txid, index) !== undefined) return null
  const coin = unconfirmed ? acceptor.coin(txid, index) : chain.coins.get(txid, index)
  if (coin === undefined) return null
  return {
    bestblock: chain.tip.id,
    confirmations: coin.height === MEMPOOL_HEIGHT ? 0 : chain.height - coin.height + 1,
    value: coin.value,
    scriptPubKey: scriptJson(coin.script),
    coinbase: coin.coinbase,
  }
}

function submitBlock({ core }: RpcContext, args: Args): string | null {
  const hex = args.text(0)
  const failed = new RpcFault(RPC.deserialization, 'Block decode failed')
  if (!isHex(hex) || hex.length > 2 * HEX_LIMIT) throw failed
  try {
    return core.submitBlock(fromHex(hex))
  } catch (error) {
    if (error instanceof ParseError) throw failed
    throw error
  }
}

async function waitForNewBlock({ core }: RpcContext, args: Args): Promise<JsonObject> {
  const timeout = args.integer(0, 0)
  if (timeout < 0) throw new RpcFault(RPC.misc, 'Negative timeout')
  const current = args.has(1) ? args.hash(1, 'current_tip') : core.chain.tip.id
  await core.waitForTip(current, timeout)
  return { hash: core.chain.tip.id, height: core.chain.height }
}

export const CHAIN_CALLS: readonly RpcCall[] = [
  { name: 'getblockcount', params: [], run: ({ core }) => core.chain.height },
  { name: 'getbestblockhash', params: [], run: ({ core }) => core.chain.tip.id },
  { name: 'getblockchaininfo', params: [], run: ({ core }) => chainInfoJson(core.chain) },
  { name: 'getchaintips', params: [], run: ({ core }) => chainTipsJson(core.chain) },
  { name: 'getdifficulty', params: [], run: ({ core }) => difficultyOf(core.chain.tip.header.bits) },
  {
    name: 'getblockhash',
    params: [{ name: 'height', type: 'number' }],
    run: ({ core }, args) => {
      const node = core.chain.at(args.integer(0))
      if (node === undefined) throw new RpcFault(RPC.invalidParameter, 'Block height out of range')
      return node.id
    },
  },
  {
    name: 'getblock',
    params: [
      { name: 'blockhash', type: 'string' },
      { name: 'verbosity', type: 'any', optional: true },
    ],
    run: getBlock,
  },
  {
    name: 'getblockheader',
    params: [
      { name: 'blockhash', type: 'string' },
      { name: 'verbose', type: 'bool', optional: true },
    ],
    run: (context, args) => {
      const node = nodeOf(context, args.hash(0, 'hash'))
      return args.flag(1, true) ? headerJson(context.core.chain, node) : toHex(node.rawHeader)
    },
  },
  {
    name: 'gettxout',
    params: [
      { name: 'txid', type: 'string' },
      { name: 'n', type: 'number' },
      { name: 'include_mempool', type: 'bool', optional: true },
    ],
    run: getTxOut,
  },
  {
    name: 'submitblock',
    params: [
      { name: 'hexdata', type: 'string' },
      { name: 'dummy', type: 'string', optional: true },
    ],
    run: submitBlock,
  },
  {
    name: 'invalidateblock',
    params: [{ name: 'blockhash', type: 'string' }],
    run: (context, args) => {
      const node = nodeOf(context, args.hash(0, 'blockhash'))
      if (node.parent === undefined) throw new RpcFault(RPC.misc, 'Genesis block cannot be invalidated')
      context.core.chain.invalidate(node)
      return null
    },
  },
  {
    name: 'reconsiderblock',
    params: [{ name: 'blockhash', type: 'string' }],
    run: (context, args) => {
      context.core.chain.reconsider(nodeOf(context, args.hash(0, 'blockhash')))
      return null
    },
  },
  {
    name: 'waitfornewblock',
    params: [
      { name: 'timeout', type: 'number', optional: true },
      { name: 'current_tip', type: 'string', optional: true },
    ],
    run: waitForNewBlock,
  },
]
