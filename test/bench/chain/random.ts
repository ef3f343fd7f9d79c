import { readUint32LE } from '../../../src/lib/bytes.ts'
import { sha256 } from '../../../src/lib/hash.ts'

/** A seeded generator (xoshiro128**). Whatever is drawn is a function of the seed text and of the order of the calls. */
export class Random {
  #a: number
  #b: number
  #c: number
  #d: number

  constructor(seed: string) {
    const digest = sha256(Buffer.from(seed))
    this.#a = readUint32LE(digest, 0)
    this.#b = readUint32LE(digest, 4)
    this.#c = readUint32LE(digest, 8)
    this.#d = readUint32LE(digest, 12) | 1
  }

  /** 32 bits, unsigned. */
  uint32(): number {
    const product = Math.imul(this.#b, 5)
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0
    const shifted = this.#b << 9
    this.#c ^= this.#a
    this.#d ^= this.#b
    this.#b ^= this.#c
    this.#a ^= this.#d
    this.#c ^= shifted
    this.#d = (this.#d << 11) | (this.#d >>> 21)
    return result
  }

  /** From 0 up to, but not, 1. */
  fraction(): number {
    return this.uint32() / 2 ** 32
  }

  /** A whole number from `low` to `high`, both included. */
  whole(low: number, high: number): number {
    return low + Math.floor(this.fraction() * (high - low + 1))
  }

  /** The same, but every doubling is as likely as any other. */
  logWhole(low: number, high: number): number {
    return Math.min(high, Math.floor(low * ((high + 1) / low) ** this.fraction()))
  }

  /** `length` bytes, a multiple of four. */
  bytes(length: number): Buffer {
    const bytes = Buffer.alloc(length)
    for (let offset = 0; offset < length; offset += 4) bytes.writeUInt32LE(this.uint32(), offset)
    return bytes
  }
}

/** What one row of a Mixture yields. */
export type Outcome = number | ((random: Random) => number)

/** Draws from a table of [weight, outcome]; weights need not add up to 1. */
export class Mixture {
  readonly #edges: number[] = []
  readonly #outcomes: Outcome[] = []

  constructor(rows: readonly (readonly [weight: number, outcome: Outcome])[]) {
    const sum = rows.reduce((total, [weight]) => total + weight, 0)
    let edge = 0
    for (const [weight, outcome] of rows) {
      edge += weight / sum
      this.#edges.push(edge)
      this.#outcomes.push(outcome)
    }
  }

  draw(random: Random): number {
    const at = random.fraction()
    let row = 0
    while (row < this.#edges.length - 1 && at >= this.#edges[row]!) row++
    const outcome = this.#outcomes[row]!
    return typeof outcome === 'number' ? outcome : outcome(random)
  }
}

/** Mixes a 32-bit number with a salt: choices per address that need no memory. */
export function mix32(value: number, salt: number): number {
  let x = (value ^ salt) >>> 0
  x = Math.imul(x ^ (x >>> 16), 0x7feb_352d)
  x = Math.imul(x ^ (x >>> 15), 0x846c_a68b)
  return (x ^ (x >>> 16)) >>> 0
}

/** Writes bytes that depend on salt and id alone: what stands for the key or hash of address `id`. */
export function fillFor(target: Uint8Array, offset: number, length: number, salt: number, id: number): void {
  const key = (salt ^ Math.imul(id, 0x85eb_ca6b)) >>> 0
  let x = mix32(id, salt)
  for (let i = 0; i < length; i += 4) {
    x = mix32((x + 0x9e37_79b9 + i) >>> 0, key)
    for (let byte = 0; byte < 4 && i + byte < length; byte++) target[offset + i + byte] = x >>> (8 * byte)
  }
}
