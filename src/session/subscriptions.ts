import { HASHX_SIZE } from '../chain/script.ts'
import { ERROR_CODES, type LimitName, RpcError } from '../errors.ts'
import type { OutpointRef, OutpointScript } from '../rpc/outpoint.ts'
import type { Topic, TopicStatus } from '../rpc/topic.ts'
import { OutpointWatch } from './outpoint-watch.ts'
import { TopicWatch } from './topic-watch.ts'

/** A client as those see it who have something to tell it. */
export interface Subscriber {
  readonly id: number
  /** Writes a notification, or keeps it in mind while the client does not take what it was sent already. */
  tellStatus(subscription: ScriptSubscription, status: string | null): void
  /** The same for a new tip; `round` as for subscriptions. */
  tellTip(tip: TipNotice, round: number): void
  /** Its status cannot be worked out for it any more. */
  cannotFollow(subscription: ScriptSubscription): void
}

/** A tip as it is told: `params` is the JSON text of the notification's parameters. */
export interface TipNotice {
  /** Tells tips apart. */
  readonly key: string
  readonly params: string
}

/** What one client follows, a script, an outpoint or a topic, and what it knows of it. */
export interface ScriptSubscription {
  readonly subscriber: Subscriber
  /** hashX (11 bytes), outpoint (36 bytes) or key of a topic, one character a byte. */
  readonly key: string
  /** The outpoint, if it is one of an outpoint. Its statuses are JSON text, as those of a topic. */
  readonly outpoint: OutpointRef | undefined
  /** What the client calls the script. */
  alias: string
  /** The status that the client was last told, in an answer or a notification. */
  told: string | null
  /** Publications the notifier had heard of when `told` was worked out; what was worked out earlier is old news. */
  since: number
  /** Answers not sent yet that tell `told`: as long, no notification may be sent. */
  held: number
  /** Requests for it whose answers were told or are on their way; those are not that were told an error in the end. */
  claims: number
  /** Something changed while nothing could be sent: to be looked at again. */
  stale: boolean
  /** Others of the same subscriber; the table's to set. */
  before: ScriptSubscription | undefined
  after: ScriptSubscription | undefined
}

/** What one client follows, as a chain: a table for each would cost more than what it holds. */
interface Own {
  last: ScriptSubscription | undefined
  count: number
}

export interface SubscriptionOptions {
  /** Scripts that one client may follow; 0 for any number. */
  readonly maxPerSession: number
  /** Scripts that all clients together may follow; 0 for any number. */
  readonly maxTotal: number
}

/** What `subscriber` is about to be told. */
export interface SubscriptionNews {
  readonly key: string
  readonly alias: string
  readonly status: string | null
  readonly since: number
  /** Where it is an outpoint that is followed, and what was found of it. */
  readonly outpoint?: { readonly ref: OutpointRef; readonly script: OutpointScript }
  /** Where it is a topic, and what was found of it at which height. */
  readonly topic?: { readonly topic: Topic; readonly found: TopicStatus; readonly height: number }
}

/** One add(), and what the client knew, or was about to be told, before it; undefined if it did not follow that. */
export interface Claim {
  readonly subscription: ScriptSubscription
  readonly before: Pick<SubscriptionNews, 'alias' | 'status' | 'since'> | undefined
}

/** Who follows which script, which outpoint and which topic. */
export class Subscriptions {
  readonly #options: SubscriptionOptions
  /** Most scripts have one follower, and a map for each of them would cost more than the subscription. */
  readonly #byKey = new Map<string, ScriptSubscription | Map<Subscriber, ScriptSubscription>>()
  readonly #bySubscriber = new Map<Subscriber, Own>()
  readonly #tipFollowers = new Set<Subscriber>()
  /** Outpoints that somebody follows. */
  readonly outpoints = new OutpointWatch()
  /** Topics that somebody follows. */
  readonly topics = new TopicWatch()
  #total = 0

  constructor(options: SubscriptionOptions) {
    this.#options = options
  }

  /** Subscriptions in all. */
  get total(): number {
    return this.#total
  }

  /** Different scripts, outpoints and topics that somebody follows. */
  get scripts(): number {
    return this.#byKey.size
  }

  get tipFollowers(): ReadonlySet<Subscriber> {
    return this.#tipFollowers
  }

  count(subscriber: Subscriber): number {
    return this.#bySubscriber.get(subscriber)?.count ?? 0
  }

  followTip(subscriber: Subscriber): void {
    this.#tipFollowers.add(subscriber)
  }

  unfollowTip(subscriber: Subscriber): void {
    this.#tipFollowers.delete(subscriber)
  }

  /**
   * Notes that `subscriber` is about to be told `status` in an answer, and holds notifications until the caller takes
   * one off `held`. A second subscription to a script takes the place of the first. Throws RpcError -101 at a limit.
   */
  add(subscriber: Subscriber, news: SubscriptionNews): Claim {
    const known = this.#find(subscriber, news.key)
    if (known !== undefined) {
      const before = { alias: known.alias, status: known.told, since: known.since }
      this.#watchTopic(news)
      known.alias = news.alias
      known.told = news.status
      known.since = news.since
      known.claims++
      known.held++
      return { subscription: known, before }
    }
    const own = this.#bySubscriber.get(subscriber) ?? { last: undefined, count: 0 }
    this.#assertRoom(own.count)
    const { key, alias, status: told, since } = news
    const outpoint = news.outpoint?.ref
    const before = own.last
    const subscription: ScriptSubscription = {
      subscriber,
      key,
      outpoint,
      alias,
      told,
      since,
      held: 1,
      claims: 1,
      stale: false,
      before,
      after: undefined,
    }
    if (before !== undefined) before.after = subscription
    own.last = subscription
    own.count++
    this.#bySubscriber.set(subscriber, own)
    this.#index(subscription)
    if (news.outpoint !== undefined) this.outpoints.add(key, news.outpoint.ref, news.outpoint.script)
    this.#watchTopic(news)
    this.#total++
    return { subscription, before: undefined }
  }

  /** True if there was such a subscription. */
  remove(subscriber: Subscriber, key: string): boolean {
    const own = this.#bySubscriber.get(subscriber)
    const subscription = this.#find(subscriber, key)
    if (own === undefined || subscription === undefined) return false
    const { before, after } = subscription
    if (before !== undefined) before.after = after
    if (after === undefined) own.last = before
    else after.before = before
    own.count--
    if (own.count === 0) this.#bySubscriber.delete(subscriber)
    this.#unindex(subscription)
    return true
  }

  has(subscriber: Subscriber, key: string): boolean {
    return this.#find(subscriber, key) !== undefined
  }

  /** Takes it back, because the client is told an error instead: it follows nothing that it did not follow before. */
  takeBack({ subscription, before }: Claim): void {
    // It may be gone, or another one be in its place.
    if (this.#find(subscription.subscriber, subscription.key) !== subscription) return
    subscription.claims--
    if (subscription.claims === 0) {
      this.remove(subscription.subscriber, subscription.key)
    } else if (before !== undefined) {
      subscription.alias = before.alias
      subscription.told = before.status
      subscription.since = before.since
      subscription.stale = true
    }
  }

  /** Forgets everything of a client that has gone. */
  removeAll(subscriber: Subscriber): void {
    this.#tipFollowers.delete(subscriber)
    let subscription = this.#bySubscriber.get(subscriber)?.last
    this.#bySubscriber.delete(subscriber)
    for (; subscription !== undefined; subscription = subscription.before) this.#unindex(subscription)
  }

  /** True if anybody does. */
  follows(key: string): boolean {
    return this.#byKey.has(key)
  }

  of(key: string): Iterable<ScriptSubscription> {
    const found = this.#byKey.get(key)
    if (found === undefined) return []
    return found instanceof Map ? found.values() : [found]
  }

  /**
   * What the one client that follows `key` follows besides, at most `most` of it, and nothing where others follow it
   * too: what is told of together leaves in one write.
   */
  *besides(key: string, most: number): Iterable<string> {
    const found = this.#byKey.get(key)
    if (found === undefined || found instanceof Map) return
    let [before, after] = [found.before, found.after]
    for (let count = 0; count < most && (before !== undefined || after !== undefined); count++) {
      if (before !== undefined) {
        yield before.key
        before = before.before
      } else if (after !== undefined) {
        yield after.key
        after = after.after
      }
    }
  }

  /** Scripts that are followed and were touched; takes the time of the smaller set. */
  *among(touched: ReadonlySet<string>): Iterable<string> {
    if (touched.size <= this.#byKey.size) {
      for (const key of touched) if (this.#byKey.has(key)) yield key
    } else {
      for (const key of this.#byKey.keys()) if (touched.has(key)) yield key
    }
  }

  #watchTopic({ topic: followed }: SubscriptionNews): void {
    if (followed !== undefined) this.topics.add(followed.topic, followed.found, followed.height)
  }

  #assertRoom(own: number): void {
    const { maxPerSession, maxTotal } = this.#options
    if (maxPerSession > 0 && own >= maxPerSession) throw tooMany('MAX_SUBSCRIPTIONS_PER_SESSION')
    if (maxTotal > 0 && this.#total >= maxTotal) throw tooMany('MAX_SUBSCRIPTIONS')
  }

  #find(subscriber: Subscriber, key: string): ScriptSubscription | undefined {
    const found = this.#byKey.get(key)
    if (found instanceof Map) return found.get(subscriber)
    return found?.subscriber === subscriber ? found : undefined
  }

  #index(subscription: ScriptSubscription): void {
    const { key, subscriber } = subscription
    const found = this.#byKey.get(key)
    if (found === undefined) this.#byKey.set(key, subscription)
    else if (found instanceof Map) found.set(subscriber, subscription)
    else this.#byKey.set(key, new Map([found, subscription].map((one) => [one.subscriber, one])))
  }

  #unindex(subscription: ScriptSubscription): void {
    this.#total--
    const found = this.#byKey.get(subscription.key)
    if (found === subscription) this.#byKey.delete(subscription.key)
    else if (found instanceof Map) {
      found.delete(subscription.subscriber)
      if (found.size === 0) this.#byKey.delete(subscription.key)
    }
    if (subscription.key.length === HASHX_SIZE || this.#byKey.has(subscription.key)) return
    this.outpoints.delete(subscription.key)
    this.topics.delete(subscription.key)
  }
}

function tooMany(limit: LimitName): RpcError {
  return new RpcError(ERROR_CODES.excessiveUsage.code, 'excessive resource usage: too many subscriptions', { limit })
}
