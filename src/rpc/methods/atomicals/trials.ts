import { z } from 'zod'
import { amounts, blueprintWire, burntNfts } from '../../../atomicals/format/blueprint.ts'
import { type WireObject, wireOfMap } from '../../../atomicals/format/values.ts'
import { rulesAt } from '../../../atomicals/height-rules.ts'
import { compactOfIdText } from '../../../atomicals/id-text.ts'
import { argsOf } from '../../../atomicals/mint/request.ts'
import { findLeafOperation } from '../../../atomicals/operation.ts'
import { paymentMarker } from '../../../atomicals/payments.ts'
import { textOf } from '../../../atomicals/python.ts'
import type { TxOperation } from '../../../atomicals/steps/colour.ts'
import { holdingsOf, type SpentAt } from '../../../atomicals/steps/spend.ts'
import { byText, type IdText } from '../../../atomicals/transfer/holding.ts'
import type { Psbt } from '../../../chain/psbt.ts'
import type { Tx } from '../../../chain/tx.ts'
import { toDisplayHex } from '../../../lib/bytes.ts'
import type { RpcContext, RpcMethod } from '../../method.ts'
import { Hash, HexTx } from '../../schemas.ts'
import { broadcastCost } from '../broadcast.ts'
import { type AtomicalsAnswers, badRequest } from './answers.ts'
import { type AtomicalsKit, atomicalsMethod } from './kit.ts'
import { topName } from './names.ts'
import { PsbtParam } from './params.ts'
import { AtomicalId, EXAMPLE_ID, EXAMPLE_PSBT, EXAMPLE_TX, EXAMPLE_TXID } from './results.ts'
import { type Attempt, attempt, psbtOf, requireNothingBurnt, txOf } from './trying.ts'

const Units = z.record(z.string(), z.int())
const ByOutput = z.record(z.string(), z.object({ atomicals: z.record(z.string(), z.looseObject({})) }))

const Blueprint = z.object({
  result: z.object({
    tx_id: Hash,
    operation_found_at_inputs: z.looseObject({}),
    atomicals_spent_at_inputs: z.record(z.string(), z.array(z.looseObject({ atomical_id: AtomicalId }))),
    ft_output_blueprint: z.object({
      outputs: ByOutput,
      fts_burned: Units,
      cleanly_assigned: z.boolean(),
      first_atomical_id: AtomicalId.nullable(),
    }),
    nft_output_blueprint: z.object({ outputs: ByOutput, nfts_burned: Units }),
  }),
})
type BlueprintWire = z.input<typeof Blueprint>

const Decoded = z.object({
  result: z.object({
    op: z.array(z.string()).meta({ description: 'One operation; "transfer" if there is none.' }),
    burned: Units,
    op_payload: z.looseObject({}).optional(),
    atomicals: z
      .array(z.looseObject({ atomical_id: AtomicalId }))
      .meta({ description: 'What is spent, as `get` has it.' }),
    inputs: z.record(z.string(), Units),
    outputs: z.record(z.string(), Units),
    payment: z.object({ atomical_id: AtomicalId, payment_marker_idx: z.int() }).nullable(),
  }),
})
type DecodedWire = z.input<typeof Decoded>

const exampleEntry = { sat_value: 1000, atomical_value: 1000, type: 'FT' }
const exampleBlueprint: BlueprintWire = {
  result: {
    tx_id: EXAMPLE_TXID,
    operation_found_at_inputs: {},
    atomicals_spent_at_inputs: { '0': [{ atomical_id: EXAMPLE_ID }] },
    ft_output_blueprint: {
      outputs: { '0': { atomicals: { [EXAMPLE_ID]: exampleEntry } } },
      fts_burned: {},
      cleanly_assigned: true,
      first_atomical_id: EXAMPLE_ID,
    },
    nft_output_blueprint: { outputs: {}, nfts_burned: {} },
  },
}
const exampleDecoded: DecodedWire = {
  result: {
    op: ['transfer'],
    burned: {},
    atomicals: [{ atomical_id: EXAMPLE_ID }],
    inputs: { '0': { [EXAMPLE_ID]: 1000 } },
    outputs: { '0': { [EXAMPLE_ID]: 1000 } },
    payment: null,
  },
}

function validate(kit: AtomicalsKit): RpcMethod {
  return atomicalsMethod({
    name: 'validate',
    summary:
      'The id of a transaction that burns no tokens, as broadcast would check it; error 800422 for one that does. ' +
      'Nothing is sent.',
    params: z.object({ raw_tx: HexTx }),
    result: Hash,
    cost: ({ raw_tx: raw }) => broadcastCost(raw),
    example: { params: [EXAMPLE_TX], result: EXAMPLE_TXID },
    handler: async (ctx, { raw_tx: raw }) => {
      const tx = txOf(raw)
      requireNothingBurnt((await attempt(kit.answers(ctx), tx)).judged)
      return toDisplayHex(tx.txid)
    },
  })
}

async function blueprintOf(answers: AtomicalsAnswers, tx: Tx): Promise<BlueprintWire> {
  const { judged } = await attempt(answers, tx)
  const wire = blueprintWire(judged, answers.shown)
  if (wire === undefined) throw badRequest('tokens go to more outputs than one answer can list')
  return { result: wire }
}

function validateTx(kit: AtomicalsKit): RpcMethod {
  return atomicalsMethod({
    name: 'validate_tx_blueprint',
    summary: 'What a transaction would do: its operation, what it spends, where that goes and what is burnt.',
    params: z.object({ raw_tx: HexTx }),
    result: Blueprint,
    cost: ({ raw_tx: raw }) => broadcastCost(raw),
    example: { params: [EXAMPLE_TX], result: exampleBlueprint },
    handler: async (ctx, { raw_tx: raw }) => blueprintOf(kit.answers(ctx), txOf(raw)),
  })
}

function validatePsbt(kit: AtomicalsKit): RpcMethod {
  return atomicalsMethod({
    name: 'validate_psbt_blueprint',
    summary:
      'As `validate_tx_blueprint`, for the transaction of a PSBT. An operation counts only if it stands in the witness of a final input; ' +
      'decode_psbt looks into leaf scripts too.',
    params: z.object({ psbt_hex: PsbtParam }),
    result: Blueprint,
    cost: ({ psbt_hex: text }) => broadcastCost(text),
    example: { params: [EXAMPLE_PSBT], result: exampleBlueprint },
    handler: async (ctx, { psbt_hex: text }) => blueprintOf(kit.answers(ctx), psbtOf(text).tx),
  })
}

function decodeTx(kit: AtomicalsKit): RpcMethod {
  return atomicalsMethod({
    name: 'decode_tx',
    summary:
      'What a transaction says and does: operation and payload, units by input and output, what it mints or pays.',
    params: z.object({ tx: HexTx }),
    result: Decoded,
    cost: ({ tx: raw }) => broadcastCost(raw),
    example: { params: [EXAMPLE_TX], result: exampleDecoded },
    handler: async (ctx, { tx: raw }) => decoded(kit.answers(ctx), txOf(raw)),
  })
}

function decodePsbt(kit: AtomicalsKit): RpcMethod {
  return atomicalsMethod({
    name: 'decode_psbt',
    summary:
      'As `decode_tx`, for a PSBT; the operation is that of its leaf scripts, or of the witnesses of final inputs.',
    params: z.object({ psbt_hex: PsbtParam }),
    result: Decoded,
    cost: ({ psbt_hex: text }) => broadcastCost(text),
    example: { params: [EXAMPLE_PSBT], result: exampleDecoded },
    handler: async (ctx: RpcContext, { psbt_hex: text }) => {
      const answers = kit.answers(ctx)
      const psbt = psbtOf(text)
      return decoded(answers, psbt.tx, operationOf(answers, psbt))
    },
  })
}

/** Undefined where no leaf script has one. */
function operationOf({ height, settings }: AtomicalsAnswers, { leafScripts }: Psbt): TxOperation | undefined {
  const { density } = rulesAt(settings.heights, height + 1)
  return findLeafOperation(leafScripts, { argsMayHaveBytes: density })
}

async function decoded(answers: AtomicalsAnswers, tx: Tx, operation?: TxOperation): Promise<DecodedWire> {
  const tried = await attempt(answers, tx, operation)
  const { judged } = tried
  const holdings = judged.spent.flatMap(holdingsOf)
  const payload = judged.operation?.payload
  const hasPayload = payload !== undefined && payload.size > 0
  const payment = paymentMarker(tx)
  const atomicals: DecodedWire['result']['atomicals'] = []
  for (const id of new Set(holdings.map((holding) => holding.id)))
    atomicals.push(await shownAtomical(answers, id, holdings))
  return {
    result: {
      op: [judged.operation?.op ?? 'transfer'],
      burned: { ...amounts(judged.coloured.blueprint.burnt), ...amounts(burntNfts(judged)) },
      ...(hasPayload ? { op_payload: wireOfMap(payload, answers.shown) } : {}),
      atomicals,
      inputs: byIndex(holdings.map(({ input, id, value }) => [input, id, Number(value)])),
      outputs: byIndex([...movedTo(tried, holdings), ...(await mintedTo(answers, tried))]),
      payment:
        payment?.id === undefined
          ? null
          : { atomical_id: compactOfIdText(payment.id), payment_marker_idx: payment.output },
    },
  }
}

/** What `get` says, or what is known of an atomical that is not confirmed. */
async function shownAtomical(
  answers: AtomicalsAnswers,
  id: IdText,
  holdings: readonly SpentAt[],
): Promise<WireObject & { readonly atomical_id: string }> {
  if (answers.queries.atomical(id) !== undefined) return answers.wireOf(id)
  const type = holdings.find((holding) => holding.id === id)?.kind
  return { atomical_id: compactOfIdText(id), type, confirmed: false }
}

type Entry = readonly [index: number, id: IdText, value: number]

/** Tokens with their units, NFTs with the satoshis that each came with. */
function movedTo({ judged }: Attempt, holdings: readonly SpentAt[]): Entry[] {
  const { nfts, tokens } = judged.coloured.blueprint
  const values = new Map(holdings.map(({ id, value }) => [id, Number(value)]))
  return [
    ...[...tokens.entries()].map(({ output, id, value }): Entry => [output, id, Number(value)]),
    ...nfts.map(({ output, id }): Entry => [output, id, values.get(id) ?? 0]),
  ]
}

function byIndex(entries: readonly Entry[]): Record<string, Record<string, number>> {
  const groups: Record<string, Record<string, number>> = {}
  for (const [index, id, value] of entries) (groups[index] ??= {})[compactOfIdText(id)] = value
  return groups
}

/** What a mint puts to output 0. */
async function mintedTo(answers: AtomicalsAnswers, tried: Attempt): Promise<Entry[]> {
  const { operation, tx } = tried.judged
  const output = tx.outputs[0]
  if (operation?.inputIndex !== 0 || output === undefined) return []
  const id = operation.op === 'dmt' ? await tokenOf(answers, operation) : await newAt(answers, tried, operation)
  return id === undefined ? [] : [[0, id, Number(output.value)]]
}

/** As the reference: whatever has the ticker now, without a look at whether the mint is one. */
async function tokenOf(answers: AtomicalsAnswers, { payload }: TxOperation): Promise<IdText | undefined> {
  const ticker = textOf(argsOf(payload)?.get('mint_ticker'))
  if (ticker === undefined || ticker === '') return undefined
  const { holder } = await topName(answers, 'ticker', ticker)
  return holder.status === 'none' ? undefined : holder.id
}

/** What `nft` and `ft` make; of a transaction that is confirmed, what is at its first output. */
async function newAt(answers: AtomicalsAnswers, { trial, judged }: Attempt, { op }: TxOperation) {
  if (op !== 'nft' && op !== 'ft') return undefined
  const kind = op === 'ft' ? 'token' : undefined
  const held = answers.heldAt(judged.tx.txid, 0).filter((row) => kind === undefined || row.kind === kind)
  if (held.length > 0) return [...held].sort((a, b) => byText(a.id, b.id)).at(-1)?.id
  return (await trial.mintOf(judged))?.id
}

/** What transactions would do that are not sent. */
export function trialMethods(kit: AtomicalsKit): readonly RpcMethod[] {
  return [validate(kit), validateTx(kit), validatePsbt(kit), decodeTx(kit), decodePsbt(kit)]
}
