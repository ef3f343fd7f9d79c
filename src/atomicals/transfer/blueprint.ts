import type { CborMap } from '../../lib/cbor/values.ts'
import { TokenColours } from './colours.ts'
import { type CustomAmounts, colourCustom, customAmounts, customOutput } from './custom.ts'
import { type IdText, type Slots, type SpentHolding, type SpentSum, sumById } from './holding.ts'
import { moveApart, moveByIndex, moveByOrder, moveTogether, type NftMove } from './nft.ts'
import { colourRegular, type RegularRules } from './regular.ts'
import { colourSplit } from './split.ts'

/** How a transaction moves what it spends. */
export type Manner =
  | { readonly kind: 'regular' }
  /** `x` */
  | { readonly kind: 'splat' }
  /** `y` */
  | { readonly kind: 'split'; readonly payload: CborMap }
  /** `z` */
  | { readonly kind: 'custom'; readonly payload: CborMap }

/** Where everything that a transaction spends goes. */
export interface Blueprint {
  readonly nfts: readonly NftMove[]
  readonly tokens: TokenColours
  /** NFTs that go nowhere. */
  readonly lostNfts: readonly IdText[]
  /** Units that are reported as burnt, by token. */
  readonly burnt: ReadonlyMap<IdText, bigint>
  /** No token was burnt, and no output coloured in part. */
  readonly clean: boolean
  /** The token that events are posted to. */
  readonly firstToken: IdText | undefined
}

/** Rules of the height. */
export type BlueprintRules = RegularRules

/**
 * Assigns what is spent to outputs. Undefined for a custom colouring that the reference halts at; such an operation is
 * ignored, so the caller asks again without it.
 */
export function drawBlueprint(
  slots: Slots,
  spent: readonly SpentHolding[],
  manner: Manner,
  rules: BlueprintRules,
  compactIdOf: (id: IdText) => string,
): Blueprint | undefined {
  const nfts = spent.filter(({ kind }) => kind === 'NFT')
  const tokens = sumById(spent.filter(({ kind }) => kind === 'FT'))
  // CONSENSUS: z before CUSTOM_COLORING is a regular transfer.
  const custom =
    manner.kind === 'custom' && rules.partial ? amountsOfAll(manner.payload, spent, compactIdOf) : undefined
  if (manner.kind === 'custom' && rules.partial && custom === undefined) return undefined
  const amountsOf = (id: IdText): CustomAmounts => custom?.get(id) ?? new Map()
  const moves = custom === undefined ? moveNfts(slots, nfts, manner, rules) : moveCustom(slots, nfts, amountsOf)
  const painted = paint(slots, tokens, manner, rules, custom === undefined ? undefined : amountsOf, compactIdOf)
  const placed = new Set(moves.map(({ id }) => id))
  return {
    nfts: moves,
    tokens: painted.colours,
    lostNfts: nfts.map(({ id }) => id).filter((id) => !placed.has(id)),
    burnt: painted.burnt,
    clean: painted.clean,
    firstToken: painted.first,
  }
}

function amountsOfAll(
  payload: CborMap,
  spent: readonly SpentHolding[],
  compactIdOf: (id: IdText) => string,
): Map<IdText, CustomAmounts> | undefined {
  const all = new Map<IdText, CustomAmounts>()
  for (const { id } of spent) {
    const amounts = all.get(id) ?? customAmounts(payload, compactIdOf(id))
    if (amounts === undefined) return undefined
    all.set(id, amounts)
  }
  return all
}

function moveNfts(slots: Slots, nfts: readonly SpentHolding[], manner: Manner, rules: BlueprintRules): NftMove[] {
  switch (manner.kind) {
    case 'splat':
      return moveApart(slots, nfts)
    case 'split':
      return moveTogether(nfts)
    default:
      return rules.byInput ? moveByOrder(slots, nfts) : moveByIndex(slots, nfts)
  }
}

function moveCustom(slots: Slots, nfts: readonly SpentHolding[], amountsOf: (id: IdText) => CustomAmounts): NftMove[] {
  const moves: NftMove[] = []
  for (const { id, satoshis } of nfts) {
    const output = customOutput(slots, satoshis, amountsOf(id))
    if (output !== undefined) moves.push({ id, output })
  }
  return moves
}

interface Painted {
  readonly colours: TokenColours
  readonly clean: boolean
  readonly burnt: ReadonlyMap<IdText, bigint>
  readonly first: IdText | undefined
}

function paint(
  slots: Slots,
  tokens: ReadonlyMap<IdText, SpentSum>,
  manner: Manner,
  rules: BlueprintRules,
  amountsOf: ((id: IdText) => CustomAmounts) | undefined,
  compactIdOf: (id: IdText) => string,
): Painted {
  if (tokens.size === 0) return { colours: new TokenColours(), clean: true, burnt: new Map(), first: undefined }
  // CONSENSUS: after a split no token counts as the first, so no event is posted and no operation noted for it.
  if (manner.kind === 'split') {
    const painted = colourSplit(slots, tokens, manner.payload, rules.partial, compactIdOf)
    return { ...painted, first: undefined }
  }
  if (amountsOf !== undefined) {
    const painted = colourCustom(slots, tokens, amountsOf)
    return { ...painted, burnt: burntOf(tokens, painted.colours), first: painted.colours.first }
  }
  return colourRegular(slots, tokens, rules)
}

/** What was not assigned. */
function burntOf(tokens: ReadonlyMap<IdText, SpentSum>, colours: TokenColours): Map<IdText, bigint> {
  const totals = colours.totals()
  const burnt = new Map<IdText, bigint>()
  for (const { id, value } of tokens.values()) {
    const left = value - (totals.get(id) ?? 0n)
    if (left > 0n) burnt.set(id, left)
  }
  return burnt
}
