import { CborMap } from '../../lib/cbor/values.ts'
import { type Conversion, integerFrom } from '../python.ts'
import { TokenColours } from './colours.ts'
import { byText, type IdText, type Slots, type SpentSum } from './holding.ts'

/** Amounts by output, as `z` names them for one atomical. */
export type CustomAmounts = ReadonlyMap<bigint, bigint>

/**
 * What the payload of a `z` says for an atomical; nothing named is an empty map. Undefined where the reference halts:
 * amounts that are no map, infinite ones.
 */
export function customAmounts(payload: CborMap, compactId: string): CustomAmounts | undefined {
  const named = payload.get(compactId)
  if (named === undefined) return new Map()
  if (!(named instanceof CborMap)) return undefined
  const amounts = new Map<bigint, bigint>()
  for (const { key, value } of named.entries()) {
    const output = converted(integerFrom(key), -1n)
    const amount = converted(integerFrom(value), 0n)
    if (output === undefined || amount === undefined) return undefined
    amounts.set(output, amount)
  }
  return amounts
}

function converted(conversion: Conversion, otherwise: bigint): bigint | undefined {
  switch (conversion.kind) {
    case 'integer':
      return conversion.value
    case 'none':
      return otherwise
    default:
      return undefined
  }
}

/** Colours by `z`: each token goes to the outputs named for it, as far as it and they reach. */
export function colourCustom(
  slots: Slots,
  tokens: ReadonlyMap<IdText, SpentSum>,
  amountsOf: (id: IdText) => CustomAmounts,
): { readonly colours: TokenColours; readonly clean: boolean } {
  const colours = new TokenColours()
  let clean = true
  for (const { id, value } of [...tokens.values()].sort((a, b) => byText(a.id, b.id))) {
    const amounts = amountsOf(id)
    let left = value
    for (const [output, wanted] of named(slots, amounts)) {
      if (left <= 0n) break
      const satoshis = slots.value(output)
      // Never more than remains: rule since 1.5.2.0 (PR #242), for all heights.
      const units = [wanted, satoshis, left].reduce((least, other) => (other < least ? other : least))
      if (units < satoshis) clean = false
      colours.assign(output, id, units)
      left -= units
    }
    if (left > 0n) clean = false
  }
  return { colours, clean }
}

// CONSENSUS: an NFT that z names for several outputs goes to output 0; one that it does not name is lost.
/** The output that an NFT of `value` satoshis goes to by `z`, or undefined if it is lost. */
export function customOutput(slots: Slots, value: bigint, amounts: CustomAmounts): number | undefined {
  if (value <= 0n) return undefined
  const [first] = named(slots, amounts)
  if (first === undefined) return undefined
  return amounts.size > 1 ? 0 : first[0]
}

/** Outputs that are there and named with an amount above zero, in order. */
function named(slots: Slots, amounts: CustomAmounts): (readonly [output: number, amount: bigint])[] {
  const found: (readonly [number, bigint])[] = []
  for (const [output, amount] of amounts) {
    if (amount > 0n && output >= 0n && output < BigInt(slots.count)) found.push([Number(output), amount])
  }
  return found.sort(([a], [b]) => a - b)
}
