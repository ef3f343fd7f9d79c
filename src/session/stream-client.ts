import { toHex } from '../lib/bytes.ts'
import type { Moment } from '../mempool/moment.ts'
import type { PendingCall } from '../rpc/envelope.ts'
import type { AtomicalsShape, ProtocolVersion, RpcClient } from '../rpc/method.ts'
import type { FoundOutpoint, OutpointRef } from '../rpc/outpoint.ts'
import type { Topic, TopicStatus } from '../rpc/topic.ts'
import type { SessionCore } from './core.ts'
import type { Progress } from './requests.ts'
import type { ScriptSubscription } from './subscriptions.ts'

/** One message of the client until its answer is written: what is told in the answer must not be told before it. */
export interface Exchange {
  held: Set<ScriptSubscription> | undefined
  holdsTip: boolean
}

/** A request to follow something: the call, told how to take that back, and the message it came in. */
export interface Asked {
  readonly call: PendingCall
  readonly exchange: Exchange
}

export interface FollowedScript {
  readonly hashX: Uint8Array
  /** What the client calls it. */
  readonly alias: string
  readonly status: string | null
}

export interface FollowedTopic {
  readonly topic: Topic
  readonly found: TopicStatus
  /** Where it was found so. */
  readonly height: number
}

/** What a session on a stream follows, as its requests change it. `since`: the notifier's sequence at their moment. */
export interface StreamSubscriber {
  followTip(asked: Asked, told: string, since: number): void
  followScript(asked: Asked, script: FollowedScript, since: number): void
  followOutpoint(asked: Asked, ref: OutpointRef, found: FoundOutpoint, since: number): void
  followTopic(asked: Asked, topic: FollowedTopic, since: number): void
  /** True if it was followed, as of all of these. */
  unfollowScript(hashX: Uint8Array): boolean
  unfollowOutpoint(ref: OutpointRef): boolean
  unfollowTopic(key: string): boolean
}

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

  subscribeScript(hashX: Uint8Array, alias: string, status: string | null): void {
    const { since, progress } = this.#request
    if (!progress.givenUp) this.#session.followScript(this.#request, { hashX, alias, status }, since)
  }

  unsubscribeScript(hashX: Uint8Array): boolean {
    return this.#session.unfollowScript(hashX)
  }

  subscribeOutpoint(outpoint: OutpointRef, found: FoundOutpoint): void {
    const { since, progress } = this.#request
    if (!progress.givenUp) this.#session.followOutpoint(this.#request, outpoint, found, since)
  }

  unsubscribeOutpoint(outpoint: OutpointRef): boolean {
    return this.#session.unfollowOutpoint(outpoint)
  }

  subscribeTopic(topic: Topic, found: TopicStatus): void {
    const { moment, since, progress } = this.#request
    if (progress.givenUp) return
    this.#session.followTopic(this.#request, { topic, found, height: moment.tip.height }, since)
  }

  unsubscribeTopic(key: string): boolean {
    return this.#session.unfollowTopic(key)
  }
}
