import { z } from 'zod'
import { idTextOfCompact } from '../../../atomicals/id-text.ts'
import type { IdText } from '../../../atomicals/transfer/holding.ts'
import { lenient, readWholeNumber } from '../../schemas.ts'

/*
 * Parameters of Atomicals methods, as the reference takes them: 0 and 1 for booleans and the other way round, ids or
 * numbers, null where nothing is meant.
 */

/** How a request names an atomical. */
export type AtomicalRef =
  | { readonly text: string; readonly id: IdText }
  | { readonly text: string; readonly number: number }

function readId(value: unknown): Extract<AtomicalRef, { readonly id: IdText }> | undefined {
  const id = typeof value === 'string' ? idTextOfCompact(value) : undefined
  return id === undefined ? undefined : { text: String(value), id }
}

function readRef(value: unknown): AtomicalRef | undefined {
  const named = readId(value)
  if (named !== undefined) return named
  const number = typeof value === 'number' && !Number.isInteger(value) ? undefined : readWholeNumber(value)
  return number === undefined ? undefined : { text: String(value), number }
}

/** `<txid>i<index>` or a number. */
export const AtomicalRefParam = lenient(readRef, 'is neither the id nor the number of an atomical', {
  description: 'Id (`<txid>i<index>`) or number of an atomical.',
  type: 'string',
})

/** `<txid>i<index>` */
export const AtomicalIdParam = lenient(readId, 'is not the id of an atomical', {
  description: 'Id of an atomical: `<txid>i<index>`.',
  type: 'string',
})

/** `<txid>i<index>` of any output. */
export const LocationParam = lenient(readId, 'is not a location', {
  description: 'An output: `<txid>i<index>`.',
  type: 'string',
})

function readInteger(value: unknown): number | undefined {
  if (typeof value === 'boolean') return value ? 1 : 0
  if (typeof value === 'bigint') return value < 0n ? Number.MIN_SAFE_INTEGER : Number.MAX_SAFE_INTEGER
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : undefined
}

/** An integer of any sign; booleans count as 1 and 0. */
export function IntegerParam(description: string) {
  return lenient(readInteger, 'should be an integer', { description, type: 'integer' })
}

export const HeightParam = lenient(
  (value) => {
    const height = readInteger(value)
    return height === undefined || height < 0 ? undefined : height
  },
  'should be a height',
  { description: 'Height of a block.', type: 'integer' },
)

/** Rows of a page: what is out of bounds is brought into them. */
export function LimitParam(least: number, most: number) {
  return lenient(
    (value) => {
      const limit = readInteger(value)
      return limit === undefined ? undefined : { asked: limit, limit: Math.min(Math.max(limit, least), most) }
    },
    'should be an integer',
    { description: `Entries of a page, ${least} to ${most}; others are taken for the nearer bound.`, type: 'integer' },
  )
}

export interface Limit {
  /** As the client said, which some answers repeat. */
  readonly asked: number
  readonly limit: number
}

export const OffsetParam = IntegerParam('Entries to pass over; negative is 0.')

/** What Python takes for true. */
function readTruth(value: unknown): boolean | undefined {
  if (value === undefined) return undefined
  if (Array.isArray(value)) return value.length > 0
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0
  return Boolean(value)
}

export function TruthParam(description: string) {
  return lenient(readTruth, 'is missing', { description, type: 'boolean' })
}

export const NameParam = lenient((value) => (typeof value === 'string' ? value : undefined), 'should be a text', {
  description: 'A name.',
  type: 'string',
})

/** What is in it is looked at by the method. */
export const PsbtParam = lenient((value) => (typeof value === 'string' ? value : undefined), 'should be a PSBT', {
  description: 'A PSBT of version 0 or 2, in hex or base64.',
  type: 'string',
})

/** A text or null; empty counts as null. */
export function TextOrNull(description: string) {
  return lenient(
    (value) => (value === null || value === '' ? null : typeof value === 'string' ? value : undefined),
    'should be a text or null',
    { description, type: 'string' },
  )
}

/** Where the page before ended. Everything but text is passed over: callers of the reference send all kinds of things. */
export const CursorParam = z
  .unknown()
  .transform((value) => (typeof value === 'string' ? value : undefined))
  .meta({
    type: 'string',
    description:
      '"" for the first page, then `next_cursor` of the page before. With it `offset` is not looked at, and the answer ' +
      'has `next_cursor` (null after the last page). It stays good when blocks come.',
  })
  .optional()

const ASCII = /^[\n -~]+$/

/** Names are ASCII: nobody asks for others. */
export function isAscii(text: string): boolean {
  return ASCII.test(text)
}
