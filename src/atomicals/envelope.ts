/**
 * Where an operation stands in a witness: an item that begins like a tapscript with a key, in it OP_IF and a push of
 * "atom", then the name of the operation and the payload in pushes.
 */

import { asBuffer, concat } from '../lib/bytes.ts'

export const OPERATION_NAMES = ['nft', 'dft', 'mod', 'evt', 'dmt', 'dat', 'ft', 'sl', 'x', 'y', 'z'] as const
export type OperationName = (typeof OPERATION_NAMES)[number]

/** An operation before its payload is read. */
export interface Envelope {
  readonly op: OperationName
  readonly payload: Uint8Array
}

const OP_ENDIF = 0x68
const OP_PUSHDATA1 = 0x4c
const OP_PUSHDATA4 = 0x4e
/** The first byte of an item that is looked into: the push of a 32-byte key. */
const KEY_PUSH = 0x20
const KEY_END = 33
/** Key, OP_IF and the marker. */
const MIN_ITEM_SIZE = 39
/** OP_IF, and "atom" pushed the short way. */
const START = Buffer.from('630461746f6d', 'hex')

/** Bytes by which each operation is named: its length and its letters. */
const NAMES: readonly (readonly [OperationName, Buffer])[] = OPERATION_NAMES.map((op) => [
  op,
  Buffer.from(`${String.fromCharCode(op.length)}${op}`, 'latin1'),
])

/** The operation of an input: in its first witness item that has one. Undefined if there is none. */
export function findEnvelope(witness: readonly Uint8Array[]): Envelope | 'truncated' | undefined {
  for (const item of witness) {
    const envelope = envelopeIn(item)
    if (envelope !== undefined) return envelope
  }
  return undefined
}

// CONSENSUS: the start is searched for byte by byte in every witness item, so an operation counts in items that are
// never run, inside other pushes, and in spends that are no script path.
// CONSENSUS: the first start in an item decides; behind an unknown name nothing more is looked for in that item.
function envelopeIn(item: Uint8Array): Envelope | 'truncated' | undefined {
  if (item.length < MIN_ITEM_SIZE || item[0] !== KEY_PUSH) return undefined
  const start = asBuffer(item).indexOf(START, KEY_END)
  if (start === -1) return undefined
  const named = operationAt(item, start + START.length)
  if (named === undefined) return undefined
  const payload = payloadAt(item, named.end)
  // The reference stops for good at a push that runs over the end.
  return payload === undefined ? 'truncated' : { op: named.op, payload }
}

// CONSENSUS: an operation's name has to be pushed the short way, and a byte has to follow it.
function operationAt(
  item: Uint8Array,
  offset: number,
): { readonly op: OperationName; readonly end: number } | undefined {
  for (const [op, name] of NAMES) {
    const end = offset + name.length
    if (end < item.length && name.equals(item.subarray(offset, end))) return { op, end }
  }
  return undefined
}

// CONSENSUS: the payload is all pushes up to the first OP_ENDIF, or to the end of the item without one; opcodes that
// are no pushes, the numbers OP_1 to OP_16 among them, are passed over.
/** Undefined if a push runs over the end of the item. */
function payloadAt(item: Uint8Array, start: number): Uint8Array | undefined {
  const pieces: Uint8Array[] = []
  for (let offset = start; offset < item.length; ) {
    const opcode = item[offset++] ?? OP_ENDIF
    if (opcode === OP_ENDIF) break
    if (opcode > OP_PUSHDATA4) continue
    const sizeBytes = opcode < OP_PUSHDATA1 ? 0 : 1 << (opcode - OP_PUSHDATA1)
    if (offset + sizeBytes > item.length) return undefined
    const size = sizeBytes === 0 ? opcode : asBuffer(item).readUIntLE(offset, sizeBytes)
    offset += sizeBytes
    if (offset + size > item.length) return undefined
    if (size > 0) pieces.push(item.subarray(offset, offset + size))
    offset += size
  }
  return concat(...pieces)
}
