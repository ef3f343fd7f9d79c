import { describe, expect, it } from 'vitest'
import { type Claim, isTaken, type NameStatus, nameHolder, subnameHolder } from '../../../src/atomicals/candidates.ts'
import { wireOfStatus } from '../../../src/atomicals/format/names.ts'
import type { WireObject } from '../../../src/atomicals/format/values.ts'
import { compactOfIdText, idText } from '../../../src/atomicals/id-text.ts'
import type { PaymentKind, SubName, TopName } from '../../../src/atomicals/layout.ts'
import { rulesOf } from '../../../src/atomicals/rules.ts'
import { requestStatus, type SubCandidate, subRequestStatus } from '../../../src/atomicals/statuses.ts'
import { fromHex } from '../../../src/lib/bytes.ts'
import { CborMap } from '../../../src/lib/cbor/values.ts'
import { decodeCbor } from '../../../src/lib/cbor.ts'
import { encodeCbor } from '../../support/atomicals-chain.ts'

/*
 * Heights, ids and answers of the first two groups are those of the reference's own tests
 * (tests/lib/test_atomicals_utils_get_name_request_candidate_status.py, test_get_subname_request_candidate_status.py).
 */
const TXID = fromHex('41038f27e785606ca0cc1efd8e3aa912a15c72d06f359aeb0524 3dab2b70a856'.replace(' ', ''))
const MINE = idText(TXID, 1)
const OTHER = idText(TXID, 2)
const SHOWN_MINE = compactOfIdText(MINE)
const SHOWN_OTHER = compactOfIdText(OTHER)
const REALMS: readonly TopName[] = ['realm', 'container', 'ticker']
const BELOW: readonly SubName[] = ['subrealm', 'dmitem']
const LATE = {
  status: 'expired_revealed_late',
  note: 'The maximum number of blocks between commit and reveal is 3 blocks.',
}

/** What a request for a realm, container or ticker is answered with. */
function top(kind: TopName, row: { commitHeight: number; height: number }, holder: NameStatus): WireObject {
  return wireOfStatus({ kind, name: { candidates: [], holder }, status: requestStatus(MINE, row, holder) }, MINE)
}

/** What a request below a parent is answered with at a height. */
function sub(
  kind: SubName,
  row: { commitHeight: number; height: number },
  candidates: readonly SubCandidate[],
  holder: NameStatus,
  height: number,
): WireObject {
  const status = subRequestStatus(MINE, row, candidates, holder, height)
  return wireOfStatus({ kind, name: { candidates, holder }, status }, MINE)
}

const RULE = (() => {
  const value = decodeCbor(encodeCbor({ rules: [{ p: '8$', o: { '0123456789': { v: 600 } } }] }))
  const rule = value instanceof CborMap ? rulesOf(value)?.[0] : undefined
  if (rule === undefined) throw new Error('no rule')
  return rule
})()

/** A candidate: what the mint was the payment of, or one under a rule, paid or not. */
function candidate(id: string, commitHeight: number, payment: PaymentKind | undefined, ruled = true): SubCandidate {
  return {
    id,
    txNum: id === MINE ? 995_821_345 : 995_821_344,
    commitHeight,
    payment: payment === undefined ? undefined : { txNum: 995_821_346, location: id, kind: payment },
    rule: ruled ? RULE : undefined,
  }
}

const pending = (id: string): NameStatus => ({ status: 'pending', id })
const verified = (id: string): NameStatus => ({ status: 'verified', id })
const awaitingPayment = (id: string): NameStatus => ({ status: 'pending_awaiting_payment', id })
const NOBODY: NameStatus = { status: 'none' }
const AT_ONCE = { commitHeight: 890_000, height: 890_000 }

describe('requests for realms, containers and tickers, in the cases of the reference', () => {
  it('are too late a fourth block after the commit, whoever has the name', () => {
    const row = { commitHeight: 890_000, height: 890_004 }
    for (const holder of [NOBODY, ...[MINE, OTHER].flatMap((id) => [pending(id), awaitingPayment(id), verified(id)])]) {
      for (const kind of REALMS) expect(top(kind, row, holder)).toEqual(LATE)
      for (const kind of BELOW) expect(sub(kind, row, [], holder, 890_004)).toEqual(LATE)
    }
  })

  it('are not too late a third block after it', () => {
    expect(top('realm', { commitHeight: 890_000, height: 890_003 }, verified(MINE))['status']).toBe('verified')
  })

  it('wait behind another', () => {
    expect(top('realm', AT_ONCE, pending(OTHER))).toEqual({
      status: 'pending_claimed_by_other',
      pending_claimed_by_atomical_id: SHOWN_OTHER,
      note: 'Failed to claim realm for current Atomical because it was claimed first by another Atomical.',
    })
  })

  it('lead until they are verified', () => {
    expect(top('realm', AT_ONCE, pending(MINE))).toEqual({
      status: 'pending_candidate',
      pending_candidate_atomical_id: SHOWN_MINE,
      note:
        'The current Atomical is the leading candidate for the realm. ' +
        'Wait the 3 blocks after commit to achieve confirmation.',
    })
  })

  it('lose to another', () => {
    expect(top('realm', AT_ONCE, verified(OTHER))).toEqual({
      status: 'claimed_by_other',
      claimed_by_atomical_id: SHOWN_OTHER,
      note: 'Failed to claim realm for current Atomical because it was claimed first by another Atomical.',
    })
  })

  it('have the name', () => {
    expect(top('realm', AT_ONCE, verified(MINE))).toEqual({
      status: 'verified',
      verified_atomical_id: SHOWN_MINE,
      note: 'Successfully verified and claimed realm for current Atomical.',
    })
  })

  it('are nothing where nobody has asked', () => {
    expect(top('realm', AT_ONCE, NOBODY)).toEqual({ status: null, pending_candidate_atomical_id: null })
  })
})

describe('requests for subrealms and items, in the cases of the reference', () => {
  const free = candidate(MINE, 890_005, 'work', false)
  const owing = candidate(MINE, 890_005, undefined)
  const paying = candidate(MINE, 890_005, 'output')
  const before = candidate(OTHER, 890_005, 'work', false)

  it('have the name', () => {
    expect(sub('subrealm', AT_ONCE, [], verified(MINE), 890_000)).toEqual({
      status: 'verified',
      verified_atomical_id: SHOWN_MINE,
      note: 'Successfully verified and claimed subrealm for current Atomical.',
    })
    expect(sub('subrealm', AT_ONCE, [before, paying], verified(MINE), 890_009)['status']).toBe('verified')
  })

  it('lose to another', () => {
    expect(sub('subrealm', AT_ONCE, [free], verified(OTHER), 890_006)).toEqual({
      status: 'claimed_by_other',
      claimed_by_atomical_id: SHOWN_OTHER,
      note: 'Claimed first by another Atomical.',
    })
  })

  it.each([
    ['alone', [free]],
    ['behind another', [before, free]],
  ])('that are paid by the mint await confirmations, %s', (_, candidates) => {
    expect(sub('subrealm', AT_ONCE, candidates, pending(OTHER), 890_006)).toEqual({
      status: 'pending_awaiting_confirmations',
      pending_candidate_atomical_id: SHOWN_OTHER,
      note: 'Await 3 blocks has elapsed to verify.',
    })
  })

  it('await the window for their payment', () => {
    expect(sub('subrealm', AT_ONCE, [before, owing], pending(OTHER), 890_006)).toEqual({
      status: 'pending_awaiting_confirmations_for_payment_window',
      pending_candidate_atomical_id: SHOWN_OTHER,
      note: 'Await until the "make_payment_from_height" block height for the payment window to be open.',
    })
  })

  it.each([
    ['pending', pending(MINE)],
    ['awaited', awaitingPayment(MINE)],
  ])('that are paid before the window opens wait for it, the name being %s', (_, holder) => {
    expect(sub('subrealm', AT_ONCE, [before, paying], holder, 890_006)).toEqual({
      status: 'pending_awaiting_confirmations_payment_received_prematurely',
      pending_candidate_atomical_id: SHOWN_MINE,
      note: 'The minimum delay of 3 blocks has not yet elapsed to declare a winner.',
    })
  })

  it('expire without a payment', () => {
    expect(sub('subrealm', AT_ONCE, [before, owing], pending(MINE), 890_120)).toEqual({
      status: 'expired_payment_not_received',
      note: 'A valid payment was not received before the "payment_due_no_later_than_height" limit.',
    })
  })
})

describe('requests for subrealms and items', () => {
  const row = { commitHeight: 100, height: 100 }
  const status = (candidates: readonly SubCandidate[], holder: NameStatus, height: number): unknown =>
    sub('dmitem', row, candidates, holder, height)['status']

  it('are faulty without their candidate, before it is asked who has the name', () => {
    expect(status([candidate(OTHER, 100, 'work')], verified(OTHER), 105)).toBe(
      'invalid_request_fault_current_atomical_not_in_candidate_list',
    )
  })

  it('need a rule unless the mint paid', () => {
    for (const payment of [undefined, 'output'] as const) {
      expect(status([candidate(MINE, 100, payment, false)], verified(OTHER), 105)).toBe(
        'invalid_request_no_matched_applicable_rule',
      )
    }
    for (const payment of ['parent', 'work'] as const) {
      expect(status([candidate(MINE, 100, payment, false)], pending(MINE), 103)).toBe('pending')
    }
  })

  it('stand behind a candidate who may still pay, and behind one who has', () => {
    const own = [candidate(MINE, 100, 'output')]
    expect(sub('dmitem', row, own, { status: 'pending_previous_candidate_payment', id: MINE }, 105)).toEqual({
      status: 'pending_previous_candidate_payment',
      note: 'Previous candidates might get the item if they can made the payment.',
    })
    expect(sub('dmitem', row, own, { status: 'pending_previous_candidate_payment', id: OTHER }, 105)).toEqual({
      status: 'pending_by_other',
      pending_by_atomical_id: SHOWN_OTHER,
      note: 'Previous candidates already paid for the item which can claim the item.',
    })
  })

  it('may be paid up to the fifteenth block and expire with the sixteenth', () => {
    const own = [candidate(MINE, 100, undefined)]
    expect(status(own, awaitingPayment(MINE), 115)).toBe('pending_awaiting_payment')
    expect(status(own, awaitingPayment(MINE), 116)).toBe('expired_payment_not_received')
    expect(status([candidate(MINE, 100, 'output')], pending(OTHER), 116)).toBe('pending')
    expect(status([candidate(MINE, 100, 'work')], pending(OTHER), 116)).toBe('pending')
  })

  it('are judged by age below three blocks and by the name from then on', () => {
    const own = [candidate(MINE, 100, undefined)]
    expect(status(own, pending(MINE), 102)).toBe('pending_awaiting_confirmations_for_payment_window')
    expect(status(own, awaitingPayment(MINE), 103)).toBe('pending_awaiting_payment')
  })

  it('say until when is to be paid, and who is first to', () => {
    const own = [candidate(MINE, 100, undefined)]
    expect(sub('dmitem', row, own, awaitingPayment(MINE), 104)).toEqual({
      status: 'pending_awaiting_payment',
      pending_candidate_atomical_id: SHOWN_MINE,
      note: 'The payment must be received before block height 115 to claim successfully.',
    })
    expect(sub('dmitem', row, own, awaitingPayment(OTHER), 104)['note']).toMatch(
      /^Candidates ranked before you are leading for claiming before block height 115\. /,
    )
    expect(sub('dmitem', row, [candidate(MINE, 100, 'work')], awaitingPayment(OTHER), 104)['note']).toMatch(
      /before block height None/,
    )
  })

  it('are nobody’s where all candidates have failed', () => {
    expect(sub('dmitem', row, [candidate(MINE, 100, 'output')], NOBODY, 130)).toEqual({
      status: null,
      pending_candidate_atomical_id: null,
      note: undefined,
    })
  })
})

describe('names of their own', () => {
  it('belong to the first candidate, verified from the third block after his commit on', () => {
    const candidates = [
      { txNum: 1, id: MINE, commitHeight: 100 },
      { txNum: 2, id: OTHER, commitHeight: 90 },
    ]
    expect(nameHolder([], 100)).toEqual(NOBODY)
    expect(nameHolder(candidates, 102)).toEqual(pending(MINE))
    expect(nameHolder(candidates, 103)).toEqual(verified(MINE))
  })
})

describe('names below a parent', () => {
  const claim = (id: string, commitHeight: number, isPaid: boolean): Claim => ({ txNum: 1, id, commitHeight, isPaid })

  it.each([
    ['nobody', [], 100, NOBODY],
    ['the first, while it is young', [claim(MINE, 100, true)], 102, pending(MINE)],
    ['the first, once it is paid and three blocks old', [claim(MINE, 100, true)], 103, verified(MINE)],
    ['the first, who has to pay', [claim(MINE, 100, false)], 103, awaitingPayment(MINE)],
    ['the first, who has to pay, to the last block', [claim(MINE, 100, false)], 114, awaitingPayment(MINE)],
    ['nobody once the window is over', [claim(MINE, 100, false)], 115, NOBODY],
    ['the first who paid, ever after', [claim(MINE, 100, true), claim(OTHER, 100, true)], 115, verified(MINE)],
    ['the next, who is young', [claim(OTHER, 85, false), claim(MINE, 99, true)], 100, pending(MINE)],
    [
      'the next who paid, as long as it is not settled',
      [claim(OTHER, 85, false), claim(MINE, 97, true)],
      100,
      { status: 'pending_previous_candidate_payment', id: MINE } as const,
    ],
    ['the next who paid, once it is', [claim(OTHER, 85, false), claim(MINE, 85, true)], 100, verified(MINE)],
  ] as const)('belong to %s', (_, claims, height, holder) => {
    expect(subnameHolder(claims, height)).toEqual(holder)
  })

  it('are taken where they are verified or the next candidate has paid', () => {
    expect(isTaken(verified(MINE))).toBe(true)
    expect(isTaken({ status: 'pending_previous_candidate_payment', id: MINE })).toBe(true)
    for (const holder of [NOBODY, pending(MINE), awaitingPayment(MINE)]) expect(isTaken(holder)).toBe(false)
  })
})
