/** Partial proof of work: what the id of a commit or reveal has to begin with, `prefix[.ext]`. */

import { toDisplayHex } from '../lib/bytes.ts'
import { intOfText } from '../lib/python/int.ts'

export interface Bitwork {
  /** Hex digits that the id, as displayed, begins with. */
  readonly prefix: string
  /** The least that the digit after them may be, 0 to 15; undefined where none is asked. */
  readonly ext: number | undefined
}

// CONSENSUS: a prefix may end in a newline, which no id will ever match.
const PREFIX = /^[a-f0-9]{1,64}\n?$/

/**
 * The work that a text asks for, or undefined if it is no work string.
 * CONSENSUS: the extension is read as Python's int() does ("+7", "07", " 7"); -0 and 0 ask nothing.
 */
export function parseBitwork(text: string): Bitwork | undefined {
  const [prefix = '', extText, more] = text.split('.')
  if (more !== undefined || !PREFIX.test(prefix)) return undefined
  if (extText === undefined) return { prefix, ext: undefined }
  const ext = intOfText(extText)
  return ext === undefined || ext < 0n || ext > 15n ? undefined : { prefix, ext: Number(ext) }
}

/** True if `txid` (32 bytes, internal order) is worked as asked. */
export function meetsBitwork(txid: Uint8Array, { prefix, ext }: Bitwork): boolean {
  const digits = toDisplayHex(txid)
  if (!digits.startsWith(prefix)) return false
  if (ext === undefined || ext === 0) return true
  // Behind a prefix of all 64 digits none is left to compare; the reference halts there.
  const next = digits[prefix.length]
  return next !== undefined && Number.parseInt(next, 16) >= ext
}

/** Digits that the vector of a perpetual token is filled up to with zeros. */
const VECTOR_DIGITS = 32

/** The work string of a perpetual token at a difficulty of `target` sixteenths of a digit. */
export function bitworkOfTarget(vector: string, target: number): string {
  const prefix = paddedVector(vector, Math.floor(target / 16))
  return target % 16 > 0 ? `${prefix}.${target % 16}` : prefix
}

/** The next full digit of a perpetual token's work, which will do as well from the rollover height on. */
export function nextBitwork(vector: string, { prefix }: Bitwork): string {
  return paddedVector(vector, prefix.length + 1)
}

// CONSENSUS: a vector longer than 32 digits is used in full once 32 or more are asked for.
function paddedVector(vector: string, digits: number): string {
  const padded = vector.padEnd(VECTOR_DIGITS, '0')
  return digits < VECTOR_DIGITS ? padded.slice(0, digits) : padded
}
