/**
 * CBOR with the observable behaviour of Python's cbor2 5.6.5 (C extension), which decides for the reference whether an
 * operation exists and what it says: one item is read, whatever follows is ignored; which tags decode to what, which
 * values are refused, how equal keys merge, are that decoder's rules and not those of RFC 8949.
 */

import { ParseError } from '../errors.ts'
import { Budget } from './cbor/budget.ts'
import { KeyMaker } from './cbor/keys.ts'
import { decodeTag, type TagReader } from './cbor/tags.ts'
import { decodeText } from './cbor/text.ts'
import {
  CBOR_BREAK,
  CBOR_UNDEFINED,
  CborFrozenMap,
  CborMap,
  CborSimple,
  CborTuple,
  type CborValue,
} from './cbor/values.ts'

// CONSENSUS: 990 nested items decode and the 991st refuses the payload: the recursion limit of the reference's
// interpreter (1,000), less the frames that its block processor stands on.
const MAX_DEPTH = 990

const INDEFINITE = -1

/**
 * The first item in `bytes`. Throws ParseError where the reference's decoder raises anything.
 * Byte strings are views of `bytes`.
 */
export function decodeCbor(bytes: Uint8Array): CborValue {
  const decoder = new Decoder(bytes)
  const item = decoder.item('as it is')
  if (decoder.refers && item instanceof CborMap) REFERRING.add(item)
  return item
}

/** Maps that were decoded with references in them. */
const REFERRING = new WeakSet<CborMap>()

/** True of a map that was decoded from bytes with shared references (tag 29), so that values in it may be one object. */
export function mayShareParts(decoded: CborMap): boolean {
  return REFERRING.has(decoded)
}

/**
 * How an item is to be read: inside a map key everything becomes immutable; only the item right behind a sharing tag
 * is the one that the tag shares.
 */
type Mode = 'as it is' | 'unshared' | 'immutable' | 'immutable, unshared'

class Decoder implements TagReader {
  readonly budget: Budget
  readonly keys: KeyMaker
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #position = 0
  #depth = 0
  #immutable = false
  readonly #shared: (CborValue | undefined)[] = []
  #refers = false
  #sharing: number | undefined
  #strings: (string | Uint8Array)[] | undefined

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.budget = new Budget(bytes.length)
    this.keys = new KeyMaker(this.budget)
  }

  get isImmutable(): boolean {
    return this.#immutable
  }

  get depth(): number {
    return this.#depth
  }

  get offset(): number {
    return this.#position
  }

  /** True if a shared reference was read. */
  get refers(): boolean {
    return this.#refers
  }

  item(mode: Mode): CborValue {
    const immutable = this.#immutable
    const sharing = this.#sharing
    if (mode === 'immutable' || mode === 'immutable, unshared') this.#immutable = true
    if (mode === 'unshared' || mode === 'immutable, unshared') this.#sharing = undefined
    this.#depth++
    this.needDepth(0)
    const lead = this.#byte()
    const value = this.#ofMajor(lead >> 5, lead & 31)
    this.#depth--
    this.#immutable = immutable
    this.#sharing = sharing
    return value
  }

  /** Refuses what the reference refuses because a call inside would exceed its recursion limit. */
  needDepth(more: number): void {
    if (this.#depth + more > MAX_DEPTH) this.fail('nested too deeply')
  }

  fail(what: string): never {
    throw new ParseError(`CBOR: ${what}`, this.#position)
  }

  /** Makes `value` what references to the tag 28 around it stand for. */
  share<T extends CborValue>(value: T): T {
    if (this.#sharing !== undefined) this.#shared[this.#sharing] = value
    return value
  }

  /** Tag 28. */
  shareable(): CborValue {
    const outer = this.#sharing
    this.#sharing = this.#shared.push(undefined) - 1
    const value = this.item('as it is')
    this.#sharing = outer
    return value
  }

  /** Tag 29. A value that is still being decoded can be meant, so values can contain themselves. */
  sharedReference(): CborValue {
    this.#refers = true
    return indexed(this.#shared, this.item('unshared')) ?? this.fail('shared reference to nothing')
  }

  /** Tag 256. */
  stringNamespace(): CborValue {
    const outer = this.#strings
    this.#strings = []
    const value = this.item('as it is')
    this.#strings = outer
    return value
  }

  /** Tag 25. */
  stringReference(): CborValue {
    if (this.#strings === undefined) return this.fail('string reference outside of a namespace')
    const strings = this.#strings
    return indexed(strings, this.item('unshared')) ?? this.fail('string reference to nothing')
  }

  #ofMajor(major: number, subtype: number): CborValue {
    switch (major) {
      case 0:
        return this.share(this.#argument(subtype))
      case 1:
        return this.share(-1n - this.#argument(subtype))
      case 2:
        return this.#byteString(subtype)
      case 3:
        return this.#textString(subtype)
      case 4:
        return this.#array(subtype)
      case 5:
        return this.#map(subtype)
      case 6:
        return decodeTag(this.#argument(subtype), this)
      default:
        return this.#special(subtype)
    }
  }

  #byte(): number {
    const byte = this.#bytes[this.#position]
    if (byte === undefined) return this.fail('unexpected end')
    this.#position++
    return byte
  }

  #take(length: number): Uint8Array {
    if (length > this.#bytes.length - this.#position) this.fail('unexpected end')
    const taken = this.#bytes.subarray(this.#position, this.#position + length)
    this.#position += length
    return taken
  }

  #argument(subtype: number): bigint {
    if (subtype < 27) return BigInt(this.#smallArgument(subtype))
    if (subtype !== 27) return this.fail('unknown subtype')
    this.#take(8)
    return this.#view.getBigUint64(this.#position - 8)
  }

  #smallArgument(subtype: number): number {
    if (subtype < 24) return subtype
    if (subtype === 24) return this.#byte()
    const size = subtype === 25 ? 2 : 4
    this.#take(size)
    return size === 2 ? this.#view.getUint16(this.#position - 2) : this.#view.getUint32(this.#position - 4)
  }

  /** A count of bytes or items; nothing is set aside for it before the bytes are there. */
  #length(subtype: number): number {
    return subtype === 31 ? INDEFINITE : Number(this.#argument(subtype))
  }

  #byteString(subtype: number): Uint8Array {
    const length = this.#length(subtype)
    if (length !== INDEFINITE) return this.share(this.#named(this.#take(length), length))
    const pieces: Uint8Array[] = []
    this.#pieces(2, (size) => pieces.push(this.#byteString(size)))
    return this.share(new Uint8Array(Buffer.concat(pieces)))
  }

  #textString(subtype: number): string {
    const length = this.#length(subtype)
    if (length !== INDEFINITE) {
      const text = decodeText(this.#take(length))
      return text === undefined ? this.fail('text is not UTF-8') : this.share(this.#named(text, length))
    }
    let text = ''
    this.#pieces(3, (size) => {
      text += this.#textString(size)
    })
    return this.share(text)
  }

  /** The pieces of a string of indefinite length, up to the break. */
  #pieces(major: number, take: (subtype: number) => void): void {
    for (let lead = this.#byte(); lead !== 0xff; lead = this.#byte()) {
      if (lead >> 5 !== major || (lead & 31) === 31) this.fail('a piece of a string is no string of its kind')
      take(lead & 31)
    }
  }

  /** Strings get a number in a namespace (tag 256) if a reference to it would be shorter; `length` in bytes. */
  #named<T extends string | Uint8Array>(string: T, length: number): T {
    const strings = this.#strings
    if (strings === undefined) return string
    const next = strings.length
    const worthwhile = next < 24 ? 3 : next < 256 ? 4 : next < 65_536 ? 5 : 7
    if (length >= worthwhile) strings.push(string)
    return string
  }

  #array(subtype: number): CborValue {
    const length = this.#length(subtype)
    const items: CborValue[] = []
    // CONSENSUS: an array of up to 65,536 items in a map key cannot refer to itself, a longer or indefinite one can.
    const early = !this.#immutable || length === INDEFINITE || length > 65_536
    if (early) this.share(items)
    for (let index = 0; index !== length; index++) {
      const item = this.item('unshared')
      if (length === INDEFINITE && item === CBOR_BREAK) break
      items.push(item)
    }
    return this.#immutable ? this.share(new CborTuple(items)) : items
  }

  #map(subtype: number): CborValue {
    const map = new CborMap()
    this.share(map)
    const length = this.#length(subtype)
    for (let index = 0; index !== length; index++) {
      const key = this.item('immutable, unshared')
      if (length === INDEFINITE && key === CBOR_BREAK) break
      const value = this.item('unshared')
      map.put(this.keys.nameOf(key, this.#position), key, value)
    }
    if (!this.#immutable) return map
    this.needDepth(2)
    const frozen = new CborFrozenMap()
    for (const [name, { key, value }] of map.named()) frozen.put(name, key, value)
    return this.share(frozen)
  }

  #special(subtype: number): CborValue {
    if (subtype < 20) return new CborSimple(subtype)
    switch (subtype) {
      case 20:
        return false
      case 21:
        return true
      case 22:
        return null
      case 23:
        return CBOR_UNDEFINED
      case 24:
        return new CborSimple(this.#byte())
      case 25:
        return this.share(halfFloat(this.#smallArgument(25)))
      case 26:
        this.#take(4)
        return this.share(this.#view.getFloat32(this.#position - 4))
      case 27:
        this.#take(8)
        return this.share(this.#view.getFloat64(this.#position - 8))
      case 31:
        // CONSENSUS: a break code where no indefinite length is open is a value like any other.
        return CBOR_BREAK
      default:
        return this.fail('reserved subtype')
    }
  }
}

/** The element that a reference means; undefined if `index` is no int or there is none. A bool is no index. */
function indexed<T>(values: readonly (T | undefined)[], index: CborValue): T | undefined {
  if (typeof index !== 'bigint' || index < 0n || index >= BigInt(values.length)) return undefined
  return values[Number(index)]
}

function halfFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const mantissa = bits & 1023
  if (exponent === 31) return mantissa === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return sign * (exponent === 0 ? mantissa * 2 ** -24 : (mantissa + 1024) * 2 ** (exponent - 25))
}
