import { z } from 'zod'
import { headerHash } from '../../../chain/headers.ts'
import type { RpcContext } from '../../method.ts'
import { lenient } from '../../schemas.ts'
import { badRequest, type PastMoment } from './answers.ts'
import { TruthParam } from './params.ts'

/** Cost of a block that is taken back to see what was below it. */
const BLOCK_COST = 0.05

/**
 * The index as it was at a height, the tip's own included. Rejects with RpcError 1 for a height that is above the tip or
 * further below it than blocks are taken back, and 10001 if too much has changed since.
 */
export async function pastMoment(ctx: RpcContext, height: number): Promise<PastMoment> {
  const { view } = ctx.moment
  const { height: top } = view.tip
  const header = view.header(height)
  if (header === undefined || height > top) throw badRequest(`at_height: ${height} is above the tip, ${top}`)
  const { lowestPast: lowest } = view
  if (height < lowest) {
    throw badRequest(`at_height: ${height} is below ${lowest}, the lowest height that can be asked for at tip ${top}`)
  }
  ctx.charge((top - height) * BLOCK_COST)
  return { tip: { height, hash: headerHash(header) }, rows: await view.rowsAt(height, ctx.signal) }
}

// Not what is taken for 0 and 1 elsewhere: a height that was not meant gives an answer that looks right.
function readHeight(value: unknown): number | undefined {
  if (typeof value === 'bigint' && value >= 0n) return Number.MAX_SAFE_INTEGER
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}

const description =
  'Answer as when this was the height of the tip, without the mempool, as far back as REORG_LIMIT; null or left out: ' +
  'the tip and the mempool.'

/** The height that an answer is of. */
export const AtHeightParam = z
  .preprocess(
    (value) => value ?? undefined,
    lenient(readHeight, 'should be a height: a whole number', { description, type: 'integer' }).optional(),
  )
  .optional()
  .meta({ description, type: 'integer' })

/** Stands where old clients say true or 1, so that nobody takes it for a height. */
export const UnusedParam = TruthParam('Not looked at.').optional()
