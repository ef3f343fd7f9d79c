import { invariant } from '../errors.ts'
import type { Awaitable } from '../lib/awaitable.ts'
import type { LongText } from '../lib/long-text.ts'
import type { Answer, EnvelopeSession, PendingCall, RequestHost } from '../rpc/envelope.ts'
import { failureOf, type RpcFailure } from '../rpc/failure.ts'
import { RawJson } from '../rpc/json.ts'
import { compareVersions, type RpcContext } from '../rpc/method.ts'
import { V1_7 } from '../rpc/versions.ts'
import { SessionCore, type SessionInside } from './core.ts'
import type { ClientHandle, SessionKeeper } from './handle.ts'
import type { SharedSession } from './shared.ts'
import {
  type Asked,
  type Exchange,
  type NewsOf,
  StreamClient,
  type StreamSubscriber,
  type TipSubscription,
} from './stream-client.ts'
import type { ScriptSubscription, Subscriber, SubscriptionNews, TipNotice } from './subscriptions.ts'
import type { CloseReason, Connection, ConnectionHandler } from './transports/connection.ts'
import { Turnstile } from './turnstile.ts'
import { UnderWay } from './under-way.ts'

/** Padding as ElectrumX sends it. */
const NOISE = ['0'.repeat(128)]
/** Bytes of messages of one client that run or wait: what is made of them can take twenty times as much memory. */
const MOST_WAITING_BYTES = 256 * 1024

/** One client on a stream: its messages, its answers, and what it is told unasked. */
export class ElectrumXSession implements Subscriber, RequestHost, SessionInside, StreamSubscriber, ConnectionHandler {
  readonly turnstile: Turnstile
  readonly #core: SessionCore
  readonly #connection: Connection
  readonly #shared: SharedSession
  readonly #envelope: EnvelopeSession
  #paused = false
  /** Bytes of the messages that are not answered yet. */
  #waitingBytes = 0
  /** The message whose requests are being started; the envelope starts all of them before it waits for anything. */
  #current: Exchange | undefined
  #tip: TipSubscription | undefined
  /** Made when somebody subscribes for the first time. */
  #underWay: UnderWay | undefined
  /** What could not be told because the client does not read, and since when. */
  #deferred: Set<ScriptSubscription> | undefined
  #deferredSince: number | undefined

  constructor(id: number, connection: Connection, shared: SharedSession, keeper: SessionKeeper) {
    this.#connection = connection
    this.#shared = shared
    this.turnstile = new Turnstile(connection, shared.clock)
    this.#core = new SessionCore(id, connection, shared, keeper, this)
    this.#envelope = shared.envelope.open(this)
    connection.handler = this
  }

  get id(): number {
    return this.#core.id
  }

  get handle(): ClientHandle {
    return this.#core
  }

  get subscriptionCount(): number {
    return this.#shared.subscriptions.count(this)
  }

  /** True once it has asked to be told of tips. */
  get followsTip(): boolean {
    return this.#tip !== undefined
  }

  /** Bytes that wait for the client to take them. */
  get unsent(): number {
    return this.#connection.unsent
  }

  onTick(now: number): void {
    this.turnstile.letOneGo() // In case the one before takes its time.
    const since = this.#deferredSince
    if (since !== undefined && now - since >= this.#shared.options.notifyTimeout) {
      if (this.#core.open) this.#shared.tally.limits.NOTIFY_TIMEOUT++
      this.#core.closeNow('slow reader')
    }
  }

  // What the envelope asks.

  run(call: PendingCall, job: (ctx: RpcContext) => Awaitable<unknown>): Awaitable<unknown> {
    const exchange = this.#current
    invariant(exchange !== undefined, 'a request was started outside of its message')
    const { notifier } = this.#shared
    const result = this.#core.run(
      call,
      // Its number is that of the moment, not of the message: a request that waits for its turn reads what is newer.
      (moment, progress) =>
        new StreamClient(this.#core, this, { call, exchange, moment, since: notifier.sequence, progress }),
      job,
    )
    if (!(result instanceof Promise)) this.turnstile.ran(result)
    return result
  }

  failed(failure: RpcFailure): void {
    this.#core.failed(failure)
  }

  // What the notifier asks.

  tellStatus(subscription: ScriptSubscription, status: string | null): void {
    if (this.#connection.congested) {
      subscription.stale = true
      this.#deferred ??= new Set()
      this.#deferred.add(subscription)
      this.#deferredSince ??= this.#shared.clock.monotonic()
      return
    }
    subscription.told = status
    const { outpoint } = subscription
    if (outpoint !== undefined) {
      this.#shared.tally.notifications.outpoint++
      const params = [outpoint.txid, outpoint.vout, new RawJson(status ?? '{}')]
      this.#send(this.#envelope.notification('blockchain.outpoint.subscribe', params))
      return
    }
    const topic = this.#shared.subscriptions.topics.get(subscription.key)
    if (topic !== undefined) {
      this.#shared.tally.notifications.atomicals++
      this.#send(this.#envelope.notification(topic.method, [...topic.params, new RawJson(status ?? 'null')]))
      return
    }
    this.#shared.tally.notifications.script++
    const isNew = compareVersions(this.#core.protocol, V1_7) >= 0
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
      this.#shared.tally.notifications.tip++
      this.#send(this.#envelope.notification('blockchain.headers.subscribe', new RawJson(notice.params)))
      this.#noise()
    }
  }

  /**
   * After a block everybody who may be sent it (from 1.7 on) gets a ping about as long as a notification of a script: who
   * looks on from outside cannot tell from the length whether a block touched the wallet.
   */
  #noise(): void {
    if (compareVersions(this.#core.protocol, V1_7) < 0) return
    this.#send(this.#envelope.notification('server.ping', NOISE))
  }

  cannotFollow(subscription: ScriptSubscription): void {
    this.#shared.log.info({ session: this.id }, 'history of a followed script grew too long, closing')
    this.#shared.subscriptions.remove(this, subscription.key)
    this.#core.closeNow('excessive usage')
  }

  // What the connection tells.

  onReceived(bytes: number): void {
    this.#core.received(bytes)
  }

  onSent(bytes: number): void {
    this.#core.sent(bytes)
  }

  onMessage(message: Uint8Array): void {
    if (!this.#core.open) return
    this.#core.asked()
    const exchange: Exchange = { bytes: message.length, held: undefined, heldTip: undefined }
    this.#waitingBytes += exchange.bytes
    this.#current = exchange
    this.turnstile.begin()
    const answer = this.#envelope.handle(message)
    this.turnstile.end()
    this.#current = undefined
    this.#throttle()
    answer.then(
      (text) => this.#answer(exchange, text),
      (error: unknown) => {
        this.#shared.log.error({ err: error, session: this.id }, 'message could not be handled')
        this.#answer(exchange, undefined)
        this.#core.closeNow('transport error')
      },
    )
  }

  onOversized(): void {
    this.#core.failed(failureOf(-32600, 'message too long', 'MAX_RECV'))
    // Nothing is answered that would be waited for.
    this.#core.settle()
  }

  #answer(exchange: Exchange, text: Answer): void {
    this.#core.answered()
    this.#waitingBytes -= exchange.bytes
    // What was at hand is sent in one go, before anything else is read.
    this.turnstile.answered()
    if (text !== undefined) this.#send(text)
    this.#release(exchange)
    this.turnstile.done()
    this.#throttle()
    this.#core.settle()
  }

  #send(text: string | LongText): void {
    this.#core.traffic.sentMessages++
    this.#connection.send(text)
  }

  /** Stops reading while too much waits: messages, requests in them, or their bytes. Goes on when half of it is done. */
  #throttle(): void {
    const { unanswered, requestsUnderWay } = this.#core
    const waiting = Math.max(unanswered, requestsUnderWay)
    const most = this.#shared.options.maxPipelined
    if (!this.#paused && (waiting >= most || this.#waitingBytes >= MOST_WAITING_BYTES)) {
      this.#paused = true
      this.#shared.tally.limits.MAX_PIPELINED++
      this.#connection.pause()
    } else if (this.#paused && waiting <= most / 2 && this.#waitingBytes <= MOST_WAITING_BYTES / 2) {
      this.#paused = false
      this.#connection.resume()
    }
  }

  onDrain(): void {
    this.turnstile.letOneGo()
    this.#deferredSince = undefined
    const deferred = this.#deferred
    this.#deferred = undefined
    for (const subscription of deferred ?? []) this.#recheck(subscription)
    if (this.#tip?.stale === true && this.#tip.held === 0) this.#recheckTip(this.#tip)
  }

  onClose(reason: CloseReason): void {
    this.#shared.subscriptions.removeAll(this)
    this.#tip = undefined
    this.#deferred = undefined
    this.#deferredSince = undefined
    this.#core.gone(reason)
  }

  // Subscriptions.

  /** From now on the client hears of other tips than `told`, which the answer will tell. */
  followTip({ call, exchange }: Asked, told: string, since: number): void {
    if (this.#core.state === 'closed') return
    const stale = since !== this.#shared.notifier.sequence
    const before = this.#tip === undefined ? undefined : { told: this.#tip.told, since: this.#tip.since }
    const tip: TipSubscription = this.#tip ?? { told, since, held: 0, claims: 0, stale }
    this.#tip = tip
    tip.told = told
    tip.since = since
    tip.stale ||= stale
    tip.claims++
    // Another one than before if that was taken back.
    if (exchange.heldTip !== tip) tip.held++
    exchange.heldTip = tip
    this.#shared.subscriptions.followTip(this)
    call.takeBack = () => this.#takeBackTip(tip, before)
  }

  /** As of subscriptions. */
  #takeBackTip(tip: TipSubscription, before: Pick<TipSubscription, 'told' | 'since'> | undefined): void {
    if (this.#tip !== tip) return
    tip.claims--
    if (tip.claims === 0) {
      this.#tip = undefined
      this.#shared.subscriptions.unfollowTip(this)
    } else if (before !== undefined) {
      tip.told = before.told
      tip.since = before.since
      tip.stale = true
    }
  }

  follow<T>(asked: Asked, key: string, find: () => Awaitable<T>, newsOf: NewsOf<T>): Awaitable<T> {
    this.#underWay ??= new UnderWay()
    return this.#underWay.follow(key, find, (found, ended) => {
      // One that was asked for after the end of this one counts for both, for this answer is the last that it tells of.
      if (ended && !this.#shared.subscriptions.has(this, key)) return
      const news = newsOf(found)
      if (news !== undefined) this.#follow(asked, news)
    })
  }

  #follow({ call, exchange }: Asked, news: SubscriptionNews): void {
    if (this.#core.state === 'closed') return
    const { since } = news
    const { subscriptions } = this.#shared
    const claim = subscriptions.add(this, news)
    const { subscription } = claim
    call.takeBack = () => subscriptions.takeBack(claim)
    if (since !== this.#shared.notifier.sequence) subscription.stale = true
    exchange.held ??= new Set()
    if (exchange.held.has(subscription)) subscription.held--
    exchange.held.add(subscription)
  }

  unfollow(key: string): boolean {
    const underWay = this.#underWay?.cancel(key) ?? false
    return this.#shared.subscriptions.remove(this, key) || underWay
  }

  /** The answer is written: what it told may be followed by news. */
  #release(exchange: Exchange): void {
    for (const subscription of exchange.held ?? []) {
      subscription.held--
      if (subscription.held === 0 && subscription.stale) this.#recheck(subscription)
    }
    const tip = exchange.heldTip
    if (tip === undefined) return
    tip.held--
    if (tip === this.#tip && tip.held === 0 && tip.stale) this.#recheckTip(tip)
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
