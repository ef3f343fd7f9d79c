import { ERROR_CODES, RpcError } from '../errors.ts'
import type { Awaitable } from '../lib/awaitable.ts'
import { startOf } from '../lib/bytes.ts'
import type { PendingCall } from '../rpc/envelope.ts'
import type { RpcFailure } from '../rpc/failure.ts'
import type { JsonObject } from '../rpc/json.ts'
import { type AtomicalsShape, compareVersions, type ProtocolVersion, type RpcContext } from '../rpc/method.ts'
import { formatVersion, V1_6 } from '../rpc/versions.ts'
import { CostMeter, type CostSurroundings } from './cost.ts'
import type { SessionGroup } from './groups.ts'
import {
  type ClientCommand,
  type ClientHandle,
  endOf,
  noTraffic,
  PROTOCOL_BREACH,
  remarkOf,
  type SessionKeeper,
  type SessionState,
  type Traffic,
  VALID,
} from './handle.ts'
import { readFeatures, writeFeatures } from './peers/features.ts'
import { type ClientOf, type RequestHooks, Requests, type ServedListener } from './requests.ts'
import { FIRST_PROTOCOL, type SharedSession } from './shared.ts'
import { Slots } from './slots.ts'
import type { CloseReason, RemoteAddress, TransportKind } from './transports/connection.ts'

/** What carries a session: how it is closed and whether it takes more. */
export interface SessionCarrier {
  readonly kind: TransportKind
  readonly remote: RemoteAddress
  close(reason: CloseReason): void
}

/** What the core asks of the session that is made around it: figures that differ by what carries it. */
export interface SessionInside {
  /** What its requests wait for. */
  readonly turnstile: RequestHooks
  readonly subscriptionCount: number
  readonly followsTip: boolean
  readonly unsent: number
  /** Every second or so, after the limits of time that every session has. `now` on the monotonic clock. */
  onTick(now: number): void
}

/** One list for all who are in none. */
const NO_GROUPS: readonly SessionGroup[] = []

/** Bytes that a client may send beyond its hard limit: so it still hears -101 if it only asks for something. */
const MOST_BEYOND = 64 * 1024

/** How long a session that is to be closed may still answer what it was asked before. */
const CLOSING_GRACE = 1000

/**
 * What every session has, whatever carries it: its state, what it is called, what it has used, and its requests.
 * handshaking → active with the first request; closing once there is a reason to; closed when the carrier has gone.
 * The session made around it has all of this; everybody else holds it as a ClientHandle.
 */
export class SessionCore implements ClientHandle, CostSurroundings, ServedListener {
  readonly id: number
  readonly established: number
  readonly meter: CostMeter
  readonly traffic: Traffic = noTraffic()
  readonly calls = new Map<string, number>()
  /** Form of `atomicals` that it has asked for. */
  shape: AtomicalsShape | undefined
  readonly #carrier: SessionCarrier
  readonly #inside: SessionInside
  readonly #shared: SharedSession
  readonly #keeper: SessionKeeper
  readonly #requests: Requests
  readonly #slots: Slots
  readonly #begun: number
  #state: SessionState = 'handshaking'
  #lastReceived: number
  #groups: readonly SessionGroup[] = NO_GROUPS
  #unanswered = 0
  #features: JsonObject | undefined
  #transactionsSent = 0
  #software: string | undefined
  #protocol: ProtocolVersion = FIRST_PROTOCOL
  #identified = false
  /** Something else than server.version came first. */
  #unannounced = false
  #negotiation: Promise<unknown> | undefined
  #closing: { readonly reason: CloseReason; readonly since: number } | undefined
  /** Bytes received while there was no slot for anything. */
  #beyond = 0

  constructor(
    id: number,
    carrier: SessionCarrier,
    shared: SharedSession,
    keeper: SessionKeeper,
    inside: SessionInside,
  ) {
    const { clock } = shared
    const costs = keeper.costsOf(carrier.remote)
    this.id = id
    this.#carrier = carrier
    this.#inside = inside
    this.established = clock.now()
    this.#shared = shared
    this.#keeper = keeper
    this.#begun = clock.monotonic()
    this.#lastReceived = this.#begun
    this.#slots = new Slots(costs.initialConcurrent)
    this.meter = new CostMeter(costs, clock, this)
    this.#requests = new Requests(shared, this.meter, this.#slots, { hooks: inside.turnstile, listener: this })
  }

  // What everybody may know.

  /** Those that we begin ourselves are ServerSessions (outbound/session.ts). */
  get direction(): 'inbound' {
    return 'inbound'
  }

  get kind(): TransportKind {
    return this.#carrier.kind
  }

  get remote(): RemoteAddress {
    return this.#carrier.remote
  }

  get cost(): number {
    return this.meter.cost
  }

  get totalCost(): number {
    return this.meter.totalCost
  }

  get concurrency(): number {
    return this.meter.concurrency
  }

  get groups(): readonly SessionGroup[] {
    return this.#groups
  }

  get unanswered(): number {
    return this.#unanswered
  }

  /** Requests that have come and have not ended: of one message as many as there are in its batch. */
  get requestsUnderWay(): number {
    return this.#requests.count
  }

  get subscriptionCount(): number {
    return this.#inside.subscriptionCount
  }

  get followsTip(): boolean {
    return this.#inside.followsTip
  }

  get unsent(): number {
    return this.#inside.unsent
  }

  get state(): SessionState {
    return this.#state
  }

  get features(): JsonObject | undefined {
    return this.#features
  }

  get transactionsSent(): number {
    return this.#transactionsSent
  }

  get software(): string | undefined {
    return this.#software
  }

  get protocol(): ProtocolVersion {
    return this.#protocol
  }

  get lastReceived(): number {
    return this.#lastReceived
  }

  command(command: ClientCommand): void {
    switch (command.type) {
      case 'join':
        this.#groups = command.groups
        return this.meter.recalculate()
      case 'tick':
        this.#expire(command.now)
        return this.#inside.onTick(command.now)
      case 'recalculate':
        this.meter.setSubscriptions(this.subscriptionCount)
        return this.meter.recalculate()
      case 'end':
        this.end(command.reason)
        return this.settle()
      case 'close':
        return this.closeNow(command.reason)
    }
  }

  // What the meter asks and tells.

  extraCost(): number {
    let extra = 0
    for (const group of this.#groups) extra += group.extraCost(this)
    return extra
  }

  onConcurrency(concurrency: number): void {
    this.#slots.setTarget(concurrency)
  }

  served(): void {
    this.#keeper.tell(this, VALID)
  }

  // What the session around it asks and tells.

  /** True while messages are listened to. */
  get open(): boolean {
    return this.#closing === undefined && this.#state !== 'closed'
  }

  /** True once it has used all that it may: what it asks for now is answered -101, and it has to go. */
  get spent(): boolean {
    return this.meter.concurrency === 0
  }

  received(bytes: number): void {
    this.#lastReceived = this.#shared.clock.monotonic()
    this.traffic.receivedBytes += bytes
    const { spent } = this
    this.meter.bumpBytes(bytes)
    if (spent) this.#receivedBeyond(bytes)
    else this.#beyond = 0
  }

  sent(bytes: number): void {
    this.traffic.sentBytes += bytes
    this.meter.bumpBytes(bytes)
  }

  /** A message has come that is to be answered, unless nobody wants the answer. */
  asked(): void {
    this.traffic.receivedMessages++
    this.#unanswered++
  }

  /** It is; settle() follows. */
  answered(): void {
    this.#unanswered--
  }

  /** Closes if it was to be closed and nothing is unanswered any more. */
  settle(): void {
    if (this.#closing !== undefined && this.#unanswered === 0) this.#carrier.close(this.#closing.reason)
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
    const running = this.#requests.run(this.#negotiation, client, job, tally.seconds)
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
    if (software !== '' && this.#shared.options.dropClient?.test(software) === true) {
      this.end('client refused')
      throw badRequest(`unsupported client: ${software.slice(0, 100)}`)
    }
    if (software !== '') this.#software = startOf(software, 100)
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
  becomePeer(announced: Readonly<Record<string, unknown>>): boolean {
    if (this.#features !== undefined) return false
    const features = readFeatures(announced)
    this.#features = features === undefined ? {} : writeFeatures(features)
    return true
  }

  /** See RpcClient.sentTransactions. */
  sentTransactions(count: number): void {
    this.#transactionsSent += count
    this.#shared.tally.transactionsSent += count
  }

  /** Charges an error, and ends the session where the code asks for it. */
  failed(failure: RpcFailure): void {
    const remark = remarkOf(failure)
    if (remark !== undefined) this.#keeper.tell(this, remark)
    this.traffic.errors++
    this.#shared.tally.failed(failure.code, failure.limit)
    // What is no request takes no slot, so that nothing refuses it one: who sends nothing else has to go as well.
    const { spent } = this
    this.meter.bump(failure.cost)
    if (spent || failure.code === ERROR_CODES.excessiveUsage.code) this.end('excessive usage')
  }

  /** Nothing more is listened to; closed once what was asked is answered, or after a moment. */
  end(reason: CloseReason): void {
    if (!this.open) return
    this.#closing = { reason, since: this.#shared.clock.monotonic() }
    this.#state = 'closing'
    if (reason === 'protocol breach') this.#keeper.tell(this, PROTOCOL_BREACH)
  }

  /** Stops listening and closes as soon as what is written has left. */
  closeNow(reason: CloseReason): void {
    this.end(reason)
    this.#carrier.close(this.#closing?.reason ?? reason)
  }

  /** The carrier has gone. */
  gone(reason: CloseReason): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    // That of a transport, which nobody decided on here.
    if (reason === 'protocol breach' && this.#closing === undefined) this.#keeper.tell(this, PROTOCOL_BREACH)
    this.#requests.abortAll(SESSION_GONE)
    this.#keeper.tell(this, endOf(reason))
  }

  /** What never becomes a message (pings of a WebSocket, a line without an end) asks for nothing that could be refused. */
  #receivedBeyond(bytes: number): void {
    this.#beyond += bytes
    if (this.#beyond <= MOST_BEYOND) return
    this.end('excessive usage')
    this.settle()
  }

  #expire(now: number): void {
    this.#requests.expire(now)
    if (this.#closing !== undefined && now - this.#closing.since >= CLOSING_GRACE) {
      this.#carrier.close(this.#closing.reason)
    } else if (this.#state === 'handshaking' && now - this.#begun >= this.#shared.options.handshakeTimeout) {
      this.closeNow('handshake timeout')
    }
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
