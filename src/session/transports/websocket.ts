import { createServer, type Server as HttpServer, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type RawData, type WebSocket, WebSocketServer } from 'ws'
import { asBuffer } from '../../lib/bytes.ts'
import { systemClock } from '../../lib/clock.ts'
import { LongText } from '../../lib/long-text.ts'
import type { Logger } from '../../log.ts'
import {
  type CloseReason,
  type Connection,
  type ConnectionHandler,
  type ConnectionLimits,
  type Doorkeeper,
  type Message,
  NOBODY,
  type RemoteAddress,
  type TransportKind,
} from './connection.ts'
import { type Carrier, FlowControl, type FlowHandlers, reasonOf } from './flow.ts'
import { Leftover, type LeftoverHandlers } from './leftover.ts'
import { type Arrival, type ListenerOptions, SocketListener } from './listener.ts'
import { atMost, lines, PacedSocket } from './paced.ts'
import { NO_PROXIES } from './proxies.ts'
import { Turns } from './turns.ts'

const MAX_HEADER_BYTES = 8192
const TEXT = { binary: false }
/** What is parsed at once of what was read: at most 170 frames, or ten requests to upgrade. */
const PORTION = atMost(1024, lines(32))
/** `ws` keeps parts of a message as they come; one of bytes that came one by one would take 300 times its length. */
const LEAST_PART = 128

/** One message a frame over a WebSocket; text and binary frames mean the same, answers are text. */
export class WebSocketConnection implements Connection, FlowHandlers, LeftoverHandlers<Uint8Array[]> {
  readonly kind: TransportKind
  readonly remote: RemoteAddress
  handler: ConnectionHandler = NOBODY

  readonly #limits: ConnectionLimits
  readonly #ws: WebSocket
  readonly #socket: Carrier
  readonly #flow: FlowControl
  /** `ws` gives all messages of a chunk in a row, also after pause(): no more than those are ever here. */
  readonly #leftover: Leftover<Uint8Array[]>
  #corked = false
  #reason: CloseReason | undefined
  #cutTimer: NodeJS.Timeout | undefined

  constructor(
    { kind, remote }: Pick<Connection, 'kind' | 'remote'>,
    limits: ConnectionLimits,
    { ws, socket, turns }: { readonly ws: WebSocket; readonly socket: Carrier; readonly turns: Turns },
  ) {
    this.kind = kind
    this.remote = remote
    this.#limits = limits
    this.#ws = ws
    this.#socket = socket
    this.#flow = new FlowControl(limits, socket, this)
    this.#leftover = new Leftover(this.#flow, turns, this)
    // Ahead of `ws`, which says nothing of frames that are no message yet and may never be one.
    socket.prependListener('data', (chunk: Uint8Array) => this.#received(chunk.length))
    ws.on('message', (data) => this.#message(bytesOf(data)))
    ws.on('ping', () => this.#pinged())
    ws.on('error', (error) => this.#failed(error))
    // Of the socket itself `ws` says nothing.
    socket.on('error', (error) => {
      this.#reason ??= reasonOf(error)
    })
    ws.once('close', () => {
      clearTimeout(this.#cutTimer)
      if (this.#leftover.end()) this.#ended('client closed')
    })
  }

  // What the flow control and what is left of a chunk tell and ask.

  stopReading(): void {
    this.#ws.pause()
  }

  goOnReading(): void {
    this.#leftover.proceed()
  }

  get closed(): boolean {
    return this.#reason !== undefined
  }

  tell(messages: Uint8Array[]): Uint8Array[] | undefined {
    for (const [told, message] of messages.entries()) {
      if (told > 0 && !this.#leftover.goesOn()) return messages.slice(told)
      this.handler.onMessage?.(message)
    }
    return undefined
  }

  readOn(): void {
    this.#ws.resume()
  }

  onAllTold(): void {
    this.#ended('client closed')
  }

  onDrain(): void {
    this.handler.onDrain?.()
  }

  onSlow(): void {
    this.#cut('slow reader')
  }

  get unsent(): number {
    return this.#ws.bufferedAmount
  }

  get congested(): boolean {
    return this.#flow.congested
  }

  send(message: Message): boolean {
    if (this.#reason !== undefined || this.#ws.readyState !== this.#ws.OPEN) return false
    if (!this.#corked) {
      this.#corked = true
      this.#socket.cork()
      setImmediate(() => this.#uncork())
    }
    // A frame has its payload in one piece.
    const payload = message instanceof LongText ? message.toBytes() : message
    this.#ws.send(payload, TEXT)
    this.handler.onSent?.(typeof payload === 'string' ? Buffer.byteLength(payload) : payload.length)
    return this.#flow.sent(this.unsent)
  }

  close(reason: CloseReason): void {
    if (this.#reason !== undefined) return
    if (this.#leftover.gone) return this.#ended(reason)
    if (this.#ws.readyState > this.#ws.OPEN) return
    this.#reason = reason
    this.#leftover.forget()
    this.#uncork()
    this.#ws.close(CLOSE_CODES[reason], reason)
    this.#flow.unhold()
    this.#ws.resume()
    this.#cutTimer = setTimeout(() => this.#ws.terminate(), this.#limits.closeTimeout)
  }

  pause(): void {
    this.#flow.hold()
  }

  resume(): void {
    this.#flow.unhold()
  }

  #message(data: Uint8Array): void {
    if (this.#reason !== undefined) return
    // Clients that were written for lines send a line feed here too.
    const message = data.subarray(0, data.at(-1) === 0x0a ? data.length - 1 : data.length)
    const { rest } = this.#leftover
    if (rest !== undefined) rest.push(message)
    else if (this.#leftover.goesOn()) this.handler.onMessage?.(message)
    else this.#leftover.keep([message])
  }

  #ended(reason: CloseReason): void {
    this.#leftover.forget()
    this.#reason ??= reason
    this.handler.onClose?.(this.#reason)
  }

  /** `ws` answers pings by itself, and cuts by itself who does not take the answers: it has done so by now. */
  #pinged(): void {
    if (this.#ws.readyState !== this.#ws.OPEN) this.#reason ??= 'slow reader'
  }

  #received(bytes: number): void {
    if (this.#reason === undefined) this.handler.onReceived?.(bytes)
  }

  #failed(error: Error): void {
    const code = 'code' in error ? error.code : undefined
    if (code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') {
      if (this.#reason === undefined) this.handler.onOversized?.(this.#limits.maxReceive)
      this.#reason ??= 'protocol breach'
    } else if (typeof code === 'string' && code.startsWith('WS_ERR_')) {
      this.#reason ??= 'protocol breach'
    } else {
      this.#reason ??= reasonOf(error)
    }
  }

  #uncork(): void {
    if (!this.#corked) return
    this.#corked = false
    this.#socket.uncork()
    this.#flow.written()
  }

  #cut(reason: CloseReason): void {
    this.#reason ??= reason
    this.#ws.terminate()
  }
}

/** Close codes of RFC 6455 section 7.4 for our reasons. */
const CLOSE_CODES: Readonly<Record<CloseReason, number>> = {
  'client closed': 1000,
  'client reset': 1000,
  'handshake timeout': 1008,
  'idle timeout': 1001,
  'slow reader': 1008,
  'excessive usage': 1008,
  'protocol breach': 1002,
  'unsupported version': 1000,
  'client refused': 1008,
  'server full': 1013,
  operator: 1001,
  shutdown: 1001,
  'transport error': 1011,
}

/** Listens for WebSockets, over TLS if `options.tls` is there. Any path and any origin will do. */
export async function listenWebSocket(
  options: ListenerOptions,
  limits: ConnectionLimits,
  doorkeeper: Doorkeeper,
  log: Logger,
  turns = new Turns(systemClock),
): Promise<SocketListener> {
  const { kind, proxies = NO_PROXIES } = options
  const arrivals = new WeakMap<Duplex, { readonly socket: Carrier; readonly arrival: Arrival }>()
  const http = upgradeServer(limits, (request, upgrade) => {
    const found = arrivals.get(request.socket)
    if (found === undefined) {
      request.socket.destroy()
      return
    }
    const { socket, arrival } = found
    const remote = proxies.clientOf(request.headers['x-forwarded-for'], arrival.remote)
    if (remote !== arrival.remote && !doorkeeper.moved(arrival.pass, kind, remote)) {
      socket.end('HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
      return
    }
    upgrade((ws) => {
      arrival.settle()
      doorkeeper.welcome(new WebSocketConnection({ kind, remote }, limits, { ws, socket, turns }), arrival.pass)
    })
  })
  const listener = new SocketListener(options, doorkeeper, log, (raw, arrival) => {
    const socket = new PacedSocket(raw, { turns, portion: PORTION })
    arrivals.set(socket, { socket, arrival })
    // Until the upgrade is done the listener's own time limit runs; Node's limits need a server that listens itself.
    http.emit('connection', socket)
  })
  await listener.start()
  return listener
}

type Upgrade = (done: (ws: WebSocket) => void) => void

/** Asks `onUpgrade` for each request to upgrade; answers everything else by itself. */
function upgradeServer(
  limits: ConnectionLimits,
  onUpgrade: (request: IncomingMessage, upgrade: Upgrade) => void,
): HttpServer {
  const sockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: limits.maxReceive,
    maxBufferedChunks: 1024 + Math.ceil(limits.maxReceive / LEAST_PART),
  })
  const http = createServer({ maxHeaderSize: MAX_HEADER_BYTES, keepAliveTimeout: 1 }, (_request, response) => {
    response.writeHead(426, { Connection: 'close', Upgrade: 'websocket', 'Content-Type': 'text/plain' })
    response.end('a WebSocket is spoken here\n')
  })
  http.on('upgrade', (request, socket, head) => {
    onUpgrade(request, (done) => sockets.handleUpgrade(request, socket, head, done))
  })
  http.on('clientError', (_error, socket) => socket.destroy())
  return http
}

function bytesOf(data: RawData): Uint8Array {
  if (data instanceof ArrayBuffer) return new Uint8Array(data)
  return Array.isArray(data) ? Buffer.concat(data) : asBuffer(data)
}
