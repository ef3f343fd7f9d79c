import { concat, copyOf } from './bytes.ts'
import { sha256d } from './hash.ts'
import { emptyBatch } from './hash-batch.ts'

/** Bytes of a hash. Lists of hashes are flat: 32 bytes each, internal order, one after the other. */
const SIZE = 32

/**
 * The levels of a merkle tree from the leaves (the array given) to the root. An odd node at the end of a level is paired
 * with itself, as in Bitcoin. Throws RangeError unless there are one or more whole hashes.
 */
export function merkleLevels(hashes: Uint8Array): Uint8Array[] {
  if (hashes.length === 0 || hashes.length % SIZE !== 0) throw new RangeError('not a list of one or more hashes')
  const levels = [hashes]
  for (let level = hashes; level.length > SIZE; levels.push(level)) level = parents(level)
  return levels
}

/** Root over a flat list of hashes. Throws RangeError unless there are one or more whole hashes. */
export function merkleRoot(hashes: Uint8Array): Uint8Array {
  return rootOf(merkleLevels(hashes))
}

/** The hashes that lead from leaf `index` to the root, lowest first. Throws RangeError if there is no such leaf. */
export function merkleBranch(hashes: Uint8Array, index: number): Uint8Array[] {
  return branchOf(merkleLevels(hashes), index)
}

/** merkleBranch for a tree whose levels are known. */
export function branchOf(levels: readonly Uint8Array[], index: number): Uint8Array[] {
  checkIndex(index, (levels[0]?.length ?? 0) / SIZE)
  return levels.slice(0, -1).map((level, depth) => {
    const sibling = siblingOf(Math.floor(index / 2 ** depth), level.length / SIZE)
    return copyOf(hashAt(level, sibling))
  })
}

/** The root that a leaf at `index` has by its branch. Throws RangeError if a branch of that length cannot lead to `index`. */
export function rootFromBranch(leaf: Uint8Array, branch: readonly Uint8Array[], index: number): Uint8Array {
  checkIndex(index, 2 ** branch.length)
  return branch.reduce((node, sibling, depth) => {
    const right = Math.floor(index / 2 ** depth) % 2 === 1
    return sha256d(right ? concat(sibling, node) : concat(node, sibling))
  }, leaf)
}

/** Leaves `start` to `start + count` of a list that may grow, flat; fewer if the list ends there. */
export type LeafSource = (start: number, count: number) => Uint8Array | Promise<Uint8Array>

export interface MerkleProof {
  /** 32 bytes each, internal order, lowest first. */
  readonly branch: readonly Uint8Array[]
  /** 32 bytes, internal order. */
  readonly root: Uint8Array
}

/** Depth of the lowest nodes kept: one for 256 leaves, which with all above it is a quarter of a byte per leaf. */
const LOWEST = 8
const SEGMENT = 2 ** LOWEST
/** Leaves asked for at once while the kept levels grow: 1 MiB of hashes. */
const LONGEST_READ = SEGMENT * 128

/**
 * Proofs over the first `length` leaves of one long list, for any length: what `cp_height` of blockchain.block.header
 * asks of the header hashes. Keeps the nodes over whole segments of 256 leaves, which no later leaf can change; a proof
 * then reads two segments at most and hashes those and one path.
 */
export class MerkleCache {
  readonly #source: LeafSource
  /** Nodes of depth LOWEST, LOWEST + 1 and so on whose leaves are all there. */
  readonly #levels: HashList[] = [new HashList()]
  /** The read that makes the levels grow, if one is under way: there is never a second one. */
  #growth: Promise<void> | undefined
  /** How often leaves were taken back, so that a read from before is not taken for one from after. */
  #truncations = 0

  constructor(source: LeafSource) {
    this.#source = source
  }

  /** Forgets what stands on leaves from `length` on. To be called before the source gives others in their place. */
  truncate(length: number): void {
    this.#truncations += 1
    for (const [i, level] of this.#levels.entries()) level.truncate(Math.floor(length / 2 ** (LOWEST + i)))
  }

  /** Reads ahead, so that the first proof need not. Throws RangeError if the list is shorter, and what the source throws. */
  async grow(length: number): Promise<void> {
    while (this.#segments < Math.floor(length / SEGMENT)) {
      if (this.#growth === undefined) {
        this.#growth = this.#readMore(length).finally(() => {
          this.#growth = undefined
        })
        await this.#growth
      } else {
        // Whoever began it hears of its failure; here it only means to look again.
        await Promise.allSettled([this.#growth])
      }
    }
  }

  /**
   * The proof that leaf `index` is among the first `length` leaves. Throws RangeError if it cannot be or if the list is
   * shorter, and what the source throws.
   */
  async branchAndRoot(length: number, index: number): Promise<MerkleProof> {
    checkIndex(index, length)
    const ownStart = index - (index % SEGMENT)
    const lastStart = length - 1 - ((length - 1) % SEGMENT)
    for (;;) {
      const before = this.#truncations
      await this.grow(length)
      const [own, last] = await Promise.all([
        this.#read(ownStart, Math.min(SEGMENT, length - ownStart)),
        ownStart === lastStart ? undefined : this.#read(lastStart, length - lastStart),
      ])
      // Leaves of two chains make no proof; every further turn takes one more reorganisation.
      if (before === this.#truncations) return this.#prove(length, index, own, last ?? own)
    }
  }

  get #segments(): number {
    return this.#levels[0]?.length ?? 0
  }

  #prove(length: number, index: number, own: Uint8Array, last: Uint8Array): MerkleProof {
    if (length <= SEGMENT) {
      const levels = merkleLevels(own)
      return { branch: branchOf(levels, index), root: rootOf(levels) }
    }
    const branch = branchOf(this.#segmentLevels(own), index % SEGMENT)
    // The last node of each depth: the only one that the kept levels may lack.
    let edge = rootOf(this.#segmentLevels(last))
    let node = Math.floor(index / SEGMENT)
    let count = Math.ceil(length / SEGMENT)
    for (let depth = 0; count > 1; depth++) {
      const sibling = siblingOf(node, count)
      branch.push(sibling === count - 1 ? edge : this.#kept(depth, sibling))
      edge = parent(count % 2 === 0 ? this.#kept(depth, count - 2) : edge, edge)
      node = Math.floor(node / 2)
      count = Math.ceil(count / 2)
    }
    return { branch, root: edge }
  }

  /** Levels of a segment inside a larger tree: up to depth LOWEST, even if few leaves would need fewer levels. */
  #segmentLevels(leaves: Uint8Array): Uint8Array[] {
    const levels = merkleLevels(leaves)
    while (levels.length <= LOWEST) levels.push(parents(levels.at(-1) ?? leaves))
    return levels
  }

  async #readMore(length: number): Promise<void> {
    const before = this.#truncations
    const start = this.#segments * SEGMENT
    const whole = length - (length % SEGMENT)
    const leaves = await this.#read(start, Math.min(whole - start, LONGEST_READ))
    if (before !== this.#truncations) return
    for (let offset = 0; offset < leaves.length; offset += SEGMENT * SIZE) {
      this.#append(rootOf(merkleLevels(leaves.subarray(offset, offset + SEGMENT * SIZE))))
    }
  }

  async #read(start: number, count: number): Promise<Uint8Array> {
    const leaves = await this.#source(start, count)
    if (leaves.length !== count * SIZE) throw new RangeError(`no leaves ${start} to ${start + count}`)
    return leaves
  }

  /** Keeps the node over the next segment and every node above that it completes. */
  #append(segmentRoot: Uint8Array): void {
    let node = segmentRoot
    for (let depth = 0; ; depth++) {
      const level = (this.#levels[depth] ??= new HashList())
      level.push(node)
      if (level.length % 2 === 1) return
      node = parent(level.at(level.length - 2), node)
    }
  }

  #kept(depth: number, node: number): Uint8Array {
    const level = this.#levels[depth]
    if (level === undefined) throw new RangeError(`no nodes of depth ${LOWEST + depth}`)
    return level.at(node)
  }
}

/** A flat list of hashes that grows at its end. */
class HashList {
  #bytes = new Uint8Array(64 * SIZE)
  #length = 0

  get length(): number {
    return this.#length
  }

  push(hash: Uint8Array): void {
    if (this.#bytes.length === this.#length * SIZE) {
      const larger = new Uint8Array(this.#bytes.length * 2)
      larger.set(this.#bytes)
      this.#bytes = larger
    }
    this.#bytes.set(hash, this.#length * SIZE)
    this.#length += 1
  }

  /** A copy: what is given away must not change when the list is cut back and grows again. */
  at(index: number): Uint8Array {
    checkIndex(index, this.#length)
    return copyOf(hashAt(this.#bytes, index))
  }

  truncate(length: number): void {
    this.#length = Math.min(this.#length, length)
  }
}

function rootOf(levels: readonly Uint8Array[]): Uint8Array {
  const top = levels.at(-1)
  if (top === undefined) throw new RangeError('a tree without levels')
  return copyOf(top)
}

/** Nodes above `level`; see merkleLevels. */
function parents(level: Uint8Array): Uint8Array {
  const count = Math.ceil(level.length / SIZE / 2)
  const batch = emptyBatch()
  batch.append(level)
  // What stands behind the last node of an odd level is that node once more.
  if (count * SIZE * 2 > level.length) batch.append(level.subarray(-SIZE))
  const above = new Uint8Array(count * SIZE)
  const offsets = new Uint32Array(count)
  for (let pair = 0; pair < count; pair++) offsets[pair] = pair * SIZE * 2
  const lengths = new Uint32Array(count).fill(SIZE * 2)
  batch.hash(offsets, lengths, { target: above, size: SIZE, twice: true })
  return above
}

function parent(left: Uint8Array, right: Uint8Array): Uint8Array {
  return parents(concat(left, right))
}

/** The node that `node` is hashed with: its neighbour in the pair, or itself if it is odd and the last. */
function siblingOf(node: number, count: number): number {
  const neighbour = node % 2 === 0 ? node + 1 : node - 1
  return neighbour < count ? neighbour : node
}

function hashAt(hashes: Uint8Array, index: number): Uint8Array {
  return hashes.subarray(index * SIZE, (index + 1) * SIZE)
}

function checkIndex(index: number, count: number): void {
  if (!Number.isInteger(index) || index < 0 || index >= count) throw new RangeError(`no leaf ${index} of ${count}`)
}
