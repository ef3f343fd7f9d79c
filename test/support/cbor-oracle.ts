import { toHex } from '../../src/lib/bytes.ts'
import { CborDecimal, CborFraction } from '../../src/lib/cbor/numbers.ts'
import {
  CborBreak,
  CborDate,
  CborDateTime,
  CborFrozenMap,
  CborIpAddress,
  CborIpNetwork,
  CborMap,
  CborMessage,
  CborRegexp,
  CborSet,
  CborSimple,
  CborTag,
  CborTuple,
  CborUndefined,
  CborUuid,
  type CborValue,
} from '../../src/lib/cbor/values.ts'

/** A value as the rows of test/fixtures/oracles write it. */
export type OracleValue = readonly [string, ...unknown[]]

const DAY_MS = 86_400_000
const MAX_DEPTH = 60

/** Our value in the oracle's writing. The oracle writes what is nested 60 deep and more as `deep`. */
export function toOracle(value: CborValue, depth = 0): OracleValue {
  if (depth > MAX_DEPTH) return ['deep']
  const inner = (item: CborValue): OracleValue => toOracle(item, depth + 1)
  if (value === null) return ['null']
  if (typeof value === 'boolean') return ['bool', value]
  if (typeof value === 'bigint') return ['int', value.toString()]
  if (typeof value === 'number') return ['float', doubleHex(value)]
  if (typeof value === 'string') return ['text', value]
  if (value instanceof Uint8Array) return ['bytes', toHex(value)]
  if (Array.isArray(value)) return ['list', value.map(inner)]
  if (value instanceof CborTuple) return ['tuple', value.items.map(inner)]
  if (value instanceof CborMap || value instanceof CborFrozenMap) {
    const pairs = Array.from(value.entries(), ({ key, value: of }) => [inner(key), inner(of)])
    return [value instanceof CborMap ? 'map' : 'frozenmap', pairs]
  }
  if (value instanceof CborSet) return [value.frozen ? 'frozenset' : 'set', value.items.map(inner)]
  if (value instanceof CborTag) return ['tag', String(value.tag), inner(value.value)]
  return leaf(value)
}

function doubleHex(value: number): string {
  const buffer = Buffer.alloc(8)
  buffer.writeDoubleBE(value)
  return buffer.toString('hex')
}

function leaf(value: Exclude<CborValue, bigint | number | boolean | null | string>): OracleValue {
  if (value instanceof CborUndefined) return ['undefined']
  if (value instanceof CborBreak) return ['other', 'break_marker_type', 'break_marker']
  if (value instanceof CborSimple) return ['simple', value.value]
  if (value instanceof CborDateTime) return ['datetime', isoDateTime(value)]
  if (value instanceof CborDate) return ['date', new Date(value.days * DAY_MS).toISOString().slice(0, 10)]
  if (value instanceof CborDecimal) return ['decimal', decimalText(value)]
  if (value instanceof CborFraction) return ['fraction', ...fractionText(value)]
  if (value instanceof CborRegexp) {
    return ['regexp', typeof value.pattern === 'string' ? value.pattern : bytesText(value.pattern)]
  }
  if (value instanceof CborMessage) return ['message']
  if (value instanceof CborUuid)
    return ['uuid', toHex(value.bytes).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')]
  if (value instanceof CborIpAddress)
    return ['other', `IPv${value.bytes.length === 4 ? 4 : 6}Address`, address(value.bytes)]
  if (value instanceof CborIpNetwork) {
    return ['other', `IPv${value.bytes.length === 4 ? 4 : 6}Network`, `${address(value.bytes)}/${value.prefix}`]
  }
  throw new Error('a value that the oracle has no writing for')
}

const REPR_ESCAPES: ReadonlyMap<string, string> = new Map([
  ['\\', '\\\\'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
])

/** Python's repr() of bytes. */
function bytesText(bytes: Uint8Array): string {
  const latin1 = Buffer.from(bytes).toString('latin1')
  const quote = latin1.includes("'") && !latin1.includes('"') ? '"' : "'"
  const escaped = latin1.replace(/[^ -~]|[\\']/g, (c) => {
    if (c === "'") return quote === "'" ? "\\'" : c
    return REPR_ESCAPES.get(c) ?? `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`
  })
  return `b${quote}${escaped}${quote}`
}

function isoDateTime({ micros, offsetMinutes }: CborDateTime): string {
  const local = micros + BigInt(offsetMinutes) * 60_000_000n
  const fraction = ((local % 1_000_000n) + 1_000_000n) % 1_000_000n
  const date = new Date(Number((local - fraction) / 1000n)).toISOString().slice(0, 19)
  const size = Math.abs(offsetMinutes)
  const zone = `${offsetMinutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`
  return `${date}${fraction === 0n ? '' : `.${fraction.toString().padStart(6, '0')}`}${zone}`
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}

/** Python's str(Decimal). */
export function decimalText(value: CborDecimal): string {
  const sign = value.negative ? '-' : ''
  if (value.kind === 'infinity') return `${sign}Infinity`
  if (value.kind !== 'finite') {
    return `${sign}${value.kind === 'nan' ? 'NaN' : 'sNaN'}${value.coefficient === 0n ? '' : value.coefficient}`
  }
  const digits = value.coefficient.toString()
  const exponent = Number(value.exponent)
  const adjusted = value.exponent + BigInt(digits.length - 1)
  if (exponent <= 0 && adjusted >= -6n) {
    const point = digits.length + exponent
    if (exponent === 0) return sign + digits
    return point > 0
      ? `${sign}${digits.slice(0, point)}.${digits.slice(point)}`
      : `${sign}0.${'0'.repeat(-point)}${digits}`
  }
  const mantissa = digits.length === 1 ? digits : `${digits[0] ?? ''}.${digits.slice(1)}`
  return `${sign}${mantissa}E${adjusted < 0n ? '' : '+'}${adjusted}`
}

function fractionText({ numerator, denominator, exponent }: CborFraction): [string, string] {
  const size = exponent < 0n ? -exponent : exponent
  const scale = 10n ** size
  if (numerator === 0n) return ['0', '1']
  const upper = exponent > 0n ? numerator * scale : numerator
  const lower = exponent < 0n ? denominator * scale : denominator
  const common = commonDivisor(upper < 0n ? -upper : upper, lower)
  return [String(upper / common), String(lower / common)]
}

function commonDivisor(a: bigint, b: bigint): bigint {
  return b === 0n ? a : commonDivisor(b, a % b)
}

/** IP addresses as Python writes them: of IPv6 the longest run of zeros is left out. */
function address(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.')
  const groups = Array.from({ length: 8 }, (_, i) =>
    (((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0)).toString(16),
  )
  const text = groups.join(':')
  const runs = [...text.matchAll(/(?:^|:)0(?::0)+(?=:|$)/g)].toSorted((a, b) => b[0].length - a[0].length)
  const longest = runs[0]
  if (longest === undefined) return text
  const before = text.slice(0, longest.index)
  const after = text.slice(longest.index + longest[0].length + 1)
  return `${before}::${after}`
}

const NAN = /^[7f]ff(?!0{13})/

/** The same value in one writing: sets in one order, one NaN, large integers by their length in bits. */
export function normalized(value: unknown): unknown {
  if (!Array.isArray(value)) return value
  const [kind, content] = value as [unknown, unknown]
  if (kind === 'float' && NAN.test(String(content))) return ['float', 'nan']
  if (kind === 'badtext' && Array.isArray(content)) return ['text', String.fromCodePoint(...(content as number[]))]
  if (kind === 'int' && String(content).length > 1500) return ['bigint', bitLength(BigInt(String(content)))]
  if ((kind === 'set' || kind === 'frozenset') && Array.isArray(content)) {
    return [kind, content.map((item) => JSON.stringify(normalized(item))).sort()]
  }
  return value.map(normalized)
}

function bitLength(value: bigint): number {
  return (value < 0n ? -value : value).toString(2).length
}
