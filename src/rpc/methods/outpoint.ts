import { z } from 'zod'
import { defineMethod, type RpcContext, type RpcMethod } from '../method.ts'
import { type FoundOutpoint, findOutpoint, type OutpointRef } from '../outpoint.ts'
import { Hash, ScriptPubKey, TxId, WholeNumber } from '../schemas.ts'
import { V1_7 } from '../versions.ts'

const EXAMPLE_TXID = '1872b27abc497492a775fe335abfe368af575733144a7ecd4b249d8fd885b3cf'
const EXAMPLE_SPENDER = '4a19a360f71814c566977114c49ccfeb8a7e4719eda26cee27fa504f3f02ca09'
const EXAMPLE_SCRIPT = '76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac'

/** What every look at an outpoint costs; what it takes beyond the mempool is charged as it is known. */
const LOOK_COST = 0.1

const outpointParams = {
  tx_hash: TxId,
  txout_idx: WholeNumber('Place of the output in its transaction, from 0.'),
}
const hintedParams = z.object({
  ...outpointParams,
  spk_hint: ScriptPubKey.nullable()
    .optional()
    .meta({ type: 'string', description: 'The script that the output pays, in hex. Saves work; not needed.' }),
})

const OutpointStatusResult = z.object({
  funder_height: z.int().min(-1).optional().meta({ description: 'Once the output is known.' }),
  spender_txhash: Hash.optional().meta({ description: 'Once the output is spent.' }),
  spender_height: z.int().min(-1).optional(),
})
const exampleStatus = { funder_height: 1866594, spender_txhash: EXAMPLE_SPENDER, spender_height: 0 }

function refOf({ tx_hash: { hex }, txout_idx: vout }: z.output<z.ZodObject<typeof outpointParams>>): OutpointRef {
  return { txid: hex, vout }
}

function find(ctx: RpcContext, params: z.output<typeof hintedParams>): Promise<FoundOutpoint> {
  return findOutpoint(refOf(params), { guess: params.spk_hint?.hashX }, ctx)
}

/** Protocol 1.7. Heights of 0 and -1 stand for the mempool, as in histories. */
export const outpointMethods: readonly RpcMethod[] = [
  defineMethod({
    name: 'blockchain.outpoint.subscribe',
    summary: 'Where an output was made and where it was spent, and a notification whenever that changes.',
    params: hintedParams,
    result: OutpointStatusResult,
    cost: () => LOOK_COST,
    since: V1_7,
    over: 'stream',
    example: { params: [EXAMPLE_TXID, 1, EXAMPLE_SCRIPT], result: exampleStatus },
    handler: async (ctx, params) => {
      const found = await ctx.client.subscribeOutpoint(refOf(params), () => find(ctx, params))
      return found.status
    },
  }),
  defineMethod({
    name: 'blockchain.outpoint.get_status',
    summary: 'Where an output was made and where it was spent; nothing of one that is not known.',
    params: hintedParams,
    result: OutpointStatusResult,
    cost: () => LOOK_COST,
    since: V1_7,
    example: { params: [EXAMPLE_TXID, 1], result: { funder_height: 1866594 } },
    handler: async (ctx, params) => (await find(ctx, params)).status,
  }),
  defineMethod({
    name: 'blockchain.outpoint.unsubscribe',
    summary: 'Ends a subscription; false if there was none.',
    params: z.object(outpointParams),
    result: z.boolean(),
    cost: () => LOOK_COST,
    since: V1_7,
    over: 'stream',
    example: { params: [EXAMPLE_TXID, 1], result: true },
    handler: (ctx, params) => ctx.client.unsubscribeOutpoint(refOf(params)),
  }),
]
