import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Candidate } from '../../../atomicals/candidates.ts'
import { MAX_PAYMENT_DELAY } from '../../../atomicals/constants.ts'
import { wireOfHolder, wireOfStatus } from '../../../atomicals/format/names.ts'
import { compactOfIdText, historyKey, idText } from '../../../atomicals/id-text.ts'
import { AtomicalsQueries, isSubRequest, type RequestAnswer } from '../../../atomicals/queries.ts'
import { ViewRows } from '../../../atomicals/rows.ts'
import type { SubRequestStatus } from '../../../atomicals/statuses.ts'
import { type AskedName, touchOfName } from '../../../atomicals/touched.ts'
import type { IdText } from '../../../atomicals/transfer/holding.ts'
import { ERROR_CODES, RpcError } from '../../../errors.ts'
import { toDisplayHex, toHex, toLatin1 } from '../../../lib/bytes.ts'
import { sha256 } from '../../../lib/hash.ts'
import type { Topic, TopicSources } from '../../topic.ts'
import { OUTPUT_COST, ROW_COST } from './answers.ts'

/*
 * What of Atomicals clients can follow. Statuses are of confirmed data alone: SHA-256, as hex in its own order, of a text
 * that answers of other methods are enough to make; null where there is nothing. docs/PROTOCOL.md has the texts from the
 * summaries of the methods.
 */

/** Outputs that are looked at for the status of a script. */
const MOST_OUTPUTS = 10_000
const OUTPUTS_PER_TURN = 200
/** Blocks after which one that has a payment is not expected to be lost: payments touch no atomical and no name. */
const PAYMENT_SETTLED = 100
/** After so many blocks from its commit on nothing of a claim changes by time alone, and its payment stays. */
const CLAIM_SETTLED = MAX_PAYMENT_DELAY + 1 + PAYMENT_SETTLED
/** What became of a request for a subrealm or an item, where no other claim changes that any more. */
const LAST_WORDS: ReadonlySet<SubRequestStatus['status']> = new Set([
  'verified',
  'claimed_by_other',
  'expired_revealed_late',
  'invalid_request_fault_current_atomical_not_in_candidate_list',
  'invalid_request_no_matched_applicable_rule',
])

function queriesOf(sources: TopicSources): AtomicalsQueries {
  const { view, tip } = sources.moment
  const rows = new ViewRows(view, (count) => sources.charge(count * ROW_COST))
  return new AtomicalsQueries({ height: tip.height }, rows)
}

/** JSON text of the status that a text has. */
function statusOf(text: string): string {
  return text === '' ? 'null' : `"${toHex(sha256(Buffer.from(text)))}"`
}

/** What sits at the outputs of a script. `hashX` 11 bytes; `scripthash` as displayed. */
export function scriptTopic(hashX: Uint8Array, scripthash: string): Topic {
  const concern = toLatin1(hashX)
  return {
    key: `S${concern}`,
    concern,
    method: 'blockchain.atomicals.scripthash.subscribe',
    params: [scripthash],
    find: async (sources) => ({ status: statusOf(await holdingsText(hashX, sources)), settledAt: 0 }),
  }
}

async function holdingsText(hashX: Uint8Array, sources: TopicSources): Promise<string> {
  const utxos = await sources.moment.view.utxos(hashX, MOST_OUTPUTS)
  if (utxos.length > MOST_OUTPUTS) {
    throw new RpcError(ERROR_CODES.historyTooLong.code, `more than ${MOST_OUTPUTS} unspent outputs`)
  }
  sources.charge(utxos.length * OUTPUT_COST)
  const queries = queriesOf(sources)
  let text = ''
  for (const [i, { txid, vout }] of utxos.entries()) {
    if (i % OUTPUTS_PER_TURN === OUTPUTS_PER_TURN - 1) {
      await nextTurn()
      // Many topics are worked out under one signal: none of them listens to it.
      sources.signal.throwIfAborted()
    }
    const held = queries.location(idText(txid, vout))?.held ?? []
    for (const { id, value } of held) text += `${toDisplayHex(txid)}:${vout}:${compactOfIdText(id)}:${value}:`
  }
  return text
}

/** One atomical: its transactions, and what became of the name that it asks for. */
export function atomicalTopic(id: IdText): Topic {
  const compact = compactOfIdText(id)
  return {
    key: `A${id}`,
    // Every transaction that moves, changes, seals or mints it is listed under this.
    concern: toLatin1(historyKey(id)),
    method: 'blockchain.atomicals.subscribe',
    params: [compact],
    find: async (sources) => {
      const queries = queriesOf(sources)
      const row = queries.atomical(id)
      if (row === undefined) return { status: statusOf(''), settledAt: 0 }
      const { status, characters } = await sources.moment.status(historyKey(id))
      sources.charge(characters * HISTORY_CHARACTER_COST)
      const request = await queries.request(id)
      const { status: claim } = request === undefined ? { status: '' } : wireOfStatus(request, id)
      return {
        status: statusOf(`${compact}:${status ?? ''}:${typeof claim === 'string' ? claim : ''}:`),
        settledAt: request === undefined ? 0 : requestSettledAt(request, row.commitHeight),
      }
    },
  }
}

/** Of a subrealm or an item others may get the name long after this request for it: nothing touches its atomical then. */
function requestSettledAt(request: RequestAnswer, commitHeight: number): number {
  if (!isSubRequest(request)) return commitHeight + CLAIM_SETTLED
  return LAST_WORDS.has(request.status.status) ? claimsSettledAt(request.name.candidates) : Number.POSITIVE_INFINITY
}

function claimsSettledAt(candidates: readonly Candidate[]): number {
  return candidates.reduce((height, { commitHeight }) => Math.max(height, commitHeight + CLAIM_SETTLED), 0)
}

const HISTORY_CHARACTER_COST = 0.000_02

/** A name: who asks for it, and who has it. `parent` as requests name it. */
export function nameTopic(asked: AskedName): Topic {
  const key = touchOfName(asked)
  return {
    key,
    concern: key,
    method: 'blockchain.atomicals.name.subscribe',
    params: [asked.kind, asked.name, 'parent' in asked ? compactOfIdText(asked.parent) : null],
    find: async (sources) => {
      const queries = queriesOf(sources)
      const { candidates, holder } = await ('parent' in asked
        ? queries.claims(asked.kind, asked.parent, asked.name)
        : queries.name(asked.kind, asked.name))
      if (candidates.length === 0) return { status: statusOf(''), settledAt: 0 }
      const { status, candidate_atomical_id: first } = wireOfHolder(holder)
      const list = candidates.map(({ id, commitHeight }) => `${compactOfIdText(id)}:${commitHeight}:`).join('')
      return { status: statusOf(`${status ?? ''}:${first ?? ''}:${list}`), settledAt: claimsSettledAt(candidates) }
    },
  }
}

export interface GlobalTip {
  readonly height: number
  readonly block_hash: string
  readonly atomicals_hash: string | null
}

/** The Atomicals hash of the tip as displayed; null below the start of the protocol. */
export function globalTip(sources: TopicSources): GlobalTip {
  const { height, hash } = sources.moment.tip
  const row = queriesOf(sources).block(height)
  return { height, block_hash: toDisplayHex(hash), atomicals_hash: row === undefined ? null : toDisplayHex(row.hash) }
}

/** Every new tip, with its Atomicals hash. */
export const globalTopic: Topic = {
  key: 'G',
  concern: 'G',
  method: 'blockchain.atomicals.global.subscribe',
  params: [],
  find: (sources) =>
    Promise.resolve({ status: JSON.stringify(globalTip(sources)), settledAt: Number.POSITIVE_INFINITY }),
}
