/**
 * What a CBOR item becomes. The types keep apart what the reference's decoder (Python's cbor2 5.6) keeps apart, because
 * consensus rules ask "is it an int", "is it a list", "is it a dict":
 *
 * | Python | here |
 * | --- | --- |
 * | int, float, bool, None | bigint, number, boolean, null (so 5.0 is never an integer) |
 * | str, bytes, list, dict | string, Uint8Array, array, CborMap |
 * | tuple, FrozenDict (inside map keys and sets) | CborTuple, CborFrozenMap |
 * | everything else | a class of its own below |
 *
 * Values may share parts and may contain themselves (tags 28 and 29): whoever walks one has to bound the walk.
 */

import type { CborDecimal, CborFraction } from './numbers.ts'

export type CborValue =
  | bigint
  | number
  | boolean
  | null
  | string
  | Uint8Array
  | CborValue[]
  | CborMap
  | CborTuple
  | CborFrozenMap
  | CborSet
  | CborTag
  | CborSimple
  | CborUndefined
  | CborBreak
  | CborDateTime
  | CborDate
  | CborDecimal
  | CborFraction
  | CborRegexp
  | CborMessage
  | CborUuid
  | CborIpAddress
  | CborIpNetwork

export interface CborEntry {
  readonly key: CborValue
  value: CborValue
}

/** The entries of a dict under the names that KeyMaker gives to equal keys; order is that of the first insertion. */
class KeyedEntries {
  readonly #entries = new Map<string, CborEntry>()

  get size(): number {
    return this.#entries.size
  }

  /** The value under a text key, or undefined if there is none. */
  get(name: string): CborValue | undefined {
    return this.#entries.get(name)?.value
  }

  has(name: string): boolean {
    return this.#entries.has(name)
  }

  /** Sets as a Python dict does: an equal key keeps its place and its first spelling (1 and 1.0 are one key). */
  put(keyName: string, key: CborValue, value: CborValue): void {
    const entry = this.#entries.get(keyName)
    if (entry === undefined) this.#entries.set(keyName, { key, value })
    else entry.value = value
  }

  remove(keyName: string): void {
    this.#entries.delete(keyName)
  }

  /** Sets a text key. */
  set(name: string, value: CborValue): void {
    this.put(name, name, value)
  }

  entries(): IterableIterator<CborEntry> {
    return this.#entries.values()
  }

  /** Key names (see KeyMaker) with their entries. */
  named(): IterableIterator<[string, CborEntry]> {
    return this.#entries.entries()
  }
}

/** A dict. */
export class CborMap extends KeyedEntries {
  readonly frozen = false
}

/** A map inside a key or a set. It is no dict: rules that ask for a dict refuse it. */
export class CborFrozenMap extends KeyedEntries {
  readonly frozen = true
}

/** An array inside a key or a set. It is no list. */
export class CborTuple {
  readonly items: readonly CborValue[]
  constructor(items: readonly CborValue[]) {
    this.items = items
  }
}

/** Tag 258. Elements in order of their first appearance, equal ones once. */
export class CborSet {
  readonly frozen: boolean
  readonly items: readonly CborValue[]
  /** What KeyMaker calls each element. */
  readonly names: readonly string[]
  constructor(items: readonly CborValue[], names: readonly string[], frozen: boolean) {
    this.items = items
    this.names = names
    this.frozen = frozen
  }
}

/** A tag that has no meaning of its own here. `value` is null until what it tags has been decoded. */
export class CborTag {
  readonly tag: bigint
  value: CborValue = null
  complete = false
  constructor(tag: bigint) {
    this.tag = tag
  }
}

/** Simple values other than true, false, null and undefined. */
export class CborSimple {
  readonly value: number
  constructor(value: number) {
    this.value = value
  }
}

/** `undefined` of CBOR, which is not null. */
export class CborUndefined {
  readonly isUndefined = true
}

/** A break code where an item is expected: the reference takes it for a value. */
export class CborBreak {
  readonly isBreak = true
}

export const CBOR_UNDEFINED = new CborUndefined()
export const CBOR_BREAK = new CborBreak()

/** Tags 0 and 1: microseconds since 1970 in UTC, and the offset it was written with, in minutes. */
export class CborDateTime {
  readonly micros: bigint
  readonly offsetMinutes: number
  constructor(micros: bigint, offsetMinutes: number) {
    this.micros = micros
    this.offsetMinutes = offsetMinutes
  }
}

/** Tags 100 and 1004: days since 1970-01-01. */
export class CborDate {
  readonly days: number
  constructor(days: number) {
    this.days = days
  }
}

/** Tag 35: a regular expression that Python accepts, over text or bytes. */
export class CborRegexp {
  readonly pattern: string | Uint8Array
  constructor(pattern: string | Uint8Array) {
    this.pattern = pattern
  }
}

/** Tag 36: a MIME message; null where the reference was given null, which it reads as an empty one. */
export class CborMessage {
  readonly source: string | null
  constructor(source: string | null) {
    this.source = source
  }
}

/** Tag 37: 16 bytes. */
export class CborUuid {
  readonly bytes: Uint8Array
  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }
}

/** Tag 260: 4 or 16 bytes. */
export class CborIpAddress {
  readonly bytes: Uint8Array
  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }
}

/** Tag 261: the masked address of 4 or 16 bytes and the length of its prefix in bits. */
export class CborIpNetwork {
  readonly bytes: Uint8Array
  readonly prefix: number
  constructor(bytes: Uint8Array, prefix: number) {
    this.bytes = bytes
    this.prefix = prefix
  }
}
