/** Bytes, hex and little-endian numbers. Hashes are in internal byte order everywhere but on display and on the wire. */

const EMPTY = new Uint8Array(0)

/** Views `bytes` as a Buffer over the same memory. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Lower-case hex of `bytes`. */
export function toHex(bytes: Uint8Array): string {
  return asBuffer(bytes).toString('hex')
}

/** Lower-case hex of `bytes` from the last to the first: how hashes are displayed. */
export function toDisplayHex(bytes: Uint8Array): string {
  // A Buffer from the pool: a view of other memory would first have to be given memory of its own.
  return Buffer.from(bytes).reverse().toString('hex')
}

const HEX = /^(?:[0-9a-f]{2})*$/i

/** True if `text` is an even number of hex digits of either case. */
export function isHex(text: string): boolean {
  return HEX.test(text)
}

/** Bytes of a hex text. Throws RangeError unless it is whole bytes of hex digits. */
export function fromHex(text: string): Uint8Array {
  if (!isHex(text)) throw new RangeError('not a hex string')
  const buffer = Buffer.from(text, 'hex')
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
}

/** Bytes of a hash as displayed, in internal order. Throws RangeError unless it is hex. */
export function fromDisplayHex(text: string): Uint8Array {
  return fromHex(text).reverse()
}

/** A copy of `bytes` from the last to the first. */
export function reversed(bytes: Uint8Array): Uint8Array {
  return Uint8Array.prototype.slice.call(bytes).reverse()
}

/** The parts one after the other, in memory of their own. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return joined(parts)
}

/** The same for as many parts as there are: more than a hundred thousand arguments overflow the stack. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of parts) length += part.length
  if (length === 0) return EMPTY
  const whole = new Uint8Array(length)
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}

/** A copy in memory of its own, so that the large buffer it was cut from can be freed. */
export function copyOf(bytes: Uint8Array): Uint8Array {
  return Uint8Array.prototype.slice.call(bytes)
}

/** The first `length` characters in memory of their own: a part of a long text keeps the whole of it from being freed. */
export function startOf(text: string, length: number): string {
  // The two bytes of each character, so that no text comes out as another.
  return Buffer.from(text.slice(0, length), 'utf16le').toString('utf16le')
}

/** Negative, zero or positive as `a` sorts before, with or after `b`, byte by byte. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b)
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0
}

/** One character per byte: a cheap key for Map and Set. */
export function toLatin1(bytes: Uint8Array): string {
  return asBuffer(bytes).toString('latin1')
}

export function fromLatin1(text: string): Uint8Array {
  const buffer = Buffer.from(text, 'latin1')
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
}

export function readUint16LE(bytes: Uint8Array, offset: number): number {
  return at(bytes, offset) | (at(bytes, offset + 1) << 8)
}

export function readUint32LE(bytes: Uint8Array, offset: number): number {
  return (
    (at(bytes, offset) |
      (at(bytes, offset + 1) << 8) |
      (at(bytes, offset + 2) << 16) |
      (at(bytes, offset + 3) << 24)) >>>
    0
  )
}

export function readInt32LE(bytes: Uint8Array, offset: number): number {
  return readUint32LE(bytes, offset) | 0
}

/** An unsigned 64-bit number as bigint. */
export function readUint64LE(bytes: Uint8Array, offset: number): bigint {
  return BigInt(readUint32LE(bytes, offset)) | (BigInt(readUint32LE(bytes, offset + 4)) << 32n)
}

/**
 * An unsigned 64-bit number as a double: exact below 2^53, which is above all satoshis there are
 * (a block from a bitcoind cannot hold more; where a value can be hostile, use readUint64LE).
 */
export function readSafeUint64LE(bytes: Uint8Array, offset: number): number {
  return readUint32LE(bytes, offset) + readUint32LE(bytes, offset + 4) * 0x1_0000_0000
}

export function writeUint32LE(bytes: Uint8Array, value: number, offset: number): void {
  bytes[offset] = value
  bytes[offset + 1] = value >>> 8
  bytes[offset + 2] = value >>> 16
  bytes[offset + 3] = value >>> 24
}

export function writeUint64LE(bytes: Uint8Array, value: bigint, offset: number): void {
  writeUint32LE(bytes, Number(value & 0xffff_ffffn), offset)
  writeUint32LE(bytes, Number((value >> 32n) & 0xffff_ffffn), offset + 4)
}

function at(bytes: Uint8Array, offset: number): number {
  const byte = bytes[offset]
  if (byte === undefined) throw new RangeError(`read at ${offset} beyond the end (${bytes.length})`)
  return byte
}
