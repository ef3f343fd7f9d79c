/**
 * What Python makes of decoded values. Whether a value counts as set, and whether it is an integer, decides who owns what,
 * so the rules ask here and nowhere else.
 */
import { toHex, toLatin1 } from '../lib/bytes.ts'
import { CborDecimal, CborFraction } from '../lib/cbor/numbers.ts'
import {
  CborFrozenMap,
  CborIpAddress,
  CborMap,
  CborSet,
  CborTuple,
  CborUndefined,
  CborUuid,
  type CborValue,
} from '../lib/cbor/values.ts'
import { intOfText } from '../lib/python/int.ts'
import { stripSpace, withAsciiDigits } from '../lib/python/unicode.ts'

export type MaybeValue = CborValue | undefined

/** True if Python's `if value` holds; what is not there is not. */
export function isTruthy(value: MaybeValue): value is CborValue {
  if (value === undefined || value === null || value === false) return false
  if (typeof value === 'string' || value instanceof Uint8Array || Array.isArray(value)) return value.length > 0
  if (typeof value === 'bigint') return value !== 0n
  // NaN is true.
  if (typeof value === 'number') return value !== 0
  if (value instanceof CborMap || value instanceof CborFrozenMap) return value.size > 0
  if (value instanceof CborTuple || value instanceof CborSet) return value.items.length > 0
  if (value instanceof CborDecimal) return value.kind !== 'finite' || value.coefficient !== 0n
  if (value instanceof CborFraction) return value.numerator !== 0n
  return !(value instanceof CborUndefined)
}

// CONSENSUS: 5.0 is not an integer, true is the integer 1.
/** The integer that a value is, or undefined if `isinstance(value, int)` does not hold. */
export function integerOf(value: MaybeValue): bigint | undefined {
  if (typeof value === 'bigint') return value
  if (typeof value === 'boolean') return value ? 1n : 0n
  return undefined
}

/** True if `value == wanted` in Python, where 1, 1.0 and True are equal. */
export function equalsInteger(value: MaybeValue, wanted: bigint): boolean {
  if (typeof value === 'number') return value === Number(wanted)
  if (value instanceof CborFraction || value instanceof CborDecimal) {
    return isWhole(value) && integerFrom(value).value === wanted
  }
  return integerOf(value) === wanted
}

function isWhole(value: CborDecimal | CborFraction): boolean {
  if (value instanceof CborFraction) {
    const scaled = scaledFraction(value)
    return scaled !== undefined && scaled.numerator % scaled.denominator === 0n
  }
  if (value.kind !== 'finite') return false
  return value.exponent >= 0n || value.coefficient % pow10(value.exponent) === 0n
}

/** What int() makes of a value: an integer, no integer (ValueError, TypeError), or a failure that Python does not expect. */
export type Conversion =
  | { readonly kind: 'integer'; readonly value: bigint }
  | { readonly kind: 'none'; readonly value?: never }
  | { readonly kind: 'failure'; readonly value?: never }

const NONE: Conversion = { kind: 'none' }
const FAILURE: Conversion = { kind: 'failure' }

/** Python's int(value). Infinity fails with an OverflowError, which callers of the reference do not catch. */
export function integerFrom(value: MaybeValue): Conversion {
  const whole = integerOf(value)
  if (whole !== undefined) return integer(whole)
  if (typeof value === 'string') return fromParsed(intOfText(value))
  if (value instanceof Uint8Array) return fromParsed(integerOfBytes(value))
  if (typeof value === 'number') {
    if (Number.isNaN(value)) return NONE
    return Number.isFinite(value) ? integer(BigInt(Math.trunc(value))) : FAILURE
  }
  if (value instanceof CborDecimal) return fromDecimal(value)
  if (value instanceof CborFraction) {
    const scaled = scaledFraction(value)
    return scaled === undefined ? FAILURE : integer(scaled.numerator / scaled.denominator)
  }
  if (value instanceof CborUuid || value instanceof CborIpAddress) return integer(bigEndian(value.bytes))
  return NONE
}

function integer(value: bigint): Conversion {
  return { kind: 'integer', value }
}

function fromParsed(value: bigint | undefined): Conversion {
  return value === undefined ? NONE : integer(value)
}

/** Exponents beyond this are never spelled out: the reference runs out of memory or time there. */
const MAX_SPELLED_EXPONENT = 5_000n

function fromDecimal(value: CborDecimal): Conversion {
  if (value.kind === 'infinity') return FAILURE
  if (value.kind !== 'finite') return NONE
  if (value.exponent > MAX_SPELLED_EXPONENT) return value.coefficient === 0n ? integer(0n) : FAILURE
  const magnitude =
    value.exponent >= 0n ? value.coefficient * 10n ** value.exponent : value.coefficient / pow10(value.exponent)
  return integer(value.negative ? -magnitude : magnitude)
}

/** 10^-exponent, bounded: beyond that every coefficient that fits into a transaction is less than one. */
function pow10(exponent: bigint): bigint {
  const places = -exponent
  return 10n ** (places > 2_000_000n ? 2_000_000n : places)
}

function scaledFraction(value: CborFraction): { numerator: bigint; denominator: bigint } | undefined {
  const { numerator, denominator, exponent } = value
  if (exponent === 0n) return { numerator, denominator }
  const size = exponent < 0n ? -exponent : exponent
  if (size > MAX_SPELLED_EXPONENT) return undefined
  const scale = 10n ** size
  return exponent > 0n ? { numerator: numerator * scale, denominator } : { numerator, denominator: denominator * scale }
}

function bigEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${toHex(bytes) || '0'}`)
}

// What int() of bytes reads: ASCII only.
const BYTES = /^[\t-\r ]*([+-]?[0-9]+(?:_[0-9]+)*)[\t-\r ]*$/

function integerOfBytes(bytes: Uint8Array): bigint | undefined {
  const match = BYTES.exec(toLatin1(bytes))
  return match === null ? undefined : intOfText(match[1] ?? '')
}

// CONSENSUS: the scripts of a rule's outputs need only be what int(text, 16) reads: a sign, 0x, white space and underscores pass.
/** True if Python's int(text, 16) reads a number. */
export function isHexInteger(text: string): boolean {
  return /^[+-]?(?:0[xX]_?)?[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*$/.test(withAsciiDigits(stripSpace(text)))
}

const HEX_PAIR = /[0-9a-fA-F]{2}/y

// CONSENSUS: bytes.fromhex() passes over white space between bytes, so 64 characters may be fewer than 32 bytes.
/** bytes.fromhex(text), or undefined where it raises. */
export function bytesFromHex(text: string): Uint8Array | undefined {
  const bytes: number[] = []
  let at = 0
  while (at < text.length) {
    const code = text.charCodeAt(at)
    if (code === 0x20 || (code >= 0x09 && code <= 0x0d)) {
      at += 1
      continue
    }
    HEX_PAIR.lastIndex = at
    if (!HEX_PAIR.test(text)) return undefined
    bytes.push(Number.parseInt(text.slice(at, at + 2), 16))
    at += 2
  }
  return Uint8Array.from(bytes)
}

/** len(text): characters, not UTF-16 units. */
export function characters(text: string): number {
  let count = 0
  for (const _ of text) count += 1
  return count
}

/** The map that a value is, if it is a dict. */
export function mapOf(value: MaybeValue): CborMap | undefined {
  return value instanceof CborMap ? value : undefined
}

/** The text that a value is. */
export function textOf(value: MaybeValue): string | undefined {
  return typeof value === 'string' ? value : undefined
}
