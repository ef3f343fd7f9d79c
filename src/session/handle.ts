import type { AtomicalsShape, ProtocolVersion } from '../rpc/method.ts'
import type { CostOptions } from './cost.ts'
import type { Direction } from './counter.ts'
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

/** All that a session can be told. */
export type SessionCommand =
  /** It is judged together with the members of these groups from now on. */
  | { readonly type: 'join'; readonly groups: readonly SessionGroup[] }
  /** Every second or so: its limits of time. `now` on the monotonic clock. */
  | { readonly type: 'tick'; readonly now: number }
  /** Every few minutes: its cost has decayed, and what it follows decides how fast it does. */
  | { readonly type: 'recalculate' }
  /** To listen to nothing more and close when what it was asked is answered, or a moment later. */
  | { readonly type: 'end'; readonly reason: CloseReason }
  /** To listen to nothing more and close once what is written has left. */
  | { readonly type: 'close'; readonly reason: CloseReason }

/** What is known of a session from outside: figures to be read, and commands. Nobody but itself has more of it. */
export interface SessionHandle extends GroupMember {
  readonly id: number
  readonly direction: Direction
  readonly kind: TransportKind
  readonly remote: RemoteAddress
  readonly state: SessionState
  /** Milliseconds since the epoch. */
  readonly established: number
  /** On the monotonic clock. */
  readonly lastReceived: number
  /** What it said of itself. */
  readonly software: string | undefined
  readonly protocol: ProtocolVersion
  readonly shape: AtomicalsShape | undefined
  /** True once it has asked to be listed as a server. */
  readonly isPeer: boolean
  /** Its own cost and that of its groups; its own alone is `cost`. */
  readonly totalCost: number
  /** Requests that may run at once. */
  readonly concurrency: number
  readonly groups: readonly SessionGroup[]
  readonly traffic: Readonly<Traffic>
  /** Requests by name; unknown names count together. */
  readonly calls: ReadonlyMap<string, number>
  /** Messages received and not answered. */
  readonly unanswered: number
  readonly subscriptionCount: number
  /** True once it has asked to be told of tips. */
  readonly followsTip: boolean
  /** Transactions of it that the node took. */
  readonly transactionsSent: number
  /** Bytes that wait for the client to take them. */
  readonly unsent: number
  command(command: SessionCommand): void
}

/** All that a session asks of the one who keeps the sessions, and tells it. */
export interface SessionKeeper {
  /** What clients from there are held to. */
  costsOf(remote: RemoteAddress): CostOptions
  /** The first request has come. The reason to refuse it, if there is no place. */
  activated(session: SessionHandle): CloseReason | undefined
  /** Called once. */
  ended(session: SessionHandle, reason: CloseReason): void
}
