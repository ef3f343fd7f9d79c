import { describe, expect, it } from 'vitest'
import { concat, copyOf } from '../../../src/lib/bytes.ts'
import { sha256d } from '../../../src/lib/hash.ts'
import {
  branchOf,
  MerkleCache,
  merkleBranch,
  merkleLevels,
  merkleRoot,
  rootFromBranch,
} from '../../../src/lib/merkle.ts'

const LEAF = Array.from({ length: 5 }, (_, i) => sha256d(Uint8Array.of(i)))
const [A, B, C] = [LEAF[0]!, LEAF[1]!, LEAF[2]!]

function numbered(length: number, seed = 0): Uint8Array {
  return concat(...Array.from({ length }, (_, i) => sha256d(Uint8Array.of(seed, i, i >>> 8, i >>> 16))))
}

describe('merkleRoot', () => {
  it('of one hash is that hash', () => {
    expect(merkleRoot(A)).toEqual(A)
    expect(merkleBranch(A, 0)).toEqual([])
  })

  it('pairs the odd one with itself', () => {
    const left = sha256d(concat(A, B))
    const right = sha256d(concat(C, C))
    expect(merkleRoot(concat(A, B, C))).toEqual(sha256d(concat(left, right)))
    expect(merkleBranch(concat(A, B, C), 2)).toEqual([C, left])
  })

  it('refuses what is no list of hashes', () => {
    for (const bytes of [new Uint8Array(0), new Uint8Array(31), new Uint8Array(33)]) {
      expect(() => merkleRoot(bytes)).toThrow(RangeError)
    }
  })

  it('gives memory of its own', () => {
    const flat = copyOf(A)
    const root = merkleRoot(flat)
    flat.fill(0)
    expect(root).toEqual(A)
  })
})

describe('branches', () => {
  it('are refused for leaves that are not there', () => {
    const levels = merkleLevels(concat(A, B, C))
    for (const index of [-1, 3, 1.5, Number.NaN]) expect(() => branchOf(levels, index)).toThrow(RangeError)
    expect(() => branchOf([], 0)).toThrow(RangeError)
  })

  it('lead to no leaf beyond their own height', () => {
    expect(() => rootFromBranch(A, [B], 2)).toThrow(RangeError)
    expect(rootFromBranch(A, [], 0)).toEqual(A)
  })
})

describe('MerkleCache', () => {
  it('reads two segments at most once it has grown', async () => {
    const flat = numbered(2000)
    let reads = 0
    const cache = new MerkleCache((start, count) => {
      reads += count
      return flat.subarray(start * 32, (start + count) * 32)
    })
    await cache.grow(2000)
    expect(reads).toBe(1792)
    reads = 0
    const proof = await cache.branchAndRoot(2000, 300)
    expect(proof.root).toEqual(merkleRoot(flat))
    expect(reads).toBe(256 + (2000 - 1792))
  })

  it('grows in reads of bounded size', async () => {
    const flat = numbered(70_000)
    const counts: number[] = []
    const cache = new MerkleCache((start, count) => {
      counts.push(count)
      return flat.subarray(start * 32, (start + count) * 32)
    })
    await cache.grow(70_000)
    expect(counts).toEqual([32_768, 32_768, 4352])
    const proof = await cache.branchAndRoot(70_000, 40_000)
    expect(proof).toEqual({ root: merkleRoot(flat), branch: merkleBranch(flat, 40_000) })
  })

  it('reads what many ask for at once only once', async () => {
    const flat = numbered(1024)
    const starts: number[] = []
    const cache = new MerkleCache(async (start, count) => {
      starts.push(start)
      return flat.subarray(start * 32, (start + count) * 32)
    })
    await Promise.all([cache.grow(1024), cache.grow(1024), cache.grow(512)])
    expect(starts).toEqual([0])
  })

  it('refuses an index beyond the length and a length beyond the list', async () => {
    const flat = numbered(600)
    const cache = new MerkleCache((start, count) => flat.subarray(start * 32, (start + count) * 32))
    await expect(cache.branchAndRoot(10, 10)).rejects.toThrow(RangeError)
    await expect(cache.branchAndRoot(0, 0)).rejects.toThrow(RangeError)
    await expect(cache.branchAndRoot(601, 0)).rejects.toThrow(RangeError)
    await expect(cache.grow(5000)).rejects.toThrow(RangeError)
    await expect(cache.branchAndRoot(600, 599)).resolves.toMatchObject({ root: merkleRoot(flat) })
  })

  it('does not let one caller fail for what another asked', async () => {
    const flat = numbered(600)
    const cache = new MerkleCache(async (start, count) => flat.subarray(start * 32, (start + count) * 32))
    const [tooFar, fine] = await Promise.allSettled([cache.grow(5000), cache.branchAndRoot(600, 0)])
    expect(tooFar.status).toBe('rejected')
    expect(fine).toMatchObject({ status: 'fulfilled', value: { root: merkleRoot(flat) } })
  })

  it('passes on what the source throws, and works again when the source does', async () => {
    const flat = numbered(600)
    let broken = true
    const cache = new MerkleCache(async (start, count) => {
      if (broken) throw new Error('disk')
      return flat.subarray(start * 32, (start + count) * 32)
    })
    await expect(cache.branchAndRoot(600, 0)).rejects.toThrow('disk')
    broken = false
    await expect(cache.branchAndRoot(600, 0)).resolves.toMatchObject({ root: merkleRoot(flat) })
  })

  it.each([
    { id: 'while it grows', grown: false },
    { id: 'while it reads the segments of the proof', grown: true },
  ])('starts over if leaves are replaced $id', async ({ grown }) => {
    const before = numbered(1000)
    const after = concat(before.subarray(0, 500 * 32), numbered(500, 1))
    let flat = before
    let reorganise = false
    const cache = new MerkleCache(async (start, count) => {
      const read = flat.slice(start * 32, (start + count) * 32)
      if (reorganise) {
        reorganise = false
        flat = after
        cache.truncate(500)
      }
      await Promise.resolve()
      return read
    })
    if (grown) await cache.grow(1000)
    reorganise = true
    const proof = await cache.branchAndRoot(1000, 999)
    expect(proof).toEqual({ root: merkleRoot(after), branch: merkleBranch(after, 999) })
  })

  it('gives away hashes that later growth does not change', async () => {
    let flat = numbered(1024)
    const cache = new MerkleCache((start, count) => flat.subarray(start * 32, (start + count) * 32))
    const proof = await cache.branchAndRoot(1024, 0)
    const kept = structuredClone(proof)
    cache.truncate(0)
    flat = numbered(1024, 1)
    await cache.grow(1024)
    expect(proof).toEqual(kept)
  })
})
