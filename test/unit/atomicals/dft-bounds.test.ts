import { describe, expect, it } from 'vitest'
import { type DftRequest, dftRequest } from '../../../src/atomicals/mint/dft.ts'
import { CborMap } from '../../../src/lib/cbor/values.ts'
import { decodeCbor } from '../../../src/lib/cbor.ts'
import { encodeCbor, type Plain, type PlainMap } from '../../support/atomicals-chain.ts'

const FIXED = { request_ticker: 'tok', mint_height: 0, mint_amount: 1000, max_mints: 10 }
const PERPETUAL = { ...FIXED, md: 1, bv: 'abcd', bci: 1 }

function deploy(args: PlainMap, density = true): DftRequest | undefined {
  const map = decodeCbor(encodeCbor(args))
  if (!(map instanceof CborMap)) throw new Error('not a map')
  return dftRequest({ args: map, immutable: false, work: { commit: undefined, reveal: undefined } }, density)
}

/** Which of these values of an argument make a token. */
function taken(base: PlainMap, name: string, values: readonly Plain[], density = true): Plain[] {
  return values.filter((value) => deploy({ ...base, [name]: value }, density) !== undefined)
}

describe('terms of a distributed token', () => {
  it('have an amount of 546 to 100,000,000 units a mint', () => {
    expect(taken(FIXED, 'mint_amount', [545, 546, 100_000_000, 100_000_001])).toEqual([546, 100_000_000])
  })

  it('begin at a height of 0 to 10,000,000', () => {
    expect(taken(FIXED, 'mint_height', [-1, 0, true, 10_000_000, 10_000_001])).toEqual([0, true, 10_000_000])
  })

  it('have one mint at least and 21,000,000 at most, before DENSITY 500,000', () => {
    const counts = [0, 1, 500_000, 500_001, 21_000_000, 21_000_001]
    expect(taken(FIXED, 'max_mints', counts)).toEqual([1, 500_000, 500_001, 21_000_000])
    expect(taken(FIXED, 'max_mints', counts, false)).toEqual([1, 500_000])
  })

  it('are fixed where md is 0, null or not there, and nothing where it is something else', () => {
    const kind = (md: Plain) => deploy({ ...PERPETUAL, md })?.terms.mode.kind
    expect([0, false, null].map(kind)).toEqual(['fixed', 'fixed', 'fixed'])
    expect([1, true].map(kind)).toEqual(['perpetual', 'perpetual'])
    expect([2, -1, '1', ''].map(kind)).toEqual([undefined, undefined, undefined, undefined])
    expect(deploy(FIXED)?.terms.mode.kind).toBe('fixed')
  })
})

describe('terms of a perpetual token', () => {
  it('have 100,000 mints a step at most', () => {
    expect(taken(PERPETUAL, 'max_mints', [1, 100_000, 100_001])).toEqual([1, 100_000])
    expect(taken(PERPETUAL, 'max_mints', [100_001], false)).toEqual([100_001])
  })

  it('have a vector of four letters and digits or more, with a line feed among them', () => {
    expect(taken(PERPETUAL, 'bv', ['abc', 'abcd', 'abc\n', 'zzzz', 'ABCD', 'ab cd', ''])).toEqual([
      'abcd',
      'abc\n',
      'zzzz',
    ])
  })

  it('raise the work of commits, of reveals or of both, by 64 sixteenths of a digit at most', () => {
    const steps = [-1, 0, 1, true, 64, 65, null, '']
    expect(taken(PERPETUAL, 'bci', steps)).toEqual([1, true, 64])
    expect(taken({ ...PERPETUAL, bri: 5 }, 'bci', steps)).toEqual([0, 1, true, 64, null])
    expect(taken({ ...PERPETUAL, bci: 0 }, 'bri', steps)).toEqual([1, true, 64])
    expect(taken(PERPETUAL, 'bri', steps)).toEqual([0, 1, true, 64, null])
  })

  it('start at 64 to 256 sixteenths of a digit, and at 64 where nothing is said', () => {
    const starts = [63, 64, 256, 257, null, true]
    expect(taken(PERPETUAL, 'bcs', starts)).toEqual([64, 256])
    expect(taken({ ...PERPETUAL, bri: 1 }, 'brs', starts)).toEqual([64, 256])
    // Where nothing is raised, nobody looks at the start.
    expect(taken(PERPETUAL, 'brs', starts)).toEqual(starts)
    expect(deploy({ ...PERPETUAL, bri: 2 })?.terms.mode).toEqual({
      kind: 'perpetual',
      vector: 'abcd',
      commit: { increment: 1, start: 64 },
      reveal: { increment: 2, start: 64 },
      maxMintsGlobal: undefined,
    })
  })

  it('may end after 1 to 21,000,000 mints', () => {
    expect(taken(PERPETUAL, 'maxg', [0, 1, 21_000_000, 21_000_001, null, ''])).toEqual([1, 21_000_000, null])
  })

  it('ask for no other work', () => {
    expect(taken(PERPETUAL, 'mint_bitworkc', ['12', '', 0])).toEqual(['', 0])
    expect(taken(PERPETUAL, 'mint_bitworkr', ['12', '', 0])).toEqual(['', 0])
  })
})
