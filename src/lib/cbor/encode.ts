/** CBOR out of decoded values, as Python's cbor2 writes it (RFC 8949, not canonical): for showing tags that mean nothing. */

import { concat } from '../bytes.ts'
import { bigintBytes } from './numbers.ts'
import {
  CborFrozenMap,
  CborMap,
  CborSet,
  CborSimple,
  CborTag,
  CborTuple,
  CborUndefined,
  type CborValue,
} from './values.ts'

/** Values inside values, and in all: shared parts are written each time, and a value may contain itself. */
const MAX_DEPTH = 200
const MAX_VALUES = 100_000

/**
 * The CBOR of a value; undefined for what is too deep or too much, for values that stand for known tags (dates, decimals
 * and so on), which nothing asks for inside of unknown ones, and for breaks.
 */
export function encodeCbor(value: CborValue): Uint8Array | undefined {
  const parts: Uint8Array[] = []
  return new Encoder(parts).write(value, 0) ? concat(...parts) : undefined
}

class Encoder {
  readonly #parts: Uint8Array[]
  #values = 0

  constructor(parts: Uint8Array[]) {
    this.#parts = parts
  }

  /** False if it cannot be written. */
  write(value: CborValue, depth: number): boolean {
    this.#values += 1
    if (depth > MAX_DEPTH || this.#values > MAX_VALUES) return false
    switch (typeof value) {
      case 'bigint':
        return this.#integer(value)
      case 'number':
        return this.#push(float(value))
      case 'boolean':
        return this.#push(Uint8Array.of(value ? 0xf5 : 0xf4))
      case 'string':
        return this.#sized(3, new TextEncoder().encode(value))
      default:
        return value === null ? this.#push(Uint8Array.of(0xf6)) : this.#object(value, depth)
    }
  }

  #object(value: CborValue & object, depth: number): boolean {
    if (value instanceof Uint8Array) return this.#sized(2, value)
    if (Array.isArray(value)) return this.#list(value, depth)
    if (value instanceof CborTuple) return this.#list(value.items, depth)
    if (value instanceof CborMap || value instanceof CborFrozenMap) return this.#map(value, depth)
    if (value instanceof CborTag) return this.#push(head(6, value.tag)) && this.write(value.value, depth + 1)
    if (value instanceof CborSet) return this.#push(head(6, 258n)) && this.#list(value.items, depth)
    if (value instanceof CborUndefined) return this.#push(Uint8Array.of(0xf7))
    if (value instanceof CborSimple) {
      return this.#push(value.value < 24 ? Uint8Array.of(0xe0 | value.value) : Uint8Array.of(0xf8, value.value))
    }
    return false
  }

  #integer(value: bigint): boolean {
    const argument = value < 0n ? -1n - value : value
    if (argument <= 0xffff_ffff_ffff_ffffn) return this.#push(head(value < 0n ? 1 : 0, argument))
    const hex = argument.toString(16)
    const bytes = Buffer.from(hex.padStart(2 * Math.ceil(bigintBytes(argument)), '0'), 'hex')
    return this.#push(head(6, value < 0n ? 3n : 2n)) && this.#sized(2, bytes)
  }

  #list(items: readonly CborValue[], depth: number): boolean {
    this.#push(head(4, BigInt(items.length)))
    return items.every((item) => this.write(item, depth + 1))
  }

  #map(map: CborMap | CborFrozenMap, depth: number): boolean {
    this.#push(head(5, BigInt(map.size)))
    for (const { key, value } of map.entries()) {
      if (!this.write(key, depth + 1) || !this.write(value, depth + 1)) return false
    }
    return true
  }

  #sized(major: number, bytes: Uint8Array): boolean {
    return this.#push(head(major, BigInt(bytes.length))) && this.#push(bytes)
  }

  #push(bytes: Uint8Array): true {
    this.#parts.push(bytes)
    return true
  }
}

/** The first byte of an item with its argument, as short as it can be. */
function head(major: number, argument: bigint): Uint8Array {
  const type = major << 5
  if (argument < 24n) return Uint8Array.of(type | Number(argument))
  const size = argument < 0x100n ? 1 : argument < 0x1_0000n ? 2 : argument < 0x1_0000_0000n ? 4 : 8
  const bytes = new Uint8Array(1 + size)
  bytes[0] = type | (size === 1 ? 24 : size === 2 ? 25 : size === 4 ? 26 : 27)
  for (let at = size, left = argument; at > 0; at--, left >>= 8n) bytes[at] = Number(left & 0xffn)
  return bytes
}

function float(value: number): Uint8Array {
  if (Number.isNaN(value)) return Uint8Array.of(0xf9, 0x7e, 0)
  if (!Number.isFinite(value)) return Uint8Array.of(0xf9, value > 0 ? 0x7c : 0xfc, 0)
  const bytes = new Uint8Array(9)
  bytes[0] = 0xfb
  new DataView(bytes.buffer).setFloat64(1, value)
  return bytes
}
