import { z } from 'zod'
import { defineMethod } from '../../../src/rpc/method.ts'
import { WholeNumber } from '../../../src/rpc/schemas.ts'

export const blockCount = defineMethod({
  name: 'example.block_count',
  summary: 'Blocks of the chain above a height.',
  params: z.object({ above: WholeNumber('A height; without it all blocks are counted.').optional() }),
  result: z.int().min(0),
  cost: () => 0.1,
  since: [1, 4, 0],
  example: { params: [99], result: 11 },
  handler: (ctx, { above = -1 }) => Math.max(0, ctx.moment.tip.height - above),
})
