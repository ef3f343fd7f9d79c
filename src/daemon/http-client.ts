import { DaemonError, ParseError } from '../errors.ts'
import type { Endpoint } from './endpoint.ts'
import type { Bounds, HttpAnswer, HttpPeer } from './exchange.ts'
import { NodeFailure } from './failure.ts'
import {
  elementsOf,
  hexAt,
  isArray,
  isObject,
  membersOf,
  parseSpan,
  type Span,
  textOf,
  wholeValue,
} from './json-spans.ts'
import { RpcErrorReply, WARMING_UP } from './replies.ts'

/** The `result` of one call, still as bytes: the caller says as what it is to be read. */
export class RpcResult {
  readonly #json: Buffer
  readonly #span: Span

  constructor(json: Buffer, span: Span) {
    this.#json = json
    this.#span = span
  }

  /** Throws ParseError if it is no JSON. */
  value(): unknown {
    return parseSpan(this.#json, this.#span)
  }

  /** JSON text as the node wrote it. */
  text(): string {
    return textOf(this.#json, this.#span)
  }

  /** Bytes of a hex string, in memory of their own. Throws ParseError if it is none. */
  hex(): Uint8Array {
    return hexAt(this.#json, this.#span)
  }
}

const NO_LOGIN = 'wants to know who asks: set DAEMON_COOKIE_FILE, or write user and password into DAEMON_URL'

interface Call {
  readonly jsonrpc: '1.0'
  readonly id: number
  readonly method: string
  readonly params: readonly unknown[]
}

/** Answer to one call: `error` is what the node says went wrong. */
interface Reply {
  readonly id: unknown
  readonly outcome: RpcResult | DaemonError
}

/** JSON-RPC to one node. No retries but one: with a new cookie, if the node did not accept the one we had. */
export class RpcClient {
  readonly #endpoint: Endpoint
  readonly #http: HttpPeer
  readonly #onNewCookie: () => void
  #lastId = 0
  /** It has answered us: what it refuses later is not because of who or where we are. */
  #answered = false

  /** `onNewCookie` is told when the node takes another cookie than before: it was started anew. */
  constructor(
    options: { readonly endpoint: Endpoint },
    collaborators: { readonly http: HttpPeer; readonly onNewCookie: () => void },
  ) {
    this.#endpoint = options.endpoint
    this.#http = collaborators.http
    this.#onNewCookie = collaborators.onNewCookie
  }

  /** Throws DaemonError if the node says no, NodeFailure if there is no answer, AbortError. */
  async call(method: string, params: readonly unknown[], bounds: Bounds): Promise<RpcResult> {
    const call = this.#newCall(method, params)
    const answer = await this.#post(JSON.stringify(call), bounds)
    const reply = this.#understood(method, answer, () => replyOf(answer.body, wholeValue(answer.body)))
    return this.#resultOf(reply, call.id)
  }

  /**
   * The same method for each of `paramsList` in one request, outcomes in the same order: what the node refused is a
   * DaemonError in its place. One answer that is missing makes the whole a failure: half a batch is no answer.
   */
  async batch(
    method: string,
    paramsList: readonly (readonly unknown[])[],
    bounds: Bounds,
  ): Promise<(RpcResult | DaemonError)[]> {
    if (paramsList.length === 0) return []
    const calls = paramsList.map((params) => this.#newCall(method, params))
    const answer = await this.#post(JSON.stringify(calls), bounds)
    const replies = this.#understood(method, answer, () => repliesOf(answer.body))
    if (!Array.isArray(replies)) {
      // One object in place of an array: the node refuses the batch as such, or is not ready.
      if (replies.outcome instanceof DaemonError) throw this.#checked(replies.outcome)
      throw this.#failure('wrong', 'answered a batch with a single result')
    }
    const byId = new Map(replies.map((reply) => [reply.id, reply.outcome]))
    return calls.map(({ id }) => {
      const outcome = byId.get(id)
      if (outcome === undefined) throw this.#failure('half-answer', 'left out part of a batch')
      return outcome instanceof DaemonError ? this.#checked(outcome) : outcome
    })
  }

  #newCall(method: string, params: readonly unknown[]): Call {
    this.#lastId += 1
    return { jsonrpc: '1.0', id: this.#lastId, method, params }
  }

  async #post(body: string, bounds: Bounds): Promise<HttpAnswer> {
    const { credentials, path } = this.#endpoint
    const authorization = await credentials.header()
    const answer = await this.#http.exchange({ verb: 'POST', path, authorization, body }, bounds)
    if (answer.status !== 401 || !credentials.renewable) return answer
    credentials.forget(authorization)
    const renewed = await credentials.header()
    if (renewed === authorization) {
      // The file may be of before the restart that we are in the middle of: read it again next time, too.
      credentials.forget(renewed)
      return answer
    }
    const again = await this.#http.exchange({ verb: 'POST', path, authorization: renewed, body }, bounds)
    if (again.status === 401) credentials.forget(renewed)
    else this.#onNewCookie()
    return again
  }

  /** Reads the body before the status counts: bitcoind sends its errors as 404 and 500, with a JSON-RPC body. */
  #understood<T>(method: string, answer: HttpAnswer, read: () => T): T {
    try {
      const reply = read()
      this.#answered = true
      return reply
    } catch (error) {
      if (!(error instanceof ParseError)) throw error
      throw this.#withoutReply(method, answer.status, error)
    }
  }

  #withoutReply(method: string, status: number, cause: ParseError): NodeFailure {
    if (status === 401) {
      const { credentials } = this.#endpoint
      if (credentials.renewable)
        return this.#failure('cookie', 'does not accept the cookie; is DAEMON_COOKIE_FILE its own?')
      return this.#failure('refused', `${credentials.none ? NO_LOGIN : 'does not accept user and password'} (HTTP 401)`)
    }
    if (status === 403 && this.#answered) {
      const remedy = `add it to its rpcwhitelist, or see -rpcallowip if our address is another`
      return this.#failure('forbidden', `does not allow us ${method} (HTTP 403): ${remedy}`)
    }
    if (status === 403) {
      const remedy = `see -rpcallowip, or -rpcwhitelist if it is without ${method}`
      return this.#failure('refused', `does not accept our address (HTTP 403; ${remedy})`)
    }
    if (status === 200) return this.#failure('half-answer', 'sent an answer that is no JSON-RPC reply', cause)
    // 503 without one is bitcoind's own word for a full work queue.
    const remedy = status === 503 ? '' : '; is that a bitcoind (DAEMON_URL)?'
    return this.#failure('http', `answered HTTP ${status} without a JSON-RPC reply${remedy}`)
  }

  #resultOf(reply: Reply, id: number): RpcResult {
    if (reply.outcome instanceof DaemonError) throw this.#checked(reply.outcome)
    if (reply.id !== id) throw this.#failure('wrong', 'answered another question than ours')
    return reply.outcome
  }

  /** Warm-up is no answer: it throws. */
  #checked(error: DaemonError): DaemonError {
    if (error.daemonCode !== WARMING_UP) return error
    throw this.#failure('warm-up', `is starting: ${error.message}`)
  }

  #failure(kind: NodeFailure['kind'], what: string, cause?: Error): NodeFailure {
    return new NodeFailure(kind, `bitcoind at ${this.#endpoint.address} ${what}`, cause === undefined ? {} : { cause })
  }
}

function repliesOf(json: Buffer): Reply | Reply[] {
  const whole = wholeValue(json)
  return isArray(json, whole) ? elementsOf(json, whole).map((span) => replyOf(json, span)) : replyOf(json, whole)
}

/** Throws ParseError unless there is an error with code and message, or a result. */
function replyOf(json: Buffer, span: Span): Reply {
  if (!isObject(json, span)) throw new ParseError('JSON-RPC reply expected', span.start)
  const members = membersOf(json, span)
  const idSpan = members.get('id')
  const id = idSpan === undefined ? undefined : parseSpan(json, idSpan)
  const errorSpan = members.get('error')
  const error = errorSpan === undefined ? null : parseSpan(json, errorSpan)
  if (error !== null) {
    const reply = RpcErrorReply.safeParse(error)
    if (!reply.success) throw new ParseError('JSON-RPC error expected', span.start)
    return { id, outcome: new DaemonError(reply.data.code, reply.data.message) }
  }
  const result = members.get('result')
  if (result === undefined) throw new ParseError('JSON-RPC result expected', span.start)
  return { id, outcome: new RpcResult(json, result) }
}
