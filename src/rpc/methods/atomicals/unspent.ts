import { z } from 'zod'
import { compactOfIdText } from '../../../atomicals/id-text.ts'
import type { HeldRow } from '../../../atomicals/layout.ts'
import { toDisplayHex } from '../../../lib/bytes.ts'
import { type AtomicalsShape, defineMethod, type RpcContext, type RpcMethod } from '../../method.ts'
import { Hash, Satoshis, ScriptHash, ScriptPubKey, type ScriptRef } from '../../schemas.ts'
import { BEFORE_1_7, V1_7 } from '../../versions.ts'
import { type AtomicalsAnswers, amountsOf } from './answers.ts'
import type { AtomicalsKit } from './kit.ts'
import { AtomicalId, EXAMPLE_ID, EXAMPLE_SCRIPTHASH, EXAMPLE_TXID } from './results.ts'

const OUTPUTS_COST = 1
const OUTPUT_COST = 1 / 50

/** As of Electrum, with the names that Atomicals wallets know the members by, and what sits at each output. */
const ColouredUnspent = z.object({
  txid: Hash,
  tx_hash: Hash,
  index: z.int().min(0),
  tx_pos: z.int().min(0),
  vout: z.int().min(0),
  height: z.int().min(0),
  value: Satoshis,
  atomicals: z.union([z.record(AtomicalId, z.int()), z.array(AtomicalId)]).meta({
    description:
      'Units of a token, satoshis of an NFT, by id; a list of ids where ATOMICALS_SHAPE, ' +
      'blockchain.atomicals.set_shape or the address /proxy-list says so. At outputs in the mempool what will sit there ' +
      'if its transactions are mined in the order in which they came.',
  }),
})
type Row = z.input<typeof ColouredUnspent>

const exampleRow: Row = {
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
  readonly txid: string
  readonly vout: number
  readonly height: number
  readonly value: bigint
}

function rowOf({ txid, vout, height, value }: Place, held: readonly HeldRow[], shape: AtomicalsShape): Row {
  return {
    txid,
    tx_hash: txid,
    index: vout,
    tx_pos: vout,
    vout,
    height,
    value: Number(value),
    atomicals: shape === 'list' ? held.map(({ id }) => compactOfIdText(id)) : amountsOf(held),
  }
}

async function unspentOf(answers: AtomicalsAnswers, { hashX }: ScriptRef): Promise<Row[]> {
  const { ctx, settings } = answers
  const shape = ctx.client.shape ?? settings.shape ?? 'object'
  const { confirmed, mempool } = await ctx.moment.unspent(hashX)
  ctx.charge((confirmed.length + mempool.length) * OUTPUT_COST)
  const coloured = [...(await answers.coloured(confirmed)), ...(await answers.made(mempool))]
  return coloured.map(({ utxo, held }) => rowOf({ ...utxo, txid: toDisplayHex(utxo.txid) }, held, shape))
}

/** For clients that test the length of `atomicals`, which an object does not have. */
const setShape = defineMethod({
  name: 'blockchain.atomicals.set_shape',
  summary:
    'From now on `atomicals` of unspent outputs comes to this session in this form: `object` (id to amount) or `list` ' +
    '(ids). Over HTTP the address says it: /proxy-list/<method> or /proxy-object/<method>.',
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
      handler: (ctx: RpcContext, { scripthash }) => unspentOf(kit.answers(ctx), scripthash),
    }),
    defineMethod({
      name: 'blockchain.scriptpubkey.listunspent',
      summary,
      params: z.object({ spk: ScriptPubKey }),
      result: z.object({ utxos: z.array(ColouredUnspent) }),
      cost: () => OUTPUTS_COST,
      since: V1_7,
      example: { params: ['51'], result: { utxos: [exampleRow] } },
      handler: async (ctx: RpcContext, { spk }) => ({ utxos: await unspentOf(kit.answers(ctx), spk) }),
    }),
  ]
}
