import { z } from 'zod'
import { toDisplayHex } from '../../lib/bytes.ts'
import type { MempoolItem, ScriptHistory } from '../../mempool/moment.ts'
import { defineMethod, type RpcContext, type RpcMethod } from '../method.ts'
import {
  Balance,
  HistoryEntry,
  MempoolEntry,
  ScriptHash,
  ScriptPubKey,
  type ScriptRef,
  Status,
  Unspent,
} from '../schemas.ts'
import { statusOf } from '../status.ts'
import { BEFORE_1_7, V1_7 } from '../versions.ts'

const EXAMPLE_HASH = '8b01df4e368ea28f8dc0423bcf7a4923e3a12d307c875e47a0cfbf90b5c39161'
const EXAMPLE_SCRIPT = '76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac'
const EXAMPLE_TXID = '9f2c45a12db0144909b5db269415f7319179105982ac70ed80d76ea79d923ebf'
const exampleHistory = [
  { tx_hash: EXAMPLE_TXID, height: 437146 },
  { tx_hash: '45381031132c57b2ff1cbe8d8d3920cf9ed25efd9a0beb764bdb2f24c7d1c7e3', height: 0, fee: 24310 },
]
const exampleMempool = [
  { tx_hash: '45381031132c57b2ff1cbe8d8d3920cf9ed25efd9a0beb764bdb2f24c7d1c7e3', height: 0 as const, fee: 24310 },
]
const exampleUnspent = [{ tx_hash: EXAMPLE_TXID, tx_pos: 0, height: 437146, value: 45318048 }]

/*
 * ElectrumX charges less for a history that it has in its cache. What we read from says nothing of caches, so every
 * history counts as read.
 */
const HISTORY_COST = 0.1 + 0.1
const HISTORY_ITEM_COST = 0.001
const MEMPOOL_COST = 0.25
const OUTPUTS_COST = 1
/** Of mempool items, and of outputs. */
const ITEM_COST = 1 / 50
const STATUS_COST = 0.1
const STATUS_CHARACTER_COST = 0.000_02

type Wire<S extends z.ZodType> = z.input<S>

async function historyOf(ctx: RpcContext, { hashX }: ScriptRef): Promise<ScriptHistory> {
  const history = await ctx.moment.history(hashX)
  ctx.charge(history.confirmed.length * HISTORY_ITEM_COST)
  return history
}

async function wholeHistory(ctx: RpcContext, script: ScriptRef): Promise<Wire<typeof HistoryEntry>[]> {
  const { confirmed, mempool } = await historyOf(ctx, script)
  ctx.charge(mempool.length * ITEM_COST)
  const entries: Wire<typeof HistoryEntry>[] = confirmed.map(({ txid, height }) => ({
    tx_hash: toDisplayHex(txid),
    height,
  }))
  return entries.concat(mempool.map(unconfirmed))
}

function mempoolHistory(ctx: RpcContext, { hashX }: ScriptRef): Wire<typeof MempoolEntry>[] {
  const items = ctx.moment.mempool.items(hashX)
  ctx.charge(items.length * ITEM_COST)
  return items.map(unconfirmed)
}

function unconfirmed({ txid, height, fee }: MempoolItem): Wire<typeof MempoolEntry> {
  return { tx_hash: txid, height, fee: Number(fee) }
}

/** Sums the outputs here rather than asking for the sum, because the client pays for their number. */
async function balanceOf(ctx: RpcContext, { hashX }: ScriptRef): Promise<Wire<typeof Balance>> {
  const unconfirmedDelta = ctx.moment.mempool.balanceDelta(hashX)
  const utxos = await ctx.moment.view.utxos(hashX)
  ctx.charge(utxos.length * ITEM_COST)
  const confirmed = utxos.reduce((sum, { value }) => sum + value, 0n)
  return { confirmed: Number(confirmed), unconfirmed: Number(unconfirmedDelta) }
}

/** Outputs in the mempool have height 0 always, also where the history says -1. */
async function unspentOf(ctx: RpcContext, { hashX }: ScriptRef): Promise<Wire<typeof Unspent>[]> {
  const { confirmed, mempool } = await ctx.moment.unspent(hashX)
  ctx.charge((confirmed.length + mempool.length) * ITEM_COST)
  const inBlocks = confirmed.map(({ txid, vout, height, value }) => ({
    tx_hash: toDisplayHex(txid),
    tx_pos: vout,
    height,
    value: Number(value),
  }))
  return inBlocks.concat(
    mempool.map(({ txid, vout, value }) => ({ tx_hash: txid, tx_pos: vout, height: 0, value: Number(value) })),
  )
}

/** Subscribes only once the status is there: a script whose history is too long is not followed. */
async function subscribeTo(ctx: RpcContext, script: ScriptRef): Promise<string | null> {
  const { status, characters } = statusOf(await historyOf(ctx, script))
  ctx.charge(characters * STATUS_CHARACTER_COST)
  ctx.client.subscribeScript(script.hashX, script.alias, status)
  return status
}

export const scripthashMethods: readonly RpcMethod[] = [
  defineMethod({
    name: 'blockchain.scripthash.get_balance',
    summary: 'Confirmed balance of a script, and what the mempool adds to it (negative where it takes away).',
    params: z.object({ scripthash: ScriptHash }),
    result: Balance,
    cost: () => OUTPUTS_COST,
    since: [1, 1, 0],
    until: BEFORE_1_7,
    example: { params: [EXAMPLE_HASH], result: { confirmed: 103873966, unconfirmed: -23684400 } },
    handler: (ctx, { scripthash }) => balanceOf(ctx, scripthash),
  }),
  defineMethod({
    name: 'blockchain.scripthash.get_history',
    summary: 'Transactions of a script in chain order, then those of the mempool: height 0 before -1, then by id.',
    params: z.object({ scripthash: ScriptHash }),
    result: z.array(HistoryEntry),
    cost: () => HISTORY_COST + MEMPOOL_COST,
    since: [1, 1, 0],
    until: BEFORE_1_7,
    example: { params: [EXAMPLE_HASH], result: exampleHistory },
    handler: (ctx, { scripthash }) => wholeHistory(ctx, scripthash),
  }),
  defineMethod({
    name: 'blockchain.scripthash.get_mempool',
    summary: 'The part of the history that is not confirmed.',
    params: z.object({ scripthash: ScriptHash }),
    result: z.array(MempoolEntry),
    cost: () => MEMPOOL_COST,
    since: [1, 1, 0],
    until: BEFORE_1_7,
    example: { params: [EXAMPLE_HASH], result: exampleMempool },
    handler: (ctx, { scripthash }) => mempoolHistory(ctx, scripthash),
  }),
  defineMethod({
    name: 'blockchain.scripthash.listunspent',
    summary: 'Unspent outputs of a script, without those that the mempool spends and with those that it makes.',
    params: z.object({ scripthash: ScriptHash }),
    result: z.array(Unspent),
    cost: () => OUTPUTS_COST,
    since: [1, 1, 0],
    until: BEFORE_1_7,
    example: { params: [EXAMPLE_HASH], result: exampleUnspent },
    handler: (ctx, { scripthash }) => unspentOf(ctx, scripthash),
  }),
  defineMethod({
    name: 'blockchain.scripthash.subscribe',
    summary: 'Status of a script now, and a notification whenever it changes.',
    params: z.object({ scripthash: ScriptHash }),
    result: Status,
    cost: () => HISTORY_COST + STATUS_COST,
    since: [1, 1, 0],
    until: BEFORE_1_7,
    over: 'stream',
    example: { params: [EXAMPLE_HASH], result: null },
    handler: (ctx, { scripthash }) => subscribeTo(ctx, scripthash),
  }),
  defineMethod({
    name: 'blockchain.scripthash.unsubscribe',
    summary: 'Ends a subscription; false if there was none.',
    params: z.object({ scripthash: ScriptHash }),
    result: z.boolean(),
    cost: () => 0.1,
    since: [1, 4, 2],
    until: BEFORE_1_7,
    over: 'stream',
    example: { params: [EXAMPLE_HASH], result: true },
    handler: (ctx, { scripthash }) => ctx.client.unsubscribeScript(scripthash.hashX),
  }),
]

/** Protocol 1.7 names the script itself and wraps its lists; the rest is the same. */
export const scriptpubkeyMethods: readonly RpcMethod[] = [
  defineMethod({
    name: 'blockchain.scriptpubkey.get_balance',
    summary: 'Confirmed balance of a script, and what the mempool adds to it (negative where it takes away).',
    params: z.object({ spk: ScriptPubKey }),
    result: Balance,
    cost: () => OUTPUTS_COST,
    since: V1_7,
    example: { params: [EXAMPLE_SCRIPT], result: { confirmed: 103873966, unconfirmed: -23684400 } },
    handler: (ctx, { spk }) => balanceOf(ctx, spk),
  }),
  defineMethod({
    name: 'blockchain.scriptpubkey.get_history',
    summary: 'Transactions of a script in chain order, then those of the mempool: height 0 before -1, then by id.',
    params: z.object({ spk: ScriptPubKey }),
    result: z.object({ history: z.array(HistoryEntry) }),
    cost: () => HISTORY_COST + MEMPOOL_COST,
    since: V1_7,
    example: { params: [EXAMPLE_SCRIPT], result: { history: exampleHistory } },
    handler: async (ctx, { spk }) => ({ history: await wholeHistory(ctx, spk) }),
  }),
  defineMethod({
    name: 'blockchain.scriptpubkey.get_mempool',
    summary: 'The part of the history that is not confirmed.',
    params: z.object({ spk: ScriptPubKey }),
    result: z.object({ history: z.array(MempoolEntry) }),
    cost: () => MEMPOOL_COST,
    since: V1_7,
    example: { params: [EXAMPLE_SCRIPT], result: { history: exampleMempool } },
    handler: (ctx, { spk }) => ({ history: mempoolHistory(ctx, spk) }),
  }),
  defineMethod({
    name: 'blockchain.scriptpubkey.listunspent',
    summary: 'Unspent outputs of a script, without those that the mempool spends and with those that it makes.',
    params: z.object({ spk: ScriptPubKey }),
    result: z.object({ utxos: z.array(Unspent) }),
    cost: () => OUTPUTS_COST,
    since: V1_7,
    example: { params: [EXAMPLE_SCRIPT], result: { utxos: exampleUnspent } },
    handler: async (ctx, { spk }) => ({ utxos: await unspentOf(ctx, spk) }),
  }),
  defineMethod({
    name: 'blockchain.scriptpubkey.subscribe',
    summary: 'Status of a script now, and a notification whenever it changes; that names the script hash.',
    params: z.object({ spk: ScriptPubKey }),
    result: Status,
    cost: () => HISTORY_COST + STATUS_COST,
    since: V1_7,
    over: 'stream',
    example: { params: [EXAMPLE_SCRIPT], result: null },
    handler: (ctx, { spk }) => subscribeTo(ctx, spk),
  }),
  defineMethod({
    name: 'blockchain.scriptpubkey.unsubscribe',
    summary: 'Ends a subscription; false if there was none.',
    params: z.object({ spk: ScriptPubKey }),
    result: z.boolean(),
    cost: () => 0.1,
    since: V1_7,
    over: 'stream',
    example: { params: [EXAMPLE_SCRIPT], result: true },
    handler: (ctx, { spk }) => ctx.client.unsubscribeScript(spk.hashX),
  }),
]
