import { toDisplayHex } from '../../lib/bytes.ts'
import type { Candidate, NameStatus } from '../candidates.ts'
import { MAX_NAME_REVEAL_DELAY, MAX_PAYMENT_DELAY } from '../constants.ts'
import { compactOfIdText, txidOfIdText } from '../id-text.ts'
import type { AtomicalRow, NameKind } from '../layout.ts'
import { isSubRequest, type RequestAnswer } from '../queries.ts'
import type { Rule } from '../rules.ts'
import { isMintInitiated, type RequestStatus, type SubCandidate, type SubRequestStatus } from '../statuses.ts'
import type { IdText } from '../transfer/holding.ts'
import { extend, type ShownValues, type WireObject, wireOf } from './values.ts'

/** Where rows of atomicals come from: see AtomicalsQueries. */
export type AtomicalSource = (id: IdText) => Pick<AtomicalRow, 'height'> | undefined

/** Somebody who asks for a name, as every list of candidates shows him. */
export interface CandidateWire extends WireObject {
  readonly tx_num: number
  readonly atomical_id: string
  readonly txid: string
  readonly commit_height: number
  readonly reveal_location_height: number | null
}

export function wireOfCandidate({ txNum, id, commitHeight }: Candidate, atomical: AtomicalSource): CandidateWire {
  return {
    tx_num: txNum,
    atomical_id: compactOfIdText(id),
    txid: toDisplayHex(txidOfIdText(id)),
    commit_height: commitHeight,
    reveal_location_height: atomical(id)?.height ?? null,
  }
}

/** A candidate for a subrealm or an item, with the rule that it stands under and how it is paid. */
export function wireOfSubCandidate(
  candidate: SubCandidate,
  atomical: AtomicalSource,
  shown: ShownValues,
): CandidateWire {
  const { payment, rule, commitHeight } = candidate
  const initiated = isMintInitiated(candidate)
  const window = initiated
    ? {}
    : {
        make_payment_from_height: commitHeight + MAX_NAME_REVEAL_DELAY,
        payment_due_no_later_than_height: commitHeight + MAX_PAYMENT_DELAY,
      }
  const payments = {
    payment: payment === undefined ? null : compactOfIdText(payment.location),
    payment_type: initiated ? 'mint_initiated' : 'applicable_rule',
    payment_subtype: initiated ? (payment?.kind === 'parent' ? 'parent' : 'bitwork') : null,
  }
  const applicable = { applicable_rule: rule === undefined ? null : { matched_rule: wireOfRule(rule, shown) } }
  return extend(wireOfCandidate(candidate, atomical), payments, window, applicable)
}

/** A rule without what is in its entry besides. */
export function wireOfRule({ source, commitWork, revealWork, outputs }: Rule, shown: ShownValues): WireObject {
  return {
    p: source,
    bitworkc: commitWork,
    bitworkr: revealWork,
    o: outputs === undefined ? undefined : wireOf(outputs, shown),
  }
}

/** Who has a name: what the methods that ask for one name have in common. */
export function wireOfHolder(holder: NameStatus): WireObject & {
  readonly status: string | null
  readonly candidate_atomical_id: string | null
  readonly atomical_id: string | null
} {
  if (holder.status === 'none') return { status: null, candidate_atomical_id: null, atomical_id: null }
  const id = compactOfIdText(holder.id)
  return {
    status: holder.status,
    candidate_atomical_id: id,
    atomical_id: holder.status === 'verified' ? id : null,
  }
}

/** What became of a request, with the note that clients show. `id`: of the atomical that made it. */
export function wireOfStatus(request: RequestAnswer, id: IdText): WireObject {
  if (isSubRequest(request)) {
    const own = request.name.candidates.find((candidate) => candidate.id === id)
    return subStatus(request.kind, request.status, id, own)
  }
  return request.status === undefined
    ? { status: null, pending_candidate_atomical_id: null }
    : topStatus(request.kind, request.status)
}

const lateNote = `The maximum number of blocks between commit and reveal is ${MAX_NAME_REVEAL_DELAY} blocks.`

/** The texts are part of the answers of the reference: clients show them, and some compare them. */
function topStatus(kind: NameKind, status: RequestStatus): WireObject {
  if (status.status === 'expired_revealed_late') return { status: status.status, note: lateNote }
  const id = compactOfIdText(status.id)
  const claimed = `Failed to claim ${kind} for current Atomical because it was claimed first by another Atomical.`
  switch (status.status) {
    case 'verified':
      return {
        status: status.status,
        verified_atomical_id: id,
        note: `Successfully verified and claimed ${kind} for current Atomical.`,
      }
    case 'claimed_by_other':
      return { status: status.status, claimed_by_atomical_id: id, note: claimed }
    case 'pending_claimed_by_other':
      return { status: status.status, pending_claimed_by_atomical_id: id, note: claimed }
    default:
      return {
        status: status.status,
        pending_candidate_atomical_id: id,
        note:
          `The current Atomical is the leading candidate for the ${kind}. ` +
          `Wait the ${MAX_NAME_REVEAL_DELAY} blocks after commit to achieve confirmation.`,
      }
  }
}

function subStatus(kind: NameKind, answer: SubRequestStatus, id: IdText, own: SubCandidate | undefined): WireObject {
  const { status } = answer
  switch (answer.status) {
    case 'expired_revealed_late':
    case 'verified':
    case 'pending_candidate':
    case 'pending_claimed_by_other':
      return topStatus(kind, answer)
    case 'claimed_by_other':
      return { status, claimed_by_atomical_id: compactOfIdText(answer.id), note: 'Claimed first by another Atomical.' }
    case 'invalid_request_fault_current_atomical_not_in_candidate_list':
      return { status, note: 'The current Atomical should not have been classified as the sub-type.' }
    case 'invalid_request_no_matched_applicable_rule':
      return { status }
    case 'pending_previous_candidate_payment':
      return { status, note: 'Previous candidates might get the item if they can made the payment.' }
    case 'pending_by_other':
      return {
        status,
        pending_by_atomical_id: compactOfIdText(answer.id),
        note: 'Previous candidates already paid for the item which can claim the item.',
      }
    case 'expired_payment_not_received':
      return {
        status,
        note: 'A valid payment was not received before the "payment_due_no_later_than_height" limit.',
      }
    default:
      return {
        status: status === 'none' ? null : status,
        pending_candidate_atomical_id: answer.id === undefined ? null : compactOfIdText(answer.id),
        note: waitingNote(answer.status, answer.id === id, own),
      }
  }
}

function waitingNote(status: string, leads: boolean, own: SubCandidate | undefined): string | undefined {
  switch (status) {
    case 'pending_awaiting_confirmations_payment_received_prematurely':
      return `The minimum delay of ${MAX_NAME_REVEAL_DELAY} blocks has not yet elapsed to declare a winner.`
    case 'pending_awaiting_confirmations_for_payment_window':
      return 'Await until the "make_payment_from_height" block height for the payment window to be open.'
    case 'pending_awaiting_confirmations':
      return `Await ${MAX_NAME_REVEAL_DELAY} blocks has elapsed to verify.`
    case 'pending_awaiting_payment': {
      const due = own === undefined || isMintInitiated(own) ? 'None' : `${own.commitHeight + MAX_PAYMENT_DELAY}`
      return leads
        ? `The payment must be received before block height ${due} to claim successfully.`
        : `Candidates ranked before you are leading for claiming before block height ${due}. ` +
            'It is recommended to pay to claim if they have not done so already.'
    }
    default:
      return undefined
  }
}
