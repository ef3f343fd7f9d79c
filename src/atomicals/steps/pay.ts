import { MAX_PAYMENT_DELAY } from '../constants.ts'
import type { Effect } from '../effects.ts'
import { idText } from '../id-text.ts'
import type { PlacedTx } from '../ledger.ts'
import { isContainer, isRealmPath, ruleFor } from '../parents.ts'
import type { Past } from '../past.ts'
import { isPaid, type PaymentMarker } from '../payments.ts'
import type { TokenColours } from '../transfer/colours.ts'
import type { TxOperation } from './colour.ts'

/** The effect of a payment that is marked, or undefined if it is not valid. */
export async function pay(
  past: Past,
  placed: PlacedTx,
  marker: PaymentMarker,
  operation: TxOperation | undefined,
  colours: TokenColours,
): Promise<Effect | undefined> {
  const { height, tx, txNum, txid } = placed
  const { id } = marker
  if (id === undefined || (operation?.op === 'y' && operation.inputIndex === 0)) return undefined
  const candidate = past.atomical(id)
  const request = candidate?.request
  if (candidate === undefined || request?.kind !== marker.kind || request.direct) return undefined
  const { parent, name } = request
  if (parent === undefined || height > candidate.commitHeight + MAX_PAYMENT_DELAY) return undefined
  const isParent = marker.kind === 'subrealm' ? isRealmPath : isContainer
  if (!(await isParent(past, parent, height))) return undefined
  const rule = await ruleFor(past, marker.kind, parent, name, candidate.commitHeight)
  if (rule === undefined || !isPaid(rule.outputs, tx, colours)) return undefined
  return { kind: 'pay', id, payment: { txNum, location: idText(txid, marker.output), kind: 'output' } }
}
