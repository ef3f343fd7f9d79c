import { fromLatin1, toLatin1 } from '../lib/bytes.ts'
import { compactId, idOf, parseCompactId } from './ids.ts'
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
