import { ERROR_CODES, RpcError } from '../errors.ts'
import type { Awaitable } from '../lib/awaitable.ts'
import type { PendingCall, RequestHost } from '../rpc/envelope.ts'
import { type RpcFailure, toFailure } from '../rpc/failure.ts'
import { JsonError, readJson, readJsonText, writeJson } from '../rpc/json.ts'
import type { ProtocolVersion, RpcClient, RpcContext } from '../rpc/method.ts'
import { negotiate, SessionCore, type SessionKeeper } from './core.ts'
import { NO_HOOKS } from './requests.ts'
import { FIRST_PROTOCOL, type SharedSession } from './shared.ts'
import type { CloseReason, HttpCarrier, HttpHandler, HttpReply, HttpRequest } from './transports/connection.ts'

const JSON_TYPE = 'application/json; charset=utf-8'
const PROXY = '/proxy/'

/**
 * One keep-alive HTTP connection: the same methods, limits and costs as a stream, without anything sent unasked.
 * `POST /` is JSON-RPC; `/proxy/<method>` spells a call in the manner of the Atomicals HTTP proxy.
 */
export class HttpSession implements HttpHandler, RequestHost {
  readonly core: SessionCore
  readonly subscriptionCount = 0
  readonly followsTip = false
  readonly unsent = 0
  readonly #shared: SharedSession
  #unanswered = 0

  constructor(id: number, carrier: HttpCarrier, shared: SharedSession, keeper: SessionKeeper) {
    this.#shared = shared
    this.core = new SessionCore(id, carrier, shared, keeper, NO_HOOKS)
  }

  get unanswered(): number {
    return this.#unanswered
  }

  tick(now: number): void {
    this.core.tick(now)
  }

  received(bytes: number): void {
    this.core.received(bytes)
  }

  closed(reason: CloseReason): void {
    this.core.gone(reason)
  }

  async exchange(request: HttpRequest): Promise<HttpReply> {
    this.core.traffic.receivedMessages++
    this.#unanswered++
    try {
      const reply = await this.#answer(request)
      this.core.traffic.sentMessages++
      this.core.sent(Buffer.byteLength(reply.body))
      return reply
    } finally {
      this.#unanswered--
      this.core.settle(this.#unanswered)
    }
  }

  run(call: PendingCall, job: (ctx: RpcContext) => Awaitable<unknown>): Awaitable<unknown> {
    const { registry, server } = this.#shared
    // Nothing is negotiated here, so a method counts that exists at any version; the oldest is what a bare client gets.
    const protocol = registry.find(call.method, FIRST_PROTOCOL) === undefined ? server.protocolMax : FIRST_PROTOCOL
    return this.core.run(call, () => new HttpClient(this.core, this.#shared, protocol), job)
  }

  failed(failure: RpcFailure): void {
    this.core.failed(failure)
  }

  async #answer(request: HttpRequest): Promise<HttpReply> {
    const { method, path } = request
    if (!this.core.open) return plain(503, 'closing\n')
    if (this.#unanswered > this.#shared.options.maxPipelined) {
      this.#shared.tally.limits.MAX_PIPELINED++
      return plain(503, 'too many requests at once\n')
    }
    if (path === '/health' || path === '/proxy/health') return this.#health()
    if (method !== 'GET' && method !== 'POST') return plain(405, 'GET or POST\n')
    if (path.startsWith(PROXY)) return this.#proxy(path.slice(PROXY.length), request)
    if (path !== '/') return plain(404, 'no such address\n')
    if (method !== 'POST') return plain(405, 'JSON-RPC wants POST\n')
    const body = await this.#shared.envelope.open(this).handle(request.body)
    return body === undefined ? { status: 204, contentType: JSON_TYPE, body: '' } : json(200, body.toString())
  }

  #health(): HttpReply {
    const healthy = this.#shared.moments.ready
    return json(healthy ? 200 : 503, JSON.stringify({ success: healthy, health: healthy }))
  }

  async #proxy(method: string, request: HttpRequest): Promise<HttpReply> {
    try {
      const params = proxyParams(request)
      const { registry } = this.#shared
      const result = await this.run({ method, notification: false }, (ctx) => registry.dispatch(method, params, ctx))
      return json(200, `{"success":true,"response":${result === undefined ? 'null' : writeJson(result)}}`)
    } catch (error) {
      const failure = toFailure(error, method, this.#shared)
      this.core.failed(failure)
      const { code, message } = failure
      return json(500, JSON.stringify({ success: false, code, message }))
    }
  }
}

/** `?params=[…]`, or a body `{"params":[…]}`; nothing at all means no parameters. */
function proxyParams({ method, query, body }: HttpRequest): unknown {
  try {
    if (method === 'GET') {
      const text = query.get('params')
      return text === null || text === '' ? [] : readJsonText(text)
    }
    const value: unknown = body.length === 0 ? {} : readJson(body)
    if (typeof value !== 'object' || value === null || !('params' in value)) return []
    return value.params
  } catch (error) {
    if (!(error instanceof JsonError)) throw error
    throw new RpcError(ERROR_CODES.parseError.code, 'invalid JSON', { cause: error })
  }
}

function json(status: number, body: string): HttpReply {
  return { status, contentType: JSON_TYPE, body }
}

function plain(status: number, body: string): HttpReply {
  return { status, contentType: 'text/plain; charset=utf-8', body }
}

/** An HTTP client as a handler sees it. */
class HttpClient implements RpcClient {
  readonly stream = false
  readonly protocol: ProtocolVersion
  readonly #core: SessionCore
  readonly #shared: SharedSession

  constructor(core: SessionCore, shared: SharedSession, protocol: ProtocolVersion) {
    this.#core = core
    this.#shared = shared
    this.protocol = protocol
  }

  get id(): number {
    return this.#core.id
  }

  get software(): string | undefined {
    return this.#core.software
  }

  get address(): string {
    return this.#core.carrier.remote.host
  }

  becomePeer(): boolean {
    return this.#core.becomePeer()
  }

  sentTransactions(count: number): void {
    this.#core.sentTransactions(count)
  }

  /** May be asked again and again: a connection may carry the requests of many. */
  identify(
    _software: string,
    wanted: { readonly min: ProtocolVersion; readonly max: ProtocolVersion },
  ): ProtocolVersion {
    const version = negotiate(wanted, this.#shared.server)
    if (version === undefined) throw new RpcError(ERROR_CODES.badRequest.code, 'unsupported protocol version')
    return version
  }

  subscribeHeaders(): void {
    throw streamOnly()
  }

  subscribeScript(): void {
    throw streamOnly()
  }

  unsubscribeScript(): boolean {
    return false
  }

  subscribeOutpoint(): void {
    throw streamOnly()
  }

  unsubscribeOutpoint(): boolean {
    return false
  }

  subscribeTopic(): void {
    throw streamOnly()
  }

  unsubscribeTopic(): boolean {
    return false
  }
}

function streamOnly(): RpcError {
  return new RpcError(ERROR_CODES.badRequest.code, 'subscriptions need a connection that stays open')
}
