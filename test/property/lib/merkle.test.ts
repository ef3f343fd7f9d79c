import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { concat, equalBytes } from '../../../src/lib/bytes.ts'
import { sha256d } from '../../../src/lib/hash.ts'
import { MerkleCache, merkleBranch, merkleRoot, rootFromBranch } from '../../../src/lib/merkle.ts'

/** A list of `length` different hashes, flat; `seed` tells lists apart. */
function leaves(length: number, seed: number): Uint8Array {
  const flat = new Uint8Array(length * 32)
  for (let i = 0; i < length; i++) flat.set(sha256d(Uint8Array.of(seed, i, i >>> 8, i >>> 16)), i * 32)
  return flat
}

function leafAt(flat: Uint8Array, index: number): Uint8Array {
  return flat.subarray(index * 32, index * 32 + 32)
}

/** The tree by its definition: pair after pair, the odd one with itself. */
function naiveRoot(flat: Uint8Array): Uint8Array {
  let level = Array.from({ length: flat.length / 32 }, (_, i) => leafAt(flat, i))
  while (level.length > 1) {
    const above: Uint8Array[] = []
    for (let i = 0; i < level.length; i += 2) above.push(sha256d(concat(level[i]!, level[i + 1] ?? level[i]!)))
    level = above
  }
  return level[0]!
}

/** A list that can be cut back and grow again, as the headers of a chain do. */
class GrowingList {
  flat: Uint8Array
  reads = 0
  constructor(flat: Uint8Array) {
    this.flat = flat
  }
  get length(): number {
    return this.flat.length / 32
  }
  readonly source = (start: number, count: number): Promise<Uint8Array> => {
    this.reads += count
    return Promise.resolve(this.flat.slice(start * 32, (start + count) * 32))
  }
  replaceFrom(length: number, more: Uint8Array): void {
    this.flat = concat(this.flat.subarray(0, length * 32), more)
  }
}

describe('merkle trees', () => {
  it('have the root of the definition', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 70 }), fc.nat(255), (length, seed) => {
        const flat = leaves(length, seed)
        expect(merkleRoot(flat)).toEqual(naiveRoot(flat))
      }),
    )
  })

  it('have a branch for every leaf that leads to the root, and leads elsewhere for another leaf', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 70 }), fc.nat(255), (length, seed) => {
        const flat = leaves(length, seed)
        const root = merkleRoot(flat)
        for (let i = 0; i < length; i++) {
          const branch = merkleBranch(flat, i)
          expect(branch).toHaveLength(Math.ceil(Math.log2(length)))
          expect(equalBytes(rootFromBranch(leafAt(flat, i), branch, i), root)).toBe(true)
          expect(equalBytes(rootFromBranch(sha256d(root), branch, i), root)).toBe(false)
        }
      }),
    )
  })
})

const TALL = leaves(3000, 7)
/** Lengths around whole segments as well as any. */
const length = fc.oneof(
  fc.integer({ min: 1, max: 3000 }),
  fc.integer({ min: 1, max: 11 }).chain((n) => fc.integer({ min: n * 256 - 1, max: n * 256 + 1 })),
)

describe('MerkleCache', () => {
  it('proves what the whole tree proves, in any order of questions', async () => {
    const question = length.chain((n) => fc.tuple(fc.constant(n), fc.nat({ max: n - 1 })))
    await fc.assert(
      fc.asyncProperty(fc.array(question, { minLength: 1, maxLength: 6 }), async (questions) => {
        const cache = new MerkleCache(new GrowingList(TALL).source)
        for (const [n, index] of questions) {
          const flat = TALL.subarray(0, n * 32)
          const { branch, root } = await cache.branchAndRoot(n, index)
          expect(root).toEqual(merkleRoot(flat))
          expect(branch).toEqual(merkleBranch(flat, index))
        }
      }),
      { numRuns: 60 },
    )
  })

  it('answers after reorganisations as a fresh one does', async () => {
    const reorg = fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.integer({ min: 1, max: 900 }), fc.nat(255))
    await fc.assert(
      fc.asyncProperty(length, fc.array(reorg, { minLength: 1, maxLength: 3 }), fc.nat(), async (n, reorgs, pick) => {
        const list = new GrowingList(TALL.subarray(0, n * 32))
        const cache = new MerkleCache(list.source)
        await cache.branchAndRoot(n, n - 1)
        for (const [part, more, seed] of reorgs) {
          const fork = Math.floor(list.length * part)
          cache.truncate(fork)
          list.replaceFrom(fork, leaves(more, seed))
          const index = pick % list.length
          const proof = await cache.branchAndRoot(list.length, index)
          expect(proof.root).toEqual(merkleRoot(list.flat))
          expect(proof.branch).toEqual(merkleBranch(list.flat, index))
        }
      }),
      { numRuns: 60 },
    )
  })
})
