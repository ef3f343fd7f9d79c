import { hashXOf } from '../../chain/script.ts'
import type { Tx } from '../../chain/tx.ts'
import { concat, fromLatin1, toDisplayHex, toHex, writeUint64LE } from '../../lib/bytes.ts'
import { sha256d } from '../../lib/hash.ts'
import { compactOfIdText, idText } from '../id-text.ts'
import type { LocationRow } from '../layout.ts'
import type { TxOperation } from '../steps/colour.ts'
import { holdingsOf, type SpentAt, type SpentOutput } from '../steps/spend.ts'
import type { IdText } from '../transfer/holding.ts'
import type { Judged } from '../trial.ts'
import { type ShownValues, type WireObject, wireBytes, wireOfMap } from './values.ts'

/** Numbers that lists of expected outputs hold together: each output of a token repeats the whole list. */
const MAX_LISTED = 500_000

export interface BlueprintWire {
  readonly tx_id: string
  readonly operation_found_at_inputs: WireObject
  readonly atomicals_spent_at_inputs: Record<string, SpentWire[]>
  readonly ft_output_blueprint: {
    readonly outputs: OutputsWire
    readonly fts_burned: Record<string, number>
    readonly cleanly_assigned: boolean
    readonly first_atomical_id: string | null
  }
  readonly nft_output_blueprint: { readonly outputs: OutputsWire; readonly nfts_burned: Record<string, number> }
}

interface SpentWire extends WireObject {
  readonly atomical_id: string
}

/** By output, then by compact id. */
type OutputsWire = Record<string, { readonly atomicals: Record<string, WireObject> }>

/** What a transaction would do, as validate_tx_blueprint shows it. Undefined if that is too long to be shown. */
export function blueprintWire(judged: Judged, shown: ShownValues): BlueprintWire | undefined {
  const { tx, spent, operation } = judged
  const tokens = tokenOutputs(judged)
  if (tokens === undefined) return undefined
  const { blueprint } = judged.coloured
  return {
    tx_id: toDisplayHex(tx.txid),
    operation_found_at_inputs: operation === undefined ? {} : operationWire(tx, operation, shown),
    atomicals_spent_at_inputs: Object.fromEntries(spent.map((output) => [output.input, spentWire(output)])),
    ft_output_blueprint: {
      outputs: tokens,
      fts_burned: amounts(blueprint.burnt),
      cleanly_assigned: blueprint.clean,
      first_atomical_id: blueprint.firstToken === undefined ? null : compactOfIdText(blueprint.firstToken),
    },
    nft_output_blueprint: { outputs: nftOutputs(judged), nfts_burned: amounts(burntNfts(judged)) },
  }
}

/** NFTs that go nowhere, with the satoshis of the output that each sat at. */
export function burntNfts({ spent, coloured }: Judged): ReadonlyMap<IdText, bigint> {
  const lost = new Set(coloured.blueprint.lostNfts)
  const holdings = spent.flatMap(holdingsOf).filter(({ id, value }) => lost.has(id) && value > 0n)
  return new Map(holdings.map(({ id, value }) => [id, value]))
}

/** Amounts by compact id. */
export function amounts(values: Iterable<readonly [IdText, bigint]>): Record<string, number> {
  return Object.fromEntries([...values].map(([id, value]) => [compactOfIdText(id), Number(value)]))
}

function operationWire(tx: Tx, operation: TxOperation, shown: ShownValues): WireObject {
  const { op, payload, payloadBytes, inputIndex } = operation
  const commit = tx.inputs[inputIndex]
  return {
    op,
    payload: wireOfMap(payload, shown),
    payload_bytes: payloadBytes === undefined ? undefined : wireBytes(payloadBytes),
    input_index: inputIndex,
    ...(commit === undefined
      ? {}
      : {
          commit_txid: wireBytes(commit.prevTxid),
          commit_index: commit.prevIndex,
          commit_location: wireBytes(fromLatin1(idText(commit.prevTxid, commit.prevIndex))),
        }),
    reveal_location_txid: wireBytes(tx.txid),
    reveal_location_index: 0,
  }
}

function spentWire({ location, row }: SpentOutput): SpentWire[] {
  return row.held.map(({ id, value }) => ({
    atomical_id: compactOfIdText(id),
    location_id: compactOfIdText(location),
    data: toHex(referenceRow(row, value)),
    data_value: { sat_value: row.satoshis, atomical_value: value },
  }))
}

/** The row that the reference keeps of a holding: hashX, sha256d of the script, satoshis, units, transaction number. */
function referenceRow({ script, satoshis, txNum }: LocationRow, units: number): Uint8Array {
  const numbers = new Uint8Array(24)
  writeUint64LE(numbers, BigInt(satoshis), 0)
  writeUint64LE(numbers, BigInt(units), 8)
  writeUint64LE(numbers, BigInt(txNum), 16)
  return concat(hashXOf(script), sha256d(script), numbers.subarray(0, 21))
}

function addEntry(outputs: OutputsWire, output: number, id: IdText, entry: WireObject): void {
  const { atomicals } = (outputs[output] ??= { atomicals: {} })
  atomicals[compactOfIdText(id)] = entry
}

function tokenOutputs(judged: Judged): OutputsWire | undefined {
  const { tx, operation, coloured } = judged
  const { tokens } = coloured.blueprint
  const outputsOf = new Map<IdText, number[]>()
  for (const { id, output } of tokens.entries()) {
    const list = outputsOf.get(id)
    if (list === undefined) outputsOf.set(id, [output])
    else list.push(output)
  }
  const listed = [...outputsOf.values()].reduce((sum, list) => sum + list.length ** 2, 0)
  if (listed > MAX_LISTED) return undefined
  const inputs = inputSummaries(judged)
  const named = operation?.inputIndex === 0 && (operation.op === 'y' || operation.op === 'z')
  const outputs: OutputsWire = {}
  for (const { id, output, value } of tokens.entries()) {
    const input = inputs.get(id)
    const expected = { expected_outputs: outputsOf.get(id) ?? [], expected_values: input?.atomical_value ?? 0 }
    addEntry(outputs, output, id, {
      sat_value: Number(tx.outputs[output]?.value ?? 0n),
      atomical_value: Number(value),
      input_summary_info: named ? input : expected,
      type: 'FT',
    })
  }
  return outputs
}

function nftOutputs(judged: Judged): OutputsWire {
  const inputs = inputSummaries(judged)
  const outputs: OutputsWire = {}
  for (const { id, output } of judged.coloured.blueprint.nfts) addEntry(outputs, output, id, inputs.get(id) ?? {})
  return outputs
}

interface InputSummary extends WireObject {
  readonly atomical_id: string
  readonly type: 'FT' | 'NFT'
  readonly sat_value: number
  readonly atomical_value: number
  readonly input_indexes: readonly WireObject[]
}

/** What is spent of each atomical. */
function inputSummaries({ spent }: Judged): Map<IdText, InputSummary> {
  const byId = new Map<IdText, SpentAt[]>()
  for (const holding of spent.flatMap(holdingsOf)) byId.set(holding.id, [...(byId.get(holding.id) ?? []), holding])
  return new Map([...byId].map(([id, holdings]) => [id, inputSummary(id, holdings)]))
}

function inputSummary(id: IdText, holdings: readonly SpentAt[]): InputSummary {
  const inputs = holdings.map(({ input, satoshis, value }) => ({
    txin_index: input,
    sat_value: Number(satoshis),
    atomical_value: Number(value),
  }))
  return {
    atomical_id: compactOfIdText(id),
    type: holdings[0]?.kind ?? 'FT',
    sat_value: inputs.reduce((sum, input) => sum + input.sat_value, 0),
    atomical_value: inputs.reduce((sum, input) => sum + input.atomical_value, 0),
    input_indexes: inputs,
  }
}
