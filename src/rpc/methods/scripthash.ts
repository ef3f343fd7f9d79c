import { setImmediate as turn } from 'node:timers/promises'
import { z } from 'zod'
import { type Awaitable, after } from '../../lib/awaitable.ts'
import { toDisplayHex } from '../../lib/bytes.ts'
import { LongText } from '../../lib/long-text.ts'
import type { EntryFormat, HistoryList } from '../../mempool/history-list.ts'
import type { MempoolItem, ScriptHistory } from '../../mempool/moment.ts'
import type { RawJson } from '../json.ts'
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
import { BEFORE_1_7, V1_7 } from '../versions.ts'
import { confirmedText, listText, type OutputForm } from './output-rows.ts'

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

/** A history is a list of these, without what stands around a list. */
const HISTORY_FORMAT: EntryFormat = { before: '{"tx_hash":"', between: '","height":', behind: '}', separator: ',' }
const SEPARATOR = Buffer.from(HISTORY_FORMAT.separator)
/** Some milliseconds' work. */
const ENTRIES_AT_ONCE = 16_384

type Wire<S extends z.ZodType> = z.input<S>

function historyOf(ctx: RpcContext, { hashX }: ScriptRef): Awaitable<ScriptHistory> {
  return after(ctx.moment.history(hashX), (history) => {
    ctx.charge(history.confirmed.length * HISTORY_ITEM_COST)
    return history
  })
}

/** JSON of the list, in front of it what it is a member of. The confirmed part is written once and kept with it. */
function wholeHistory(ctx: RpcContext, script: ScriptRef, before = '', behind = ''): Awaitable<RawJson> {
  return after(historyOf(ctx, script), ({ confirmed, mempool, memo }) => {
    ctx.charge(mempool.length * ITEM_COST)
    return after(memo.text ?? historyText(confirmed), (text) => {
      memo.text = text
      return listText(text, mempool.map(unconfirmedText), before, behind)
    })
  })
}

/** A long one in parts, with turns for others between. */
function historyText(list: HistoryList): Awaitable<string | LongText> {
  return list.length <= ENTRIES_AT_ONCE ? LongText.of(list.text(HISTORY_FORMAT)) : longText(list)
}

async function longText(list: HistoryList): Promise<LongText> {
  const parts: Uint8Array[] = []
  for (let start = 0; start < list.length; start += ENTRIES_AT_ONCE) {
    if (start > 0) parts.push(SEPARATOR)
    parts.push(list.text(HISTORY_FORMAT, start, start + ENTRIES_AT_ONCE))
    await turn()
  }
  return new LongText('', Buffer.concat(parts), '')
}

function unconfirmedText({ txid, height, fee }: MempoolItem): string {
  return `{"tx_hash":"${txid}","height":${height},"fee":${fee}}`
}

function mempoolHistory(ctx: RpcContext, { hashX }: ScriptRef): Wire<typeof MempoolEntry>[] {
  const items = ctx.moment.mempool.items(hashX)
  ctx.charge(items.length * ITEM_COST)
  return items.map(unconfirmed)
}

function unconfirmed({ txid, height, fee }: MempoolItem): Wire<typeof MempoolEntry> {
  return { tx_hash: txid, height, fee: Number(fee) }
}

function balanceOf(ctx: RpcContext, { hashX }: ScriptRef): Awaitable<Wire<typeof Balance>> {
  return after(ctx.moment.balance(hashX), ({ confirmed, unconfirmed, outputs }) => {
    ctx.charge(outputs * ITEM_COST)
    return { confirmed: Number(confirmed), unconfirmed: Number(unconfirmed) }
  })
}

/** Outputs in the mempool have height 0 always, also where the history says -1. */
function unspentOf(ctx: RpcContext, { hashX }: ScriptRef, before = '', behind = ''): Awaitable<RawJson> {
  return after(ctx.moment.unspent(hashX), (unspent) => {
    const { confirmed, mempool } = unspent
    ctx.charge((confirmed.length + mempool.length) * ITEM_COST)
    return after(confirmedText(unspent, OUTPUT_FORM, ctx.signal), (text) => {
      const unconfirmed = mempool.map((utxo) => outputText({ height: 0, ...utxo }))
      return listText(text, unconfirmed, before, behind)
    })
  })
}

interface ShownOutput {
  readonly txid: string
  readonly vout: number
  readonly height: number
  readonly value: number | bigint
}

function outputText({ txid, vout, height, value }: ShownOutput): string {
  return `{"tx_hash":"${txid}","tx_pos":${vout},"height":${height},"value":${value}}`
}

const OUTPUT_FORM: OutputForm = {
  form: 'plain',
  textOf: (utxo) => outputText({ ...utxo, txid: toDisplayHex(utxo.txid) }),
  atOnce: 2048,
}

/** Subscribes only once the status is there: a script whose history is too long is not followed. */
function subscribeTo(ctx: RpcContext, { hashX, alias }: ScriptRef): Awaitable<string | null> {
  return ctx.client.subscribeScript(hashX, alias, () =>
    after(ctx.moment.status(hashX), ({ status, characters, confirmed }) => {
      ctx.charge(confirmed * HISTORY_ITEM_COST)
      ctx.charge(characters * STATUS_CHARACTER_COST)
      return status
    }),
  )
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
    handler: (ctx, { spk }) => wholeHistory(ctx, spk, '{"history":', '}'),
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
    handler: (ctx, { spk }) => unspentOf(ctx, spk, '{"utxos":', '}'),
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
