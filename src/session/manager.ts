import { isAbort } from '../errors.ts'
import type { Service } from '../lib/service.ts'
import { Admission, type AdmissionOptions, type Refusal, Ticket } from './admission.ts'
import { AUDITED_ENDS } from './audit.ts'
import { type CostOptions, unlimited } from './cost.ts'
import type { SessionCounter } from './counter.ts'
import { DialledSessions } from './dialled.ts'
import { type GroupOptions, SessionGroups } from './groups.ts'
import {
  addTraffic,
  type ClientCommand,
  type ClientHandle,
  noTraffic,
  type ServerHandle,
  type SessionCommand,
  type SessionKeeper,
  type SessionMessage,
  type Traffic,
} from './handle.ts'
import { HttpSession } from './http/session.ts'
import { Listeners, type ListenTarget } from './listeners.ts'
import { ElectrumXSession } from './session.ts'
import { Sessions } from './sessions.ts'
import type { SharedSession } from './shared.ts'
import {
  type CloseReason,
  type Connection,
  type ConnectionLimits,
  closedCounts,
  type HttpCarrier,
  type HttpDoorkeeper,
  type HttpHandler,
  type Pass,
  type RemoteAddress,
  type TransportKind,
} from './transports/connection.ts'
import type { TlsMaterial } from './transports/listener.ts'
import { NO_PROXIES, type TrustedProxies } from './transports/proxies.ts'
import { type Chore, doChores } from './upkeep.ts'

/** Milliseconds, where not said otherwise. */
export interface ManagerOptions extends AdmissionOptions {
  readonly listeners: readonly ListenTarget[]
  /** MAX_SESSIONS: active sessions. Listeners close at this number and open again at 95 % of it. */
  readonly maxSessions: number
  readonly proxies: TrustedProxies
  /** SESSION_TIMEOUT: who has sent nothing for so long is closed at the next sweep. */
  readonly sessionTimeout: number
  readonly groups: GroupOptions
  readonly connection: ConnectionLimits
  /** What running requests get at shutdown. */
  readonly shutdownGrace: number
  /** LOG_SESSIONS: how often the numbers are logged; 0 for never. */
  readonly logInterval: number
}

export const DEFAULT_MANAGER = {
  maxSessions: 1000,
  maxHandshaking: 1000,
  maxHandshakingPerHost: 50,
  outbound: { pending: undefined, active: undefined },
  proxies: NO_PROXIES,
  sessionTimeout: 600_000,
  shutdownGrace: 2000,
  logInterval: 3_600_000,
} as const

const TICK = 1000
const SWEEP_INTERVAL = 60_000
const RECALCULATION_INTERVAL = 300_000

/** Numbers for the administrator and for metrics. */
export interface SessionCounts {
  readonly handshaking: number
  readonly active: number
  readonly groups: number
  readonly paused: boolean
  /** Sessions that we began ourselves, with other servers. */
  readonly outbound: {
    readonly handshaking: number
    readonly active: number
    readonly closed: Readonly<Record<CloseReason, number>>
  }
  readonly accepted: number
  /** Newcomers cut before they were sessions, in all and by reason. */
  readonly refused: number
  readonly refusals: Readonly<Record<Refusal, number>>
  readonly subscriptions: number
  readonly unanswered: number
  readonly closed: Readonly<Record<CloseReason, number>>
}

/** Accepts, counts, refuses and closes sessions, and knows those that we begin; everything that is about all of them. */
export class SessionManager implements Service, HttpDoorkeeper, SessionKeeper {
  readonly name = 'sessions'
  readonly groups: SessionGroups
  /** Keeps those with servers that we dial. */
  readonly dialled: DialledSessions
  readonly #options: ManagerOptions
  readonly #shared: SharedSession
  readonly #admission: Admission
  readonly #listeners: Listeners
  readonly #sessions = new Sessions()
  readonly #closed = closedCounts()
  /** Traffic of sessions that are gone. */
  readonly #past = noTraffic()
  readonly #stopping = new AbortController()
  #accepting = false
  #opening: Promise<void> = Promise.resolve()
  #accepted = 0
  #loop: Promise<void> | undefined
  #empty: (() => void) | undefined

  constructor(options: ManagerOptions, shared: SharedSession) {
    this.#options = options
    this.#shared = shared
    this.groups = new SessionGroups(options.groups)
    this.#admission = new Admission(options, { groups: this.groups, proxies: options.proxies })
    this.#listeners = new Listeners(options, this, shared.log)
    this.dialled = new DialledSessions({
      sessions: this.#sessions,
      counter: this.#admission.counter,
      heard: shared.tally.heard.outbound,
      clock: shared.clock,
      log: shared.log,
    })
  }

  /** Where it listens, in the order of the options. */
  get addresses(): readonly { readonly kind: TransportKind; readonly host: string; readonly port: number }[] {
    return this.#listeners.addresses
  }

  get counts(): SessionCounts {
    const { counter, refused } = this.#admission
    let unanswered = 0
    for (const session of this.clients()) unanswered += session.unanswered
    return {
      handshaking: counter.count('pending', 'inbound'),
      active: counter.count('active', 'inbound'),
      outbound: {
        handshaking: counter.count('pending', 'outbound'),
        active: counter.count('active', 'outbound'),
        closed: this.dialled.closed,
      },
      groups: this.groups.size,
      paused: this.#listeners.paused,
      accepted: this.#accepted,
      refused: Object.values(refused).reduce((sum, count) => sum + count, 0),
      refusals: refused,
      subscriptions: this.#shared.subscriptions.total,
      unanswered,
      closed: { ...this.#closed },
    }
  }

  /** Of all clients there ever were. */
  get traffic(): Readonly<Traffic> {
    const sum = { ...this.#past }
    for (const { traffic } of this.clients()) addTraffic(sum, traffic)
    return sum
  }

  /** One count for all, whoever began them. */
  get counter(): SessionCounter {
    return this.#admission.counter
  }

  /** Settles once newcomers are heard where they are to be heard by now; never rejects. */
  get opening(): Promise<void> {
    return this.#opening
  }

  /** The certificate of everything secure, from the next handshake on. */
  secureWith(material: TlsMaterial): void {
    this.#listeners.secureWith(material)
  }

  /** All sessions, active ones first. */
  sessions(): Iterable<ClientHandle | ServerHandle> {
    return this.#sessions.all()
  }

  /** Those that clients began. */
  clients(): Iterable<ClientHandle> {
    return this.#sessions.clients()
  }

  /** Those that we began. */
  servers(): Iterable<ServerHandle> {
    return this.#sessions.servers()
  }

  find(id: number): ClientHandle | ServerHandle | undefined {
    return this.#sessions.find(id)
  }

  /**
   * Makes sure of every address, then serves as soon as there is a moment to serve from: addresses that cannot be had
   * show at the start, not days later when the index has caught up. Throws with the name of the one that failed.
   */
  async start(signal: AbortSignal): Promise<void> {
    await this.#listeners.open()
    if (signal.aborted) return
    this.#shared.notifier.start(this.#stopping.signal)
    this.#loop = this.#run(this.#stopping.signal)
    if (this.#shared.moments.ready) {
      this.#open()
      await this.#opening
    } else {
      this.#listeners.pause()
      this.#shared.log.info('listeners wait for the index to reach the tip')
      this.#shared.moments.listen(() => this.#open(), this.#stopping.signal)
    }
  }

  /** Refuses newcomers and new requests, lets running ones finish for a moment, and closes everyone. */
  async stop(): Promise<void> {
    this.#accepting = false
    await this.#listeners.close()
    this.#command({ type: 'end', reason: 'shutdown' })
    await this.#drained(this.#options.shutdownGrace)
    this.#command({ type: 'close', reason: 'shutdown' })
    await this.#drained(this.#options.connection.closeTimeout + TICK)
    this.#stopping.abort()
    await this.#loop
    await this.#shared.notifier.idle()
  }

  // What listeners ask.

  admit(kind: TransportKind, remote: RemoteAddress): Pass | undefined {
    const given = this.#accepting ? this.#admission.admit(remote.host) : this.#admission.refuse('not serving')
    if (given instanceof Ticket) return given
    this.#tellRefused(kind, remote, given)
    return undefined
  }

  moved(pass: Pass, kind: TransportKind, remote: RemoteAddress): boolean {
    const refusal = pass instanceof Ticket ? this.#admission.move(pass, remote.host) : undefined
    if (refusal !== undefined) this.#tellRefused(kind, remote, refusal)
    return refusal === undefined
  }

  welcome(connection: Connection, pass: Pass): void {
    if (!this.#entered(connection, pass)) {
      // Counted as a newcomer as long as it is there.
      connection.handler = { onClose: () => pass.release() }
      connection.close('server full')
      return
    }
    const { handle } = new ElectrumXSession(this.#sessions.nextId(), connection, this.#shared, this)
    this.#add(handle, pass)
  }

  welcomeHttp(carrier: HttpCarrier, pass: Pass): HttpHandler | undefined {
    if (!this.#entered(carrier, pass)) {
      pass.release()
      return undefined
    }
    const session = new HttpSession(this.#sessions.nextId(), carrier, this.#shared, this)
    this.#add(session.handle, pass)
    return session
  }

  #entered({ kind, remote }: Pick<Connection, 'kind' | 'remote'>, pass: Pass): boolean {
    const refusal = pass instanceof Ticket ? this.#admission.enter(pass) : undefined
    if (refusal !== undefined) this.#tellRefused(kind, remote, refusal)
    return refusal === undefined
  }

  // What sessions ask.

  costsOf({ host }: RemoteAddress): CostOptions {
    const { costs } = this.#shared.options
    return this.groups.isExempt(host) ? unlimited(costs) : costs
  }

  activated({ id }: ClientHandle): CloseReason | undefined {
    if (this.#sessions.activate(id) !== undefined) return 'server full'
    this.#balance()
    return undefined
  }

  tell(session: ClientHandle, message: SessionMessage): void {
    switch (message.type) {
      case 'valid':
      case 'invalid':
      case 'bad message':
      case 'protocol breach':
        this.#shared.tally.heard.inbound[message.type]++
        return
      case 'disconnected':
      case 'closed on error':
        return this.#ended(session, message.reason)
    }
  }

  #ended(session: ClientHandle, reason: CloseReason): void {
    this.#sessions.remove(session.id)
    for (const group of session.groups) group.leave(session)
    this.#closed[reason]++
    addTraffic(this.#past, session.traffic)
    this.#tellEnded(session, reason)
    this.#balance()
    if (this.#sessions.size === 0) this.#empty?.()
  }

  /** Tells all sessions. */
  #command(command: SessionCommand): void {
    for (const session of this.sessions()) session.command(command)
  }

  #commandClients(command: ClientCommand): void {
    for (const session of this.clients()) session.command(command)
  }

  #add(session: ClientHandle, pass: Pass): void {
    const { id, kind, remote, established } = session
    this.#sessions.add(session, pass instanceof Ticket ? pass : undefined)
    session.command({ type: 'join', groups: this.groups.join(remote.host, session, established) })
    this.#accepted++
    if (this.#shared.log.isLevelEnabled('debug')) {
      this.#shared.log.debug({ session: id, kind, remote: this.#shared.addressForLog(remote) }, 'session opened')
    }
    if (!this.#accepting) session.command({ type: 'close', reason: 'shutdown' })
  }

  #tellRefused(kind: TransportKind, remote: RemoteAddress, reason: Refusal): void {
    if (!this.#shared.log.isLevelEnabled('debug')) return
    this.#shared.log.debug({ kind, remote: this.#shared.addressForLog(remote), reason }, 'newcomer refused')
  }

  /** Every end at debug; one for abuse, or by the operator, also in the audit: who, what, why. */
  #tellEnded(session: ClientHandle, reason: CloseReason): void {
    const { log, clock } = this.#shared
    const { id, kind, cost, totalCost } = session
    const audited = AUDITED_ENDS[reason]
    if (audited !== undefined) {
      const remote = this.#shared.addressForLog(session.remote)
      const groups = this.#shared.options.anonymous ? undefined : session.groups.map(({ name }) => name)
      const who = { session: id, kind, remote, groups }
      const why = {
        reason,
        cost: Math.round(cost),
        group_cost: Math.round(totalCost - cost),
        errors: session.traffic.errors,
      }
      log.info({ audit: true, ...who, ...why }, audited)
    }
    if (!log.isLevelEnabled('debug')) return
    const seconds = Math.round((clock.now() - session.established) / 1000)
    log.debug({ session: id, kind, reason, seconds }, 'session closed')
  }

  #open(): void {
    if (this.#accepting || !this.#shared.moments.ready || this.#stopping.signal.aborted) return
    this.#accepting = true
    this.#opening = this.#serve()
  }

  /** Says of each address that it listens once it does: whoever waits for that line connects at once. Never rejects. */
  async #serve(): Promise<void> {
    if (this.#listeners.paused) await this.#listeners.resume()
    for (const { kind, host, port } of this.#listeners.listening)
      this.#shared.log.info({ kind, host, port }, 'listening')
  }

  /** Listeners close at the high mark and open at the low one, all of them alike. */
  #balance(): void {
    if (!this.#accepting) return
    const active = this.counter.count('active', 'inbound')
    const { maxSessions } = this.#options
    if (!this.#listeners.paused && active >= maxSessions) {
      this.#shared.tally.limits.MAX_SESSIONS++
      this.#shared.log.warn({ active }, 'as many sessions as there may be, listeners closed')
      this.#listeners.pause()
    } else if (this.#listeners.paused && active <= Math.floor((maxSessions * 19) / 20)) {
      this.#shared.log.info({ active }, 'listeners open again')
      void this.#listeners.resume()
    }
  }

  #run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#shared
    const chores: readonly Chore[] = [
      { interval: TICK, atOnce: true, run: (now) => this.#tick(now) },
      { interval: Math.min(SWEEP_INTERVAL, this.#options.sessionTimeout), run: (now) => this.#sweep(now) },
      { interval: RECALCULATION_INTERVAL, run: () => this.#recalculate() },
      { interval: this.#options.logInterval, run: () => this.#report() },
    ]
    return doChores(chores, clock, log, signal)
  }

  #tick(now: number): void {
    this.#command({ type: 'tick', now })
    if (this.#accepting) this.#listeners.mend()
  }

  #sweep(now: number): void {
    const cutoff = now - this.#options.sessionTimeout
    for (const session of this.clients()) {
      if (session.lastReceived < cutoff) session.command({ type: 'close', reason: 'idle timeout' })
    }
  }

  #recalculate(): void {
    this.groups.refund(RECALCULATION_INTERVAL / 1000, this.#shared.options.costs.hardLimit)
    this.#commandClients({ type: 'recalculate' })
  }

  #report(): void {
    this.#shared.log.info(this.counts, 'sessions')
  }

  /** Settles when nobody is left, or after `ms`. */
  async #drained(ms: number): Promise<void> {
    if (this.#sessions.size === 0) return
    const over = new AbortController()
    const empty = new Promise<void>((resolve) => {
      this.#empty = resolve
    })
    const late = this.#shared.clock.sleep(ms, over.signal).catch((error: unknown) => {
      if (!isAbort(error)) throw error
    })
    await Promise.race([empty, late])
    over.abort()
    this.#empty = undefined
  }
}
