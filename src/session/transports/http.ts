import { createServer, type IncomingMessage, type OutgoingHttpHeaders, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { systemClock } from '../../lib/clock.ts'
import type { Logger } from '../../log.ts'
import type {
  CloseReason,
  ConnectionLimits,
  Doorkeeper,
  HttpCarrier,
  HttpDoorkeeper,
  HttpHandler,
  HttpReply,
  Pass,
  RemoteAddress,
  TransportKind,
} from './connection.ts'
import { reasonOf } from './flow.ts'
import { Gathered } from './gathered.ts'
import { AnswerPacker } from './http-coding.ts'
import { readTarget } from './http-target.ts'
import { type Arrival, type ListenerOptions, SocketListener } from './listener.ts'
import { lines, PacedSocket } from './paced.ts'
import { NO_PROXIES } from './proxies.ts'
import { Turns } from './turns.ts'

const MAX_HEADER_BYTES = 16_384
/** What is parsed at once of what was read: mostly one request, and at most ten. */
const PORTION = lines(32)
const CORS = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Allow-Methods': 'GET, POST, OPTIONS',
  'Access-Control-Allow-Headers': 'Content-Type, Authorization, If-None-Match',
  'Access-Control-Expose-Headers': 'ETag',
  'Access-Control-Max-Age': '86400',
}
const EMPTY: HttpReply = { status: 204, contentType: undefined, body: '' }
const TOO_LARGE: HttpReply = { status: 413, contentType: 'text/plain', body: 'request body too large\n' }
const NO_PLACE: HttpReply = { status: 503, contentType: 'text/plain', body: 'no place at the moment\n' }
const WRONG_TARGET: HttpReply = { status: 400, contentType: 'text/plain', body: 'no such address\n' }

/**
 * Answers of one connection that may be worked out and not taken yet, as many as MAX_UNSENT has of the largest by default.
 * More than one are there only if a client asks on before it is answered.
 */
const MOST_OPEN = 4

/** Bytes of bodies whose requests are not answered, beyond which no further request is read. */
const MOST_BODY_BYTES = 1024 * 1024

/** Headers that a page may ask for with its requests, as browsers list them. */
const ASKED_HEADERS = /^[\w, -]{1,300}$/

/** Who uses an HTTP connection: one client, or one after the other if a proxy of ours holds it. */
class Tenant implements HttpCarrier {
  readonly kind: TransportKind
  readonly remote: RemoteAddress
  readonly #connection: HttpConnection
  #handler: HttpHandler | undefined
  #running = 0
  #left = false

  constructor(connection: HttpConnection, remote: RemoteAddress) {
    this.kind = connection.kind
    this.remote = remote
    this.#connection = connection
  }

  get handler(): HttpHandler | undefined {
    return this.#handler
  }

  /** Set once, before the first request. */
  handleWith(handler: HttpHandler): void {
    this.#handler = handler
  }

  /** Ends the whole connection: a proxy opens another one for others. */
  close(reason: CloseReason): void {
    this.#connection.close(reason)
  }

  begin(): void {
    this.#running++
  }

  end(): void {
    this.#running--
    if (this.#left && this.#running === 0) this.gone('client closed')
  }

  /** Another client has the connection now; what runs is finished. */
  leave(): void {
    this.#left = true
    if (this.#running === 0) this.gone('client closed')
  }

  gone(reason: CloseReason): void {
    const handler = this.#handler
    this.#handler = undefined
    handler?.closed(reason)
  }
}

/** Decides for whom a request is, and lets new clients in; undefined if there is no place. */
export interface Reception {
  clientOf(request: IncomingMessage): RemoteAddress
  welcome(tenant: HttpCarrier): HttpHandler | undefined
}

/** One TCP or TLS connection with HTTP on it. */
export class HttpConnection {
  readonly kind: TransportKind
  readonly #limits: ConnectionLimits
  readonly #socket: PacedSocket
  readonly #reception: Reception
  readonly #packer: AnswerPacker
  readonly #tenants = new Set<Tenant>()
  #tenant: Tenant | undefined
  #running = 0
  /** Bodies that are being read, and answers that are given and have not left. */
  #reading = 0
  #sending = 0
  /** Answers that are worked out and have not left, and who waits for one of them to leave. */
  #open = 0
  #turns: (() => void)[] | undefined
  #counted = 0
  #bodyBytes = 0
  #reason: CloseReason | undefined
  #cutTimer: NodeJS.Timeout | undefined

  constructor(
    kind: TransportKind,
    limits: ConnectionLimits,
    socket: PacedSocket,
    { reception, packer }: { readonly reception: Reception; readonly packer: AnswerPacker },
  ) {
    this.kind = kind
    this.#limits = limits
    this.#socket = socket
    this.#packer = packer
    this.#reception = reception
    socket.on('error', (error) => {
      this.#reason ??= reasonOf(error)
      // Node does not do so by itself after a broken TLS record.
      socket.destroy()
    })
    socket.on('timeout', () => {
      this.#reason ??= 'slow reader'
      socket.destroy()
    })
    socket.once('close', () => {
      clearTimeout(this.#cutTimer)
      for (const tenant of this.#tenants) tenant.gone(this.#reason ?? 'client closed')
      this.#tenants.clear()
      for (const turn of this.#turns ?? []) turn()
      this.#turns = undefined
    })
  }

  close(reason: CloseReason): void {
    if (this.#reason !== undefined) return
    this.#reason = reason
    if (this.#running === 0) this.#socket.end()
    this.#cutTimer = setTimeout(() => this.#socket.destroy(), this.#limits.closeTimeout)
  }

  /** The client at `remote` has the connection from now on. False if there is no place for it. */
  enter(remote: RemoteAddress): boolean {
    const tenant = new Tenant(this, remote)
    const handler = this.#reception.welcome(tenant)
    if (handler === undefined) return false
    tenant.handleWith(handler)
    const before = this.#tenant
    this.#tenant = tenant
    this.#tenants.add(tenant)
    before?.leave()
    for (const other of this.#tenants) if (other.handler === undefined) this.#tenants.delete(other)
    return true
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const remote = this.#reception.clientOf(request)
    if (this.#tenant?.remote.host !== remote.host && !this.enter(remote)) {
      this.#send(response, NO_PLACE, true)
      return
    }
    const tenant = this.#tenant
    if (tenant === undefined) return
    tenant.begin()
    try {
      await this.#serve(tenant, request, response)
    } finally {
      tenant.end()
    }
  }

  async #serve(tenant: Tenant, request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#running++
    response.once('close', () => {
      this.#running--
      if (this.#running === 0 && this.#reason !== undefined) this.#socket.end()
    })
    this.#reading++
    this.#watch()
    const body = await readBody(request, this.#limits)
    this.#reading--
    this.#watch()
    this.#count(tenant)
    if (body === 'gone') return
    if (body === undefined) {
      this.#send(response, TOO_LARGE, true)
      return
    }
    if (body.length > 0) this.#holdWhileOpen(response, body.length)
    if (request.method === 'OPTIONS') this.#preflight(request, response)
    else {
      const reply = await this.#answer(tenant, request, body, () => this.#turn(response))
      await this.#reply(request, response, reply)
    }
  }

  async #answer(
    tenant: Tenant,
    request: IncomingMessage,
    body: Uint8Array,
    turn: () => Promise<void>,
  ): Promise<HttpReply> {
    const url = readTarget(request.url)
    const { handler } = tenant
    if (url === undefined || handler === undefined) return WRONG_TARGET
    const asked = {
      method: request.method === 'HEAD' ? 'GET' : (request.method ?? 'GET'),
      path: url.pathname,
      query: url.searchParams,
      body,
      ifNoneMatch: request.headers['if-none-match'],
    }
    return handler.exchange(asked, turn)
  }

  /** A body that does not come and an answer that is not taken both show as a socket that stands still. */
  #watch(): void {
    this.#socket.setTimeout(this.#reading + this.#sending > 0 ? this.#limits.sendTimeout : 0)
  }

  /** Bodies wait for their turn as requests do, but a request may be a million times as long. */
  #holdWhileOpen(response: ServerResponse, bytes: number): void {
    this.#bodyBytes += bytes
    if (this.#bodyBytes >= MOST_BODY_BYTES) this.#socket.hold()
    response.once('close', () => {
      this.#bodyBytes -= bytes
      if (this.#bodyBytes <= MOST_BODY_BYTES / 2) this.#socket.unhold()
    })
  }

  /** See HttpHandler.exchange(). Answers leave in the order of the requests, so `response` is one that comes to leave. */
  async #turn(response: ServerResponse): Promise<void> {
    if (this.#open < MOST_OPEN) this.#open++
    else if (!this.#socket.destroyed) {
      await new Promise<void>((resolve) => {
        this.#turns ??= []
        this.#turns.push(resolve)
      })
    }
    response.once('close', () => {
      const next = this.#turns?.shift()
      if (next === undefined) this.#open--
      else next()
    })
  }

  /** What a browser asks before it lets a page of another origin send a request. */
  #preflight(request: IncomingMessage, response: ServerResponse): void {
    const asked = request.headers['access-control-request-headers']
    if (typeof asked === 'string' && ASKED_HEADERS.test(asked)) {
      response.setHeader('Vary', 'Access-Control-Request-Headers')
      this.#send(response, { ...EMPTY, headers: { 'Access-Control-Allow-Headers': asked } }, false)
    } else this.#send(response, EMPTY, false)
  }

  async #reply(request: IncomingMessage, response: ServerResponse, reply: HttpReply): Promise<void> {
    const accept = request.headers['accept-encoding']
    const whole = typeof reply.body === 'string' ? Buffer.from(reply.body) : reply.body
    const { body, coding } = await this.#packer.pack(whole, { contentType: reply.contentType, accept })
    response.setHeader('Vary', 'Accept-Encoding')
    if (coding !== undefined) response.setHeader('Content-Encoding', coding)
    this.#send(response, { ...reply, body }, false)
  }

  #send(response: ServerResponse, reply: HttpReply, last: boolean): void {
    if (response.destroyed) return
    if (last || this.#reason !== undefined) response.setHeader('Connection', 'close')
    const body = typeof reply.body === 'string' ? Buffer.from(reply.body) : reply.body
    const { status, contentType, etag } = reply
    this.#sending++
    this.#watch()
    response.once('close', () => {
      this.#sending--
      this.#watch()
    })
    const headers: OutgoingHttpHeaders = { ...CORS }
    if (contentType !== undefined) headers['Content-Type'] = contentType
    if (etag !== undefined) {
      headers['ETag'] = etag
      headers['Cache-Control'] = 'no-cache'
    }
    // These two have no body, and no length of one.
    if (status !== 204 && status !== 304) headers['Content-Length'] = body.length
    response.writeHead(status, Object.assign(headers, reply.headers))
    response.end(body)
  }

  /** Tells the session what has come since the last time, heads and bodies. */
  #count(tenant: Tenant): void {
    const total = this.#socket.bytesRead
    tenant.handler?.received(total - this.#counted)
    this.#counted = total
  }
}

/** Listens for HTTP, over TLS if `options.tls` is there. */
export async function listenHttp(
  options: ListenerOptions,
  limits: ConnectionLimits,
  doorkeeper: HttpDoorkeeper,
  log: Logger,
  turns = new Turns(systemClock),
): Promise<SocketListener> {
  const { kind, proxies = NO_PROXIES } = options
  const connections = new WeakMap<Duplex, HttpConnection>()
  const packer = new AnswerPacker()
  const http = createServer({ maxHeaderSize: MAX_HEADER_BYTES, keepAliveTimeout: 0 }, (request, response) => {
    const connection = connections.get(request.socket)
    if (connection === undefined) {
      request.socket.destroy()
      return
    }
    connection.serve(request, response).catch((error: unknown) => {
      log.error({ err: error }, 'HTTP exchange failed')
      request.socket.destroy()
    })
  })
  http.on('clientError', (_error, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
    else socket.destroy()
  })
  const listener = new SocketListener(options, doorkeeper, log, (raw, arrival) => {
    const socket = new PacedSocket(raw, { turns, portion: PORTION })
    const { remote } = arrival
    let unused: Arrival | undefined = arrival
    const reception: Reception = {
      clientOf: (request) => proxies.clientOf(request.headers['x-forwarded-for'], remote),
      welcome: (tenant) => {
        const pass = passFor(tenant, unused, doorkeeper)
        if (pass === undefined) return undefined
        unused?.settle()
        unused = undefined
        return doorkeeper.welcomeHttp(tenant, pass)
      },
    }
    const connection = new HttpConnection(kind, limits, socket, { reception, packer })
    connections.set(socket, connection)
    // Whose request a proxy will bring shows with the request; until then the newcomer's time limit runs.
    if (!proxies.trusts(remote.host) && !connection.enter(remote)) {
      socket.destroy()
      return
    }
    http.emit('connection', socket)
  })
  await listener.start()
  return listener
}

/** The first client of a connection gets the pass that was given to it when it came; others need their own. */
function passFor(tenant: HttpCarrier, unused: Arrival | undefined, doorkeeper: Doorkeeper): Pass | undefined {
  const { kind, remote } = tenant
  if (unused === undefined) return doorkeeper.admit(kind, remote)
  return remote === unused.remote || doorkeeper.moved(unused.pass, kind, remote) ? unused.pass : undefined
}

/** The whole body; undefined if it is too long or does not end in time, 'gone' if the client went. */
function readBody(request: IncomingMessage, limits: ConnectionLimits): Promise<Uint8Array | 'gone' | undefined> {
  return new Promise((resolve) => {
    const body = new Gathered(limits.maxReceive)
    const timer = setTimeout(() => settle(undefined), limits.handshakeTimeout)
    function settle(result: Uint8Array | 'gone' | undefined): void {
      clearTimeout(timer)
      // Whatever comes first counts; a promise takes no notice of the rest.
      // oxlint-disable-next-line promise/no-multiple-resolved
      resolve(result)
    }
    request.on('data', (part: Uint8Array) => {
      if (body.append(part)) return
      request.pause()
      settle(undefined)
    })
    request.once('end', () => settle(body.take()))
    request.once('error', () => settle('gone'))
    request.once('close', () => settle('gone'))
  })
}
