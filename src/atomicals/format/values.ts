import { toHex } from '../../lib/bytes.ts'
import { encodeCbor } from '../../lib/cbor/encode.ts'
import { CborDecimal, CborFraction } from '../../lib/cbor/numbers.ts'
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
} from '../../lib/cbor/values.ts'

/** What answers are made of: JSON, with integers of any size. Members that are undefined are not there. */
export type Wire = null | boolean | number | bigint | string | readonly Wire[] | WireObject
export interface WireObject {
  readonly [name: string]: Wire | undefined
}

/** Values inside values that are shown: JSON is written a little deeper (see rpc/json.ts). */
const MAX_DEPTH = 480
/** Values that one answer shows of what others put into the chain: a few bytes can share their parts a million times. */
const MAX_VALUES = 500_000
/** Bytes of a byte string that take as long to show as a value. */
const BYTES_PER_VALUE = 64
const MS_PER_DAY = 86_400_000
/** Size of an empty bytes object in Python, which the reference counts in `$len`. */
const BYTES_OVERHEAD = 33

/** Counts what is shown, so that an answer ends. */
export class ShownValues {
  #left = MAX_VALUES
  #bytes = 0

  /** How much was shown so far, in values. */
  get work(): number {
    return MAX_VALUES - this.#left + this.#bytes / BYTES_PER_VALUE
  }

  take(): boolean {
    this.#left -= 1
    return this.#left >= 0
  }

  bytes(bytes: Uint8Array): WireObject {
    this.#bytes += bytes.length
    return wireBytes(bytes)
  }
}

/** Bytes as the reference shows them; `$len` is what Python says that they take in memory: 33 more. */
export function wireBytes(bytes: Uint8Array): WireObject {
  return { $b: toHex(bytes), $len: bytes.length + BYTES_OVERHEAD, $auto: true }
}

/**
 * A decoded CBOR value as JSON. Integers beyond 2^53 stay exact, NaN and infinities are null, unknown tags are shown as
 * the bytes of their CBOR, known ones as text. What is too deep or too much is cut off and shown as null.
 */
export function wireOf(value: CborValue | undefined, shown: ShownValues = new ShownValues(), depth = 0): Wire {
  if (value === undefined || value === null || !shown.take() || depth > MAX_DEPTH) return null
  switch (typeof value) {
    case 'bigint':
      return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value
    case 'number':
      return Number.isFinite(value) ? value : null
    case 'object':
      return wireOfObject(value, shown, depth)
    default:
      return value
  }
}

function wireOfObject(value: CborValue & object, shown: ShownValues, depth: number): Wire {
  if (value instanceof Uint8Array) return shown.bytes(value)
  if (Array.isArray(value)) return value.map((item) => wireOf(item, shown, depth + 1))
  if (value instanceof CborMap || value instanceof CborFrozenMap) return wireOfMap(value, shown, depth)
  if (value instanceof CborTuple || value instanceof CborSet) {
    return value.items.map((item) => wireOf(item, shown, depth + 1))
  }
  if (value instanceof CborTag) {
    const bytes = encodeCbor(value)
    return bytes === undefined ? null : wireBytes(bytes)
  }
  if (value instanceof CborSimple) return [value.value]
  return textOfKnown(value)
}

/** Later entries of the same text win, as they do in the JSON of the reference. */
export function wireOfMap(map: CborMap | CborFrozenMap, shown: ShownValues, depth = 0): WireObject {
  const entries: [string, Wire][] = []
  for (const { key, value } of map.entries())
    entries.push([keyText(key, shown, depth), wireOf(value, shown, depth + 1)])
  return Object.fromEntries(entries)
}

/** Numbers, booleans and null as Python's json module writes keys; bytes in hex, everything else as its JSON. */
export function keyText(key: CborValue, shown: ShownValues, depth = 0): string {
  if (typeof key === 'string') return key
  if (key instanceof Uint8Array) return toHex(key)
  if (typeof key === 'bigint') return key.toString()
  if (typeof key === 'number') return Number.isInteger(key) ? key.toFixed(1) : String(key)
  return JSON.stringify(wireOf(key, shown, depth + 1), (_, inner: unknown) =>
    typeof inner === 'bigint' ? inner.toString() : inner,
  )
}

/** What the reference cannot show at all. */
function textOfKnown(value: CborValue & object): string | null {
  if (value instanceof CborDateTime) return dateText(Number(value.micros / 1000n))
  if (value instanceof CborDate) return dateText(value.days * MS_PER_DAY)?.slice(0, 10) ?? null
  if (value instanceof CborDecimal) return decimalText(value)
  if (value instanceof CborFraction) return fractionText(value)
  if (value instanceof CborRegexp) return typeof value.pattern === 'string' ? value.pattern : toHex(value.pattern)
  if (value instanceof CborMessage) return value.source
  if (value instanceof CborUuid) return toHex(value.bytes).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
  if (value instanceof CborIpAddress) return ipText(value.bytes)
  if (value instanceof CborIpNetwork) return `${ipText(value.bytes)}/${value.prefix}`
  if (value instanceof CborUndefined || value instanceof CborBreak) return null
  return null
}

function dateText(ms: number): string | null {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? null : date.toISOString()
}

function decimalText({ kind, negative, coefficient, exponent }: CborDecimal): string {
  const sign = negative ? '-' : ''
  if (kind === 'finite') return exponent === 0n ? `${sign}${coefficient}` : `${sign}${coefficient}E${exponent}`
  return kind === 'infinity' ? `${sign}Infinity` : 'NaN'
}

function fractionText({ numerator, denominator, exponent }: CborFraction): string {
  return exponent === 0n ? `${numerator}/${denominator}` : `${numerator}/${denominator}E${exponent}`
}

function ipText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.')
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0))
  return groups.map((group) => group.toString(16)).join(':')
}

/**
 * Adds the members of `more` behind those of a wire object just made, and gives it. In Node 20 an object that gains members
 * behind a spread gets a hidden class of its own, which takes microseconds: an atomical has a dozen such members.
 */
export function extend<T extends WireObject>(wire: T, ...more: readonly WireObject[]): T {
  Object.assign(wire, ...more)
  return wire
}
