import { ParseError } from '../errors.ts'
import { readInt32LE, readUint32LE, toDisplayHex, writeUint32LE } from '../lib/bytes.ts'
import { sha256d } from '../lib/hash.ts'

/** Bytes of a block header. */
export const HEADER_SIZE = 80

export interface BlockHeader {
  /** Signed, 32 bits. */
  readonly version: number
  /** 32 bytes, internal order. */
  readonly prevHash: Uint8Array
  /** 32 bytes, internal order. */
  readonly merkleRoot: Uint8Array
  /** Seconds since 1970, as the miner gave them. */
  readonly time: number
  /** The target in compact form; see bitsToTarget. */
  readonly bits: number
  readonly nonce: number
}

/** The header in the 80 bytes from `offset`; hashes are views of them. Throws ParseError if there are fewer. */
export function parseHeader(bytes: Uint8Array, offset = 0): BlockHeader {
  if (offset < 0 || bytes.length - offset < HEADER_SIZE) throw new ParseError('header cut short', offset)
  return {
    version: readInt32LE(bytes, offset),
    prevHash: bytes.subarray(offset + 4, offset + 36),
    merkleRoot: bytes.subarray(offset + 36, offset + 68),
    time: readUint32LE(bytes, offset + 68),
    bits: readUint32LE(bytes, offset + 72),
    nonce: readUint32LE(bytes, offset + 76),
  }
}

/** The 80 bytes of a header. Throws RangeError if a hash has other than 32 bytes. */
export function serializeHeader(header: BlockHeader): Uint8Array {
  if (header.prevHash.length !== 32 || header.merkleRoot.length !== 32) throw new RangeError('a hash has 32 bytes')
  const bytes = new Uint8Array(HEADER_SIZE)
  writeUint32LE(bytes, header.version, 0)
  bytes.set(header.prevHash, 4)
  bytes.set(header.merkleRoot, 36)
  writeUint32LE(bytes, header.time, 68)
  writeUint32LE(bytes, header.bits, 72)
  writeUint32LE(bytes, header.nonce, 76)
  return bytes
}

/** The hash of a block, 32 bytes, internal order: sha256d of its header's 80 bytes. Throws ParseError on any other length. */
export function headerHash(header: Uint8Array): Uint8Array {
  if (header.length !== HEADER_SIZE) throw new ParseError('a header has 80 bytes', Math.min(header.length, HEADER_SIZE))
  return sha256d(header)
}

/**
 * The number that a block hash may not exceed. 0, which no hash meets, for bits that Core takes for no target: negative
 * or beyond 256 bits (arith_uint256::SetCompact).
 */
export function bitsToTarget(bits: number): bigint {
  const exponent = bits >>> 24
  const mantissa = bits & 0x7f_ffff
  const negative = mantissa !== 0 && (bits & 0x80_0000) !== 0
  if (negative) return 0n
  const target =
    exponent <= 3 ? BigInt(mantissa >>> (8 * (3 - exponent))) : BigInt(mantissa) << BigInt(8 * (exponent - 3))
  return target >> 256n === 0n ? target : 0n
}

/** Expected hashes to find a block of these bits: 2^256 / (target + 1); 0 for bits that are no target. */
export function workOf(bits: number): bigint {
  const target = bitsToTarget(bits)
  return target === 0n ? 0n : (1n << 256n) / (target + 1n)
}

/** True if a block hash (32 bytes, internal order) is proof of work for `bits`. The network's easiest target is not looked at. */
export function meetsTarget(hash: Uint8Array, bits: number): boolean {
  const target = bitsToTarget(bits)
  return target !== 0n && BigInt(`0x${toDisplayHex(hash)}`) <= target
}
