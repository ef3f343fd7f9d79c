import { ERROR_CODES } from '../errors.ts'
import { type LongText, within } from '../lib/long-text.ts'
import { clip, failureOf, type RpcFailure } from './failure.ts'
import { type Json, type JsonObject, writeJson } from './json.ts'

/**
 * strict: every message says `"jsonrpc":"2.0"`. loose: none has to. v1: JSON-RPC 1.0, where there are no batches and no
 * names for parameters, and an id can be anything.
 */
export type Dialect = 'strict' | 'loose' | 'v1'

/** A request or notification that is in order as far as can be seen without the method table. */
export interface Entry {
  /** JSON of the id as it goes into the answer; undefined for a notification. */
  readonly id: string | undefined
  readonly method: string
  readonly params: readonly Json[] | JsonObject
}

/** One that is not; answered in any case, also if it was meant as a notification (as ElectrumX does). */
export interface BadEntry {
  readonly id: string
  readonly failure: RpcFailure
}

export const NO_ID = 'null'

/** The dialect that a session's first message speaks, decided as aiorpcX does. */
export function detectDialect(message: Json): Dialect {
  if (!isList(message)) return dialectOf(message)
  const parts = new Set(message.map(dialectOf))
  if (parts.has('strict')) return 'strict'
  return parts.has('v1') ? 'v1' : 'loose'
}

function dialectOf(message: Json): Dialect {
  if (!isObject(message)) return 'loose'
  const version = own(message, 'jsonrpc')
  if (version === '2.0') return 'strict'
  if (version === '1.0') return 'v1'
  return Object.hasOwn(message, 'result') && Object.hasOwn(message, 'error') ? 'v1' : 'loose'
}

/**
 * Looks at one message or one entry of a batch in the order in which aiorpcX looks: the id first, so that what is wrong
 * with the rest can be answered with it.
 */
export function readEntry(dialect: Dialect, message: Json): Entry | BadEntry {
  if (!isObject(message)) return bad(NO_ID, ERROR_CODES.invalidRequest.code, 'request object must be a dictionary')
  const id = idText(dialect, message)
  if (typeof id === 'object') return id
  if (dialect === 'strict' && own(message, 'jsonrpc') !== '2.0') {
    return bad(id, ERROR_CODES.invalidRequest.code, '"jsonrpc" is not "2.0"')
  }
  const params = own(message, 'params') ?? (dialect === 'v1' || Object.hasOwn(message, 'params') ? null : [])
  if (!isList(params) && (dialect === 'v1' || !isObject(params))) {
    return bad(id, ERROR_CODES.invalidParams.code, `invalid request arguments: ${spelled(params)}`)
  }
  const method = own(message, 'method')
  if (typeof method !== 'string') return bad(id, ERROR_CODES.methodNotFound.code, 'method must be a string')
  return { id: id === NO_ID ? undefined : id, method, params }
}

/** JSON of the id, NO_ID where there is none. */
function idText(dialect: Dialect, message: JsonObject): string | BadEntry {
  const id = own(message, 'id')
  if (id === undefined) return dialect === 'v1' ? badId('request has no "id"') : NO_ID
  if (dialect !== 'v1' && typeof id === 'object' && id !== null) return badId('invalid "id"')
  try {
    return writeJson(id)
  } catch (error) {
    // Numbers beyond doubles (1e400): the writer alone knows them, and refuses.
    if (error instanceof TypeError) return badId('invalid "id"')
    throw error
  }
}

/** True for what looks like an answer to something that we never asked. */
export function isResponse(message: Json): boolean {
  return isObject(message) && (Object.hasOwn(message, 'result') || Object.hasOwn(message, 'error'))
}

/** An answer with a result whose JSON is known. */
export function resultText(dialect: Dialect, id: string, result: string | LongText): string | LongText {
  if (dialect === 'v1') return within('{"result":', result, `,"error":null,"id":${id}}`)
  return within('{"jsonrpc":"2.0","result":', result, `,"id":${id}}`)
}

export function errorText(dialect: Dialect, id: string, { code, message }: RpcFailure): string {
  const error = `{"code":${code},"message":${JSON.stringify(message)}}`
  if (dialect === 'v1') return `{"result":null,"error":${error},"id":${id}}`
  return `{"jsonrpc":"2.0","error":${error},"id":${id}}`
}

/** A message of ours that wants no answer. `params` is JSON of a list. */
export function notificationText(dialect: Dialect, method: string, params: string): string {
  const name = JSON.stringify(method)
  if (dialect === 'v1') return `{"method":${name},"params":${params},"id":null}`
  return `{"jsonrpc":"2.0","method":${name},"params":${params}}`
}

export function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value)
}

export function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A member that the message itself has, never one that all objects have. */
function own(message: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(message, name) ? message[name] : undefined
}

/** Null as ElectrumX spells it; the rest briefly. */
function spelled(value: Json): string {
  if (value === null) return 'None'
  return typeof value === 'object' ? 'an object' : clip(String(value))
}

function badId(message: string): BadEntry {
  return bad(NO_ID, ERROR_CODES.invalidRequest.code, message)
}

function bad(id: string, code: number, message: string): BadEntry {
  return { id, failure: failureOf(code, message) }
}
