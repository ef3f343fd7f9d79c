import type { LongText } from '../../lib/long-text.ts'

/** One message to a client. */
export type Message = string | LongText | Uint8Array

/** What a connection tells; what is not there is not told. */
export interface ConnectionHandler {
  /**
   * Called for each whole message (one line, or one WebSocket message), in order, as bytes without the line feed; never
   * after onClose(). Those of one read may come in several turns of the event loop (turns.ts). A message above the limit is dropped: onOversized() is told instead.
   */
  onMessage?(message: Uint8Array): void
  /** Once for each dropped message, with the bytes of it seen so far. A WebSocket is closed after it, a line is not. */
  onOversized?(bytes: number): void
  /** Called for whatever arrives, also parts of a message and dropped bytes, before what it completes is told. */
  onReceived?(bytes: number): void
  /** Called when messages were handed to the system, with their bytes. */
  onSent?(bytes: number): void
  /** Called when what waited unsent has left, after send() returned false. */
  onDrain?(): void
  /** Called once, when the connection is gone. */
  onClose?(reason: CloseReason): void
}

/** Of a connection that nobody has taken up yet. */
export const NOBODY: ConnectionHandler = Object.freeze({})

/**
 * A stream to one client, whatever carries it. The session layer knows this contract and nothing else of sockets.
 * test/contract/transport runs on every implementation.
 */
export interface Connection {
  /** tcp, ssl, ws, wss or rpc */
  readonly kind: TransportKind
  readonly remote: RemoteAddress

  /** Whom it tells. One object: there are thousands of connections, and a function for each event would be most of one. */
  handler: ConnectionHandler
  /**
   * Queues one message (without line feed). Messages of one tick leave in one write; bytes are not copied where that can
   * be helped, and must not change. Returns false once more than the high mark waits unsent; the connection then stops
   * reading until it has drained.
   */
  send(message: Message): boolean
  /** Bytes accepted by send() that the system has not taken yet; texts of the running turn count by their characters. */
  readonly unsent: number
  /** True from the send() that returned false until onDrain(). */
  readonly congested: boolean
  /** Sends what is queued, then closes. onClose() is told `reason`. Later calls change nothing. */
  close(reason: CloseReason): void
  /**
   * Stops and resumes reading, for back-pressure from above. No message is told after pause(), also of those that have
   * come already.
   */
  pause(): void
  resume(): void
}

export const TRANSPORT_KINDS = ['tcp', 'ssl', 'ws', 'wss', 'http', 'https', 'rpc'] as const
/** `rpc` is the administrator's own port: plain lines, local only. */
export type TransportKind = (typeof TRANSPORT_KINDS)[number]

export interface RemoteAddress {
  /** IPv4 or IPv6 text, IPv4-mapped addresses unmapped. */
  readonly host: string
  readonly port: number
}

/** Why a connection ended: a closed list that shows in logs and metrics. */
export const CLOSE_REASONS = [
  'client closed',
  'client reset',
  'handshake timeout',
  'idle timeout',
  'slow reader',
  'excessive usage',
  'protocol breach',
  'unsupported version',
  'client refused',
  'server full',
  'operator',
  'shutdown',
  'transport error',
] as const
export type CloseReason = (typeof CLOSE_REASONS)[number]

/** None of any reason yet. */
export function closedCounts(): Record<CloseReason, number> {
  const counts: Partial<Record<CloseReason, number>> = {}
  for (const reason of CLOSE_REASONS) counts[reason] = 0
  // Every reason of the closed list was just set.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return counts as Record<CloseReason, number>
}

/** Accepts connections of one kind at one address. */
export interface Listener {
  readonly kind: TransportKind
  /** Host and port it really listens on. */
  readonly address: { readonly host: string; readonly port: number }
  /** Stops accepting (the port stays ours where the system allows it) and starts again. */
  pause(): void
  resume(): Promise<void>
  /** Stops accepting for good; existing connections live on. */
  close(): Promise<void>
}

/** What one connection may use. Bytes and milliseconds. */
export interface ConnectionLimits {
  /** A message longer than this is dropped (MAX_RECV). */
  readonly maxReceive: number
  /** Above this the connection is congested: reading stops until all has left. At least 64 KiB. */
  readonly highMark: number
  /** Above this the client is closed as a slow reader. */
  readonly maxUnsent: number
  /** A congested connection that takes no byte for so long is closed as a slow reader. */
  readonly sendTimeout: number
  /** TLS and the WebSocket upgrade have to be done within this. */
  readonly handshakeTimeout: number
  /** What close() waits for the rest to leave before it cuts. */
  readonly closeTimeout: number
}

/** A place that was given to a newcomer, from the first packet on. release() may be called more than once. */
export interface Pass {
  release(): void
}

/** Decides who may come in; the session manager. Asked before a handshake is begun or anything is allocated. */
export interface Doorkeeper {
  /** Undefined: there is no place, and the newcomer is cut. */
  admit(kind: TransportKind, remote: RemoteAddress): Pass | undefined
  /** A trusted proxy says that the newcomer is at `remote`. False: there is no place for it, and it is cut. */
  moved(pass: Pass, kind: TransportKind, remote: RemoteAddress): boolean
  /**
   * The transport's own handshake is done; handlers are set before this returns. The pass is the session's now. Where there
   * is no place left, the connection is closed.
   */
  welcome(connection: Connection, pass: Pass): void
}

/** One HTTP request, read whole. */
export interface HttpRequest {
  readonly method: string
  /** Without the query. */
  readonly path: string
  readonly query: URLSearchParams
  readonly body: Uint8Array
  /** The header If-None-Match. */
  readonly ifNoneMatch?: string | undefined
}

export interface HttpReply {
  readonly status: number
  /** Undefined where there is nothing of any type. */
  readonly contentType: string | undefined
  readonly body: string | Uint8Array
  readonly etag?: string | undefined
  /** Further headers. */
  readonly headers?: Readonly<Record<string, string>>
}

/** A keep-alive connection that carries HTTP requests, as the session layer sees it. */
export interface HttpCarrier {
  readonly kind: TransportKind
  readonly remote: RemoteAddress
  /** Lets the running exchange end, then closes. The handler's closed() is told `reason`. */
  close(reason: CloseReason): void
}

/** What the session layer does with such a connection. */
export interface HttpHandler {
  received(bytes: number): void
  /**
   * Never throws: what goes wrong is a reply. Whatever makes work or a large reply waits for `turn` first: that settles
   * once few replies of the connection are under way or not taken, or it is gone.
   */
  exchange(request: HttpRequest, turn: () => Promise<void>): Promise<HttpReply>
  /** Called once, when the connection is gone. */
  closed(reason: CloseReason): void
}

export interface HttpDoorkeeper extends Doorkeeper {
  /** Undefined: there is no place left, and the pass is given back. */
  welcomeHttp(carrier: HttpCarrier, pass: Pass): HttpHandler | undefined
}
