import { HASHX_SIZE } from '../chain/script.ts'
import { fromLatin1, toLatin1 } from '../lib/bytes.ts'
import { sha256d } from '../lib/hash.ts'
import { compactId, idOf, indexOfId, parseCompactId } from './ids.ts'
import type { IdText } from './transfer/holding.ts'

/** The id that a compact text (`<txid>i<index>`) names, or undefined if it names none. */
export function idTextOfCompact(text: string | undefined): IdText | undefined {
  const id = text === undefined ? undefined : parseCompactId(text)
  return id === undefined ? undefined : toLatin1(id)
}

/** `txid` in internal order. */
export function idText(txid: Uint8Array, index: number): IdText {
  return toLatin1(idOf(txid, index))
}

/** `<txid>i<index>` */
export function compactOfIdText(id: IdText): string {
  return compactId(fromLatin1(id))
}

/** The txid of an id: 32 bytes, internal order. */
export function txidOfIdText(id: IdText): Uint8Array {
  return fromLatin1(id.slice(0, 32))
}

/** The output index of an id. */
export function indexOfIdText(id: IdText): number {
  return indexOfId(fromLatin1(id))
}

/**
 * The hashX that transactions are listed under in the ordinary history: those of an atomical by its id, one that pays by
 * its txid (one character a byte), as if either were a script that hashes to its sha256d.
 */
export function historyKey(id: string): Uint8Array {
  return sha256d(fromLatin1(id)).subarray(0, HASHX_SIZE)
}
