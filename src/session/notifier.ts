import { setImmediate as turn } from 'node:timers/promises'
import { HASHX_SIZE } from '../chain/script.ts'
import type { Daemon } from '../daemon/daemon.ts'
import { ERROR_CODES, isAbort, RpcError } from '../errors.ts'
import type { Awaitable } from '../lib/awaitable.ts'
import { fromLatin1, toHex } from '../lib/bytes.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../log.ts'
import type { Moment, MomentNews, MomentSource } from '../mempool/moment.ts'
import { findOutpoint, type OutpointHints, type OutpointRef } from '../rpc/outpoint.ts'
import type { Topic } from '../rpc/topic.ts'
import { RestingKeys } from './resting.ts'
import type { ScriptSubscription, Subscriptions, TipNotice } from './subscriptions.ts'

export interface NotifierOptions {
  /** Scripts whose status is worked out side by side before others get a turn. */
  readonly batch: number
  /** Notifications before others get a turn, at most. A write takes the system some 30 µs (measured, bench:sessions). */
  readonly sendsPerTurn: number
  /**
   * Milliseconds between two turns at which there are to be fewer: clients that wake up on the same processors take
   * them away in the middle of writes.
   */
  readonly turnMs: number
  /** Milliseconds until what failed is tried again; longer for what fails again and again. */
  readonly retryDelay: number
}

export const DEFAULT_NOTIFIER: NotifierOptions = { batch: 64, sendsPerTurn: 32, turnMs: 4, retryDelay: 1000 }

/** Notifications before others get a turn, at least. */
const LEAST_SENDS = 4
/** Followed scripts that are found among those touched before others get a turn. */
const FOUND_PER_TURN = 1000
/** Of what a client follows, so much is looked through for what is due with a script: a write saved pays for that many. */
const MOST_BESIDES = 64
/** Publications whose touched scripts are kept. */
const MOST_NEWS = 8
/** Milliseconds between two warnings of the same kind. */
const WARNING_INTERVAL = 60_000

export interface NotifierCollaborators {
  readonly moments: MomentSource
  readonly subscriptions: Subscriptions
  /** Asked for the transaction of an outpoint, where nothing else tells what it pays to. */
  readonly daemon: Daemon
  readonly clock: Clock
  readonly log: Logger
}

/** What became of a status: text (null for no history), too long to tell, or not to be had at the moment. */
type Found = { readonly status: string | null } | 'too long' | 'failed'

/**
 * Tells clients what changed: a new tip once, a script's status when it differs from what that client was last told. A
 * status is worked out once, however many follow the script; changes that come while it is at work are merged.
 */
export class Notifier {
  readonly #options: NotifierOptions
  readonly #collaborators: NotifierCollaborators
  /** What was published and is not yet compared with what is followed. */
  #news: MomentNews[] = []
  /** Scripts to look at. */
  readonly #due = new Set<string>()
  /** Outpoints that nothing is known of: there may be many, and others are not to wait for them. */
  readonly #later = new Set<string>()
  /** Those whose status could not be worked out. */
  readonly #resting = new RestingKeys()
  /** While there are any: until the next of them are tried again. */
  #alarm: Promise<void> | undefined
  #warnedAt = Number.NEGATIVE_INFINITY
  #tipDue = false
  #sequence = 0
  #working: Promise<void> | undefined
  #signal: AbortSignal = AbortSignal.abort()
  #sends = 0
  /** Notifications that others wait for at the moment. */
  #allowed = LEAST_SENDS

  constructor(options: NotifierOptions, collaborators: NotifierCollaborators) {
    this.#options = options
    this.#collaborators = collaborators
  }

  /** Publications heard of. What is read from a moment after this was looked at is at least as new. */
  get sequence(): number {
    return this.#sequence
  }

  /** Scripts that wait to be looked at. */
  get backlog(): number {
    return this.#due.size + this.#later.size
  }

  /** Scripts whose status could not be worked out when it was last tried. */
  get failing(): number {
    return this.#resting.size
  }

  start(signal: AbortSignal): void {
    this.#signal = signal
    this.#collaborators.moments.listen((change) => this.#changed(change), signal)
  }

  /** Settles when nothing is left to do but for what fails, or the notifier was stopped. */
  async idle(): Promise<void> {
    while (this.#working !== undefined) await this.#working
  }

  /** A script is to be looked at again, because a client could not be told when it changed. */
  recheck(key: string): void {
    this.#due.add(key)
    this.#wake()
  }

  recheckTip(): void {
    this.#tipDue = true
    this.#wake()
  }

  #changed(news: MomentNews): void {
    const { subscriptions } = this.#collaborators
    this.#sequence++
    if (news.newTip) this.#tipDue = true
    // Before anything else happens: which outpoints it concerns depends on what is known of them now.
    for (const key of subscriptions.outpoints.unknownAmong(news)) this.#later.add(key)
    for (const key of subscriptions.outpoints.among(news)) if (!this.#later.has(key)) this.#due.add(key)
    for (const key of subscriptions.topics.among(news)) this.#due.add(key)
    if (this.#news.length >= MOST_NEWS) this.#compareAtOnce()
    this.#news.push(news)
    this.#wake()
  }

  /** Notes the scripts that are followed among those that were touched: a block can touch tens of thousands. */
  async #compare(): Promise<void> {
    for (let news = this.#news.shift(); news !== undefined; news = this.#news.shift()) {
      let found = 0
      for (const key of this.#collaborators.subscriptions.among(news.touched)) {
        this.#due.add(key)
        found += 1
        if (found % FOUND_PER_TURN === 0) await turn()
      }
    }
  }

  #compareAtOnce(): void {
    for (const { touched } of this.#news) {
      for (const key of this.#collaborators.subscriptions.among(touched)) this.#due.add(key)
    }
    this.#news = []
  }

  #wake(): void {
    if (this.#working !== undefined || this.#signal.aborted || !this.#hasWork()) return
    this.#working = this.#work().finally(() => {
      this.#working = undefined
      this.#wake()
    })
  }

  async #work(): Promise<void> {
    // What changes in one turn of the event loop is told as one change.
    await turn()
    while (!this.#signal.aborted && this.#hasWork()) {
      // Who follows the tip hears of it first.
      if (!this.#tipDue) await this.#compare()
      const failed = await this.#round()
      if (failed) await this.#rest()
      else await turn()
    }
  }

  #hasWork(): boolean {
    return this.#tipDue || this.backlog > 0 || this.#news.length > 0
  }

  /** One moment: the tip if it is due, and as many scripts as fit. True if something has to be tried again. */
  async #round(): Promise<boolean> {
    const round = this.#sequence
    const tip = this.#tipDue
    const keys = this.#take()
    this.#tipDue = false
    try {
      return await this.#collaborators.moments.with(async (moment) => {
        if (tip) await this.#tellTip(moment, round)
        if (tip)
          for (const key of this.#collaborators.subscriptions.topics.unsettled(moment.tip.height)) this.#due.add(key)
        await this.#tellScripts(moment, keys, round)
        return false
      })
    } catch (error) {
      this.#warn(error, 'notifying failed, will be tried again')
      this.#tipDue ||= tip
      for (const key of keys) this.#due.add(key)
      return true
    }
  }

  /** A batch, in the order in which it fell due but for what the same client follows: that comes along. */
  #take(): string[] {
    const keys: string[] = []
    // What rests is looked at again in its time, and then from the newest moment.
    const take = (key: string): void => {
      if (keys.length < this.#options.batch && this.#due.delete(key) && !this.#resting.rests(key)) keys.push(key)
    }
    for (const key of this.#due) {
      if (keys.length >= this.#options.batch) break
      take(key)
      for (const other of this.#collaborators.subscriptions.besides(key, MOST_BESIDES)) take(other)
    }
    for (const key of this.#later) {
      if (keys.length >= this.#options.batch) break
      this.#later.delete(key)
      if (!this.#resting.rests(key)) keys.push(key)
    }
    return keys
  }

  async #tellTip(moment: Moment, round: number): Promise<void> {
    const notice = tipNotice(moment)
    if (notice === undefined) return
    for (const subscriber of this.#collaborators.subscriptions.tipFollowers) {
      subscriber.tellTip(notice, round)
      if (this.#isTurnOver()) await this.#letOthers()
    }
  }

  async #tellScripts(moment: Moment, keys: readonly string[], round: number): Promise<void> {
    const found = keys.map((key) => this.#status(moment, key, round))
    for (const [i, key] of keys.entries()) {
      const answer = found[i]
      // Of thousands of scripts that a block touches most are there at once, and a promise for each would cost as much.
      const status = answer instanceof Promise ? await answer : answer
      if (status === undefined || status === 'failed') {
        this.#resting.failed(key)
        this.#setAlarm()
        continue
      }
      if (this.#resting.size > 0) this.#resting.forget(key)
      for (const subscription of this.#collaborators.subscriptions.of(key)) {
        tell(subscription, status, round)
        if (this.#isTurnOver()) await this.#letOthers()
      }
    }
  }

  /** Never throws nor rejects: the other scripts are told of. */
  #status(moment: Moment, key: string, round: number): Awaitable<Found> {
    try {
      const found = this.#find(moment, key, round)
      return found instanceof Promise ? found.catch((error: unknown) => this.#failed(key, error)) : found
    } catch (error) {
      return this.#failed(key, error)
    }
  }

  #find(moment: Moment, key: string, round: number): Awaitable<Found> {
    const outpoint = this.#collaborators.subscriptions.outpoints.get(key)
    if (outpoint !== undefined) return this.#outpointStatus(moment, key, outpoint, round)
    const topic = key.length === HASHX_SIZE ? undefined : this.#collaborators.subscriptions.topics.get(key)
    if (topic !== undefined) return this.#topicStatus(moment, topic)
    // An outpoint or a topic that nobody follows any more.
    if (key.length !== HASHX_SIZE) return { status: null }
    return moment.status(fromLatin1(key))
  }

  #failed(key: string, error: unknown): Found {
    if (error instanceof RpcError && error.code === ERROR_CODES.historyTooLong.code) return 'too long'
    const message = 'status of a script could not be worked out, will be tried again'
    if (this.#resting.knows(key)) this.#collaborators.log.debug({ err: error }, message)
    else this.#warn(error, message)
    return 'failed'
  }

  /** Says so now and then: what fails may do so for everybody who follows something, and for hours. */
  #warn(error: unknown, message: string): void {
    const { clock, log } = this.#collaborators
    const now = clock.monotonic()
    if (now - this.#warnedAt < WARNING_INTERVAL) {
      log.debug({ err: error, failing: this.failing }, message)
      return
    }
    this.#warnedAt = now
    log.warn({ err: error, failing: this.failing }, message)
  }

  /** Rings as long as anything rests. */
  #setAlarm(): void {
    if (this.#alarm !== undefined || this.#resting.size === 0 || this.#signal.aborted) return
    this.#alarm = this.#ring()
  }

  async #ring(): Promise<void> {
    await this.#rest()
    this.#alarm = undefined
    if (this.#signal.aborted) return
    const { subscriptions } = this.#collaborators
    for (const key of this.#resting.tick()) {
      if (subscriptions.follows(key)) this.#later.add(key)
      else this.#resting.forget(key)
    }
    this.#setAlarm()
    this.#wake()
  }

  async #outpointStatus(
    moment: Moment,
    key: string,
    { ref, ...hints }: { readonly ref: OutpointRef } & OutpointHints,
    round: number,
  ): Promise<Found> {
    const sources = { moment, daemon: this.#collaborators.daemon, signal: this.#signal, charge: free }
    const found = await findOutpoint(ref, hints, sources)
    this.#collaborators.subscriptions.outpoints.keepSpent(key, found)
    const settled = this.#collaborators.subscriptions.outpoints.settle(key, found.script)
    // What came meanwhile touched a script that was not known to be this one's.
    if (settled && round !== this.#sequence) this.#due.add(key)
    return { status: JSON.stringify(found.status) }
  }

  async #topicStatus(moment: Moment, topic: Topic): Promise<Found> {
    const found = await topic.find({ moment, signal: this.#signal, charge: free })
    this.#collaborators.subscriptions.topics.settle(topic.key, found, moment.tip.height)
    return found
  }

  /** Counts a send; true if others are to have a turn. */
  #isTurnOver(): boolean {
    this.#sends++
    return this.#sends >= this.#allowed
  }

  /** What was sent is written at the end of the turn: how long that took decides how much is sent in the next one. */
  async #letOthers(): Promise<void> {
    const { sendsPerTurn, turnMs } = this.#options
    const begun = this.#collaborators.clock.monotonic()
    await turn()
    const took = this.#collaborators.clock.monotonic() - begun
    const next = took > turnMs ? this.#allowed / 2 : this.#allowed * 2
    this.#allowed = Math.min(sendsPerTurn, Math.max(LEAST_SENDS, next))
    this.#sends = 0
  }

  async #rest(): Promise<void> {
    try {
      await this.#collaborators.clock.sleep(this.#options.retryDelay, this.#signal)
    } catch (error) {
      if (!isAbort(error)) throw error
    }
  }
}

/** Nobody pays for what is found out for a notification. */
function free(): void {}

/** What is told of the tip of `moment`; undefined for an empty chain. */
export function tipNotice(moment: Moment): TipNotice | undefined {
  const { height, hash } = moment.tip
  const header = moment.view.header(height)
  if (header === undefined) return undefined
  return { key: toHex(hash), params: JSON.stringify([{ hex: toHex(header), height }]) }
}

function tell(subscription: ScriptSubscription, found: Exclude<Found, 'failed'>, round: number): void {
  // Whoever subscribed after this round began has heard something at least as new.
  if (subscription.since > round) return
  if (subscription.held > 0) subscription.stale = true
  else if (found === 'too long') subscription.subscriber.cannotFollow(subscription)
  else if (found.status !== subscription.told) subscription.subscriber.tellStatus(subscription, found.status)
}
