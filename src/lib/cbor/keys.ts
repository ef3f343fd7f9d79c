import { createHash } from 'node:crypto'
import { ParseError } from '../../errors.ts'
import { toLatin1 } from '../bytes.ts'
import type { Budget } from './budget.ts'
import { bigintBytes, binaryParts, CborDecimal, CborFraction } from './numbers.ts'
import {
  CborBreak,
  CborDate,
  CborDateTime,
  CborFrozenMap,
  CborIpAddress,
  CborIpNetwork,
  CborMessage,
  CborRegexp,
  CborSet,
  CborSimple,
  CborTag,
  CborTuple,
  CborUndefined,
  CborUuid,
  type CborValue,
} from './values.ts'

/** No UTF-8 decodes to it, so the name of another key never equals a text. */
const NOT_TEXT = '\ud800'
const MAX_DEPTH = 2000
const LARGEST_PLAIN = 1n << 53n

/**
 * Names keys so that two names are equal exactly where Python's dict takes the keys for one: 1, 1.0, true and
 * Decimal(1) are one key; a text is its own name. Composite keys are named by a hash of the names inside, so that a
 * key of shared parts costs what its parts cost and not what it would be written out.
 */
export class KeyMaker {
  readonly #budget: Budget
  readonly #names = new Map<object, string>()
  readonly #open = new Set<CborTag>()
  #identities = 0
  #depth = 0
  /** Whether naming has met a tag that is still being decoded: what it is in will have another name later. */
  #unfinished = false

  constructor(budget: Budget) {
    this.#budget = budget
  }

  /** Throws ParseError if Python could not hash the value: lists, dicts, sets, and what holds one. */
  nameOf(value: CborValue, offset: number): string {
    if (typeof value === 'string') return value
    this.#unfinished = false
    return this.#name(value, offset)
  }

  #name(value: CborValue, offset: number): string {
    if (typeof value !== 'object' || value === null) return this.#scalar(value, offset)
    const known = this.#names.get(value)
    if (known !== undefined) return known
    if (++this.#depth > MAX_DEPTH) throw new ParseError('CBOR key is nested too deeply', offset)
    const name = NOT_TEXT + this.#object(value, offset)
    this.#depth--
    if (!this.#unfinished) this.#names.set(value, name)
    return name
  }

  #scalar(value: bigint | number | boolean | string | null | undefined, offset: number): string {
    if (typeof value === 'string') return value
    if (typeof value === 'boolean') return `${NOT_TEXT}i${value ? 1 : 0}`
    if (typeof value === 'bigint') return NOT_TEXT + this.#number(value, 1n, 0n, offset)
    if (typeof value === 'number') return NOT_TEXT + this.#float(value, offset)
    return `${NOT_TEXT}null`
  }

  #float(value: number, offset: number): string {
    // Python keeps two NaN apart by identity.
    if (Number.isNaN(value)) return `nan${this.#identities++}`
    if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf'
    const { numerator, halvings } = binaryParts(value)
    return this.#number(numerator, 1n << BigInt(halvings), 0n, offset)
  }

  /** One name for every way to write numerator / denominator × 10^exponent. */
  #number(numerator: bigint, denominator: bigint, exponent: bigint, offset: number): string {
    if (denominator === 1n && exponent === 0n && isPlain(numerator)) return `i${numerator}`
    if (numerator === 0n) return 'i0'
    this.#budget.charge(bigintBytes(numerator) + bigintBytes(denominator), offset)
    let [twos, upper] = split(numerator, 2n)
    let fives: bigint
    ;[fives, upper] = split(upper, 5n)
    const [lowerTwos, half] = split(denominator, 2n)
    let [lowerFives, lower] = split(half, 5n)
    twos += exponent - lowerTwos
    fives += exponent - lowerFives
    const common = lower === 1n ? 1n : this.#commonDivisor(upper, lower, offset)
    upper /= common
    lower /= common
    if (lower === 1n && twos >= 0n && twos <= 53n && fives >= 0n && fives <= 53n) {
      const whole = upper * 2n ** twos * 5n ** fives
      if (isPlain(whole)) return `i${whole}`
    }
    return `n${twos},${fives},${upper.toString(16)}/${lower.toString(16)}`
  }

  #commonDivisor(a: bigint, b: bigint, offset: number): bigint {
    let [large, small] = [a < 0n ? -a : a, b]
    while (small !== 0n) {
      this.#budget.charge(bigintBytes(large) / 8, offset)
      ;[large, small] = [small, large % small]
    }
    return large
  }

  #object(value: object & CborValue, offset: number): string {
    if (value instanceof Uint8Array) {
      this.#budget.charge(value.length, offset)
      return `b${toLatin1(value)}`
    }
    if (value instanceof CborTuple) return this.#composite('t', this.#all(value.items, offset), offset)
    // Python compares a simple value as the tuple of its number.
    if (value instanceof CborSimple) return this.#composite('t', this.#all([BigInt(value.value)], offset), offset)
    if (value instanceof CborFrozenMap) return this.#map(value, offset)
    if (value instanceof CborSet && value.frozen) return this.#composite('s', [...value.names].sort(), offset)
    if (value instanceof CborTag) return this.#tag(value, offset)
    if (value instanceof CborDecimal) return this.#decimal(value, offset)
    if (value instanceof CborFraction) {
      return this.#number(value.numerator, value.denominator, value.exponent, offset)
    }
    const name = this.#leaf(value, offset)
    if (name === undefined) throw new ParseError('CBOR key cannot be hashed', offset)
    return name
  }

  #leaf(value: object & CborValue, offset: number): string | undefined {
    if (value instanceof CborUndefined) return 'undefined'
    if (value instanceof CborBreak) return 'break'
    if (value instanceof CborDateTime) return `dt${value.micros}`
    if (value instanceof CborDate) return `d${value.days}`
    if (value instanceof CborUuid) return `u${toLatin1(value.bytes)}`
    if (value instanceof CborIpAddress) return `ip${toLatin1(value.bytes)}`
    if (value instanceof CborIpNetwork) return `in${toLatin1(value.bytes)}/${value.prefix}`
    if (value instanceof CborMessage) return `m${this.#identities++}`
    if (!(value instanceof CborRegexp)) return undefined
    this.#budget.charge(value.pattern.length, offset)
    return typeof value.pattern === 'string' ? `r${value.pattern}` : `rb${toLatin1(value.pattern)}`
  }

  #decimal(value: CborDecimal, offset: number): string {
    if (value.kind === 'snan') throw new ParseError('CBOR key cannot be hashed', offset)
    if (value.kind === 'nan') return `nan${this.#identities++}`
    if (value.kind === 'infinity') return value.negative ? '-inf' : 'inf'
    return this.#number(value.negative ? -value.coefficient : value.coefficient, 1n, value.exponent, offset)
  }

  #map(value: CborFrozenMap, offset: number): string {
    const pairs: string[] = []
    for (const { key, value: item } of value.entries()) {
      pairs.push(this.#composite('p', [this.#name(key, offset), this.#name(item, offset)], offset))
    }
    return this.#composite('f', pairs.sort(), offset)
  }

  #tag(value: CborTag, offset: number): string {
    if (this.#open.has(value)) throw new ParseError('CBOR key contains itself', offset)
    if (!value.complete) this.#unfinished = true
    this.#open.add(value)
    const name = this.#composite(`g${value.tag}`, [this.#name(value.value, offset)], offset)
    this.#open.delete(value)
    return name
  }

  #all(items: readonly CborValue[], offset: number): string[] {
    return items.map((item) => this.#name(item, offset))
  }

  #composite(kind: string, parts: readonly string[], offset: number): string {
    const hash = createHash('sha256').update(kind)
    for (const part of parts) {
      this.#budget.charge(part.length, offset)
      // As UTF-16, which keeps the lone surrogate that marks names that are no texts.
      hash.update(`|${part.length}|`).update(Buffer.from(part, 'utf16le'))
    }
    return `#${kind}${hash.digest('base64')}`
  }
}

function isPlain(value: bigint): boolean {
  return value <= LARGEST_PLAIN && value >= -LARGEST_PLAIN
}

/** How often `prime` divides `value`, and what is left. Squares the divisor while that goes, so it takes few steps. */
function split(value: bigint, prime: bigint): [times: bigint, rest: bigint] {
  let times = 0n
  let rest = value
  let power = prime
  let step = 1n
  while (rest % prime === 0n) {
    if (rest % power === 0n) {
      rest /= power
      times += step
      power *= power
      step *= 2n
    } else {
      power = prime
      step = 1n
    }
  }
  return [times, rest]
}
