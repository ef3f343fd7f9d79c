/**
 * Decimals and fractions of tags 4, 5 and 30, as Python's `decimal` and `fractions` read and compute them. Exponents
 * stay exponents: a few bytes can name a number of 10^18 digits.
 */

import { stripSpace, withAsciiDigits } from '../python/unicode.ts'

const MAX_EXPONENT = 999_999_999_999_999_999n
const MIN_EXPONENT = -1_999_999_999_999_999_997n

/** The context Python computes in by default. */
const PRECISION = 28
const CONTEXT_MAX = 999_999n
const CONTEXT_MIN = -999_999n
const CONTEXT_TINY = CONTEXT_MIN - BigInt(PRECISION - 1)

export type DecimalKind = 'finite' | 'infinity' | 'nan' | 'snan'

export interface DecimalParts {
  readonly kind: DecimalKind
  readonly negative: boolean
  /** Digits as a number, never negative; of a NaN its diagnostic digits. */
  readonly coefficient: bigint
  readonly exponent: bigint
}

/** `±coefficient × 10^exponent`, or not a number, or infinite. */
export class CborDecimal implements DecimalParts {
  readonly kind: DecimalKind
  readonly negative: boolean
  readonly coefficient: bigint
  readonly exponent: bigint
  constructor(parts: DecimalParts) {
    this.kind = parts.kind
    this.negative = parts.negative
    this.coefficient = parts.coefficient
    this.exponent = parts.exponent
  }
}

/** `numerator / denominator × 10^exponent`, not reduced; the denominator is positive. */
export class CborFraction {
  readonly numerator: bigint
  readonly denominator: bigint
  readonly exponent: bigint
  constructor(numerator: bigint, denominator: bigint, exponent: bigint) {
    this.numerator = numerator
    this.denominator = denominator
    this.exponent = exponent
  }
}

/** Bytes that a number takes; what work on it costs. */
export function bigintBytes(value: bigint): number {
  if (value >= -0xffff_ffff_ffff_ffffn && value <= 0xffff_ffff_ffff_ffffn) return 8
  return value.toString(16).length / 2
}

function decimalDigits(coefficient: bigint): number {
  return coefficient.toString().length
}

/** The decimal, or undefined if Python cannot hold it exactly. */
export function exactDecimal(parts: DecimalParts): CborDecimal | undefined {
  if (parts.kind !== 'finite') return new CborDecimal(parts)
  if (parts.exponent < MIN_EXPONENT || parts.exponent > MAX_EXPONENT) return undefined
  const nearTheEnd = parts.exponent > MAX_EXPONENT - 100_000_000n
  if (nearTheEnd && parts.exponent + BigInt(decimalDigits(parts.coefficient) - 1) > MAX_EXPONENT) return undefined
  return new CborDecimal(parts)
}

export function decimalOfInt(value: bigint): CborDecimal {
  const negative = value < 0n
  return new CborDecimal({ kind: 'finite', negative, coefficient: negative ? -value : value, exponent: 0n })
}

/** The exact value of a double. */
export function decimalOfFloat(value: number): CborDecimal {
  const negative = value < 0 || Object.is(value, -0)
  if (Number.isNaN(value)) return new CborDecimal({ kind: 'nan', negative: false, coefficient: 0n, exponent: 0n })
  if (!Number.isFinite(value)) return new CborDecimal({ kind: 'infinity', negative, coefficient: 0n, exponent: 0n })
  const { numerator, halvings } = binaryParts(Math.abs(value))
  const coefficient = numerator * 5n ** BigInt(halvings)
  return new CborDecimal({ kind: 'finite', negative, coefficient, exponent: BigInt(-halvings) })
}

/** A finite double as numerator / 2^halvings in lowest terms. */
export function binaryParts(value: number): { numerator: bigint; halvings: number } {
  let scaled = value
  let halvings = 0
  while (!Number.isInteger(scaled)) {
    scaled *= 2
    halvings++
  }
  return { numerator: BigInt(scaled), halvings }
}

const DECIMAL_TEXT = /^([+-]?)(?:(?:(\d+)(?:\.(\d*))?|\.(\d+))(?:e([+-]?\d+))?|(inf(?:inity)?)|(s?nan)(\d*))$/i

/** What `Decimal(text)` makes of a text; undefined where it raises. */
export function decimalOfText(text: string): CborDecimal | undefined {
  const match = DECIMAL_TEXT.exec(withAsciiDigits(stripSpace(text)).replaceAll('_', ''))
  if (match === null) return undefined
  const [, sign, whole = '', fraction, bareFraction, exponent = '0', infinity, nan, diagnostic = ''] = match
  const negative = sign === '-'
  if (infinity !== undefined) return new CborDecimal({ kind: 'infinity', negative, coefficient: 0n, exponent: 0n })
  if (nan !== undefined) {
    const kind = nan.length === 4 ? 'snan' : 'nan'
    return new CborDecimal({ kind, negative, coefficient: BigInt(diagnostic || '0'), exponent: 0n })
  }
  const places = fraction ?? bareFraction ?? ''
  // Far beyond both bounds whatever the digits are.
  if (exponent.replace(/^[+-]?0*/, '').length > 19) return undefined
  const parts = { kind: 'finite', negative, coefficient: BigInt(whole + places || '0') } as const
  return exactDecimal({ ...parts, exponent: BigInt(exponent.replace('+', '')) - BigInt(places.length) })
}

/** `Decimal(2) ** exponent` in the default context; undefined where Python raises. */
export function powerOfTwo(exponent: bigint): CborDecimal | undefined {
  const size = exponent < 0n ? -exponent : exponent
  const precision = PRECISION + 2 + size.toString().length + (exponent < 0n ? 1 : 0)
  // 2^3,321,928 is 10^6 digits long and overflows; far below the smallest subnormal everything is the same zero.
  if (exponent > 3_400_000n) return undefined
  const power = roughPowerOfTwo(exponent, precision)
  return power === undefined ? zero(false, CONTEXT_TINY) : inContext(false, power)
}

/** A power of two to `precision` digits by squaring, as Python does it; undefined if far out of every bound. */
function roughPowerOfTwo(exponent: bigint, precision: number): Scaled | undefined {
  const size = exponent < 0n ? -exponent : exponent
  if (size > 4_000_000n) return undefined
  const base: Scaled = exponent < 0n ? { coefficient: 5n, exponent: -1n } : { coefficient: 2n, exponent: 0n }
  let power: Scaled = { coefficient: 1n, exponent: 0n }
  for (const bit of size.toString(2)) {
    power = shorten(multiplyScaled(power, power), precision)
    if (bit === '1') power = shorten(multiplyScaled(power, base), precision)
  }
  return power
}

interface Scaled {
  readonly coefficient: bigint
  readonly exponent: bigint
}

function multiplyScaled(a: Scaled, b: Scaled): Scaled {
  return { coefficient: a.coefficient * b.coefficient, exponent: a.exponent + b.exponent }
}

/** Rounded half to even to at most `precision` digits. */
function shorten(value: Scaled, precision: number): Scaled {
  return dropDigits(value, decimalDigits(value.coefficient) - precision, precision)
}

function dropDigits(value: Scaled, drop: number, precision: number): Scaled {
  if (drop <= 0) return value
  const unit = 10n ** BigInt(drop)
  const rest = value.coefficient % unit
  let coefficient = value.coefficient / unit
  const half = unit / 2n
  if (rest > half || (rest === half && coefficient % 2n === 1n)) coefficient++
  const rounded = { coefficient, exponent: value.exponent + BigInt(drop) }
  return decimalDigits(coefficient) > precision ? dropDigits(rounded, 1, precision) : rounded
}

/** Rounds to the default context; undefined where it overflows, which Python raises for. */
function inContext(negative: boolean, value: Scaled): CborDecimal | undefined {
  if (value.coefficient === 0n) return zero(negative, value.exponent)
  // Counting digits takes time that a number far out of bounds is not worth: over two digits a byte.
  if (value.exponent + BigInt(Math.floor(bigintBytes(value.coefficient)) * 2 - 20) > CONTEXT_MAX) return undefined
  const digits = decimalDigits(value.coefficient)
  const tiny = value.exponent + BigInt(digits - 1) < CONTEXT_MIN ? CONTEXT_TINY - value.exponent : 0n
  if (tiny > BigInt(digits)) return zero(negative, CONTEXT_TINY)
  const { coefficient, exponent } = dropDigits(value, Math.max(digits - PRECISION, Number(tiny)), PRECISION)
  if (coefficient === 0n) return zero(negative, CONTEXT_TINY)
  if (exponent + BigInt(decimalDigits(coefficient) - 1) > CONTEXT_MAX) return undefined
  return new CborDecimal({ kind: 'finite', negative, coefficient, exponent })
}

function zero(negative: boolean, exponent: bigint): CborDecimal {
  const high = exponent > CONTEXT_MAX ? CONTEXT_MAX : exponent
  const clamped = high < CONTEXT_TINY ? CONTEXT_TINY : high
  return new CborDecimal({ kind: 'finite', negative, coefficient: 0n, exponent: clamped })
}

/** `a * b` in the default context; undefined where Python raises. */
export function multiplyDecimals(a: CborDecimal, b: CborDecimal): CborDecimal | undefined {
  if (a.kind === 'snan' || b.kind === 'snan') return undefined
  if (a.kind === 'nan') return a
  if (b.kind === 'nan') return b
  const negative = a.negative !== b.negative
  if (a.kind === 'infinity' || b.kind === 'infinity') {
    if (isZero(a) || isZero(b)) return undefined
    return new CborDecimal({ kind: 'infinity', negative, coefficient: 0n, exponent: 0n })
  }
  return inContext(negative, multiplyScaled(a, b))
}

function isZero(value: CborDecimal): boolean {
  return value.kind === 'finite' && value.coefficient === 0n
}

/** The whole number that a finite decimal stands for, or undefined if it is none (or has over 100 digits to add). */
export function wholeExponent(value: CborDecimal): bigint | undefined {
  if (value.kind !== 'finite') return undefined
  const signed = value.negative ? -value.coefficient : value.coefficient
  if (signed === 0n) return 0n
  if (value.exponent >= 0n) return value.exponent > 100n ? signed * 10n ** 100n : signed * 10n ** value.exponent
  if (-value.exponent > BigInt(decimalDigits(value.coefficient))) return undefined
  const unit = 10n ** -value.exponent
  return signed % unit === 0n ? signed / unit : undefined
}

/** `Decimal(2) ** exponent` for an exponent that is no whole number: irrational, so always rounded. */
export function fractionalPowerOfTwo(exponent: CborDecimal): CborDecimal | undefined {
  const scaled = fixedPoint(exponent)
  if (scaled === undefined) return powerOfTwo(exponent.negative ? -4_000_000n : 4_000_000n)
  const whole = scaled >= 0n ? scaled / FIXED_ONE : -((-scaled + FIXED_ONE - 1n) / FIXED_ONE)
  const power = exponentialOfFixed(((scaled - whole * FIXED_ONE) * LN2) / FIXED_ONE)
  const wholePower = roughPowerOfTwo(whole, 60)
  if (wholePower === undefined) return powerOfTwo(whole)
  return inContext(false, {
    coefficient: wholePower.coefficient * power,
    exponent: wholePower.exponent - BigInt(FIXED_PLACES),
  })
}

const FIXED_PLACES = 80
const FIXED_ONE = 10n ** BigInt(FIXED_PLACES)
const LN2 = 69314718055994530941723212145817656807550013436025525412068000949339362196969471n

/** `value` times 10^80, cut off; undefined for what is too large for a power to be held. */
function fixedPoint(value: CborDecimal): bigint | undefined {
  const digits = BigInt(decimalDigits(value.coefficient))
  const shift = value.exponent + BigInt(FIXED_PLACES)
  if (value.exponent + digits > 8n) return undefined
  let size = 0n
  if (shift >= 0n) size = value.coefficient * 10n ** shift
  else if (-shift <= digits) size = value.coefficient / 10n ** -shift
  return value.negative ? -size : size
}

/** e^x by its series; x and the result times 10^80. */
function exponentialOfFixed(x: bigint): bigint {
  let sum = FIXED_ONE
  let term = FIXED_ONE
  for (let n = 1n; term !== 0n; n++) {
    term = (term * x) / (FIXED_ONE * n)
    sum += term
  }
  return sum
}

const FRACTION_TEXT =
  /^([+-]?)(?=\d|\.\d)(\d*|\d+(?:_\d+)*)(?:(?:\/(\d+(?:_\d+)*))?|(?:\.(\d*|\d+(?:_\d+)*))?(?:e([+-]?\d+(?:_\d+)*))?)$/i

/** Python refuses to read longer numbers from text. */
const MAX_TEXT_DIGITS = 4300

/** What `Fraction(text)` makes of a text; undefined where it raises. */
export function fractionOfText(text: string): CborFraction | undefined {
  const match = FRACTION_TEXT.exec(withAsciiDigits(stripSpace(text)))
  if (match === null) return undefined
  const [, sign, wholeText, denominatorText, placesText, exponentText] = match
  const whole = intOfText(wholeText || '0')
  const denominator = intOfText(denominatorText ?? '1')
  const places = (placesText ?? '').replaceAll('_', '')
  const fraction = intOfText(places || '0')
  const exponent = intOfText((exponentText ?? '0').replace(/^[+-]/, ''))
  if (whole === undefined || fraction === undefined || exponent === undefined) return undefined
  if (denominator === undefined || denominator === 0n) return undefined
  const placeCount = places.length
  const numerator = whole * 10n ** BigInt(placeCount) + fraction
  const shift = (exponentText?.startsWith('-') ?? false) ? -exponent : exponent
  return new CborFraction(sign === '-' ? -numerator : numerator, denominator, shift - BigInt(placeCount))
}

function intOfText(text: string): bigint | undefined {
  const digits = text.replaceAll('_', '')
  return digits.length > MAX_TEXT_DIGITS ? undefined : BigInt(digits)
}
