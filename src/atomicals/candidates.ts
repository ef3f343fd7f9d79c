import { MAX_NAME_REVEAL_DELAY, MAX_PAYMENT_DELAY } from './constants.ts'
import type { IdText } from './transfer/holding.ts'

/** Somebody's claim on a name. */
export interface Candidate {
  /** Number of the commit transaction: the earliest wins. */
  readonly txNum: number
  readonly id: IdText
  readonly commitHeight: number
}

/** A claim on a subrealm or an item. */
export interface Claim extends Candidate {
  /** Paid, or minted so that nothing is to be paid. */
  readonly isPaid: boolean
}

export type NameStatus = { readonly status: 'none' } | { readonly status: SettledStatus; readonly id: IdText }

export type SettledStatus = 'verified' | 'pending' | 'pending_awaiting_payment' | 'pending_previous_candidate_payment'

const NOBODY: NameStatus = { status: 'none' }

/** Who has a realm, container or ticker. `candidates` by number. */
export function nameHolder(candidates: readonly Candidate[], height: number): NameStatus {
  const first = candidates[0]
  if (first === undefined) return NOBODY
  return { status: height - first.commitHeight >= MAX_NAME_REVEAL_DELAY ? 'verified' : 'pending', id: first.id }
}

/** Who has a subrealm or an item. `claims` by number. */
export function subnameHolder(claims: readonly Claim[], height: number): NameStatus {
  for (const [rank, { id, commitHeight, isPaid }] of claims.entries()) {
    const age = height - commitHeight
    if (age >= MAX_PAYMENT_DELAY) {
      if (isPaid) return { status: 'verified', id }
      continue
    }
    if (age < MAX_NAME_REVEAL_DELAY) return { status: 'pending', id }
    if (!isPaid) return { status: 'pending_awaiting_payment', id }
    return { status: rank === 0 ? 'verified' : 'pending_previous_candidate_payment', id }
  }
  return NOBODY
}

/** True if nobody can become a candidate any more. */
export function isTaken({ status }: NameStatus): boolean {
  return status === 'verified' || status === 'pending_previous_candidate_payment'
}
