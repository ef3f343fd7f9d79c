import { ERROR_CODES } from '../errors.ts'
import type { RpcFailure } from '../rpc/failure.ts'
import type { JsonObject } from '../rpc/json.ts'
import type { AtomicalsShape, ProtocolVersion } from '../rpc/method.ts'
import type { CostOptions } from './cost.ts'
import type { Direction, LimitExceeded, Place } from './counter.ts'
import type { GroupMember, SessionGroup } from './groups.ts'
import type { CloseReason, RemoteAddress, TransportKind } from './transports/connection.ts'

export type SessionState = 'handshaking' | 'active' | 'closing' | 'closed'

/** Traffic of one session, or of many added up. */
export interface Traffic {
  receivedMessages: number
  receivedBytes: number
  sentMessages: number
  sentBytes: number
  errors: number
}

export function noTraffic(): Traffic {
  return { receivedMessages: 0, receivedBytes: 0, sentMessages: 0, sentBytes: 0, errors: 0 }
}

export function addTraffic(sum: Traffic, part: Readonly<Traffic>): void {
  sum.receivedMessages += part.receivedMessages
  sum.receivedBytes += part.receivedBytes
  sum.sentMessages += part.sentMessages
  sum.sentBytes += part.sentBytes
  sum.errors += part.errors
}

/** All that a session can be told, whoever began it. */
export type SessionCommand =
  /** Every second or so: its limits of time. `now` on the monotonic clock. */
  | { readonly type: 'tick'; readonly now: number }
  /** To begin nothing more and close when what is under way is answered, or a moment later. */
  | { readonly type: 'end'; readonly reason: CloseReason }
  /** To listen to nothing more and close once what is written has left. */
  | { readonly type: 'close'; readonly reason: CloseReason }

/** The same of one that a client began: its costs besides. What it is sent unasked is told to it as a Subscriber. */
export type ClientCommand =
  | SessionCommand
  /** It is judged together with the members of these groups from now on. */
  | { readonly type: 'join'; readonly groups: readonly SessionGroup[] }
  /** Every few minutes: its cost has decayed, and what it follows decides how fast it does. */
  | { readonly type: 'recalculate' }

/** What a session says of each thing that its remote sends. */
export const REMARKS = ['valid', 'invalid', 'bad message', 'protocol breach'] as const
export type Remark = (typeof REMARKS)[number]

/** Ends that nobody decided on. */
type Breakdown = 'client reset' | 'transport error'

/** All that a session tells whoever keeps it. */
export type SessionMessage =
  /** A request was understood and has been served or refused; or an answer to one of ours has come. */
  | { readonly type: 'valid' }
  /** JSON, but no request, one of a method or with parameters that there are not at its version; or no answer. */
  | { readonly type: 'invalid' }
  /** No message at all: not JSON, or too long to be read. */
  | { readonly type: 'bad message' }
  /** It does what the protocol forbids, or has talked nonsense or owed answers for too long; it is being closed. */
  | { readonly type: 'protocol breach' }
  /** It has ended, for a reason that one of the two sides had. Told once, like the next, and the last that is told. */
  | { readonly type: 'disconnected'; readonly reason: Exclude<CloseReason, Breakdown> }
  /** Its connection broke. */
  | { readonly type: 'closed on error'; readonly reason: Breakdown }

/** One object for all: there are a hundred thousand of these a second. */
export const VALID: SessionMessage = Object.freeze({ type: 'valid' })
export const INVALID: SessionMessage = Object.freeze({ type: 'invalid' })
export const BAD_MESSAGE: SessionMessage = Object.freeze({ type: 'bad message' })
export const PROTOCOL_BREACH: SessionMessage = Object.freeze({ type: 'protocol breach' })

/** How the end of a session is told. */
export function endOf(reason: CloseReason): SessionMessage {
  return reason === 'client reset' || reason === 'transport error'
    ? { type: 'closed on error', reason }
    : { type: 'disconnected', reason }
}

/** What a failure says of what the client sent; undefined if nothing was wrong with that. */
export function remarkOf({ code, limit }: RpcFailure): SessionMessage | undefined {
  switch (code) {
    case ERROR_CODES.parseError.code:
      return BAD_MESSAGE
    case ERROR_CODES.invalidRequest.code:
      if (limit === 'MAX_SEND') return undefined
      return limit === 'MAX_RECV' ? BAD_MESSAGE : INVALID
    case ERROR_CODES.methodNotFound.code:
    case ERROR_CODES.invalidParams.code:
      return INVALID
    default:
      return undefined
  }
}

/** What is known of a session from outside: figures to be read, and commands. Nobody but itself has more of it. */
export interface SessionHandle {
  readonly id: number
  /** Begun by a client, or by ourselves. */
  readonly direction: Direction
  readonly kind: TransportKind
  /** Where it is connected to; before it is, and through a proxy, the host as we have it. */
  readonly remote: RemoteAddress
  readonly state: SessionState
  /** Milliseconds since the epoch. */
  readonly established: number
  /** On the monotonic clock. */
  readonly lastReceived: number
  /** What it calls itself. */
  readonly software: string | undefined
  /** What was agreed on. Of a server undefined until then, or if it named none; a client begins with the first. */
  readonly protocol: ProtocolVersion | undefined
  /** What it says it offers as a server: answered to server.features, or announced with server.add_peer. */
  readonly features: JsonObject | undefined
  readonly traffic: Readonly<Traffic>
  /** Messages that wait for an answer: of ours if it is a client, of its if it is a server. */
  readonly unanswered: number
  /** Bytes that wait for the other side to take them. */
  readonly unsent: number
  command(command: SessionCommand): void
}

/** A session that a client began. */
export interface ClientHandle extends SessionHandle, GroupMember {
  readonly direction: 'inbound'
  readonly protocol: ProtocolVersion
  readonly shape: AtomicalsShape | undefined
  /** Its own cost and that of its groups; its own alone is `cost`. */
  readonly totalCost: number
  /** Requests that may run at once. */
  readonly concurrency: number
  readonly groups: readonly SessionGroup[]
  /** Requests by name; unknown names count together. */
  readonly calls: ReadonlyMap<string, number>
  readonly subscriptionCount: number
  /** True once it has asked to be told of tips. */
  readonly followsTip: boolean
  /** Transactions of it that the node took. */
  readonly transactionsSent: number
  command(command: ClientCommand): void
}

/** A session with a server that we dialled. */
export interface ServerHandle extends SessionHandle {
  readonly direction: 'outbound'
  /** Its name, whatever that led to. */
  readonly host: string
  /** Smoothed, in milliseconds; undefined before the first answer. */
  readonly roundTrip: number | undefined
}

/** All that the session of a client asks of the one who keeps the sessions, and tells it. */
export interface SessionKeeper {
  /** What clients from there are held to. */
  costsOf(remote: RemoteAddress): CostOptions
  /** The first request has come. The reason to refuse it, if there is no place. */
  activated(session: ClientHandle): CloseReason | undefined
  /** Never throws. */
  tell(session: ClientHandle, message: SessionMessage): void
}

/** The same of one with a server. */
export interface ServerKeeper {
  /** A session in the register, made once there is a place for it; the limit if there is none, and nothing is made. */
  begin<T extends ServerHandle>(make: (id: number, place: Place) => T): T | LimitExceeded
  /** A version is agreed on. The limit, if there is no place for one more. */
  activated(session: ServerHandle): LimitExceeded | undefined
  /** Never throws. */
  tell(session: ServerHandle, message: SessionMessage): void
}
