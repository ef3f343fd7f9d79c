import { HEADER_SIZE, headerHash } from '../chain/headers.ts'
import type { ChainView } from '../db/view.ts'
import { asBuffer, toLatin1 } from '../lib/bytes.ts'
import { branchOf, merkleLevels } from '../lib/merkle.ts'

const HASH_SIZE = 32
/** Blocks of fewer transactions are hashed anew each time; so ElectrumX does, and charges by it. */
const WORTH_KEEPING = 200

export interface BlockProofsOptions {
  /** Bytes of ids and nodes that are kept; the block longest unused goes first. */
  readonly maxBytes: number
}

/** The ids of a block's transactions: 32 bytes each, internal order, in block order. */
export interface BlockIds {
  readonly hash: string
  readonly txids: Uint8Array
  readonly count: number
  /** What it cost to have them. */
  readonly cost: number
}

interface Kept {
  readonly txids: Uint8Array
  levels: readonly Uint8Array[] | undefined
}

/**
 * Ids and merkle branches of blocks, for a while also from memory: a wallet asks for many proofs in few blocks. Kept by
 * block hash, so that a reorganisation makes nothing of it wrong.
 */
export class BlockProofs {
  readonly #options: BlockProofsOptions
  readonly #kept = new Map<string, Kept>()
  #bytes = 0

  constructor(options: BlockProofsOptions) {
    this.#options = options
  }

  /** Bytes kept at the moment. */
  get bytes(): number {
    return this.#bytes
  }

  /** undefined above the tip of `view`. */
  async ids(view: ChainView, height: number): Promise<BlockIds | undefined> {
    const header = view.header(height)
    if (header === undefined) return undefined
    const hash = toLatin1(headerHash(header.subarray(0, HEADER_SIZE)))
    const kept = this.#kept.get(hash)
    if (kept !== undefined) {
      this.#kept.delete(hash)
      this.#kept.set(hash, kept)
      return { hash, txids: kept.txids, count: kept.txids.length / HASH_SIZE, cost: 0.1 }
    }
    const txids = await view.blockTxids(height)
    if (txids === undefined) return undefined
    this.#keep(hash, { txids, levels: undefined })
    const count = txids.length / HASH_SIZE
    return { hash, txids, count, cost: 0.25 + count * 0.0001 }
  }

  /** The branch of the transaction at `position`, and what it cost. */
  branch({ hash, txids, count }: BlockIds, position: number): { readonly branch: Uint8Array[]; readonly cost: number } {
    const kept = this.#kept.get(hash)
    if (kept?.levels !== undefined) {
      return { branch: branchOf(kept.levels, position), cost: (10 * Math.sqrt(count)) / 2500 }
    }
    const levels = merkleLevels(txids)
    if (kept !== undefined && count >= WORTH_KEEPING) {
      kept.levels = levels
      this.#grow(sizeOf(levels.slice(1)))
    }
    return { branch: branchOf(levels, position), cost: count / 2500 }
  }

  #keep(hash: string, entry: Kept): void {
    // Two requests can have read the same block at the same time.
    if (this.#kept.has(hash)) return
    this.#kept.set(hash, entry)
    this.#grow(entry.txids.length)
  }

  #grow(bytes: number): void {
    this.#bytes += bytes
    for (const [hash, { txids, levels }] of this.#kept) {
      if (this.#bytes <= this.#options.maxBytes) return
      this.#kept.delete(hash)
      this.#bytes -= txids.length + sizeOf(levels?.slice(1) ?? [])
    }
  }
}

/** Position of a transaction in its block, or undefined if it is not there. */
export function positionOf(txids: Uint8Array, txid: Uint8Array): number | undefined {
  const ids = asBuffer(txids)
  for (let at = ids.indexOf(txid); at !== -1; at = ids.indexOf(txid, at + 1)) {
    if (at % HASH_SIZE === 0) return at / HASH_SIZE
  }
  return undefined
}

export function txidAt(txids: Uint8Array, position: number): Uint8Array {
  return txids.subarray(position * HASH_SIZE, (position + 1) * HASH_SIZE)
}

function sizeOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0)
}
