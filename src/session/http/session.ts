import { ERROR_CODES, RpcError } from '../../errors.ts'
import type { Awaitable } from '../../lib/awaitable.ts'
import { describeAsJson } from '../../rpc/describe.ts'
import type { PendingCall, RequestHost } from '../../rpc/envelope.ts'
import type { RpcFailure } from '../../rpc/failure.ts'
import type { AtomicalsShape, ProtocolVersion, RpcClient, RpcContext } from '../../rpc/method.ts'
import { negotiate, SessionCore, type SessionInside } from '../core.ts'
import { excessiveUsage } from '../cost.ts'
import type { ClientHandle, SessionKeeper } from '../handle.ts'
import { FIRST_PROTOCOL, type SharedSession } from '../shared.ts'
import type { CloseReason, HttpCarrier, HttpHandler, HttpReply, HttpRequest } from '../transports/connection.ts'
import { ROOMY, Turnstile } from '../turnstile.ts'
import { objectReply, validateUrn } from './objects.ts'
import { type HttpCaller, proxyCall, refusalOf } from './proxy.ts'
import { JSON_TYPE, json, plain, prettyJson, refusal, usage } from './replies.ts'

/** Where calls go that are spelled in the manner of the Atomicals proxy, and the form of `atomicals` there. */
const PROXIES: readonly (readonly [prefix: string, shape: AtomicalsShape | undefined])[] = [
  ['/proxy/', undefined],
  ['/proxy-list/', 'list'],
  ['/proxy-object/', 'object'],
]
const USAGE = new Set(['/', '/proxy', '/proxy/', '/proxy-list', '/proxy-list/', '/proxy-object', '/proxy-object/'])
const HEALTH = /^(?:\/proxy(?:-list|-object)?)?\/health$/
const URN = '/urn/'
const VALIDATE = '/urn/validate/'
/** What the description of the methods costs: it is long and made once. */
const DESCRIPTION_COST = 1

/**
 * One keep-alive HTTP connection: the same methods, limits and costs as a stream, without anything sent unasked.
 * `POST /` is JSON-RPC; `/proxy/<method>` spells a call in the manner of the Atomicals HTTP proxy.
 */
export class HttpSession implements HttpHandler, RequestHost, HttpCaller, SessionInside {
  readonly turnstile: Turnstile
  // Nothing is sent unasked.
  readonly subscriptionCount = 0
  readonly followsTip = false
  readonly unsent = 0
  readonly #core: SessionCore
  readonly #shared: SharedSession

  constructor(id: number, carrier: HttpCarrier, shared: SharedSession, keeper: SessionKeeper) {
    this.#shared = shared
    this.turnstile = new Turnstile(ROOMY, shared.clock)
    this.#core = new SessionCore(id, carrier, shared, keeper, this)
  }

  get handle(): ClientHandle {
    return this.#core
  }

  onTick(): void {}

  received(bytes: number): void {
    this.#core.received(bytes)
  }

  closed(reason: CloseReason): void {
    this.#core.gone(reason)
  }

  async exchange(request: HttpRequest, turn: () => Promise<void>): Promise<HttpReply> {
    this.#core.asked()
    try {
      const reply = await this.#answer(request, turn)
      this.#core.traffic.sentMessages++
      this.#core.sent(sizeOf(reply.body))
      return reply
    } finally {
      this.#core.answered()
      this.#core.settle()
    }
  }

  run(call: PendingCall, job: (ctx: RpcContext) => Awaitable<unknown>): Awaitable<unknown> {
    return this.#run(call, undefined, job)
  }

  async call<T>(method: string, shape: AtomicalsShape | undefined, job: (ctx: RpcContext) => Promise<T>): Promise<T> {
    return this.#run({ method, notification: false }, shape, job)
  }

  failed(failure: RpcFailure): void {
    this.#core.failed(failure)
  }

  refused(error: unknown, method: string): HttpReply {
    const { failure, reply } = refusalOf(error, method, this.#shared)
    this.#core.failed(failure)
    return reply
  }

  #run<T>(call: PendingCall, shape: AtomicalsShape | undefined, job: (ctx: RpcContext) => Awaitable<T>): Awaitable<T> {
    const { registry, server } = this.#shared
    // Nothing is negotiated here, so a method counts that exists at any version; the oldest is what a bare client gets.
    const protocol = registry.find(call.method, FIRST_PROTOCOL) === undefined ? server.protocolMax : FIRST_PROTOCOL
    return this.#core.run(call, () => new HttpClient(this.#core, this.#shared, { protocol, shape }), job)
  }

  async #answer(request: HttpRequest, turn: () => Promise<void>): Promise<HttpReply> {
    const { method, path } = request
    if (this.#core.unanswered > this.#shared.options.maxPipelined) {
      this.#shared.tally.limits.MAX_PIPELINED++
      return plain(503, 'too many requests at once\n')
    }
    await turn()
    if (!this.#core.open) return plain(503, 'closing\n')
    if (HEALTH.test(path)) return this.#health()
    if (method !== 'GET' && method !== 'POST') return plain(405, 'GET or POST\n')
    for (const [prefix, shape] of PROXIES) {
      if (!path.startsWith(prefix) || path.length === prefix.length) continue
      const name = decoded(path.slice(prefix.length))
      return proxyCall({ method: name, shape }, request, { shared: this.#shared, caller: this })
    }
    if (method === 'POST' && path === '/') return this.#jsonRpc(request)
    // Pages are no requests of a method: they take no slot, so that nothing else refuses them one.
    if (this.#core.spent) return this.refused(excessiveUsage(), path)
    return method === 'GET' ? this.#page(request) : this.#unknown(request)
  }

  async #jsonRpc({ body }: HttpRequest): Promise<HttpReply> {
    this.turnstile.begin()
    const answering = this.#shared.envelope.open(this).handle(body)
    this.turnstile.end()
    const answer = await answering
    return answer === undefined ? { status: 204, contentType: JSON_TYPE, body: '' } : json(200, answer.toString())
  }

  #page(request: HttpRequest): HttpReply | Promise<HttpReply> {
    const { path } = request
    if (USAGE.has(path) || path === '/urn' || path === URN) return usage(this.#shared.server.software)
    if (path === '/openrpc.json') return this.#description(request)
    if (path.startsWith(VALIDATE)) return validateUrn(decoded(path.slice(VALIDATE.length)))
    if (path.startsWith(URN)) {
      return objectReply(decoded(path.slice(URN.length)), request, { shared: this.#shared, caller: this })
    }
    return this.#unknown(request)
  }

  async #description({ query }: HttpRequest): Promise<HttpReply> {
    this.#core.meter.bump(DESCRIPTION_COST)
    const text = this.#shared.description(() => JSON.stringify(describeAsJson(this.#shared.registry.methods)))
    return json(200, (query.has('pretty') ? await prettyJson(text) : undefined) ?? text)
  }

  #unknown({ path }: HttpRequest): HttpReply {
    return refusal(404, `Not Found - ${path.slice(0, 200)}`)
  }

  #health(): HttpReply {
    const healthy = this.#shared.moments.ready
    return json(healthy ? 200 : 503, JSON.stringify({ success: healthy, health: healthy }))
  }
}

function sizeOf(body: string | Uint8Array): number {
  return typeof body === 'string' ? Buffer.byteLength(body) : body.length
}

/** What a part of an address says; as it stands where its escapes are none. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch (error) {
    if (error instanceof URIError) return part
    throw error
  }
}

/** An HTTP client as a handler sees it. */
class HttpClient implements RpcClient {
  readonly stream = false
  readonly protocol: ProtocolVersion
  readonly shape: AtomicalsShape | undefined
  readonly #core: SessionCore
  readonly #shared: SharedSession

  constructor(
    core: SessionCore,
    shared: SharedSession,
    asked: { readonly protocol: ProtocolVersion; readonly shape: AtomicalsShape | undefined },
  ) {
    this.#core = core
    this.#shared = shared
    this.protocol = asked.protocol
    this.shape = asked.shape
  }

  get id(): number {
    return this.#core.id
  }

  get software(): string | undefined {
    return this.#core.software
  }

  get address(): string {
    return this.#core.remote.host
  }

  becomePeer(features: Readonly<Record<string, unknown>>): boolean {
    return this.#core.becomePeer(features)
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

  chooseShape(): void {
    throw new RpcError(ERROR_CODES.badRequest.code, 'over HTTP the address says it: /proxy-list or /proxy-object')
  }

  subscribeHeaders(): void {
    throw streamOnly()
  }

  subscribeScript(): never {
    throw streamOnly()
  }

  unsubscribeScript(): boolean {
    return false
  }

  subscribeOutpoint(): never {
    throw streamOnly()
  }

  unsubscribeOutpoint(): boolean {
    return false
  }

  subscribeTopic(): never {
    throw streamOnly()
  }

  unsubscribeTopic(): boolean {
    return false
  }
}

function streamOnly(): RpcError {
  return new RpcError(ERROR_CODES.badRequest.code, 'subscriptions need a connection that stays open')
}
