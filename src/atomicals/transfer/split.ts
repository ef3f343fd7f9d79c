import type { CborMap } from '../../lib/cbor/values.ts'
import { integerOf } from '../python.ts'
import { TokenColours } from './colours.ts'
import { byText, type IdText, type Slots, type SpentSum } from './holding.ts'

/**
 * Colours by `y`: each token passes over outputs until their satoshis add up to what the payload says for its id, and
 * then takes outputs. Tokens know nothing of each other. `partial`: from CUSTOM_COLORING.
 */
export function colourSplit(
  slots: Slots,
  tokens: ReadonlyMap<IdText, SpentSum>,
  payload: CborMap,
  partial: boolean,
  compactIdOf: (id: IdText) => string,
): { readonly colours: TokenColours; readonly clean: boolean; readonly burnt: ReadonlyMap<IdText, bigint> } {
  const colours = new TokenColours()
  const burnt = new Map<IdText, bigint>()
  let clean = true
  for (const { id, value } of [...tokens.values()].sort((a, b) => byText(a.id, b.id))) {
    const skip = integerOf(payload.get(compactIdOf(id))) ?? 0n
    const take = partial ? takePartial : takeWhole
    const taken = take(slots, slots.after(skip), value, (output, units) => colours.assign(output, id, units))
    if (!taken.clean) clean = false
    if (taken.burnt !== undefined) burnt.set(id, taken.burnt)
  }
  return { colours, clean, burnt }
}

type Assign = (output: number, units: bigint) => void

interface Taken {
  readonly clean: boolean
  /** What is reported as burnt; undefined if nothing is. */
  readonly burnt: bigint | undefined
}

// CONSENSUS: a split does not pass over unspendable outputs.
/** Takes outputs up to the one that is larger than what is left, which is coloured in part. */
function takePartial(slots: Slots, from: number, value: bigint, assign: Assign): Taken {
  let left = value
  for (let output = from; output < slots.count; output++) {
    const satoshis = slots.value(output)
    assign(output, satoshis <= left ? satoshis : left)
    left -= satoshis
    if (left <= 0n) return { clean: left === 0n, burnt: undefined }
  }
  return atTheEnd(left)
}

// CONSENSUS: before CUSTOM_COLORING a split ends, and burns the rest, at an output that is larger than what is left
// after that very output was taken.
function takeWhole(slots: Slots, from: number, value: bigint, assign: Assign): Taken {
  let left = value
  for (let output = from; output < slots.count; output++) {
    const satoshis = slots.value(output)
    if (satoshis <= left) {
      assign(output, satoshis)
      left -= satoshis
      if (left === 0n) return { clean: true, burnt: undefined }
    }
    // A token of no units is reported as burnt here, all 0 of it.
    if (satoshis > left) return { clean: false, burnt: left }
  }
  return atTheEnd(left)
}

function atTheEnd(left: bigint): Taken {
  return { clean: left === 0n, burnt: left === 0n ? undefined : left }
}
