import { invariant } from '../errors.ts'
import { toHex, toLatin1 } from '../lib/bytes.ts'
import type { Moment } from '../mempool/moment.ts'
import type { EnvelopeSession, PendingCall, RequestHost } from '../rpc/envelope.ts'
import { failureOf, type RpcFailure } from '../rpc/failure.ts'
import { RawJson } from '../rpc/json.ts'
import { compareVersions, type ProtocolVersion, type RpcClient, type RpcContext } from '../rpc/method.ts'
import { SessionCore, type SessionKeeper } from './core.ts'
import type { RunningRequest } from './requests.ts'
import type { SharedSession } from './shared.ts'
import type { ScriptSubscription, Subscriber, TipNotice } from './subscriptions.ts'
import type { CloseReason, Connection } from './transports/connection.ts'

/** One message of the client until its answer is written: what is told in the answer must not be told before it. */
interface Exchange {
  held: Set<ScriptSubscription> | undefined
  holdsTip: boolean
}

/** What the client knows of the tip, once it has asked to be told. */
interface TipSubscription {
  told: string
  since: number
  held: number
  stale: boolean
}

const SCRIPTPUBKEY_SINCE: ProtocolVersion = [1, 7, 0]

/** One client on a stream: its messages, its answers, and what it is told unasked. */
export class ElectrumXSession implements Subscriber, RequestHost {
  readonly core: SessionCore
  readonly #connection: Connection
  readonly #shared: SharedSession
  readonly #envelope: EnvelopeSession
  #unanswered = 0
  #paused = false
  /** The message whose requests are being started; the envelope starts all of them before it waits for anything. */
  #current: Exchange | undefined
  #tip: TipSubscription | undefined
  /** What could not be told because the client does not read, and since when. */
  readonly #deferred = new Set<ScriptSubscription>()
  #deferredSince: number | undefined
  /** Requests that wait until the client takes answers. */
  readonly #room = new Set<() => void>()

  constructor(id: number, connection: Connection, shared: SharedSession, keeper: SessionKeeper) {
    this.#connection = connection
    this.#shared = shared
    this.core = new SessionCore(id, connection, shared, keeper, {
      room: (request) => this.#whenRoom(request),
      done: () => this.#ended(),
    })
    this.#envelope = shared.envelope.open(this)
    connection.onReceived = (bytes) => this.core.received(bytes)
    connection.onMessage = (message) => this.#received(message)
    connection.onOversized = () => this.#oversized()
    connection.onDrain = () => this.#drained()
    connection.onClose = (reason) => this.#closed(reason)
  }

  get id(): number {
    return this.core.id
  }

  get subscriptionCount(): number {
    return this.#shared.subscriptions.count(this)
  }

  /** Messages received and not answered. */
  get unanswered(): number {
    return this.#unanswered
  }

  tick(now: number): void {
    this.core.tick(now)
    this.#letOneGo() // In case the one before takes its time.
    const since = this.#deferredSince
    if (since !== undefined && now - since >= this.#shared.options.notifyTimeout) this.core.closeNow('slow reader')
  }

  // What the envelope asks.

  run(call: PendingCall, job: (ctx: RpcContext) => Promise<unknown>): Promise<unknown> {
    const exchange = this.#current
    invariant(exchange !== undefined, 'a request was started outside of its message')
    const since = this.#shared.notifier.sequence
    return this.core.run(call, (moment) => new StreamClient(this, exchange, moment, since), job)
  }

  failed(failure: RpcFailure): void {
    this.core.failed(failure)
  }

  // What the notifier asks.

  tellStatus(subscription: ScriptSubscription, status: string | null): void {
    if (this.#connection.congested) {
      subscription.stale = true
      this.#deferred.add(subscription)
      this.#deferredSince ??= this.#shared.clock.monotonic()
      return
    }
    subscription.told = status
    const isNew = compareVersions(this.core.protocol, SCRIPTPUBKEY_SINCE) >= 0
    const method = isNew ? 'blockchain.scriptpubkey.subscribe' : 'blockchain.scripthash.subscribe'
    this.#send(this.#envelope.notification(method, [subscription.alias, status]))
  }

  tellTip(notice: TipNotice, round: number): void {
    const tip = this.#tip
    if (tip === undefined || tip.since > round || tip.told === notice.key) return
    if (tip.held > 0) {
      tip.stale = true
    } else if (this.#connection.congested) {
      tip.stale = true
      this.#deferredSince ??= this.#shared.clock.monotonic()
    } else {
      tip.told = notice.key
      this.#send(this.#envelope.notification('blockchain.headers.subscribe', new RawJson(notice.params)))
    }
  }

  cannotFollow(subscription: ScriptSubscription): void {
    this.#shared.log.info({ session: this.id }, 'history of a followed script grew too long, closing')
    this.#shared.subscriptions.remove(this, subscription.key)
    this.core.closeNow('excessive usage')
  }

  // Messages.

  #received(message: Uint8Array): void {
    if (!this.core.open) return
    this.core.traffic.receivedMessages++
    this.#unanswered++
    this.#throttle()
    const exchange: Exchange = { held: undefined, holdsTip: false }
    this.#current = exchange
    const answer = this.#envelope.handle(message)
    this.#current = undefined
    answer.then(
      (text) => this.#answer(exchange, text),
      (error: unknown) => {
        this.#shared.log.error({ err: error, session: this.id }, 'message could not be handled')
        this.#answer(exchange, undefined)
        this.core.closeNow('transport error')
      },
    )
  }

  #oversized(): void {
    this.core.failed(failureOf(-32600, 'message too long'))
  }

  #answer(exchange: Exchange, text: string | undefined): void {
    this.#unanswered--
    if (text !== undefined) this.#send(text)
    this.#release(exchange)
    this.#throttle()
    this.core.settle(this.#unanswered)
  }

  #send(text: string): void {
    this.core.sent(Buffer.byteLength(text) + 1)
    this.#connection.send(text)
  }

  /** Stops reading while too many messages wait. */
  #throttle(): void {
    const limit = this.#shared.options.maxPipelined
    if (!this.#paused && this.#unanswered >= limit) {
      this.#paused = true
      this.#connection.pause()
    } else if (this.#paused && this.#unanswered <= limit / 2) {
      this.#paused = false
      this.#connection.resume()
    }
  }

  /**
   * Settles when the client takes answers. What is worked out for a client that does not read would pile up, so they
   * are let go on one by one: the next when the one before is done and its answer has not filled the connection again.
   */
  #whenRoom(request: RunningRequest): Promise<void> | undefined {
    if (!this.#connection.congested && this.#room.size === 0) return undefined
    const { signal } = request
    return new Promise((resolve) => {
      const go = () => {
        this.#room.delete(go)
        resolve()
      }
      this.#room.add(go)
      signal.addEventListener('abort', go, { once: true })
    })
  }

  /** In a moment, when the answer of what ended is written. */
  #ended(): void {
    if (this.#room.size > 0) setImmediate(() => this.#letOneGo())
  }

  #letOneGo(): void {
    if (this.#connection.congested) return
    for (const go of this.#room) {
      go()
      return
    }
  }

  #drained(): void {
    this.#letOneGo()
    this.#deferredSince = undefined
    for (const subscription of this.#deferred) this.#recheck(subscription)
    this.#deferred.clear()
    if (this.#tip?.stale === true && this.#tip.held === 0) this.#recheckTip(this.#tip)
  }

  #closed(reason: CloseReason): void {
    this.#shared.subscriptions.removeAll(this)
    this.#tip = undefined
    this.#deferred.clear()
    this.#deferredSince = undefined
    this.core.gone(reason)
  }

  // Subscriptions.

  /** From now on the client hears of other tips than `told`, which the answer to `exchange` will tell. */
  followTip(exchange: Exchange, told: string, since: number): void {
    if (this.core.state === 'closed') return
    const stale = since !== this.#shared.notifier.sequence
    this.#tip ??= { told, since, held: 0, stale }
    this.#tip.told = told
    this.#tip.since = since
    this.#tip.stale ||= stale
    if (!exchange.holdsTip) this.#tip.held++
    exchange.holdsTip = true
    this.#shared.subscriptions.followTip(this)
  }

  /** The same of a script and its status. */
  followScript(
    exchange: Exchange,
    script: { readonly hashX: Uint8Array; readonly alias: string; readonly status: string | null },
    since: number,
  ): void {
    if (this.core.state === 'closed') return
    const { hashX, alias, status } = script
    const subscription = this.#shared.subscriptions.add(this, { key: toLatin1(hashX), alias, status, since })
    if (since !== this.#shared.notifier.sequence) subscription.stale = true
    exchange.held ??= new Set()
    if (exchange.held.has(subscription)) subscription.held--
    exchange.held.add(subscription)
  }

  unfollowScript(hashX: Uint8Array): boolean {
    return this.#shared.subscriptions.remove(this, toLatin1(hashX))
  }

  /** The answer is written: what it told may be followed by news. */
  #release(exchange: Exchange): void {
    for (const subscription of exchange.held ?? []) {
      subscription.held--
      if (subscription.held === 0 && subscription.stale) this.#recheck(subscription)
    }
    if (exchange.holdsTip && this.#tip !== undefined) {
      this.#tip.held--
      if (this.#tip.held === 0 && this.#tip.stale) this.#recheckTip(this.#tip)
    }
  }

  #recheck(subscription: ScriptSubscription): void {
    subscription.stale = false
    this.#shared.notifier.recheck(subscription.key)
  }

  #recheckTip(tip: TipSubscription): void {
    tip.stale = false
    this.#shared.notifier.recheckTip()
  }
}

/** A client as the handler of one request sees it. */
class StreamClient implements RpcClient {
  readonly stream = true
  readonly #session: ElectrumXSession
  readonly #exchange: Exchange
  readonly #moment: Moment
  readonly #since: number

  constructor(session: ElectrumXSession, exchange: Exchange, moment: Moment, since: number) {
    this.#session = session
    this.#exchange = exchange
    this.#moment = moment
    this.#since = since
  }

  get id(): number {
    return this.#session.id
  }

  get protocol(): ProtocolVersion {
    return this.#session.core.protocol
  }

  get software(): string | undefined {
    return this.#session.core.software
  }

  identify(
    software: string,
    wanted: { readonly min: ProtocolVersion; readonly max: ProtocolVersion },
  ): ProtocolVersion {
    return this.#session.core.identify(software, wanted)
  }

  subscribeHeaders(): void {
    this.#session.followTip(this.#exchange, toHex(this.#moment.tip.hash), this.#since)
  }

  subscribeScript(hashX: Uint8Array, alias: string, status: string | null): void {
    this.#session.followScript(this.#exchange, { hashX, alias, status }, this.#since)
  }

  unsubscribeScript(hashX: Uint8Array): boolean {
    return this.#session.unfollowScript(hashX)
  }
}
