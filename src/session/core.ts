import { ERROR_CODES, RpcError } from '../errors.ts'
import type { Awaitable } from '../lib/awaitable.ts'
import type { PendingCall } from '../rpc/envelope.ts'
import type { RpcFailure } from '../rpc/failure.ts'
import { type AtomicalsShape, compareVersions, type ProtocolVersion, type RpcContext } from '../rpc/method.ts'
import { formatVersion, V1_6 } from '../rpc/versions.ts'
import { CostMeter, type CostOptions, type CostSurroundings } from './cost.ts'
import type { GroupMember, SessionGroup } from './groups.ts'
import { type ClientOf, type RequestHooks, Requests } from './requests.ts'
import { FIRST_PROTOCOL, type SharedSession } from './shared.ts'
import { Slots } from './slots.ts'
import type { CloseReason, RemoteAddress, TransportKind } from './transports/connection.ts'

export type SessionState = 'handshaking' | 'active' | 'closing' | 'closed'

/** What a session asks of the one who keeps the sessions. */
export interface SessionKeeper {
  /** What clients from there are held to. */
  costsOf(remote: RemoteAddress): CostOptions
  /** The first request has come. The reason to refuse it, if there is no place. */
  activated(core: SessionCore): CloseReason | undefined
  /** Called once. */
  ended(core: SessionCore, reason: CloseReason): void
}

/** What carries a session: how it is closed and whether it takes more. */
export interface SessionCarrier {
  readonly kind: TransportKind
  readonly remote: RemoteAddress
  close(reason: CloseReason): void
}

/** Traffic of one session. */
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

/** One list for all who are in none. */
const NO_GROUPS: readonly SessionGroup[] = []

/** How long a session that is to be closed may still answer what it was asked before. */
const CLOSING_GRACE = 1000

/**
 * What every session has, whatever carries it: its state, what it is called, what it has used, and its requests.
 * handshaking → active with the first request; closing once there is a reason to; closed when the carrier has gone.
 */
export class SessionCore implements GroupMember, CostSurroundings {
  readonly id: number
  readonly carrier: SessionCarrier
  /** Milliseconds since the epoch. */
  readonly established: number
  readonly meter: CostMeter
  readonly requests: Requests
  readonly traffic: Traffic = noTraffic()
  /** Requests by name; unknown names count together. */
  readonly calls = new Map<string, number>()
  groups: readonly SessionGroup[] = NO_GROUPS
  /** Form of `atomicals` that it has asked for. */
  shape: AtomicalsShape | undefined
  readonly #shared: SharedSession
  readonly #keeper: SessionKeeper
  readonly #slots: Slots
  readonly #begun: number
  #state: SessionState = 'handshaking'
  #lastReceived: number
  #isPeer = false
  #transactionsSent = 0
  #software: string | undefined
  #protocol: ProtocolVersion = FIRST_PROTOCOL
  #identified = false
  /** Something else than server.version came first. */
  #unannounced = false
  #negotiation: Promise<unknown> | undefined
  #closing: { readonly reason: CloseReason; readonly since: number } | undefined

  constructor(id: number, carrier: SessionCarrier, shared: SharedSession, keeper: SessionKeeper, hooks: RequestHooks) {
    const { clock } = shared
    const costs = keeper.costsOf(carrier.remote)
    this.id = id
    this.carrier = carrier
    this.established = clock.now()
    this.#shared = shared
    this.#keeper = keeper
    this.#begun = clock.monotonic()
    this.#lastReceived = this.#begun
    this.#slots = new Slots(costs.initialConcurrent)
    this.meter = new CostMeter(costs, clock, this)
    this.requests = new Requests(shared, this.meter, this.#slots, hooks)
  }

  get cost(): number {
    return this.meter.cost
  }

  extraCost(): number {
    let extra = 0
    for (const group of this.groups) extra += group.extraCost(this)
    return extra
  }

  onConcurrency(concurrency: number): void {
    this.#slots.setTarget(concurrency)
  }

  get state(): SessionState {
    return this.#state
  }

  /** True once it has asked to be listed as a server. */
  get isPeer(): boolean {
    return this.#isPeer
  }

  /** Transactions of it that the node took. */
  get transactionsSent(): number {
    return this.#transactionsSent
  }

  get software(): string | undefined {
    return this.#software
  }

  get protocol(): ProtocolVersion {
    return this.#protocol
  }

  /** On the monotonic clock. */
  get lastReceived(): number {
    return this.#lastReceived
  }

  /** True while messages are listened to. */
  get open(): boolean {
    return this.#closing === undefined && this.#state !== 'closed'
  }

  received(bytes: number): void {
    this.#lastReceived = this.#shared.clock.monotonic()
    this.traffic.receivedBytes += bytes
    this.meter.bumpBytes(bytes)
  }

  sent(bytes: number): void {
    this.traffic.sentBytes += bytes
    this.meter.bumpBytes(bytes)
  }

  /**
   * Runs a request. The first one makes the session active; others wait until a version is agreed on. What is at hand is
   * given, or thrown, at once.
   */
  run<T>(call: PendingCall, client: ClientOf, job: (ctx: RpcContext) => Awaitable<T>): Awaitable<T> {
    const tally = this.#shared.tally.of(call.method)
    tally.calls++
    this.calls.set(tally.name, (this.calls.get(tally.name) ?? 0) + 1)
    if (this.#state === 'handshaking') {
      const refusal = this.#keeper.activated(this)
      if (refusal !== undefined) {
        this.end(refusal)
        throw new RpcError(ERROR_CODES.busy.code, `server busy - ${refusal}`, { limit: 'MAX_SESSIONS' })
      }
      this.#state = 'active'
      this.#unannounced = call.method !== 'server.version'
    }
    const running = this.requests.run(this.#negotiation, client, job, tally.seconds)
    if (!(running instanceof Promise)) return running
    if (call.method === 'server.version' && !this.#identified && this.#negotiation === undefined) {
      const over = () => {
        this.#negotiation = undefined
      }
      this.#negotiation = running.then(over, over)
    }
    return running
  }

  /**
   * See RpcClient.identify. Live libraries ask for something first and for their version later or never: they are served
   * at 1.4, and may still choose a version that allows it. From 1.6 on server.version has to be the first message.
   */
  identify(
    software: string,
    wanted: { readonly min: ProtocolVersion; readonly max: ProtocolVersion },
  ): ProtocolVersion {
    if (this.#identified) throw badRequest('server.version already sent')
    this.#identified = true
    if (this.#shared.options.dropClient?.test(software) === true) {
      this.end('client refused')
      throw badRequest(`unsupported client: ${software.slice(0, 100)}`)
    }
    if (software !== '') this.#software = software.slice(0, 100)
    const version = negotiate(wanted, this.#shared.server)
    if (version === undefined) {
      this.end('unsupported version')
      throw badRequest(`unsupported protocol version: ${formatVersion(wanted.min)} to ${formatVersion(wanted.max)}`)
    }
    if (this.#unannounced && compareVersions(version, V1_6) >= 0) {
      this.end('protocol breach')
      throw badRequest(`server.version has to be the first message of protocol ${formatVersion(version)}`)
    }
    this.#protocol = version
    return version
  }

  /** See RpcClient.becomePeer. */
  becomePeer(): boolean {
    const isFirst = !this.#isPeer
    this.#isPeer = true
    return isFirst
  }

  /** See RpcClient.sentTransactions. */
  sentTransactions(count: number): void {
    this.#transactionsSent += count
    this.#shared.tally.transactionsSent += count
  }

  /** Charges an error, and ends the session where the code asks for it. */
  failed(failure: RpcFailure): void {
    this.traffic.errors++
    this.#shared.tally.failed(failure.code, failure.limit)
    this.meter.bump(failure.cost)
    if (failure.code === ERROR_CODES.excessiveUsage.code) this.end('excessive usage')
  }

  /** Nothing more is listened to; closed once what was asked is answered, or after a moment. */
  end(reason: CloseReason): void {
    if (!this.open) return
    this.#closing = { reason, since: this.#shared.clock.monotonic() }
    this.#state = 'closing'
  }

  /** Called when something was answered: closes if that was all that was waited for. */
  settle(unanswered: number): void {
    if (this.#closing !== undefined && unanswered === 0) this.carrier.close(this.#closing.reason)
  }

  /** Every second or so: time limits. */
  tick(now: number): void {
    this.requests.expire(now)
    if (this.#closing !== undefined && now - this.#closing.since >= CLOSING_GRACE) {
      this.carrier.close(this.#closing.reason)
    } else if (this.#state === 'handshaking' && now - this.#begun >= this.#shared.options.handshakeTimeout) {
      this.closeNow('handshake timeout')
    }
  }

  /** Stops listening and closes as soon as what is written has left. */
  closeNow(reason: CloseReason): void {
    this.end(reason)
    this.carrier.close(this.#closing?.reason ?? reason)
  }

  /** The carrier has gone. */
  gone(reason: CloseReason): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.requests.abortAll(SESSION_GONE)
    this.#keeper.ended(this, reason)
  }
}

/** Why a request is given up whose client has gone. An abort, so nobody logs it, and one for all: its trace says nothing. */
const SESSION_GONE = new DOMException('the client has gone', 'AbortError')

function badRequest(message: string): RpcError {
  return new RpcError(ERROR_CODES.badRequest.code, message)
}

/** The highest version that both sides speak. */
export function negotiate(
  wanted: { readonly min: ProtocolVersion; readonly max: ProtocolVersion },
  offered: { readonly protocolMin: ProtocolVersion; readonly protocolMax: ProtocolVersion },
): ProtocolVersion | undefined {
  const highest = compareVersions(wanted.max, offered.protocolMax) < 0 ? wanted.max : offered.protocolMax
  const lowest = compareVersions(wanted.min, offered.protocolMin) > 0 ? wanted.min : offered.protocolMin
  return compareVersions(highest, lowest) < 0 ? undefined : highest
}
