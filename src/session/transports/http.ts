import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Logger } from '../../log.ts'
import type {
  CloseReason,
  ConnectionLimits,
  HttpCarrier,
  HttpDoorkeeper,
  HttpHandler,
  HttpReply,
  RemoteAddress,
  TransportKind,
} from './connection.ts'
import { reasonOf } from './flow.ts'
import { type ListenerOptions, SocketListener } from './listener.ts'

const MAX_HEADER_BYTES = 16_384
const CORS = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Allow-Methods': 'GET, POST, OPTIONS',
  'Access-Control-Allow-Headers': 'Content-Type, Authorization',
  'Access-Control-Max-Age': '86400',
}
const TOO_LARGE: HttpReply = { status: 413, contentType: 'text/plain', body: 'request body too large\n' }
const WRONG_TARGET: HttpReply = { status: 400, contentType: 'text/plain', body: 'no such address\n' }

/** One TCP or TLS connection with HTTP on it. */
export class HttpConnection implements HttpCarrier {
  readonly kind: TransportKind
  readonly remote: RemoteAddress
  readonly #limits: ConnectionLimits
  readonly #socket: Socket
  #handler: HttpHandler | undefined
  #running = 0
  #counted = 0
  #reason: CloseReason | undefined
  #cutTimer: NodeJS.Timeout | undefined

  constructor(kind: TransportKind, remote: RemoteAddress, limits: ConnectionLimits, socket: Socket) {
    this.kind = kind
    this.remote = remote
    this.#limits = limits
    this.#socket = socket
    socket.on('error', (error) => {
      this.#reason ??= reasonOf(error)
    })
    socket.on('timeout', () => {
      this.#reason ??= 'slow reader'
      socket.destroy()
    })
    socket.once('close', () => {
      clearTimeout(this.#cutTimer)
      this.#handler?.closed(this.#reason ?? 'client closed')
    })
  }

  /** Set once, before the first request. */
  handleWith(handler: HttpHandler): void {
    this.#handler = handler
  }

  close(reason: CloseReason): void {
    if (this.#reason !== undefined) return
    this.#reason = reason
    if (this.#running === 0) this.#socket.end()
    this.#cutTimer = setTimeout(() => this.#socket.destroy(), this.#limits.closeTimeout)
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#running++
    // A body that does not come and an answer that is not taken both show as a socket that stands still.
    this.#socket.setTimeout(this.#limits.sendTimeout)
    response.once('close', () => {
      this.#running--
      if (this.#running > 0) return
      this.#socket.setTimeout(0)
      if (this.#reason !== undefined) this.#socket.end()
    })
    const body = await readBody(request, this.#limits)
    this.#count()
    if (body === undefined) this.#reply(response, TOO_LARGE, true)
    else if (body !== 'gone') this.#reply(response, await this.#answer(request, body), false)
  }

  async #answer(request: IncomingMessage, body: Uint8Array): Promise<HttpReply | undefined> {
    if (request.method === 'OPTIONS') return undefined
    const url = request.url?.startsWith('/') === true ? parseTarget(request.url) : undefined
    if (url === undefined || this.#handler === undefined) return WRONG_TARGET
    this.#socket.setTimeout(0)
    const reply = await this.#handler.exchange({
      method: request.method ?? 'GET',
      path: url.pathname,
      query: url.searchParams,
      body,
    })
    this.#socket.setTimeout(this.#limits.sendTimeout)
    return reply
  }

  #reply(response: ServerResponse, reply: HttpReply | undefined, last: boolean): void {
    if (response.destroyed) return
    if (last || this.#reason !== undefined) response.setHeader('Connection', 'close')
    if (reply === undefined) {
      response.writeHead(204, CORS)
      response.end()
      return
    }
    const body = Buffer.from(reply.body)
    response.writeHead(reply.status, { ...CORS, 'Content-Type': reply.contentType, 'Content-Length': body.length })
    response.end(body)
  }

  /** Tells the session what has come since the last time, heads and bodies. */
  #count(): void {
    const total = this.#socket.bytesRead
    this.#handler?.received(total - this.#counted)
    this.#counted = total
  }
}

/** Listens for HTTP, over TLS if `options.tls` is there. */
export async function listenHttp(
  options: ListenerOptions,
  limits: ConnectionLimits,
  doorkeeper: HttpDoorkeeper,
  log: Logger,
): Promise<SocketListener> {
  const connections = new WeakMap<Duplex, HttpConnection>()
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
  const listener = new SocketListener(options, doorkeeper, log, (socket, arrival) => {
    arrival.settle()
    const connection = new HttpConnection(options.kind, arrival.remote, limits, socket)
    connections.set(socket, connection)
    connection.handleWith(doorkeeper.welcomeHttp(connection, arrival.pass))
    http.emit('connection', socket)
  })
  await listener.start()
  return listener
}

/** The whole body; undefined if it is too long or does not end in time, 'gone' if the client went. */
function readBody(request: IncomingMessage, limits: ConnectionLimits): Promise<Uint8Array | 'gone' | undefined> {
  return new Promise((resolve) => {
    const parts: Buffer[] = []
    let length = 0
    const timer = setTimeout(() => settle(undefined), limits.handshakeTimeout)
    function settle(result: Uint8Array | 'gone' | undefined): void {
      clearTimeout(timer)
      // Whatever comes first counts; a promise takes no notice of the rest.
      // oxlint-disable-next-line promise/no-multiple-resolved
      resolve(result)
    }
    request.on('data', (part: Buffer) => {
      length += part.length
      if (length <= limits.maxReceive) {
        parts.push(part)
      } else {
        parts.length = 0
        request.pause()
        settle(undefined)
      }
    })
    request.once('end', () => settle(Buffer.concat(parts)))
    request.once('error', () => settle('gone'))
    request.once('close', () => settle('gone'))
  })
}

function parseTarget(target: string): URL | undefined {
  const base = 'http://server.invalid'
  return URL.canParse(target, base) ? new URL(target, base) : undefined
}
