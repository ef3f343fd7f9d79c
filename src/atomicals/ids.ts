/**
 * Ids of atomicals and of places: an outpoint of 36 bytes, the txid in internal order and the output index as uint32
 * LE. The id of an atomical is the outpoint of its commit; a location id is any output. Written `<txid>i<index>`.
 */

import { fromDisplayHex, isHex, readUint32LE, reversed, toDisplayHex, writeUint32LE } from '../lib/bytes.ts'
import { intOfText } from '../lib/python/int.ts'
import { MAX_ID_INDEX } from './constants.ts'

export const ID_SIZE = 36
const TXID_HEX_SIZE = 64

/** The id of output `index` of `txid` (32 bytes, internal order). */
export function idOf(txid: Uint8Array, index: number): Uint8Array {
  const id = new Uint8Array(ID_SIZE)
  id.set(txid)
  writeUint32LE(id, index, 32)
  return id
}

/** The txid of an id: a view, internal order. */
export function txidOfId(id: Uint8Array): Uint8Array {
  return id.subarray(0, 32)
}

/** The output index of an id. */
export function indexOfId(id: Uint8Array): number {
  return readUint32LE(id, 32)
}

/** `<txid>i<index>` */
export function compactId(id: Uint8Array): string {
  return `${toDisplayHex(txidOfId(id))}i${indexOfId(id)}`
}

/**
 * The id that a text names, or undefined. The reference halts on some of what is refused here.
 * CONSENSUS: the index of an id is read as Python's int() does ("+1", "01", " 1", "1_0"), from 0 to 100,000.
 */
export function parseCompactId(text: string): Uint8Array | undefined {
  if (!hasIdShape(text)) return undefined
  const index = intOfText(text.slice(TXID_HEX_SIZE + 1))
  if (index === undefined || index < 0n || index > MAX_ID_INDEX) return undefined
  return idOf(fromDisplayHex(text.slice(0, TXID_HEX_SIZE)), Number(index))
}

/** CONSENSUS: where a rule names a token, any text that begins with 64 hex digits and an i counts as an id. */
export function hasIdShape(text: string): boolean {
  return text.indexOf('i') === TXID_HEX_SIZE && isHex(text.slice(0, TXID_HEX_SIZE))
}

/** Crockford's base 32 in lower case. */
const BASE32 = '0123456789abcdefghjkmnpqrstvwxyz'

/**
 * The short reference of an atomical: its commit txid (32 bytes, internal order) as displayed, in base 32.
 * CONSENSUS: an atomical_ref always ends in i0, whatever the commit index, so two atomicals can share one.
 */
export function atomicalRef(commitTxid: Uint8Array): string {
  let text = ''
  let bits = 0
  let width = 0
  for (const byte of reversed(commitTxid)) {
    bits = ((bits << 8) | byte) & 0xfff
    for (width += 8; width >= 5; width -= 5) text += BASE32[(bits >> (width - 5)) & 31]
  }
  if (width > 0) text += BASE32[(bits << (5 - width)) & 31]
  return `${text}i0`
}
