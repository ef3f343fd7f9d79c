import { type BlockHeader, HEADER_SIZE, headerHash, parseHeader, workOf } from '../chain/headers.ts'
import { InvariantError } from '../errors.ts'
import { toDisplayHex } from '../lib/bytes.ts'
import { MEDIAN_TIME_SPAN } from './params.ts'
import type { Extent } from './record-log.ts'

/** A block that is known, on whichever branch. */
export interface BlockNode {
  /** Hash as displayed; the key of a block everywhere in here. */
  readonly id: string
  readonly parent: BlockNode | undefined
  readonly height: number
  /** 80 bytes. */
  readonly rawHeader: Uint8Array
  readonly header: BlockHeader
  /** Expected hashes for the chain up to here. */
  readonly work: bigint
  readonly txCount: number
  /** How many blocks came before; decides between branches of equal work. */
  readonly arrival: number
  /** Where the block is kept; undefined for genesis. */
  readonly extent: Extent | undefined
  /** Where its undo is kept; undefined if it never was part of the active chain. */
  undo: Extent | undefined
  /** Why it was refused when it was connected, or that invalidateblock took it out. */
  failed: string | undefined
  /** True if it or a block before it has failed. */
  condemned: boolean
}

/** All blocks by hash, and which of their branches is to be the chain. */
export class BlockTree {
  readonly genesis: BlockNode
  readonly #nodes = new Map<string, BlockNode>()
  readonly #byArrival: BlockNode[] = []
  readonly #parents = new Set<BlockNode>()

  constructor(genesisHeader: Uint8Array) {
    this.genesis = this.add(genesisHeader, 1, undefined)
  }

  get size(): number {
    return this.#byArrival.length
  }

  get(id: string): BlockNode | undefined {
    return this.#nodes.get(id)
  }

  byArrival(arrival: number): BlockNode | undefined {
    return this.#byArrival[arrival]
  }

  nodes(): readonly BlockNode[] {
    return this.#byArrival
  }

  /** Adds a block whose parent is known (or genesis). */
  add(header: Uint8Array, txCount: number, extent: Extent | undefined): BlockNode {
    const rawHeader = Uint8Array.prototype.slice.call(header, 0, HEADER_SIZE)
    const parsed = parseHeader(rawHeader)
    const parent = this.#nodes.get(toDisplayHex(parsed.prevHash))
    if (parent === undefined && this.#byArrival.length > 0) throw new InvariantError('a block without its parent')
    const node: BlockNode = {
      id: toDisplayHex(headerHash(rawHeader)),
      parent,
      height: parent === undefined ? 0 : parent.height + 1,
      rawHeader,
      header: parsed,
      work: (parent?.work ?? 0n) + workOf(parsed.bits),
      txCount,
      arrival: this.#byArrival.length,
      extent,
      undo: undefined,
      failed: undefined,
      condemned: parent?.condemned ?? false,
    }
    this.#nodes.set(node.id, node)
    this.#byArrival.push(node)
    if (parent !== undefined) this.#parents.add(parent)
    return node
  }

  /** Marks a block as failed for a reason, or as good again, and all that build on it accordingly. */
  mark(node: BlockNode, failed: string | undefined): void {
    node.failed = failed
    // Parents come before their children, so one pass is enough.
    for (const each of this.#byArrival.slice(node.arrival)) {
      each.condemned = each.failed !== undefined || (each.parent?.condemned ?? false)
    }
  }

  /** Blocks that nothing builds on. */
  tips(): BlockNode[] {
    return this.#byArrival.filter((node) => !this.#parents.has(node))
  }

  /** The block with the most work that is not refused; of several, the one that came first. */
  best(): BlockNode {
    let best = this.genesis
    for (const node of this.#byArrival) if (!node.condemned && node.work > best.work) best = node
    return best
  }
}

/** The last block that two branches share. */
export function forkOf(a: BlockNode, b: BlockNode): BlockNode {
  let left: BlockNode = a
  let right: BlockNode = b
  while (left !== right) {
    const higher = left.height >= right.height ? left : right
    const { parent } = higher
    if (parent === undefined) throw new InvariantError('two blocks of different trees')
    if (higher === left) left = parent
    else right = parent
  }
  return left
}

/** The block at a lower height of the branch that ends in `node`. */
export function ancestorAt(node: BlockNode, height: number): BlockNode {
  let at = node
  while (at.height > height && at.parent !== undefined) at = at.parent
  return at
}

/** Median of the times of a block and the ten before it: what lock times are compared with (BIP113). */
export function medianTimePast(node: BlockNode): number {
  const times: number[] = []
  for (let at: BlockNode | undefined = node; at !== undefined && times.length < MEDIAN_TIME_SPAN; at = at.parent) {
    times.push(at.header.time)
  }
  times.sort((a, b) => a - b)
  return times[times.length >> 1] ?? 0
}
