import { z } from 'zod'
import { HASHX_SIZE, hashXOf, scriptHashOf, scriptHashToHex } from '../chain/script.ts'
import { ERROR_CODES, RpcError, type WireCode } from '../errors.ts'
import { fromDisplayHex, fromHex, isHex } from '../lib/bytes.ts'
import { clip } from './failure.ts'

/*
 * Parameters and results that recur. Parameters take what ElectrumX takes, because wallets rely on it: numbers as text,
 * fractions, 0 and 1 for booleans. What makes no sense is answered with code 1 and a sentence that names the value.
 */

/** A script as requests name it: `hashX` 11 bytes, `alias` what the client calls it and notifications call it. */
export interface ScriptRef {
  readonly hashX: Uint8Array
  readonly alias: string
}

/** A transaction id: `hex` as displayed in lower case, `bytes` 32 in internal order. */
export interface TxIdRef {
  readonly hex: string
  readonly bytes: Uint8Array
}

/** What went wrong with parameters, as the client is told: the first of the problems. */
export function issueError(error: z.ZodError): RpcError {
  const issue = error.issues[0]
  if (issue === undefined) return new RpcError(ERROR_CODES.badRequest.code, 'bad parameters')
  const beyond = issue.code === 'custom' && issue.params?.['beyond'] === true
  const code: WireCode = beyond ? ERROR_CODES.internal.code : ERROR_CODES.badRequest.code
  return new RpcError(code, `${clip(issue.path.join('.'))}: ${issue.message}`)
}

/** A value as it may stand in an error message. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(clip(value))
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object'
  return clip(String(value))
}

interface Description {
  readonly description: string
  /** Type in the sense of JSON Schema. */
  readonly type: 'string' | 'integer' | 'boolean' | 'array'
}

/** A parameter that is read by a function of ours; undefined from it means that the value makes no sense. */
export function lenient<T>(read: (value: unknown) => T | undefined, complaint: string, description: Description) {
  return z
    .unknown()
    .transform((value, ctx): T => {
      const result = read(value)
      if (result !== undefined) return result
      ctx.addIssue({ code: 'custom', message: `${shown(value)} ${complaint}`, params: { beyond: isBeyond(value) } })
      return z.NEVER
    })
    .meta({ ...description })
}

/** Numbers that no double holds, such as 1e400: an internal error in ElectrumX, and so here. */
function isBeyond(value: unknown): boolean {
  return typeof value === 'number' && !Number.isFinite(value)
}

/** Python's integers in text: blanks around, a sign, underscores between digits; longer ones it refuses as well. */
const WHOLE_NUMBER = /^\s*(?:\+?\d+(?:_\d+)*|-0+)\s*$/
const LONGEST_NUMBER = 4300

/** What Python's int() makes of a value, if it is not negative: true is 1, text is read, fractions are cut. */
export function readWholeNumber(value: unknown): number | undefined {
  switch (typeof value) {
    case 'boolean':
      return value ? 1 : 0
    case 'number':
      return Number.isFinite(value) && value > -1
        ? Math.min(Math.abs(Math.trunc(value)), Number.MAX_SAFE_INTEGER)
        : undefined
    case 'bigint':
      return value < 0n ? undefined : Number.MAX_SAFE_INTEGER
    case 'string':
      if (value.length > LONGEST_NUMBER || !WHOLE_NUMBER.test(value)) return undefined
      return Math.min(Math.abs(Number(value.replaceAll('_', ''))), Number.MAX_SAFE_INTEGER)
    default:
      return undefined
  }
}

/** A number from 0 on; what is beyond 2^53 counts as 2^53 - 1, which is out of every range. */
export function WholeNumber(description: string) {
  return lenient(readWholeNumber, 'should be a non-negative integer', { description, type: 'integer' })
}

export const Height = WholeNumber('Height of a block.')

export function Bool(description: string) {
  return lenient(readBool, 'should be a boolean value', { description, type: 'boolean' })
}

function readBool(value: unknown): boolean | undefined {
  if (value === true || value === 1) return true
  return value === false || value === 0 ? false : undefined
}

export const ScriptHash = lenient(readScriptHash, 'is not a valid script hash', {
  description: 'Script hash: SHA-256 of the output script, as reversed hex.',
  type: 'string',
})

function readScriptHash(value: unknown): ScriptRef | undefined {
  if (typeof value !== 'string' || value.length !== 64 || !isHex(value)) return undefined
  return { hashX: fromDisplayHex(value).subarray(0, HASHX_SIZE), alias: value }
}

/** Protocol 1.7: the script itself. Notifications call it by its script hash all the same. */
export const ScriptPubKey = lenient(readScript, 'should be a hex string', {
  description: 'Output script in hex.',
  type: 'string',
})

function readScript(value: unknown): ScriptRef | undefined {
  if (typeof value !== 'string' || !isHex(value)) return undefined
  const script = fromHex(value)
  return { hashX: hashXOf(script), alias: scriptHashToHex(scriptHashOf(script)) }
}

export const TxId = lenient(readTxId, 'should be a transaction hash', {
  description: 'Transaction id, as displayed (reversed hex).',
  type: 'string',
})

function readTxId(value: unknown): TxIdRef | undefined {
  if (typeof value !== 'string' || value.length !== 64 || !isHex(value)) return undefined
  return { hex: value.toLowerCase(), bytes: fromDisplayHex(value) }
}

export const HexTx = lenient(readHex, 'should be a hex string', {
  description: 'Raw transaction in hex.',
  type: 'string',
})

function readHex(value: unknown): string | undefined {
  return typeof value === 'string' && isHex(value) ? value : undefined
}

export const HexTxs = lenient(readHexList, 'should be a list of hex strings', {
  description: 'Raw transactions in hex, parents before children.',
  type: 'array',
})

function readHexList(value: unknown): readonly string[] | undefined {
  if (!Array.isArray(value)) return undefined
  const items: readonly unknown[] = value
  const texts = items.map(readHex).filter((text) => text !== undefined)
  return texts.length === items.length ? texts : undefined
}

/** Hex digits of any number, odd ones included: padding (protocol 1.7). */
export const Padding = lenient(readPadding, 'should be a hex string', {
  description: 'Hex digits that mean nothing: padding.',
  type: 'string',
})

function readPadding(value: unknown): string | undefined {
  return typeof value === 'string' && /^[0-9a-f]*$/i.test(value) ? value : undefined
}

// Results. Their schemas are checked against the examples and print the documentation; answers are not run through them.

export const Hex = z.string().regex(/^(?:[0-9a-f]{2})*$/)
export const Hash = z
  .string()
  .regex(/^[0-9a-f]{64}$/)
  .meta({ description: 'Hash as displayed.' })
export const Satoshis = z.int().meta({ description: 'Satoshis.' })
export const BtcPerKvB = z.number().meta({ description: 'BTC per 1000 virtual bytes.' })
export const Branch = z.array(Hash).meta({ description: 'Hashes to pair with, from the leaf up.' })
export const Status = Hash.nullable().meta({ description: 'Hash over the history; null if there is none.' })
export const HistoryEntry = z.object({
  tx_hash: Hash,
  height: z.int().min(-1),
  fee: Satoshis.optional().meta({ description: 'Only of unconfirmed ones.' }),
})
export const MempoolEntry = z.object({ tx_hash: Hash, height: z.literal([0, -1]), fee: Satoshis })
export const Unspent = z.object({ tx_hash: Hash, tx_pos: z.int().min(0), height: z.int().min(0), value: Satoshis })
export const Balance = z.object({ confirmed: Satoshis, unconfirmed: Satoshis })
