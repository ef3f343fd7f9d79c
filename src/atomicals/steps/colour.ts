import type { CborMap } from '../../lib/cbor/values.ts'
import type { Effect } from '../effects.ts'
import { compactOfIdText } from '../id-text.ts'
import type { ActivityName, HeldKind, OutputRow } from '../layout.ts'
import type { PlacedTx } from '../ledger.ts'
import type { OperationName } from '../operation.ts'
import { type Blueprint, type BlueprintRules, drawBlueprint, type Manner } from '../transfer/blueprint.ts'
import { type IdText, Slots, type SpentHolding } from '../transfer/holding.ts'

/** What steps look at of an operation. */
export interface TxOperation {
  readonly op: OperationName
  /** See operation.ts: most operations count with 0 only. */
  readonly inputIndex: number
  readonly payload: CborMap
  /** As pushed; only where somebody shows it. */
  readonly payloadBytes?: Uint8Array
}

export interface Coloured {
  readonly blueprint: Blueprint
  readonly effects: readonly Effect[]
  /** What the activity log calls it; undefined if it has no word for it. */
  readonly activity: ActivityName | undefined
  readonly outputs: readonly OutputRow[]
}

/**
 * Moves what a transaction spends. Undefined if the reference halts at the operation: then there is none, and the caller
 * asks again without it.
 */
export function colour(
  { tx }: PlacedTx,
  spent: readonly SpentHolding[],
  operation: TxOperation | undefined,
  rules: BlueprintRules,
): Coloured | undefined {
  const slots = Slots.of(tx)
  const blueprint = drawBlueprint(slots, spent, mannerOf(operation), rules, compactOfIdText)
  if (blueprint === undefined) return undefined
  const byId = new Map(spent.map((holding) => [holding.id, holding]))
  const nfts = blueprint.nfts.map(({ id, output }) => moveNft(byId.get(id), id, output, slots, operation))
  const tokens = moveTokens(blueprint, operation)
  const moved = nfts.length > 0 || !blueprint.tokens.isEmpty
  const names: (ActivityName | undefined)[] = [
    moved && operation === undefined ? 'transfer' : undefined,
    ...nfts.map(({ name }) => name),
    tokens.name,
  ]
  return {
    blueprint,
    effects: [...nfts.flatMap(({ effects }) => effects), ...tokens.effects],
    activity: names.findLast((name) => name !== undefined),
    outputs: outputsOf(blueprint, byId),
  }
}

function mannerOf(operation: TxOperation | undefined): Manner {
  if (operation?.inputIndex !== 0) return { kind: 'regular' }
  switch (operation.op) {
    case 'x':
      return { kind: 'splat' }
    case 'y':
      return { kind: 'split', payload: operation.payload }
    case 'z':
      return { kind: 'custom', payload: operation.payload }
    default:
      return { kind: 'regular' }
  }
}

/** Operations that name the activity wherever something moves under them. */
const NFT_ACTIVITY: ReadonlyMap<OperationName, ActivityName> = new Map([
  ['mod', 'mod'],
  ['evt', 'evt'],
  ['x', 'splat'],
  ['y', 'split'],
  ['z', 'custom-color'],
])
const TOKEN_ACTIVITY: ReadonlyMap<OperationName, ActivityName> = new Map([
  ...NFT_ACTIVITY,
  ['dft', 'dft'],
  ['dat', 'dat'],
])

interface Moved {
  readonly effects: readonly Effect[]
  readonly name: ActivityName | undefined
}

export function heldKind({ kind, immutable }: Pick<SpentHolding, 'kind' | 'immutable'>): HeldKind {
  if (kind === 'FT') return 'token'
  return immutable ? 'immutable-nft' : 'nft'
}

function moveNft(
  holding: SpentHolding | undefined,
  id: IdText,
  output: number,
  slots: Slots,
  operation: TxOperation | undefined,
): Moved {
  const immutable = holding?.immutable === true
  const effects: Effect[] = []
  const counts = operation?.inputIndex === 0
  if (!immutable && counts && (operation.op === 'mod' || operation.op === 'evt')) {
    effects.push({ kind: 'change', id, change: operation.op, output })
  }
  if (counts && operation.op === 'sl') {
    return { effects: [...effects, { kind: 'seal', id, output }], name: 'seal' }
  }
  const value = Number(slots.value(output))
  effects.push({ kind: 'hold', output, held: { id, kind: immutable ? 'immutable-nft' : 'nft', value } })
  const name = operation === undefined || immutable ? undefined : NFT_ACTIVITY.get(operation.op)
  return { effects, name }
}

function moveTokens({ tokens, firstToken }: Blueprint, operation: TxOperation | undefined): Moved {
  const effects: Effect[] = []
  for (const { output, id, value } of tokens.entries()) {
    effects.push({ kind: 'hold', output, held: { id, kind: 'token', value: Number(value) } })
  }
  if (effects.length === 0 || firstToken === undefined || operation === undefined) return { effects, name: undefined }
  // CONSENSUS: an event is posted to the first token only, at output 0.
  if (operation.op === 'evt' && operation.inputIndex === 0) {
    effects.push({ kind: 'change', id: firstToken, change: 'evt', output: 0 })
  }
  return { effects, name: TOKEN_ACTIVITY.get(operation.op) }
}

function outputsOf({ nfts, tokens }: Blueprint, byId: ReadonlyMap<IdText, SpentHolding>): OutputRow[] {
  const rows: OutputRow[] = []
  for (const { output, id, value } of tokens.entries()) rows.push({ output, id, kind: 'token', value: Number(value) })
  for (const { id, output } of nfts) {
    const holding = byId.get(id)
    if (holding !== undefined) rows.push({ output, id, kind: heldKind(holding), value: Number(holding.value) })
  }
  return rows
}
