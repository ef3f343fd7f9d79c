import { z } from 'zod'
import { idText } from '../../../atomicals/id-text.ts'
import type { HeldRow } from '../../../atomicals/layout.ts'
import { AtomicalsQueries } from '../../../atomicals/queries.ts'
import { ViewRows } from '../../../atomicals/rows.ts'
import type { ChainView } from '../../../db/view.ts'
import { type Awaitable, after } from '../../../lib/awaitable.ts'
import { toDisplayHex } from '../../../lib/bytes.ts'
import type { MempoolUtxo } from '../../../mempool/moment.ts'
import type { RawJson } from '../../json.ts'
import { type AtomicalsShape, defineMethod, type RpcContext, type RpcMethod } from '../../method.ts'
import { Hash, Satoshis, ScriptHash, ScriptPubKey, type ScriptRef } from '../../schemas.ts'
import { BEFORE_1_7, V1_7 } from '../../versions.ts'
import { confirmedText, listText, type OutputForm } from '../output-rows.ts'
import { type AtomicalsAnswers, OUTPUT_COST, ROW_COST } from './answers.ts'
import type { AtomicalsKit } from './kit.ts'
import { EXAMPLE_ID, EXAMPLE_SCRIPTHASH, EXAMPLE_TXID } from './results.ts'
import { HeldAmounts, MayCarryIds, mayCarryIds, shapedAmounts, shapeFor } from './shape.ts'

const OUTPUTS_COST = 1
/** Outputs that are looked up before others get their turn. */
const OUTPUTS_AT_ONCE = 200

/** As of Electrum, with the names that Atomicals wallets know the members by, and what sits at each output. */
const ColouredUnspent = z.object({
  txid: Hash,
  tx_hash: Hash,
  index: z.int().min(0),
  tx_pos: z.int().min(0),
  vout: z.int().min(0),
  height: z.int().min(0),
  value: Satoshis,
  atomicals: HeldAmounts,
  may_carry: MayCarryIds,
})

const exampleRow: z.input<typeof ColouredUnspent> = {
  txid: EXAMPLE_TXID,
  tx_hash: EXAMPLE_TXID,
  index: 0,
  tx_pos: 0,
  vout: 0,
  height: 850000,
  value: 1000,
  atomicals: { [EXAMPLE_ID]: 1000 },
}

/** `height` 0 in the mempool. */
interface Place {
  readonly txid: Uint8Array
  readonly vout: number
  readonly height: number
  readonly value: number | bigint
}

const NOTHING: readonly HeldRow[] = []

/** A row as JSON. What may come to sit there stands beside what does, so that nobody takes it for plain coins. */
function rowText(
  { txid, vout, height, value }: Place,
  held: readonly HeldRow[],
  shape: AtomicalsShape,
  mayHold = NOTHING,
): string {
  const id = toDisplayHex(txid)
  const all = mayHold.length === 0 ? held : [...held, ...mayHold]
  const atomicals = all.length === 0 && shape === 'object' ? '{}' : JSON.stringify(shapedAmounts(all, shape))
  const unsure = mayHold.length === 0 ? '' : `,"may_carry":${JSON.stringify(mayCarryIds(mayHold).may_carry)}`
  return (
    `{"txid":"${id}","tx_hash":"${id}","index":${vout},"tx_pos":${vout},"vout":${vout},"height":${height},` +
    `"value":${value},"atomicals":${atomicals}${unsure}}`
  )
}

/**
 * What sits at a confirmed output was settled by the block that made it, so it is kept with the outputs of the script and
 * forgotten with them. What the mempool makes is looked at for each answer.
 */
function unspentOf(
  kit: AtomicalsKit,
  ctx: RpcContext,
  { hashX }: ScriptRef,
  before = '',
  behind = '',
): Awaitable<RawJson> {
  return after(ctx.moment.unspent(hashX), (unspent) => {
    const { confirmed, mempool } = unspent
    ctx.charge(confirmed.length * (OUTPUT_COST + ROW_COST) + mempool.length * OUTPUT_COST)
    const shape = shapeFor(ctx, kit)
    return after(confirmedText(unspent, formOf(ctx.moment.view, shape), ctx.signal), (text) =>
      after(mempool.length === 0 ? [] : madeTexts(kit.answers(ctx), mempool, shape), (made) =>
        listText(text, made, before, behind),
      ),
    )
  })
}

async function madeTexts(
  answers: AtomicalsAnswers,
  outputs: readonly MempoolUtxo[],
  shape: AtomicalsShape,
): Promise<string[]> {
  return (await answers.made(outputs)).map(({ utxo, held, mayHold }) => rowText(utxo, held, shape, mayHold))
}

function formOf(view: ChainView, shape: AtomicalsShape): OutputForm {
  let queries: AtomicalsQueries | undefined
  return {
    form: `atomicals ${shape}`,
    textOf: (utxo) => {
      queries ??= new AtomicalsQueries({ height: view.tip.height }, new ViewRows(view))
      return rowText(utxo, queries.location(idText(utxo.txid, utxo.vout))?.held ?? [], shape)
    },
    atOnce: OUTPUTS_AT_ONCE,
  }
}

/** For clients that test the length of `atomicals`, which an object does not have. */
const setShape = defineMethod({
  name: 'blockchain.atomicals.set_shape',
  summary:
    'From now on `atomicals` of outputs comes to this session in this form: `object` (id to amount) or `list` ' +
    '(ids), in listunspent and in listscripthash. Over HTTP the address says it: /proxy-list/<method> or /proxy-object/<method>.',
  params: z.object({ shape: z.enum(['object', 'list']) }),
  result: z.enum(['object', 'list']),
  cost: () => 0.1,
  since: [1, 0, 0],
  over: 'stream',
  extraParams: 'ignored',
  example: { params: ['list'], result: 'list' },
  handler: (ctx: RpcContext, { shape }): AtomicalsShape => {
    ctx.client.chooseShape(shape)
    return shape
  },
})

/** listunspent with what sits at the outputs, in both of its forms. */
export function unspentMethods(kit: AtomicalsKit): readonly RpcMethod[] {
  const summary =
    'Unspent outputs of a script, without those that the mempool spends and with those that it makes; with Atomicals ' +
    'switched on, also what sits at them, and further names of the same members.'
  return [
    setShape,
    defineMethod({
      name: 'blockchain.scripthash.listunspent',
      summary,
      params: z.object({ scripthash: ScriptHash }),
      result: z.array(ColouredUnspent),
      cost: () => OUTPUTS_COST,
      since: [1, 1, 0],
      until: BEFORE_1_7,
      example: { params: [EXAMPLE_SCRIPTHASH], result: [exampleRow] },
      handler: (ctx: RpcContext, { scripthash }) => unspentOf(kit, ctx, scripthash),
    }),
    defineMethod({
      name: 'blockchain.scriptpubkey.listunspent',
      summary,
      params: z.object({ spk: ScriptPubKey }),
      result: z.object({ utxos: z.array(ColouredUnspent) }),
      cost: () => OUTPUTS_COST,
      since: V1_7,
      example: { params: ['51'], result: { utxos: [exampleRow] } },
      handler: (ctx: RpcContext, { spk }) => unspentOf(kit, ctx, spk, '{"utxos":', '}'),
    }),
  ]
}
