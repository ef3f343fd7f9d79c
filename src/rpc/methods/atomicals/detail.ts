import { z } from 'zod'
import { type WireObject, wireOf } from '../../../atomicals/format/values.ts'
import { type AtomicalsRules, rulesAt } from '../../../atomicals/height-rules.ts'
import { compactOfIdText, idText } from '../../../atomicals/id-text.ts'
import { ACTIVITY_CODES, type ActivityRow, type HeldKind, type PayloadRow } from '../../../atomicals/layout.ts'
import { argsOf } from '../../../atomicals/mint/request.ts'
import { findOperation } from '../../../atomicals/operation.ts'
import { type PaymentMarker, paymentMarker } from '../../../atomicals/payments.ts'
import { textOf } from '../../../atomicals/python.ts'
import { byText, type IdText } from '../../../atomicals/transfer/holding.ts'
import { parseWholeTx, type Tx } from '../../../chain/tx.ts'
import { toDisplayHex } from '../../../lib/bytes.ts'
import type { CborMap } from '../../../lib/cbor/values.ts'
import { Hash } from '../../schemas.ts'
import { blockHashOf } from '../../transaction-place.ts'
import type { AtomicalsAnswers } from './answers.ts'
import type { CountedTx } from './lists.ts'
import { topName } from './names.ts'
import { AtomicalId } from './results.ts'

/** Of asking bitcoind for a transaction. */
export const NODE_COST = 1

const Movement = z.object({
  address: z.string().nullable(),
  atomical_id: AtomicalId,
  type: z.enum(['FT', 'NFT']),
  index: z.int(),
  value: z.int(),
})
const Movements = z.record(z.string(), z.array(Movement))

export const Detail = z.object({
  txid: Hash,
  height: z.int(),
  tx_num: z.int(),
  info: z.looseObject({}).meta({ description: 'The payload, what was minted, and what was paid for.' }),
  transfers: z.object({
    inputs: Movements,
    outputs: Movements,
    is_burned: z.boolean(),
    burned_fts: z.record(z.string(), z.int()),
    is_cleanly_assigned: z.boolean(),
  }),
  op: z.string().meta({ description: `One of ${Object.keys(ACTIVITY_CODES).slice(1).join(', ')}; empty for none.` }),
})
export type DetailWire = z.input<typeof Detail>

/** What a transaction carries besides coins. */
interface Content {
  readonly op: string | undefined
  readonly inputIndex: number | undefined
  readonly payload: CborMap | undefined
  readonly payment: PaymentMarker | undefined
}

function typeOf(kind: HeldKind): 'FT' | 'NFT' {
  return kind === 'token' ? 'FT' : 'NFT'
}

/** True if the Atomicals hash of its block has a transaction. */
function isCounted({ queries }: AtomicalsAnswers, { txNum, height }: Omit<CountedTx, 'txid'>): boolean {
  const row = queries.block(height)
  return row?.positions.includes(txNum - row.firstTxNum) === true
}

/**
 * What the index keeps of a transaction's operation; the transaction itself where it keeps nothing: if it has no place in
 * the hash of its block, or pays for a name.
 */
async function contentOf(
  answers: AtomicalsAnswers,
  place: CountedTx,
  activity: ActivityRow | undefined,
): Promise<Content> {
  const { queries } = answers
  const kept = queries.operation(place.txNum)
  const isPayment = activity?.op.startsWith('payment') === true
  if (!isPayment && (kept !== undefined || isCounted(answers, place))) {
    const payload = kept === undefined ? undefined : queries.payload(place.txNum)
    return { op: kept?.op, inputIndex: kept?.inputIndex, payload, payment: undefined }
  }
  const tx = await transactionOf(answers, place)
  const found = findOperation(tx, { argsMayHaveBytes: true })
  return { op: found?.op, inputIndex: found?.inputIndex, payload: found?.payload, payment: paymentMarker(tx) }
}

/** A confirmed transaction from bitcoind, which needs no index of its own. */
async function transactionOf({ view, ctx }: AtomicalsAnswers, { txid, height }: CountedTx): Promise<Tx> {
  ctx.charge(NODE_COST)
  const header = view.header(height)
  const block = header === undefined ? undefined : blockHashOf(header)
  return parseWholeTx(await ctx.daemon.rawTransaction(toDisplayHex(txid), block, ctx.signal))
}

/**
 * The name of what a transaction did. One that burnt everything without an operation is a transfer all the same; only of
 * such is `operation` asked for, which has the whole payload.
 */
export function opOf(activity: ActivityRow | undefined, operation: () => PayloadRow | undefined): string {
  if (activity === undefined) return ''
  if (activity.op !== 'none') return activity.op
  return activity.spent.length > 0 && operation() === undefined ? 'transfer' : ''
}

export async function detailOf(answers: AtomicalsAnswers, place: CountedTx): Promise<DetailWire> {
  const { queries } = answers
  const activity = queries.activity(place.txNum)
  const content = await contentOf(answers, place, activity)
  return {
    txid: toDisplayHex(place.txid),
    height: place.height,
    tx_num: place.txNum,
    info: await infoOf(answers, place, content),
    transfers: {
      inputs: inputsOf(answers, activity),
      outputs: outputsOf(answers, place, content, activity),
      is_burned: (activity?.burnt.length ?? 0) > 0,
      burned_fts: Object.fromEntries((activity?.burnt ?? []).map(({ id, value }) => [compactOfIdText(id), value])),
      is_cleanly_assigned: activity?.clean ?? true,
    },
    op: opOf(activity, () => queries.operation(place.txNum)),
  }
}

function inputsOf(answers: AtomicalsAnswers, activity: ActivityRow | undefined) {
  return grouped(
    inOrder(activity?.spent ?? [], activity, INPUT_ORDER).map(({ input, location, id, kind, value }) => ({
      address: answers.address(answers.queries.location(location)?.script ?? new Uint8Array(0)),
      atomical_id: compactOfIdText(id),
      type: typeOf(kind),
      index: input,
      value,
    })),
  )
}

function outputsOf(
  answers: AtomicalsAnswers,
  { txid, height }: CountedTx,
  { op, inputIndex }: Content,
  activity: ActivityRow | undefined,
) {
  const order = outputOrder(inputIndex === 0 ? op : undefined, rulesAt(answers.settings.heights, height))
  return grouped(
    inOrder(activity?.outputs ?? [], activity, order).map(({ output, id, kind, value }) => ({
      address: answers.address(answers.queries.location(idText(txid, output))?.script ?? new Uint8Array(0)),
      atomical_id: compactOfIdText(id),
      type: typeOf(kind),
      index: output,
      value,
    })),
  )
}

/** How the reference goes through what moves of a kind: by id, or by the first input that each is spent in and then by id. */
type MovementOrder = (kind: HeldKind) => 'by id' | 'by input'

const INPUT_ORDER: MovementOrder = () => 'by input'

/**
 * Split and custom colours go by id, splat does with NFTs; tokens moved otherwise go by input from DMINT on. What asks for
 * custom colours before there are any is moved as otherwise.
 */
function outputOrder(
  op: string | undefined,
  { byInput, partial }: Pick<AtomicalsRules, 'byInput' | 'partial'>,
): MovementOrder {
  if (op === 'z' && partial) return () => 'by id'
  return (kind) => {
    if (kind !== 'token') return op === 'x' ? 'by id' : 'by input'
    return op === 'y' || !byInput ? 'by id' : 'by input'
  }
}

/** Rows in an order of the reference; tokens before NFTs. */
function inOrder<T extends { readonly id: IdText; readonly kind: HeldKind }>(
  rows: readonly T[],
  activity: ActivityRow | undefined,
  order: MovementOrder,
): T[] {
  const firstInput = new Map<IdText, number>()
  for (const { id, input } of activity?.spent ?? []) if (!firstInput.has(id)) firstInput.set(id, input)
  const rank = ({ kind }: T): number => (kind === 'token' ? 0 : 1)
  const input = ({ id, kind }: T): number => (order(kind) === 'by id' ? 0 : (firstInput.get(id) ?? 0))
  return [...rows].sort((a, b) => rank(a) - rank(b) || input(a) - input(b) || byText(a.id, b.id))
}

type MovementWire = z.input<typeof Movement>

/** By index. */
function grouped(rows: readonly MovementWire[]): Record<string, MovementWire[]> {
  const groups: Record<string, MovementWire[]> = {}
  for (const row of rows) (groups[row.index] ??= []).push(row)
  return groups
}

async function infoOf(
  answers: AtomicalsAnswers,
  { txid }: CountedTx,
  { op, payload, payment }: Content,
): Promise<WireObject> {
  const wire = payload === undefined ? undefined : wireOf(payload, answers.shown)
  const minted = await mintedId(answers, txid, op, payload)
  const location = idText(txid, 0)
  const row = minted === undefined ? undefined : answers.queries.location(location)
  const paid =
    payment?.id === undefined
      ? undefined
      : { atomical_id: compactOfIdText(payment.id), payment_marker_idx: payment.output }
  if (minted === undefined || row === undefined) return { payload: wire, payment: paid }
  const id = compactOfIdText(minted)
  const type = op === 'nft' ? 'NFT' : 'FT'
  const output = { address: answers.address(row.script), atomical_id: id, type, index: 0, value: row.satoshis }
  return {
    atomical_id: id,
    location_id: compactOfIdText(location),
    payload: wire,
    outputs: { '0': [output] },
    payment: paid,
  }
}

/** What the reference says that a mint made: of an NFT the last id at output 0, of a token what has the ticker now. */
async function mintedId(
  answers: AtomicalsAnswers,
  txid: Uint8Array,
  op: string | undefined,
  payload: CborMap | undefined,
): Promise<string | undefined> {
  const held = answers.heldAt(txid, 0)
  if (op === 'nft')
    return held.length === 0
      ? undefined
      : held
          .map(({ id }) => id)
          .sort()
          .at(-1)
  // A direct token is not named: what looks for it knows tickers of distributed ones only.
  if (op !== 'dmt' || payload === undefined || held.length === 0) return undefined
  const ticker = textOf(argsOf(payload)?.get('mint_ticker'))
  const { holder } = await topName(answers, 'ticker', ticker ?? '')
  return holder.status === 'none' ? undefined : holder.id
}
