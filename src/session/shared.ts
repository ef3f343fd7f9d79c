import type { Daemon } from '../daemon/daemon.ts'
import { addressText } from '../lib/address-text.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../log.ts'
import type { MomentSource } from '../mempool/moment.ts'
import type { Envelope } from '../rpc/envelope.ts'
import type { ProtocolVersion, ServerInfo } from '../rpc/method.ts'
import type { MethodRegistry } from '../rpc/registry.ts'
import type { CostOptions } from './cost.ts'
import type { Notifier } from './notifier.ts'
import type { Subscriptions } from './subscriptions.ts'
import { SessionTally } from './tally.ts'
import type { RemoteAddress } from './transports/connection.ts'

/** What holds for every client alike. Milliseconds. */
export interface SharedOptions {
  readonly costs: CostOptions
  /** REQUEST_TIMEOUT: a request that takes longer, waiting included, is answered -102. */
  readonly requestTimeout: number
  /** From the end of the transport's handshake to the first request. */
  readonly handshakeTimeout: number
  /** How long a notification may wait for a client to take what it was sent before. */
  readonly notifyTimeout: number
  /** Messages of one client that wait or run before reading stops. */
  readonly maxPipelined: number
  /** Clients whose name this matches are refused. */
  readonly dropClient?: RegExp
  /** ANON_LOGS: addresses stay out of the log. */
  readonly anonymous: boolean
}

export const DEFAULT_TIMES = {
  requestTimeout: 30_000,
  handshakeTimeout: 60_000,
  notifyTimeout: 30_000,
  maxPipelined: 500,
} as const

export interface SharedCollaborators {
  readonly registry: MethodRegistry
  readonly envelope: Envelope
  readonly moments: MomentSource
  readonly daemon: Daemon
  readonly server: ServerInfo
  readonly subscriptions: Subscriptions
  readonly notifier: Notifier
  readonly clock: Clock
  readonly log: Logger
  /** A text that finds a line in the log again; must not repeat. */
  requestId(): string
}

/** The version a client speaks that has not said one. */
export const FIRST_PROTOCOL: ProtocolVersion = [1, 4, 0]

/** What all clients use together: one handler set, one source of moments, one table of subscriptions. */
export class SharedSession implements SharedCollaborators {
  readonly options: SharedOptions
  readonly registry: MethodRegistry
  readonly envelope: Envelope
  readonly moments: MomentSource
  readonly daemon: Daemon
  readonly server: ServerInfo
  readonly subscriptions: Subscriptions
  readonly notifier: Notifier
  readonly clock: Clock
  readonly log: Logger
  readonly requestId: () => string
  /** What all sessions together have done. */
  readonly tally: SessionTally
  #description: string | undefined

  constructor(options: SharedOptions, collaborators: SharedCollaborators) {
    this.options = options
    this.registry = collaborators.registry
    this.envelope = collaborators.envelope
    this.moments = collaborators.moments
    this.daemon = collaborators.daemon
    this.server = collaborators.server
    this.subscriptions = collaborators.subscriptions
    this.notifier = collaborators.notifier
    this.clock = collaborators.clock
    this.log = collaborators.log
    this.requestId = () => collaborators.requestId()
    this.tally = new SessionTally(collaborators.registry.names)
  }

  /** What the methods are, for programs: made when it is first asked for. */
  description(make: () => string): string {
    this.#description ??= make()
    return this.#description
  }

  /** An address as it may stand in the log. */
  addressForLog(remote: RemoteAddress): string {
    return this.options.anonymous ? 'xx.xx.xx.xx:xx' : addressText(remote)
  }
}
