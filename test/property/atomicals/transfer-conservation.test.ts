import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compactOfIdText, idText } from '../../../src/atomicals/id-text.ts'
import { drawBlueprint, type Manner } from '../../../src/atomicals/transfer/blueprint.ts'
import { Slots, type SpentHolding, sumById } from '../../../src/atomicals/transfer/holding.ts'
import { CborMap } from '../../../src/lib/cbor/values.ts'
import { decodeCbor } from '../../../src/lib/cbor.ts'
import { encodeCbor, type Plain } from '../../support/atomicals-chain.ts'

const IDS = Array.from({ length: 6 }, (_, n) => idText(new Uint8Array(32).fill(n + 1), n))
/** Even ones are tokens. */
const isToken = (n: number): boolean => n % 2 === 0

const satoshis = fc.bigInt({ min: 0n, max: 30n })
const slots = fc.array(fc.record({ value: satoshis, unspendable: fc.boolean() }), { minLength: 1, maxLength: 8 })

const holdings = fc
  .array(fc.record({ input: fc.nat(3), n: fc.nat(5), satoshis, missing: fc.bigInt({ min: 0n, max: 5n }) }), {
    maxLength: 8,
  })
  .map((drafts) => {
    const nfts = new Set<number>()
    const spent: SpentHolding[] = []
    for (const { input, n, satoshis: worth, missing } of [...drafts].sort((a, b) => a.input - b.input)) {
      if (!isToken(n) && nfts.has(n)) continue
      if (!isToken(n)) nfts.add(n)
      // From CUSTOM_COLORING an output may hold fewer units than satoshis.
      const value = isToken(n) && worth > missing ? worth - missing : worth
      const kind = isToken(n) ? 'FT' : 'NFT'
      spent.push({ id: IDS[n] ?? '', kind, immutable: false, value, input, satoshis: worth })
    }
    return spent
  })

function mapOf(value: Plain): CborMap {
  const map = decodeCbor(encodeCbor(value))
  if (!(map instanceof CborMap)) throw new Error('not a map')
  return map
}

const compactIds = IDS.map((id) => compactOfIdText(id))
const skips = fc.dictionary(fc.constantFrom(...compactIds), fc.integer({ min: -2, max: 40 })).map(mapOf)
const amounts = fc
  .dictionary(
    fc.constantFrom(...compactIds),
    fc.dictionary(fc.constantFrom('0', '1', '2', '3', '9', 'x'), fc.integer({ min: -2, max: 40 })),
  )
  .map(mapOf)

const manner: fc.Arbitrary<Manner> = fc.oneof(
  fc.constant<Manner>({ kind: 'regular' }),
  fc.constant<Manner>({ kind: 'splat' }),
  skips.map((payload): Manner => ({ kind: 'split', payload })),
  amounts.map((payload): Manner => ({ kind: 'custom', payload })),
)

const rules = fc.constantFrom(
  { byInput: false, partial: false },
  { byInput: true, partial: false },
  { byInput: true, partial: true },
)

describe('colouring, whatever is spent and however', () => {
  const plan = fc.tuple(slots, holdings, manner, rules)

  it('gives out no more units of a token than come in, and reports at least what is missing as burnt', () => {
    fc.assert(
      fc.property(plan, ([all, spent, how, height]) => {
        const blueprint = drawBlueprint(new Slots(all), spent, how, height, compactOfIdText)
        if (blueprint === undefined) throw new Error('these amounts are no reason to ignore the operation')
        const totals = blueprint.tokens.totals()
        for (const { id, value } of sumById(spent.filter(({ kind }) => kind === 'FT')).values()) {
          const given = totals.get(id) ?? 0n
          expect(given <= value).toBe(true)
          expect((blueprint.burnt.get(id) ?? 0n) >= value - given).toBe(true)
        }
        const known = new Set(spent.map(({ id }) => id))
        expect([...totals.keys()].every((id) => known.has(id))).toBe(true)
      }),
      { numRuns: 2_000 },
    )
  })

  it('colours no output with more units than it has satoshis, nor an unspendable one but by a split or by name', () => {
    fc.assert(
      fc.property(plan, ([all, spent, how, height]) => {
        const blueprint = drawBlueprint(new Slots(all), spent, how, height, compactOfIdText)
        for (const { output, value } of blueprint?.tokens.entries() ?? []) {
          const slot = all[output]
          expect(slot !== undefined && value <= slot.value && value >= 0n).toBe(true)
          const regular = how.kind === 'regular' || how.kind === 'splat' || (how.kind === 'custom' && !height.partial)
          if (regular) expect(slot?.unspendable).toBe(false)
        }
      }),
      { numRuns: 2_000 },
    )
  })

  it('puts every NFT into one place, or loses it by z alone', () => {
    fc.assert(
      fc.property(plan, ([all, spent, how, height]) => {
        const blueprint = drawBlueprint(new Slots(all), spent, how, height, compactOfIdText)
        const moved = blueprint?.nfts.map(({ id }) => id) ?? []
        expect(new Set(moved).size).toBe(moved.length)
        const nfts = spent.filter(({ kind }) => kind === 'NFT').map(({ id }) => id)
        expect([...moved, ...(blueprint?.lostNfts ?? [])].sort()).toEqual([...nfts].sort())
        if (how.kind !== 'custom' || !height.partial) expect(blueprint?.lostNfts).toEqual([])
        expect(blueprint?.nfts.every(({ output }) => output < all.length)).toBe(true)
      }),
      { numRuns: 2_000 },
    )
  })
})
