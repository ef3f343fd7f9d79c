import { HEADER_SIZE, headerHash } from '../chain/headers.ts'
import type { TransactionPlace } from '../daemon/daemon.ts'
import type { ChainView, TxPosition } from '../db/view.ts'
import { toDisplayHex } from '../lib/bytes.ts'

/** Hash of a block, as displayed; a header may be longer than what is hashed. */
export function blockHashOf(header: Uint8Array): string {
  return toDisplayHex(headerHash(header.subarray(0, HEADER_SIZE)))
}

/** Where a transaction of `view` is, for the node to be asked; undefined if the view has no such block. */
export function transactionPlace(view: ChainView, found: TxPosition): TransactionPlace | undefined {
  const header = view.header(found.height)
  if (header === undefined) return undefined
  return { blockHash: blockHashOf(header), position: found.position }
}
