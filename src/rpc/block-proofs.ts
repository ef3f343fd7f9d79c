import type { ChainView } from '../db/view.ts'
import type { Awaitable } from '../lib/awaitable.ts'
import { readUint32LE, toLatin1 } from '../lib/bytes.ts'
import { merkleLevels } from '../lib/merkle.ts'
import { CacheTallies, type CacheTally } from '../metrics.ts'

const HASH_SIZE = 32
const WORD_SIZE = 4
/** Blocks of fewer transactions are hashed anew each time; so ElectrumX does, and charges by it. */
const WORTH_KEEPING = 200

export interface BlockProofsOptions {
  /** Bytes of ids and nodes that are kept; the block longest unused goes first. */
  readonly maxBytes: number
}

/**
 * Hashes of 32 bytes, kept from the last byte of the last to the first of the first: so each of them lies as it is
 * displayed, and is hex after one call.
 */
class DisplayedHashes {
  readonly count: number
  readonly #reversed: Buffer

  /** `hashes`: in internal order, one after the other. */
  constructor(hashes: Uint8Array) {
    this.#reversed = Buffer.from(hashes).reverse()
    this.count = hashes.length / HASH_SIZE
  }

  /** Bytes of memory. */
  get bytes(): number {
    return this.#reversed.length
  }

  /** Hex as displayed. */
  hexAt(index: number): string {
    const end = this.#reversed.length - index * HASH_SIZE
    return this.#reversed.toString('hex', end - HASH_SIZE, end)
  }

  /** The hashes in internal order again. */
  toBytes(): Uint8Array {
    return Buffer.from(this.#reversed).reverse()
  }
}

/** The ids of a block's transactions, which can be searched. */
class BlockTxids extends DisplayedHashes {
  /** The first four bytes of each, as displayed: searching the ids themselves took a quarter of the time of a proof. */
  readonly #starts: Uint32Array

  constructor(txids: Uint8Array) {
    super(txids)
    this.#starts = new Uint32Array(this.count)
    for (let i = 0; i < this.count; i++) this.#starts[i] = readUint32LE(txids, (i + 1) * HASH_SIZE - WORD_SIZE)
  }

  override get bytes(): number {
    return super.bytes + this.#starts.byteLength
  }

  /** The position of the id that is displayed as `hex`, in small letters; undefined if it is not here. */
  indexOf(hex: string): number | undefined {
    const start = Number.parseInt(hex.slice(0, 2 * WORD_SIZE), 16)
    for (let at = this.#starts.indexOf(start); at !== -1; at = this.#starts.indexOf(start, at + 1)) {
      if (this.hexAt(at) === hex) return at
    }
    return undefined
  }
}

/** The ids of a block's transactions. */
export interface BlockIds {
  /** Its header, a character a byte. */
  readonly block: string
  readonly txids: BlockTxids
  /** What it cost to have them. */
  readonly cost: number
}

interface Kept {
  readonly txids: BlockTxids
  /** The nodes above them, without the root. */
  nodes: readonly DisplayedHashes[] | undefined
}

/** Hex as displayed, from the leaf up. */
export interface BlockBranch {
  readonly branch: readonly string[]
  readonly cost: number
}

/**
 * Ids and merkle branches of blocks, for a while also from memory: a wallet asks for many proofs in few blocks. Kept by
 * header, so that a reorganisation makes nothing of it wrong.
 */
export class BlockProofs {
  readonly #options: BlockProofsOptions
  readonly #kept = new Map<string, Kept>()
  #bytes = 0
  /** Of these bytes those of nodes. */
  #treeBytes = 0
  readonly #ids: CacheTally
  readonly #trees: CacheTally

  constructor(options: BlockProofsOptions, tallies = new CacheTallies()) {
    this.#options = options
    this.#ids = tallies.of('block ids')
    this.#trees = tallies.of('merkle trees')
    this.#ids.bytes = () => this.#bytes - this.#treeBytes
    this.#trees.bytes = () => this.#treeBytes
  }

  /** Bytes kept at the moment. */
  get bytes(): number {
    return this.#bytes
  }

  /** undefined above the tip of `view`. */
  ids(view: ChainView, height: number): Awaitable<BlockIds | undefined> {
    const header = view.header(height)
    if (header === undefined) return undefined
    const block = toLatin1(header)
    const kept = this.#kept.get(block)
    if (kept === undefined) {
      this.#ids.misses++
      return this.#read(view, height, block)
    }
    this.#ids.hits++
    this.#kept.delete(block)
    this.#kept.set(block, kept)
    return { block, txids: kept.txids, cost: 0.1 }
  }

  /** The branch of the transaction at `position`, and what it cost. */
  branch({ block, txids }: BlockIds, position: number): BlockBranch {
    const { count } = txids
    const kept = this.#kept.get(block)
    if (kept?.nodes !== undefined) {
      this.#trees.hits++
      return { branch: branchOf([txids, ...kept.nodes], position), cost: (10 * Math.sqrt(count)) / 2500 }
    }
    this.#trees.misses++
    const nodes = merkleLevels(txids.toBytes())
      .slice(1, -1)
      .map((level) => new DisplayedHashes(level))
    if (kept !== undefined && count >= WORTH_KEEPING) {
      kept.nodes = nodes
      this.#treeBytes += sizeOf(nodes)
      this.#grow(sizeOf(nodes))
    }
    return { branch: branchOf([txids, ...nodes], position), cost: count / 2500 }
  }

  async #read(view: ChainView, height: number, block: string): Promise<BlockIds | undefined> {
    const bytes = await view.blockTxids(height)
    if (bytes === undefined) return undefined
    const txids = new BlockTxids(bytes)
    this.#keep(block, { txids, nodes: undefined })
    return { block, txids, cost: 0.25 + txids.count * 0.0001 }
  }

  #keep(block: string, entry: Kept): void {
    // Two requests can have read the same block at the same time.
    if (this.#kept.has(block)) return
    this.#kept.set(block, entry)
    this.#grow(entry.txids.bytes)
  }

  #grow(bytes: number): void {
    this.#bytes += bytes
    for (const [block, { txids, nodes }] of this.#kept) {
      if (this.#bytes <= this.#options.maxBytes) return
      this.#kept.delete(block)
      const treeBytes = sizeOf(nodes ?? [])
      this.#treeBytes -= treeBytes
      this.#bytes -= txids.bytes + treeBytes
    }
  }
}

/** `levels` from the leaves up to the pair below the root; an odd node at the end is its own sibling. */
function branchOf(levels: readonly DisplayedHashes[], position: number): string[] {
  const branch: string[] = []
  let at = position
  for (const level of levels) {
    // A block of one transaction: its id is the root.
    if (level.count === 1) break
    const sibling = at ^ 1
    branch.push(level.hexAt(sibling < level.count ? sibling : at))
    at >>>= 1
  }
  return branch
}

function sizeOf(levels: readonly DisplayedHashes[]): number {
  return levels.reduce((sum, { bytes }) => sum + bytes, 0)
}
