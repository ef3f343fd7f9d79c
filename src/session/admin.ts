import { z } from 'zod'
import type { Daemon } from '../daemon/daemon.ts'
import { ERROR_CODES, InvariantError, RpcError } from '../errors.ts'
import { linkSignals } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import type { Service } from '../lib/service.ts'
import type { Logger } from '../log.ts'
import type { Moment } from '../mempool/moment.ts'
import { Envelope, type EnvelopeSession, type PendingCall, type RequestHost } from '../rpc/envelope.ts'
import { defineMethod, type RpcClient, type RpcContext, type RpcMethod, type ServerInfo } from '../rpc/method.ts'
import { MethodRegistry } from '../rpc/registry.ts'
import { audited } from './audit.ts'
import { FIRST_PROTOCOL } from './shared.ts'
import type { CloseReason, Connection, ConnectionLimits, Doorkeeper, Pass } from './transports/connection.ts'
import { listenError } from './transports/listen-error.ts'
import type { SocketListener } from './transports/listener.ts'
import { listenLines } from './transports/tcp.ts'
import { doChores } from './upkeep.ts'

/** One of the administrator's methods. Its collaborators are in the closure; there is no client and no moment. */
export interface AdminMethod<P extends z.ZodObject = z.ZodObject> {
  readonly name: string
  readonly summary: string
  /** It changes something, so that the audit says who called it, with what, and why; see audit.ts. */
  readonly acts?: true
  /** As of RpcMethod. */
  readonly params: P
  readonly example: { readonly params: readonly unknown[]; readonly result: unknown }
  handler(params: z.output<P>, signal: AbortSignal): unknown
}

/** Gives a method its types from its schema. */
export function defineAdminMethod<P extends z.ZodObject>(method: AdminMethod<P>): AdminMethod<P> {
  return method
}

export interface AdminOptions {
  readonly host: string
  readonly port: number
  readonly connection: ConnectionLimits
  /** Milliseconds until a method is given up; long, for a rollback may take minutes. */
  readonly requestTimeout: number
  readonly maxConnections: number
  /** Milliseconds without a message and without a running method until a connection is closed. */
  readonly idleTimeout: number
  /** ANON_LOGS: clients' addresses stay out of the log, also where an administrator names them. */
  readonly anonymous?: boolean
}

export const DEFAULT_ADMIN = {
  host: '127.0.0.1',
  port: 8000,
  requestTimeout: 600_000,
  maxConnections: 20,
  idleTimeout: 600_000,
} as const

/** Milliseconds between two looks at who is idle. */
const SWEEP_INTERVAL = 1000

export interface AdminCollaborators {
  readonly methods: readonly AdminMethod[]
  readonly daemon: Daemon
  readonly server: ServerInfo
  readonly clock: Clock
  readonly log: Logger
  requestId(): string
  /** Where connections above the number, idle ones that were closed, and commands that took too long are counted. */
  readonly counts?: AdminCounts
}

export interface AdminCounts {
  refused: number
  idle: number
  timedOut: number
}

/**
 * The administrator's port: JSON-RPC by lines, to be bound to the local host only, for whoever reaches it may do
 * everything. It is open from the start, also while the index is built.
 */
export class AdminServer implements Service, Doorkeeper {
  readonly name = 'admin'
  readonly #options: AdminOptions
  readonly #collaborators: AdminCollaborators
  readonly #envelope: Envelope
  readonly #sessions = new Set<AdminSession>()
  readonly #stopping = new AbortController()
  #passes = 0
  #listener: SocketListener | undefined
  #sweeping: Promise<void> | undefined

  constructor(options: AdminOptions, collaborators: AdminCollaborators) {
    this.#options = options
    this.#collaborators = collaborators
    const acting = new Set(collaborators.methods.filter(({ acts }) => acts).map(({ name }) => name))
    const middleware = [audited({ acting, anonymous: options.anonymous ?? false }, collaborators)]
    const registry = new MethodRegistry({ middleware }, collaborators.methods.map(asRpcMethod))
    this.#envelope = new Envelope({ maxSend: 0, maxBatch: 100 }, { ...collaborators, registry })
  }

  /** Where it listens; undefined before start(). */
  get address(): { readonly host: string; readonly port: number } | undefined {
    return this.#listener?.address
  }

  async start(): Promise<void> {
    const { host, port, connection } = this.#options
    const target = { kind: 'rpc', host, port, handshakeTimeout: connection.handshakeTimeout } as const
    try {
      this.#listener = await listenLines(target, connection, this, this.#collaborators.log)
    } catch (error) {
      throw listenError(target, error)
    }
    const { clock, log } = this.#collaborators
    const sweep = { interval: SWEEP_INTERVAL, run: (now: number) => this.#sweep(now) }
    this.#sweeping = doChores([sweep], clock, log, this.#stopping.signal)
    log.info({ kind: 'rpc', ...this.#listener.address }, 'listening')
  }

  /** Lets running methods answer for as long as a connection takes to close. */
  async stop(): Promise<void> {
    await this.#listener?.close()
    this.#stopping.abort()
    await this.#sweeping
    for (const session of this.#sessions) session.close('shutdown')
    await Promise.all([...this.#sessions].map((session) => session.closed))
  }

  /** Closes who has said nothing for too long: there are few places, and a forgotten terminal keeps one. */
  #sweep(now: number): void {
    for (const session of this.#sessions) {
      const reason = session.overdue(now)
      if (reason === undefined) continue
      if (this.#collaborators.counts !== undefined) this.#collaborators.counts.idle++
      session.close(reason)
    }
  }

  admit(): Pass | undefined {
    if (this.#passes >= this.#options.maxConnections) {
      if (this.#collaborators.counts !== undefined) this.#collaborators.counts.refused++
      return undefined
    }
    this.#passes++
    let released = false
    return {
      release: () => {
        if (!released) this.#passes--
        released = true
      },
    }
  }

  /** There are no proxies in front of this port. */
  moved(): boolean {
    return true
  }

  welcome(connection: Connection, pass: Pass): void {
    const session = new AdminSession(connection, this.#envelope, this.#options, this.#collaborators)
    this.#sessions.add(session)
    void this.#forget(session, pass)
  }

  async #forget(session: AdminSession, pass: Pass): Promise<void> {
    await session.closed
    this.#sessions.delete(session)
    pass.release()
  }
}

/** One connection of an administrator; no costs and no delays. */
class AdminSession implements RequestHost {
  readonly closed: Promise<void>
  readonly #connection: Connection
  readonly #envelope: EnvelopeSession
  readonly #options: AdminOptions
  readonly #collaborators: AdminCollaborators
  readonly #gone = new AbortController()
  /** Since when nothing came and nothing ran, on the monotonic clock. */
  #idleSince: number
  #running = 0
  #asked = false
  #closing = false

  constructor(connection: Connection, envelope: Envelope, options: AdminOptions, collaborators: AdminCollaborators) {
    this.#connection = connection
    this.#options = options
    this.#collaborators = collaborators
    this.#envelope = envelope.open(this)
    this.#idleSince = collaborators.clock.monotonic()
    this.closed = new Promise((resolve) => {
      connection.handler = {
        onMessage: (message) => this.#received(message),
        onClose: () => {
          this.#gone.abort()
          resolve()
        },
      }
    })
  }

  close(reason: CloseReason): void {
    this.#closing = true
    this.#connection.close(reason)
  }

  /** Why it is to be closed at `now`, if it is. */
  overdue(now: number): CloseReason | undefined {
    if (this.#closing || this.#running > 0) return undefined
    const { idleTimeout, connection } = this.#options
    const idle = now - this.#idleSince
    if (!this.#asked) return idle >= connection.handshakeTimeout ? 'handshake timeout' : undefined
    return idle >= idleTimeout ? 'idle timeout' : undefined
  }

  #received(message: Uint8Array): void {
    this.#asked = true
    this.#running++
    this.#envelope
      .handle(message)
      .then(
        (answer) => answer !== undefined && this.#connection.send(answer),
        (error: unknown) =>
          this.#collaborators.log.error({ err: error }, 'message of an administrator could not be handled'),
      )
      .finally(() => {
        this.#running--
        this.#idleSince = this.#collaborators.clock.monotonic()
      })
  }

  async run(call: PendingCall, job: (ctx: RpcContext) => Promise<unknown>): Promise<unknown> {
    const { clock, log } = this.#collaborators
    const { remote } = this.#connection
    const from = `${remote.host}:${remote.port}`
    // What changes something is in the audit; health checks ask every few seconds.
    log.debug({ method: call.method.slice(0, 100), from }, 'administrator asks')
    const over = new AbortController()
    // The connection may last for months of questions.
    const { signal, unlink } = linkSignals(this.#gone.signal, over.signal)
    const late = clock.sleep(this.#options.requestTimeout, signal).then(() => {
      over.abort()
      if (this.#collaborators.counts !== undefined) this.#collaborators.counts.timedOut++
      throw new RpcError(ERROR_CODES.busy.code, 'server busy - request timed out')
    })
    try {
      return await Promise.race([job(new AdminContext(from, this.#collaborators, signal)), late])
    } finally {
      over.abort()
      await late.catch(() => {}) // Only says that it was stopped, or what was thrown already.
      unlink()
    }
  }

  failed(): void {}
}

/** What the registry asks for; the administrator's methods look at none of it. */
class AdminContext implements RpcContext {
  readonly client: RpcClient
  readonly daemon: Daemon
  readonly server: ServerInfo
  readonly signal: AbortSignal

  constructor(from: string, { daemon, server }: AdminCollaborators, signal: AbortSignal) {
    this.client = { ...ADMINISTRATOR, address: from }
    this.daemon = daemon
    this.server = server
    this.signal = signal
  }

  get moment(): Moment {
    throw new InvariantError("the administrator's methods have no moment")
  }

  charge(): void {}
}

function noHandshake(): never {
  throw new RpcError(ERROR_CODES.badRequest.code, 'not on this port')
}

const ADMINISTRATOR: RpcClient = {
  id: 0,
  protocol: FIRST_PROTOCOL,
  software: 'administrator',
  stream: true,
  address: '127.0.0.1',
  shape: undefined,
  chooseShape: noHandshake,
  identify: noHandshake,
  becomePeer: noHandshake,
  sentTransactions: noHandshake,
  subscribeHeaders: noHandshake,
  subscribeScript: noHandshake,
  unsubscribeScript: noHandshake,
  subscribeOutpoint: noHandshake,
  unsubscribeOutpoint: noHandshake,
  subscribeTopic: noHandshake,
  unsubscribeTopic: noHandshake,
}

function asRpcMethod(method: AdminMethod): RpcMethod {
  return defineMethod({
    name: method.name,
    summary: method.summary,
    params: method.params,
    result: z.unknown(),
    cost: () => 0,
    since: FIRST_PROTOCOL,
    example: { params: method.example.params, result: method.example.result },
    handler: async (ctx, params) => method.handler(params, ctx.signal),
  })
}
