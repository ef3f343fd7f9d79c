import { regexpIsValid } from '../python/regex.ts'
import type { Budget } from './budget.ts'
import { dateOfDays, dateOfText, dateTimeOfSeconds, dateTimeOfText } from './dates.ts'
import type { KeyMaker } from './keys.ts'
import {
  bigintBytes,
  binaryParts,
  CborDecimal,
  CborFraction,
  decimalOfFloat,
  decimalOfInt,
  decimalOfText,
  exactDecimal,
  fractionalPowerOfTwo,
  fractionOfText,
  multiplyDecimals,
  powerOfTwo,
  wholeExponent,
} from './numbers.ts'
import {
  CborIpAddress,
  CborIpNetwork,
  CborMap,
  CborMessage,
  CborRegexp,
  CborSet,
  CborSimple,
  CborTag,
  CborTuple,
  CborUuid,
  type CborValue,
} from './values.ts'

/** What tags need of the decoder. */
export interface TagReader {
  readonly budget: Budget
  readonly keys: KeyMaker
  readonly isImmutable: boolean
  readonly offset: number
  /** How many items are open, this one included. */
  readonly depth: number
  item(mode: 'as it is' | 'unshared' | 'immutable' | 'immutable, unshared'): CborValue
  share<T extends CborValue>(value: T): T
  needDepth(more: number): void
  fail(what: string): never
  shareable(): CborValue
  sharedReference(): CborValue
  stringNamespace(): CborValue
  stringReference(): CborValue
}

/** What work on a byte costs, the unit being about that of copying or hashing it: a large number to or from decimal … */
const DIGITS_WEIGHT = 300
/** … a pattern … */
const PATTERN_WEIGHT = 100
/** … one large number by another. */
const PRODUCT_WEIGHT = 10

type TagDecoder = (reader: TagReader) => CborValue | undefined

const TAGS: ReadonlyMap<bigint, TagDecoder> = new Map<bigint, TagDecoder>([
  [0n, (reader) => ofText(reader.item('as it is'), dateTimeOfText, reader)],
  [1n, epochDateTime],
  [2n, bignum],
  [3n, negativeBignum],
  [4n, decimalFraction],
  [5n, bigfloat],
  [30n, rational],
  [35n, regexp],
  [36n, mime],
  [37n, uuid],
  [100n, epochDate],
  [258n, set],
  [260n, ipAddress],
  [261n, ipNetwork],
  [1004n, (reader) => ofText(reader.item('as it is'), dateOfText, reader)],
])

/** The item behind tag number `tag`. */
export function decodeTag(tag: bigint, reader: TagReader): CborValue {
  switch (tag) {
    case 25n:
      return reader.stringReference()
    case 28n:
      return reader.shareable()
    case 29n:
      return reader.sharedReference()
    case 256n:
      return reader.stringNamespace()
    case 55_799n:
      return reader.item('as it is')
    default: {
      const decoder = TAGS.get(tag)
      if (decoder === undefined) return unknownTag(tag, reader)
      const value = decoder(reader)
      return value === undefined ? reader.fail(`tag ${tag} does not fit its value`) : reader.share(value)
    }
  }
}

function unknownTag(number: bigint, reader: TagReader): CborTag {
  const tag = reader.share(new CborTag(number))
  tag.value = reader.item('unshared')
  tag.complete = true
  return tag
}

function ofText<T>(value: CborValue, read: (text: string) => T | undefined, reader: TagReader): T | undefined {
  if (typeof value !== 'string') return undefined
  reader.budget.charge(value.length * DIGITS_WEIGHT, reader.offset)
  return read(value)
}

/** A bool counts as the int it is. */
function asInt(value: CborValue): bigint | undefined {
  if (typeof value === 'boolean') return value ? 1n : 0n
  return typeof value === 'bigint' ? value : undefined
}

function epochDateTime(reader: TagReader): CborValue | undefined {
  const value = reader.item('as it is')
  const seconds = typeof value === 'number' ? value : asInt(value)
  return seconds === undefined ? undefined : dateTimeOfSeconds(seconds)
}

function epochDate(reader: TagReader): CborValue | undefined {
  const days = asInt(reader.item('as it is'))
  return days === undefined ? undefined : dateOfDays(days)
}

function bignum(reader: TagReader): bigint | undefined {
  const value = reader.item('as it is')
  if (!(value instanceof Uint8Array)) return undefined
  reader.budget.charge(value.length, reader.offset)
  return value.length === 0 ? 0n : BigInt(`0x${Buffer.from(value).toString('hex')}`)
}

function negativeBignum(reader: TagReader): bigint | undefined {
  const value = bignum(reader)
  if (value === undefined) return undefined
  // What references see until the tag is done.
  reader.share(value)
  return -1n - value
}

/** The two items of tags 4 and 5. */
function pair(reader: TagReader): readonly [exponent: CborValue, significand: CborValue] | undefined {
  const value = reader.item('immutable, unshared')
  if (!(value instanceof CborTuple) || value.items.length !== 2) return undefined
  const [exponent = null, significand = null] = value.items
  return [exponent, significand]
}

function decimalFraction(reader: TagReader): CborValue | undefined {
  const parts = pair(reader)
  if (parts === undefined) return undefined
  reader.needDepth(3)
  const [exponent, significand] = parts
  const number = decimalArgument(significand, reader)
  return number === undefined ? undefined : withExponent(number.negative, number.coefficient, exponent)
}

// CONSENSUS: the significand of tag 4 may be whatever Python's Decimal takes, of which only the digits count; an array
// is taken for the list of arguments.
function decimalArgument(value: CborValue, reader: TagReader): CborDecimal | undefined {
  const items = sequenceItems(value)
  if (items === undefined) return decimalOfValue(value, reader)
  if (items.length > 2 || (items.length === 2 && items[1] !== null)) return undefined
  const [first = 0n] = items
  return decimalOfValue(first, reader)
}

/** The items of what Python takes for a tuple. */
function sequenceItems(value: CborValue): readonly CborValue[] | undefined {
  if (value instanceof CborTuple) return value.items
  return value instanceof CborSimple ? [BigInt(value.value)] : undefined
}

function decimalOfValue(value: CborValue, reader: TagReader): CborDecimal | undefined {
  const int = asInt(value)
  if (int !== undefined) {
    reader.budget.charge(bigintBytes(int), reader.offset)
    return decimalOfInt(int)
  }
  if (typeof value === 'number') return decimalOfFloat(value)
  if (typeof value === 'string') return ofText(value, decimalOfText, reader)
  if (value instanceof CborDecimal) return value
  const items = Array.isArray(value) ? value : sequenceItems(value)
  return items === undefined ? undefined : decimalOfTriple(items, reader)
}

function decimalOfTriple(items: readonly CborValue[], reader: TagReader): CborDecimal | undefined {
  const [sign = null, digits = null, exponent = null] = items
  const signNumber = asInt(sign)
  const digitItems = Array.isArray(digits) ? digits : sequenceItems(digits)
  if (items.length !== 3 || digitItems === undefined || (signNumber !== 0n && signNumber !== 1n)) return undefined
  reader.budget.charge(digitItems.length * DIGITS_WEIGHT, reader.offset)
  let text = ''
  // An infinity has no digits, so they are not looked at.
  for (const digit of exponent === 'F' ? [] : digitItems) {
    const number = asInt(digit)
    if (number === undefined || number < 0n || number > 9n) return undefined
    text += number
  }
  return withExponent(signNumber === 1n, BigInt(text || '0'), exponent)
}

/** `Decimal((sign, digits, exponent))`. */
function withExponent(negative: boolean, coefficient: bigint, exponent: CborValue): CborDecimal | undefined {
  if (exponent === 'F') return new CborDecimal({ kind: 'infinity', negative, coefficient: 0n, exponent: 0n })
  if (exponent === 'n' || exponent === 'N') {
    return new CborDecimal({ kind: exponent === 'n' ? 'nan' : 'snan', negative, coefficient, exponent: 0n })
  }
  const number = asInt(exponent)
  return number === undefined ? undefined : exactDecimal({ kind: 'finite', negative, coefficient, exponent: number })
}

function bigfloat(reader: TagReader): CborValue | undefined {
  const parts = pair(reader)
  if (parts === undefined) return undefined
  reader.needDepth(3)
  const [exponent, significand] = parts
  const power = powerOf(exponent)
  const int = asInt(significand)
  const factor = int === undefined ? significand : decimalOfInt(int)
  if (power === undefined || !(factor instanceof CborDecimal)) return undefined
  reader.budget.charge(bigintBytes(factor.coefficient) * DIGITS_WEIGHT, reader.offset)
  return multiplyDecimals(factor, power)
}

/** `Decimal(2) ** exponent`. */
function powerOf(exponent: CborValue): CborDecimal | undefined {
  const int = asInt(exponent)
  if (int !== undefined) return powerOfTwo(int)
  if (exponent instanceof CborFraction) {
    const whole = wholeFraction(exponent)
    return whole === undefined ? undefined : powerOfTwo(whole)
  }
  if (!(exponent instanceof CborDecimal) || exponent.kind === 'snan') return undefined
  if (exponent.kind === 'nan') return exponent
  if (exponent.kind === 'infinity') {
    const kind = exponent.negative ? 'finite' : 'infinity'
    return new CborDecimal({ kind, negative: false, coefficient: 0n, exponent: 0n })
  }
  const whole = wholeExponent(exponent)
  return whole === undefined ? fractionalPowerOfTwo(exponent) : powerOfTwo(whole)
}

function wholeFraction({ numerator, denominator, exponent }: CborFraction): bigint | undefined {
  if (numerator === 0n) return 0n
  const negative = numerator < 0n
  const size = negative ? -numerator : numerator
  if (exponent > 10_000n || exponent < -10_000n) return undefined
  const upper = exponent > 0n ? size * 10n ** exponent : size
  const lower = exponent < 0n ? denominator * 10n ** -exponent : denominator
  if (upper % lower !== 0n) return undefined
  return negative ? -(upper / lower) : upper / lower
}

function rational(reader: TagReader): CborValue | undefined {
  const value = reader.item('immutable, unshared')
  if (!(value instanceof CborTuple) || value.items.length > 2) return undefined
  const [first = 0n, second = null] = value.items
  if (second === null) return fractionOfValue(first, reader)
  const upper = exactRational(first)
  const lower = exactRational(second)
  if (upper === undefined || lower === undefined || lower.numerator === 0n) return undefined
  const upperSize = bigintBytes(upper.numerator) + bigintBytes(upper.denominator)
  const lowerSize = bigintBytes(lower.numerator) + bigintBytes(lower.denominator)
  reader.budget.charge(upperSize + lowerSize + PRODUCT_WEIGHT * Math.min(upperSize, lowerSize), reader.offset)
  const sign = lower.numerator < 0n ? -1n : 1n
  return new CborFraction(
    sign * upper.numerator * lower.denominator,
    sign * upper.denominator * lower.numerator,
    upper.exponent - lower.exponent,
  )
}

/** What counts as a rational number in Python. */
function exactRational(value: CborValue): CborFraction | undefined {
  if (value instanceof CborFraction) return value
  const int = asInt(value)
  return int === undefined ? undefined : new CborFraction(int, 1n, 0n)
}

function fractionOfValue(value: CborValue, reader: TagReader): CborFraction | undefined {
  if (typeof value === 'string') return ofText(value, fractionOfText, reader)
  if (value instanceof CborDecimal) {
    if (value.kind !== 'finite') return undefined
    const numerator = value.negative ? -value.coefficient : value.coefficient
    return new CborFraction(numerator, 1n, numerator === 0n ? 0n : value.exponent)
  }
  if (typeof value !== 'number') return exactRational(value)
  if (!Number.isFinite(value)) return undefined
  const { numerator, halvings } = binaryParts(value)
  return new CborFraction(numerator, 1n << BigInt(halvings), 0n)
}

function regexp(reader: TagReader): CborValue | undefined {
  const value = reader.item('unshared')
  if (value instanceof CborRegexp) return value
  if (typeof value !== 'string' && !(value instanceof Uint8Array)) return undefined
  reader.budget.charge(value.length * PATTERN_WEIGHT, reader.offset)
  // What is left of the reference's recursion limit; each group takes two calls.
  return regexpIsValid(value, Math.floor((981 - reader.depth) / 2)) ? new CborRegexp(value) : undefined
}

// CONSENSUS: tag 36 takes null for an empty message, and every text, whatever stands in it.
function mime(reader: TagReader): CborValue | undefined {
  const value = reader.item('unshared')
  return typeof value === 'string' || value === null ? new CborMessage(value) : undefined
}

function uuid(reader: TagReader): CborValue | undefined {
  const value = reader.item('unshared')
  reader.needDepth(3)
  return value instanceof Uint8Array && value.length === 16 ? new CborUuid(value) : undefined
}

function set(reader: TagReader): CborValue | undefined {
  const value = reader.item('immutable')
  const items = Array.isArray(value) ? value : value instanceof CborTuple ? value.items : undefined
  if (items === undefined) return undefined
  const unique = new Map<string, CborValue>()
  for (const item of items) {
    const name = reader.keys.nameOf(item, reader.offset)
    if (!unique.has(name)) unique.set(name, item)
  }
  return new CborSet([...unique.values()], [...unique.keys()], reader.isImmutable)
}

function ipAddress(reader: TagReader): CborValue | undefined {
  const value = reader.item('unshared')
  if (!(value instanceof Uint8Array)) return undefined
  if (value.length === 4 || value.length === 16) return new CborIpAddress(value)
  if (value.length !== 6) return undefined
  // A MAC address stays a tag.
  const tag = new CborTag(260n)
  tag.value = value
  tag.complete = true
  return tag
}

// CONSENSUS: tag 261 holds one address with one prefix length; a bool is no prefix length, and inside a map key, where
// maps are frozen, no network decodes.
function ipNetwork(reader: TagReader): CborValue | undefined {
  const value = reader.item('unshared')
  if (!(value instanceof CborMap) || value.size !== 1) return undefined
  for (const { key, value: prefix } of value.entries()) {
    if (!(key instanceof Uint8Array) || (key.length !== 4 && key.length !== 16)) return undefined
    if (typeof prefix !== 'bigint' || prefix < 0n || prefix > BigInt(key.length * 8)) return undefined
    return new CborIpNetwork(masked(key, Number(prefix)), Number(prefix))
  }
  return undefined
}

function masked(address: Uint8Array, prefix: number): Uint8Array {
  return Uint8Array.from(address, (byte, index) => byte & (0xff00 >> Math.min(8, Math.max(0, prefix - index * 8))))
}
