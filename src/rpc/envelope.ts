import {
  createJSONRPCErrorResponse,
  createJSONRPCSuccessResponse,
  type JSONRPCResponse,
  JSONRPCServer,
} from 'json-rpc-2.0'
import { ERROR_CODES, InvariantError, type LimitName } from '../errors.ts'
import { type Awaitable, after } from '../lib/awaitable.ts'
import type { LongText } from '../lib/long-text.ts'
import type { Logger } from '../log.ts'
import {
  type BadEntry,
  type Dialect,
  detectDialect,
  type Entry,
  errorText,
  isList,
  isObject,
  isResponse,
  NO_ID,
  notificationText,
  readEntry,
  resultText,
} from './dialect.ts'
import { failureOf, type RpcFailure, toFailure } from './failure.ts'
import { type Json, JsonError, type JsonFault, MAX_PARTS, RawJson, readMessage, writeJson } from './json.ts'
import { writtenIfLong } from './json-in-turns.ts'
import type { RpcContext } from './method.ts'
import type { MethodRegistry } from './registry.ts'

export interface EnvelopeOptions {
  /** Bytes of the largest answer (a batch counts as one); what is larger is replaced by an error. 0 for no limit. */
  readonly maxSend: number
  /** Entries of the longest batch. */
  readonly maxBatch: number
}

export interface EnvelopeCollaborators {
  readonly registry: MethodRegistry
  readonly log: Logger
  /** A text that finds a line in the log again; must not repeat. */
  readonly requestId: () => string
}

export interface PendingCall {
  /** As the client spelled it: any text at all. */
  readonly method: string
  /** Nothing will be answered. */
  readonly notification: boolean
  /**
   * Set by the host once the request has made a lasting change that its answer tells of (a subscription): takes that
   * back. Called where the client is given an error in place of that answer. Must not throw.
   */
  takeBack?: () => void
}

/** What a session is to the envelope. */
export interface RequestHost {
  /**
   * Called once for each request or notification, those in batches included. Waits for a slot and for the delay that
   * the session's cost has earned, makes a context, calls `job` at most once, and takes everything back when it has
   * settled; it may also have its answer, or throw, at once. What this throws is answered like what `job` throws:
   * RpcError -101, -102, or 1 if the handshake is missing.
   */
  run(call: PendingCall, job: (ctx: RpcContext) => Awaitable<unknown>): Awaitable<unknown>
  /**
   * Told of everything that failed, answered or not, before the answer is there: adds the cost, and remembers to close
   * after the answer where the code asks for it (-101). Must not throw.
   */
  failed(failure: RpcFailure): void
}

/** One call on its way through json-rpc-2.0, and what came of it. */
interface Passage {
  readonly entry: Entry
  readonly host: RequestHost
  readonly call: PendingCall
  failure: RpcFailure | undefined
}

/** Either JSON of the result, or why there is none. */
type Outcome = { readonly result: string | LongText; readonly call: PendingCall } | { readonly failure: RpcFailure }

const UNREADABLE: Readonly<Record<JsonFault, RpcFailure>> = {
  encoding: failureOf(ERROR_CODES.parseError.code, 'messages must be encoded in UTF-8'),
  syntax: failureOf(ERROR_CODES.parseError.code, 'invalid JSON'),
  depth: failureOf(ERROR_CODES.invalidRequest.code, 'request is nested too deep', 'nesting'),
  parts: failureOf(ERROR_CODES.invalidRequest.code, 'request has too many parts', 'parts'),
}
/** Of the longest batch each request may have so many. */
const PARTS_OF_REQUEST = MAX_PARTS / 1000

/** Text to send, or undefined where nothing is answered. */
export type Answer = string | LongText | undefined

/** What json-rpc-2.0 sees in place of the client's id, which may be of a kind that it refuses. */
const INNER_ID = 0

/**
 * JSON-RPC as ElectrumX speaks it, between the bytes of a message and the method table. One for the whole server;
 * open() makes the part that remembers how one client speaks.
 */
export class Envelope {
  readonly options: EnvelopeOptions
  readonly #collaborators: EnvelopeCollaborators
  readonly #server: JSONRPCServer<Passage>

  constructor(options: EnvelopeOptions, collaborators: EnvelopeCollaborators) {
    this.options = options
    this.#collaborators = collaborators
    // Errors are reported where they become failures, so the package's own listener (the console) stays silent.
    this.#server = new JSONRPCServer<Passage>({ errorListener: () => {} })
    for (const name of collaborators.registry.names) {
      this.#server.addMethodAdvanced(name, (_request, passage) => this.#call(passage))
    }
  }

  /** The envelope of one connection, or of one HTTP request. */
  open(host: RequestHost): EnvelopeSession {
    return new EnvelopeSession(this, host)
  }

  /** Runs one entry to its end and gives what `finish` makes of that. Failures have been told to `host`. */
  serve<T>(entry: Entry, host: RequestHost, finish: (outcome: Outcome) => T): Promise<T> {
    const { method, params } = entry
    const call: PendingCall = { method, notification: entry.id === undefined }
    const passage: Passage = { entry, host, call, failure: undefined }
    // Unknown names are not the package's business: they wait for their slot and are worded like everything else.
    const passing: PromiseLike<JSONRPCResponse | null> = this.#server.hasMethod(method)
      ? this.#server.receive({ jsonrpc: '2.0', id: INNER_ID, method, params }, passage)
      : this.#call(passage)
    return Promise.resolve(
      passing.then(
        (response) => finish(this.#outcome(passage, response)),
        (error: unknown) => finish(this.#failed(passage, error)),
      ),
    )
  }

  #outcome(passage: Passage, response: JSONRPCResponse | null): Outcome {
    if (passage.failure !== undefined) return this.#failed(passage, undefined)
    const { call } = passage
    const result: unknown = response?.result
    try {
      if (result instanceof RawJson) return { result: result.content, call }
      return { result: result === undefined ? 'null' : writeJson(result), call }
    } catch (error) {
      return this.#failed(passage, error)
    }
  }

  #failed(passage: Passage, error: unknown): Outcome {
    const failure = passage.failure ?? toFailure(error, passage.entry.method, this.#collaborators)
    passage.call.takeBack?.()
    passage.host.failed(failure)
    return { failure }
  }

  /** Never rejects: the package would make a failure of its own of it. */
  #call(passage: Passage): Promise<JSONRPCResponse> {
    try {
      const result = passage.host.run(passage.call, (ctx) => this.#dispatch(passage.entry, ctx))
      if (!(result instanceof Promise)) return Promise.resolve(answered(result))
      return result.then(answered, (error: unknown) => this.#refused(passage, error))
    } catch (error) {
      return Promise.resolve(this.#refused(passage, error))
    }
  }

  #dispatch({ id, method, params }: Entry, ctx: RpcContext): Awaitable<unknown> {
    const { registry } = this.#collaborators
    if (id === undefined) return registry.notify(method, params, ctx)
    // As a part of the request: whoever asks for much has as few such answers written at a time as requests run.
    return after(registry.call(method, params, ctx), (result) => writtenIfLong(result, ctx))
  }

  #refused(passage: Passage, error: unknown): JSONRPCResponse {
    passage.failure = toFailure(error, passage.entry.method, this.#collaborators)
    return createJSONRPCErrorResponse(INNER_ID, passage.failure.code, passage.failure.message)
  }
}

function answered(result: unknown): JSONRPCResponse {
  return createJSONRPCSuccessResponse(INNER_ID, result)
}

/** One client's way of speaking, decided by its first message. */
export class EnvelopeSession {
  readonly #envelope: Envelope
  readonly #host: RequestHost
  #dialect: Dialect | undefined

  constructor(envelope: Envelope, host: RequestHost) {
    this.#envelope = envelope
    this.#host = host
  }

  /** undefined until a message was understood. */
  get dialect(): Dialect | undefined {
    return this.#dialect
  }

  /**
   * Serves one message: a request, a notification, a batch, or anything else that bytes can be. Settles with the text
   * of the answer, or undefined if there is none; never rejects. Messages can be handled side by side; everything that
   * a message asks for has been given to the host when this returns, before anything is waited for.
   */
  handle(message: Uint8Array): Promise<Answer> {
    let payload: Json
    try {
      payload = readMessage(message, Math.max(MAX_PARTS, this.#envelope.options.maxBatch * PARTS_OF_REQUEST))
    } catch (error) {
      // Whatever else it is has to reach whoever waits for the answer.
      if (!(error instanceof JsonError))
        return Promise.reject(new InvariantError('JSON reader failed', { cause: error }))
      return Promise.resolve(this.#refuse(NO_ID, UNREADABLE[error.fault]))
    }
    this.#dialect ??= detectDialect(payload)
    if (isList(payload) && this.#dialect !== 'v1') return this.#batch(payload)
    if (isObject(payload) && !Object.hasOwn(payload, 'method')) return Promise.resolve(this.#ignore())
    return this.#entry(payload)
  }

  /** Text of a notification to this client. `params` is a list, or RawJson of one. */
  notification(method: string, params: unknown): string {
    return notificationText(this.#spoken, method, writeJson(params))
  }

  /** Before a message was understood errors are answered as 2.0, like ElectrumX does. */
  get #spoken(): Dialect {
    return this.#dialect ?? 'strict'
  }

  async #batch(entries: readonly Json[]): Promise<string | undefined> {
    const { maxBatch } = this.#envelope.options
    if (entries.length === 0) return this.#refuse(NO_ID, invalid('batch is empty'))
    if (entries.length > maxBatch) {
      return this.#refuse(NO_ID, invalid(`Batch limit exceeded (${maxBatch} entries)`, 'MAX_BATCH'))
    }
    if (entries.every(isResponse)) return this.#ignore()
    // One budget for all: answers are made into text as they come, so that a batch never holds more than one answer may.
    const budget = this.#budget(2)
    const answers = await Promise.all(entries.map((entry) => this.#entry(entry, budget)))
    const given = answers.filter((answer) => answer !== undefined)
    return given.length === 0 ? undefined : `[${given.join(',')}]`
  }

  #entry(payload: Json, budget: Budget = this.#budget(0)): Promise<Answer> {
    const entry: Entry | BadEntry = readEntry(this.#spoken, payload)
    if ('failure' in entry) return Promise.resolve(this.#refuse(entry.id, entry.failure))
    const { id } = entry
    return this.#envelope.serve(entry, this.#host, (outcome) => {
      if (id === undefined) return undefined
      if ('failure' in outcome) return errorText(this.#spoken, id, outcome.failure)
      const answer = resultText(this.#spoken, id, outcome.result)
      if (budget.take(answer)) return answer
      outcome.call.takeBack?.()
      const failure = invalid(`response too large (over ${budget.limit} bytes)`, 'MAX_SEND')
      // Paid for already: the work was done.
      this.#host.failed({ ...failure, cost: 0 })
      return errorText(this.#spoken, id, failure)
    })
  }

  #refuse(id: string, failure: RpcFailure): string {
    this.#host.failed(failure)
    return errorText(this.#spoken, id, failure)
  }

  /** We ask clients nothing, so an answer of theirs is nothing that can be answered either. */
  #ignore(): undefined {
    this.#host.failed(invalid('response to a request that was not made'))
    return undefined
  }

  #budget(used: number): Budget {
    return new Budget(this.#envelope.options.maxSend, used)
  }
}

/** Bytes that may still be sent: of a batch, where brackets are used up already, or of one answer (0 used) alone. */
class Budget {
  readonly limit: number
  #used: number

  constructor(limit: number, used: number) {
    this.limit = limit
    this.#used = used
  }

  /** False, and nothing taken, if there is no room for the text and a separator. */
  take(text: string | LongText): boolean {
    if (this.limit <= 0) return true
    // No character takes more than three bytes: what is alone and far below the limit need not be measured.
    if (this.#used === 0 && typeof text === 'string' && text.length * 3 <= this.limit) return true
    const bytes = typeof text === 'string' ? Buffer.byteLength(text) : text.byteLength
    const size = bytes + (this.#used === 0 ? 0 : 1)
    if (this.#used + size > this.limit) return false
    this.#used += size
    return true
  }
}

function invalid(message: string, limit?: LimitName): RpcFailure {
  return failureOf(ERROR_CODES.invalidRequest.code, message, limit)
}
