import { z } from 'zod'
import { compactOfIdText } from '../../../atomicals/id-text.ts'
import type { HeldRow } from '../../../atomicals/layout.ts'
import type { AtomicalsShape, RpcContext } from '../../method.ts'
import { amountsOf } from './answers.ts'
import type { AtomicalsKit } from './kit.ts'
import { AtomicalId } from './results.ts'

/** What sits at an output, in the form that the client is answered in. */
export const HeldAmounts = z.union([z.record(AtomicalId, z.int()), z.array(AtomicalId)]).meta({
  description:
    'Units of a token, satoshis of an NFT, by id; a list of ids where ATOMICALS_SHAPE, ' +
    'blockchain.atomicals.set_shape or the address /proxy-list says so. At outputs in the mempool what will sit there ' +
    'if its transactions are mined in the order in which they came, and what may come to sit there otherwise (`may_carry`).',
})

/** Which ids of what is told of an output are not sure. */
export const MayCarryIds = z
  .array(AtomicalId)
  .meta({
    description:
      'Only of outputs in the mempool: those of `atomicals` that nothing makes sit there if its transactions are mined in ' +
      'the order in which they came, but that may come to sit there if they are mined in another order, or later.',
  })
  .optional()

export function mayCarryIds(mayHold: readonly HeldRow[]): { readonly may_carry?: string[] } {
  return mayHold.length === 0 ? {} : { may_carry: mayHold.map(({ id }) => compactOfIdText(id)) }
}

/** As the session or the address says, or else the operator. */
export function shapeFor({ client }: RpcContext, { shape }: AtomicalsKit): AtomicalsShape {
  return client.shape ?? shape ?? 'object'
}

export function shapedAmounts(held: readonly HeldRow[], shape: AtomicalsShape): z.input<typeof HeldAmounts> {
  return shape === 'list' ? held.map(({ id }) => compactOfIdText(id)) : amountsOf(held)
}
