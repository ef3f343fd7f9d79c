import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { foldInTurns, foldState, type StateChange } from '../../../src/atomicals/state.ts'
import { CborMap } from '../../../src/lib/cbor/values.ts'
import { decodeCbor } from '../../../src/lib/cbor.ts'
import { toOracle } from '../../support/cbor-oracle.ts'
import {
  cborOf,
  type Draft,
  type DraftKey,
  type DraftMap,
  leaf,
  modelState,
  textKey,
} from '../../support/state-model.ts'

const TRUE = leaf('f5', ['bool', true], true)
const ONE = leaf('01', ['int', '1'], true)
const ONE_FLOAT = leaf('f93c00', ['float', '3ff0000000000000'], true)

const leaves = fc.constantFrom(
  TRUE,
  ONE,
  ONE_FLOAT,
  leaf('f4', ['bool', false], false),
  leaf('f6', ['null'], false),
  leaf('f7', ['undefined'], false),
  leaf('00', ['int', '0'], false),
  leaf('05', ['int', '5'], true),
  leaf('f90000', ['float', '0000000000000000'], false),
  leaf('f97e00', ['float', '7ff8000000000000'], true),
  leaf('60', ['text', ''], false),
  leaf('6178', ['text', 'x'], true),
  leaf('40', ['bytes', ''], false),
  leaf('41ff', ['bytes', 'ff'], true),
  leaf('d9010280', ['set', []], false),
  leaf('d9010281f5', ['set', [['bool', true]]], true),
  leaf('c4820000', ['decimal', '0'], false),
)

/** Python takes 1, 1.0 and true for one key; a text and the bytes of it are two. */
const keys: fc.Arbitrary<DraftKey> = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...['a', 'b', 'c', '$a', 'args', '1', '__proto__'].map(textKey)) },
  {
    weight: 2,
    arbitrary: fc.constantFrom<DraftKey>(
      { name: '\u0000one', hex: '01', seen: ['int', '1'] },
      { name: '\u0000one', hex: 'f93c00', seen: ['float', '3ff0000000000000'] },
      { name: '\u0000one', hex: 'f5', seen: ['bool', true] },
      { name: '\u0000bytes a', hex: '4161', seen: ['bytes', '61'] },
      { name: '\u0000null', hex: 'f6', seen: ['null'] },
    ),
  },
)

const { value: values, map: maps } = fc.letrec<{ value: Draft; map: DraftMap; list: Draft }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthSize: 'large' },
    leaves,
    fc.constant(TRUE),
    { weight: 3, arbitrary: tie('map') },
    tie('list'),
  ),
  map: fc.array(fc.tuple(keys, tie('value')), { maxLength: 4 }).map((entries): DraftMap => ({ kind: 'map', entries })),
  list: fc.array(tie('value'), { maxLength: 2 }).map((items): Draft => ({ kind: 'list', items })),
}))

/** What names the action, which only 1 and true are. */
const actions: fc.Arbitrary<Draft | undefined> = fc.oneof(
  { weight: 4, arbitrary: fc.constant(ONE) },
  { weight: 1, arbitrary: fc.constant(TRUE) },
  { weight: 4, arbitrary: fc.constant(undefined) },
  { weight: 1, arbitrary: values },
)

const changes = fc.array(
  fc.tuple(actions, maps, fc.boolean()).map(([action, { entries }, first]): DraftMap => {
    const named = action === undefined ? [] : [[textKey('$a'), action] as const]
    return { kind: 'map', entries: first ? [...named, ...entries] : [...entries, ...named] }
  }),
  { maxLength: 12 },
)

function decoded(drafts: readonly DraftMap[]): StateChange[] {
  return drafts.map((draft, txNum) => {
    const payload = decodeCbor(cborOf(draft))
    if (!(payload instanceof CborMap)) throw new Error('a draft is no map')
    return { txNum, height: txNum, payload }
  })
}

describe('folding changes of a state', () => {
  it('gives what the reference makes of them: values, kinds, and the order of keys', () => {
    fc.assert(
      fc.property(changes, (drafts) => {
        expect(toOracle(foldState(decoded(drafts)))).toEqual(modelState(drafts))
      }),
      { numRuns: 10_000 },
    )
  })

  it('leaves changes as they were, so that they can be folded again, or fewer of them', async () => {
    await fc.assert(
      fc.asyncProperty(changes, async (drafts) => {
        const once = decoded(drafts)
        const payloads = once.map(({ payload }) => toOracle(payload))
        const early = foldState(once.slice(0, -1))
        const folded = await foldInTurns(once, () => Promise.resolve())
        expect(toOracle(folded)).toEqual(modelState(drafts))
        expect(toOracle(foldState(once))).toEqual(modelState(drafts))
        expect(toOracle(early)).toEqual(modelState(drafts.slice(0, -1)))
        expect(once.map(({ payload }) => toOracle(payload))).toEqual(payloads)
      }),
      { numRuns: 3000 },
    )
  })

  it('follows a change into 900 maps inside maps and no further', () => {
    const nested = (depth: number, inner: Draft): DraftMap => {
      let draft: Draft = inner
      for (let i = 0; i < depth; i++) draft = { kind: 'map', entries: [[textKey('m'), draft]] }
      return draft as DraftMap
    }
    const deletion = (depth: number): DraftMap => {
      const { entries } = nested(depth, TRUE)
      return { kind: 'map', entries: [[textKey('$a'), ONE], ...entries] }
    }
    const depthOf = (state: CborMap): number => {
      let depth = 0
      for (let at: unknown = state; at instanceof CborMap; at = at.get('m')) depth += 1
      return depth
    }
    const deep = nested(950, ONE)
    expect(depthOf(foldState(decoded([deep, deletion(900)])))).toBe(900)
    expect(depthOf(foldState(decoded([deep, deletion(901)])))).toBe(901)
    expect(depthOf(foldState(decoded([deep, deletion(902)])))).toBe(950)
    expect(depthOf(foldState(decoded([deep, nested(901, TRUE)])))).toBe(950)
  })
})
