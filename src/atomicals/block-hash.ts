import { concat } from '../lib/bytes.ts'
import { sha256d } from '../lib/hash.ts'

/**
 * The hash that indexers compare: over the hash of the block, that of the block before (none at the start of the protocol)
 * and the ids of the transactions that count, all in internal order.
 */
export function atomicalsBlockHash(
  blockHash: Uint8Array,
  before: Uint8Array | undefined,
  txids: readonly Uint8Array[],
): Uint8Array {
  return sha256d(concat(blockHash, before ?? new Uint8Array(0), ...txids))
}
