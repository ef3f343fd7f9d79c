import type { Candidate, NameStatus } from './candidates.ts'
import { MAX_NAME_REVEAL_DELAY, MAX_PAYMENT_DELAY } from './constants.ts'
import type { AtomicalRow, PaymentRow } from './layout.ts'
import type { Rule } from './rules.ts'
import type { IdText } from './transfer/holding.ts'

/** What became of a request for a realm, container or ticker. `id`: the candidate that it is about. */
export type RequestStatus =
  | { readonly status: 'expired_revealed_late' }
  | {
      readonly status: 'verified' | 'claimed_by_other' | 'pending_candidate' | 'pending_claimed_by_other'
      readonly id: IdText
    }

/** What became of a request for a subrealm or an item. */
export type SubRequestStatus =
  | RequestStatus
  | { readonly status: 'invalid_request_fault_current_atomical_not_in_candidate_list' }
  | { readonly status: 'invalid_request_no_matched_applicable_rule' }
  | { readonly status: 'pending_previous_candidate_payment' | 'pending_by_other'; readonly id: IdText }
  | { readonly status: 'expired_payment_not_received' }
  | {
      readonly status:
        | 'pending_awaiting_confirmations_payment_received_prematurely'
        | 'pending_awaiting_confirmations_for_payment_window'
        | 'pending_awaiting_confirmations'
        | 'pending_awaiting_payment'
        | 'pending'
        | 'none'
      readonly id: IdText | undefined
    }

function isLate({ commitHeight, height }: Pick<AtomicalRow, 'commitHeight' | 'height'>): boolean {
  return height - commitHeight > MAX_NAME_REVEAL_DELAY
}

/** The status of the request that atomical `id` made for a name that `holder` says the truth of. */
export function requestStatus(
  id: IdText,
  row: Pick<AtomicalRow, 'commitHeight' | 'height'>,
  holder: NameStatus,
): RequestStatus | undefined {
  if (isLate(row)) return { status: 'expired_revealed_late' }
  if (holder.status === 'none') return undefined
  const own = holder.id === id
  if (holder.status === 'verified') return { status: own ? 'verified' : 'claimed_by_other', id: holder.id }
  return { status: own ? 'pending_candidate' : 'pending_claimed_by_other', id: holder.id }
}

/** A candidate for a subrealm or an item, with how it is paid and what rule it stands under. */
export interface SubCandidate extends Candidate {
  readonly payment: PaymentRow | undefined
  readonly rule: Rule | undefined
}

/** True if nothing was to be paid, or the mint was the payment. */
export function isMintInitiated({ payment }: Pick<SubCandidate, 'payment'>): boolean {
  return payment !== undefined && payment.kind !== 'output'
}

/** The status of the request that atomical `id` made for a name below a parent. */
export function subRequestStatus(
  id: IdText,
  row: Pick<AtomicalRow, 'commitHeight' | 'height'>,
  candidates: readonly SubCandidate[],
  holder: NameStatus,
  height: number,
): SubRequestStatus {
  if (isLate(row)) return { status: 'expired_revealed_late' }
  const holderId = holder.status === 'none' ? undefined : holder.id
  if (holder.status === 'verified' && holder.id === id) return { status: 'verified', id }
  const own = candidates.find((candidate) => candidate.id === id)
  if (own === undefined) return { status: 'invalid_request_fault_current_atomical_not_in_candidate_list' }
  const initiated = isMintInitiated(own)
  if (!initiated && own.rule === undefined) return { status: 'invalid_request_no_matched_applicable_rule' }
  if (holder.status === 'verified') return { status: 'claimed_by_other', id: holder.id }
  if (holder.status === 'pending_previous_candidate_payment') {
    return { status: holder.id === id ? holder.status : 'pending_by_other', id: holder.id }
  }
  if (!initiated && own.payment === undefined && height > own.commitHeight + MAX_PAYMENT_DELAY) {
    return { status: 'expired_payment_not_received' }
  }
  if (height - own.commitHeight < MAX_NAME_REVEAL_DELAY) return { status: youngStatus(own, initiated), id: holderId }
  return { status: holder.status, id: holderId }
}

function youngStatus({ payment }: SubCandidate, initiated: boolean) {
  if (initiated) return 'pending_awaiting_confirmations'
  return payment === undefined
    ? 'pending_awaiting_confirmations_for_payment_window'
    : 'pending_awaiting_confirmations_payment_received_prematurely'
}
