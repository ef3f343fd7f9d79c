import { TokenColours } from './colours.ts'
import { byText, type IdText, type Slots, type SpentSum } from './holding.ts'

export interface RegularRules {
  /** From DMINT: tokens in the order of the inputs that bring them, else by id. */
  readonly byInput: boolean
  /** From CUSTOM_COLORING: an output may be coloured in part. */
  readonly partial: boolean
}

interface Assignment {
  /** Every unit went to outputs that are coloured in full. */
  readonly clean: boolean
  readonly outputs: readonly number[]
  /** Units that found no output. */
  readonly left: bigint
}

export interface RegularColours {
  readonly colours: TokenColours
  /** Nothing was burnt, and no output coloured in part. */
  readonly clean: boolean
  /** What is reported as burnt. */
  readonly burnt: ReadonlyMap<IdText, bigint>
  /** The token that took its outputs first. */
  readonly first: IdText | undefined
}

/** Colours outputs with tokens, first in, first out. */
export function colourRegular(
  slots: Slots,
  tokens: ReadonlyMap<IdText, SpentSum>,
  rules: RegularRules,
): RegularColours {
  const ordered = order(tokens, rules.byInput)
  const burnt = new Map<IdText, bigint>()
  const planned = oneAfterTheOther(slots, ordered, rules, burnt)
  const assignments = planned ?? allFromTheFirst(slots, ordered, rules, burnt)
  const colours = new TokenColours()
  for (const [i, { id, value }] of ordered.entries()) {
    let left = value
    for (const output of assignments[i]?.outputs ?? []) {
      const units = smaller(left, slots.value(output))
      left -= units
      colours.assign(output, id, units)
    }
  }
  const clean = planned?.every((assignment) => assignment.clean) ?? false
  return { colours, clean, burnt, first: ordered[0]?.id }
}

function order(tokens: ReadonlyMap<IdText, SpentSum>, byInput: boolean): SpentSum[] {
  return [...tokens.values()].sort((a, b) => (byInput ? a.firstInput - b.firstInput : 0) || byText(a.id, b.id))
}

// CONSENSUS: from CUSTOM_COLORING a token that finds no output after those of the tokens before it is reported as burnt,
// though it then begins at output 0 and may keep everything.
/** Each token begins after the last output of the one before. Undefined if a token does not find its place so. */
function oneAfterTheOther(
  slots: Slots,
  ordered: readonly SpentSum[],
  rules: RegularRules,
  burnt: Map<IdText, bigint>,
): readonly Assignment[] | undefined {
  const assignments: Assignment[] = []
  let start = 0
  for (const { id, value } of ordered) {
    const assignment = take(slots, value, start, rules)
    const last = assignment.outputs.at(-1)
    if (rules.partial && assignment.left > 0n) burnt.set(id, assignment.left)
    if (last === undefined || !(rules.partial || assignment.clean)) return undefined
    assignments.push(assignment)
    start = last + 1
  }
  return assignments
}

// CONSENSUS: if one token does not find its place, all tokens begin at output 0 and may share outputs.
function allFromTheFirst(
  slots: Slots,
  ordered: readonly SpentSum[],
  rules: RegularRules,
  burnt: Map<IdText, bigint>,
): readonly Assignment[] {
  return ordered.map(({ id, value }) => {
    const assignment = take(slots, value, 0, rules)
    if (assignment.left > 0n) burnt.set(id, assignment.left)
    return assignment
  })
}

/** Outputs from `start` on that `value` units colour; behind the last output nothing counts as left. */
function take(slots: Slots, value: bigint, start: number, { partial }: RegularRules): Assignment {
  const outputs: number[] = []
  if (start >= slots.count) return { clean: false, outputs, left: 0n }
  let left = value
  for (let at = slots.firstSpendable(start); at < slots.spendable.length; at++) {
    const output = slots.spendable[at] ?? 0
    const satoshis = slots.value(output)
    if (satoshis > left && !partial) break
    outputs.push(output)
    left -= satoshis
    if (left <= 0n) return { clean: left === 0n, outputs, left: 0n }
  }
  return { clean: false, outputs, left }
}

function smaller(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}
