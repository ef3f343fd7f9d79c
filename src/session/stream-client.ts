import type { Awaitable } from '../lib/awaitable.ts'
import { toHex, toLatin1 } from '../lib/bytes.ts'
import type { Moment } from '../mempool/moment.ts'
import type { PendingCall } from '../rpc/envelope.ts'
import type { AtomicalsShape, ProtocolVersion, RpcClient } from '../rpc/method.ts'
import { type FoundOutpoint, type OutpointRef, outpointBytes } from '../rpc/outpoint.ts'
import type { Topic, TopicStatus } from '../rpc/topic.ts'
import type { SessionCore } from './core.ts'
import type { Progress } from './requests.ts'
import type { ScriptSubscription, SubscriptionNews } from './subscriptions.ts'

/** What the client knows of the tip, once it has asked to be told. */
export interface TipSubscription {
  told: string
  since: number
  held: number
  /** As of ScriptSubscription. */
  claims: number
  stale: boolean
}

/** One message of the client until its answer is written: what is told in the answer must not be told before it. */
export interface Exchange {
  /** Length of the message. */
  readonly bytes: number
  held: Set<ScriptSubscription> | undefined
  heldTip: TipSubscription | undefined
}

/** A request to follow something: the call, told how to take that back, and the message it came in. */
export interface Asked {
  readonly call: PendingCall
  readonly exchange: Exchange
}

/** What a session on a stream follows, as its requests change it. `since`: the notifier's sequence at their moment. */
export interface StreamSubscriber {
  followTip(asked: Asked, told: string, since: number): void
  /**
   * Follows what `find` finds, and gives that; `newsOf` is what the client is told of it by the answer, or undefined where
   * nothing is to be followed after all. Not followed if it was unfollowed meanwhile.
   */
  follow<T>(asked: Asked, key: string, find: () => Awaitable<T>, newsOf: NewsOf<T>): Awaitable<T>
  /** True if it was followed, or was about to be. */
  unfollow(key: string): boolean
}

export type NewsOf<T> = (found: T) => SubscriptionNews | undefined

/** One request: the message it came in, the moment it is answered from, and the notifier's sequence at that. */
interface StreamRequest extends Asked {
  readonly moment: Moment
  readonly since: number
  readonly progress: Progress
}

/**
 * A client as the handler of one request sees it. What was given up makes it follow nothing: it was told that nothing
 * came of it, and nobody would end the wait for the answer that has left already.
 */
export class StreamClient implements RpcClient {
  readonly stream = true
  readonly #core: SessionCore
  readonly #session: StreamSubscriber
  readonly #request: StreamRequest

  constructor(core: SessionCore, session: StreamSubscriber, request: StreamRequest) {
    this.#core = core
    this.#session = session
    this.#request = request
  }

  get id(): number {
    return this.#core.id
  }

  get protocol(): ProtocolVersion {
    return this.#core.protocol
  }

  get software(): string | undefined {
    return this.#core.software
  }

  get address(): string {
    return this.#core.remote.host
  }

  identify(
    software: string,
    wanted: { readonly min: ProtocolVersion; readonly max: ProtocolVersion },
  ): ProtocolVersion {
    return this.#core.identify(software, wanted)
  }

  get shape(): AtomicalsShape | undefined {
    return this.#core.shape
  }

  chooseShape(shape: AtomicalsShape): void {
    this.#core.shape = shape
  }

  becomePeer(features: Readonly<Record<string, unknown>>): boolean {
    return this.#core.becomePeer(features)
  }

  sentTransactions(count: number): void {
    this.#core.sentTransactions(count)
  }

  subscribeHeaders(): void {
    const { moment, since, progress } = this.#request
    if (!progress.givenUp) this.#session.followTip(this.#request, toHex(moment.tip.hash), since)
  }

  subscribeScript(hashX: Uint8Array, alias: string, find: () => Awaitable<string | null>): Awaitable<string | null> {
    const key = toLatin1(hashX)
    const { since } = this.#request
    return this.#follow(key, find, (status) => ({ key, alias, status, since }))
  }

  unsubscribeScript(hashX: Uint8Array): boolean {
    return this.#session.unfollow(toLatin1(hashX))
  }

  /** One that no transaction can have is not followed: nothing will ever happen to it. */
  subscribeOutpoint(ref: OutpointRef, find: () => Promise<FoundOutpoint>): Awaitable<FoundOutpoint> {
    const bytes = outpointBytes(ref)
    if (bytes === undefined) return find()
    const key = toLatin1(bytes)
    const { since } = this.#request
    return this.#follow(key, find, ({ status, script }) => {
      return { key, alias: '', status: JSON.stringify(status), since, outpoint: { ref, script } }
    })
  }

  unsubscribeOutpoint(ref: OutpointRef): boolean {
    const bytes = outpointBytes(ref)
    return bytes !== undefined && this.#session.unfollow(toLatin1(bytes))
  }

  subscribeTopic(topic: Topic, find: () => Promise<TopicStatus>): Awaitable<TopicStatus> {
    const { key } = topic
    const { since, moment } = this.#request
    return this.#follow(key, find, (found) => {
      return { key, alias: '', status: found.status, since, topic: { topic, found, height: moment.tip.height } }
    })
  }

  unsubscribeTopic(key: string): boolean {
    return this.#session.unfollow(key)
  }

  #follow<T>(key: string, find: () => Awaitable<T>, newsOf: (found: T) => SubscriptionNews): Awaitable<T> {
    const { progress } = this.#request
    return this.#session.follow(this.#request, key, find, (found) => (progress.givenUp ? undefined : newsOf(found)))
  }
}
