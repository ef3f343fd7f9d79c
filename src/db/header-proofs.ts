import { setImmediate as nextTurn } from 'node:timers/promises'
import { concat } from '../lib/bytes.ts'
import { MerkleCache, type MerkleProof } from '../lib/merkle.ts'
import type { HeaderList, HeaderTable } from './header-table.ts'

/** Headers hashed before others get a turn: a few milliseconds. */
const HASHES_PER_TURN = 2016

/**
 * Proofs over header hashes. All views share the nodes of the current chain; a view from before a reorganisation that
 * asks beyond the fork pays for its own.
 */
export class HeaderProofs {
  readonly #table: HeaderTable
  readonly #cache: MerkleCache

  constructor(table: HeaderTable) {
    this.#table = table
    this.#cache = new MerkleCache((start, count) => hashesOf(table.list(), start, count))
  }

  /** To be called before the table is cut back to `count`. */
  cut(count: number): void {
    this.#cache.truncate(count)
  }

  /** That header `height` of `list` is among its first `checkpoint` + 1. Throws RangeError if it cannot be. */
  async prove(list: HeaderList, height: number, checkpoint: number): Promise<MerkleProof> {
    const length = checkpoint + 1
    if (!(height >= 0 && height <= checkpoint && length <= list.count)) {
      throw new RangeError(`no proof of header ${height} in ${length} of ${list.count}`)
    }
    if (this.#table.sharedWith(list) >= length) {
      try {
        const proof = await this.#cache.branchAndRoot(length, height)
        // Else the chain was another one before this was done.
        if (this.#table.sharedWith(list) >= length) return proof
      } catch (error) {
        // The chain may have become shorter than the proof is long; any other failure is one.
        if (this.#table.sharedWith(list) >= length) throw error
      }
    }
    return new MerkleCache((start, count) => hashesOf(list, start, count)).branchAndRoot(length, height)
  }
}

async function hashesOf(list: HeaderList, start: number, count: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for (let at = start; at < start + count; at += HASHES_PER_TURN) {
    if (at > start) await nextTurn()
    parts.push(list.hashes(at, Math.min(HASHES_PER_TURN, start + count - at)))
  }
  return concat(...parts)
}
