import type { Daemon, DaemonNotice, DaemonNotices } from '../daemon/daemon.ts'
import type { ChainView } from '../db/view.ts'
import { DaemonError, DaemonUnavailableError, InvariantError, isAbort, messageOf } from '../errors.ts'
import { linkSignals, untilAborted } from '../lib/abort.ts'
import type { Awaitable } from '../lib/awaitable.ts'
import { toDisplayHex } from '../lib/bytes.ts'
import type { Clock } from '../lib/clock.ts'
import { type BackOff, waits } from '../lib/retry.ts'
import type { Service } from '../lib/service.ts'
import { Nap, sleepOrAbort, within } from '../lib/wait.ts'
import type { Logger } from '../log.ts'
import type { MomentHub } from '../mempool/hub.ts'
import type { Mempool } from '../mempool/mempool.ts'
import type { MomentChange } from '../mempool/moment.ts'
import {
  FOLLOWER_DEFAULTS,
  type FollowerCollaborators,
  type FollowerOptions,
  type FollowerStatus,
} from './follower-options.ts'
import { MempoolSchedule } from './mempool-schedule.ts'
import { Outage } from './outage.ts'

/** What the follower has to know of a block that was applied to the index. */
export interface AppliedBlock {
  /** 32 bytes each, internal order. */
  readonly txids: Uint8Array
  /** Outpoints that it spends: 36 bytes each. */
  readonly spentOutpoints: Iterable<Uint8Array>
  /** hashXs (Latin-1) that it pays to or spends from. */
  readonly touched: Iterable<string>
  /** True if the node was known to have no block after it when this catch-up looked last. */
  readonly isLast: boolean
}

/** Hears of a catch-up while it goes on; what was heard stays true if the catch-up fails later. */
export interface ChainListener {
  /** The block is in the index: a view that is taken now has it. The next one waits until it settles. */
  applied(block: AppliedBlock): Awaitable<void>
  rolledBack(block: { readonly touched: Iterable<string> }): void
}

/** The index, as far as the follower moves it. */
export interface ChainSync {
  /** Brings the index to the node's tip, rolling back first where the node is on another branch. */
  catchUp(listener: ChainListener, signal: AbortSignal): Promise<void>
  /**
   * The node has connected this block (its hash as displayed), and it may be the next one: may be read before catchUp()
   * is told to look.
   */
  expect(hash: string): void
  /**
   * Settles once everything that was applied is on disk. `reordered` hears of it, if at all some time later, when rows were
   * put in order: views that are taken from then on are read faster, and earlier ones keep disk from being given back.
   */
  persist(reordered: () => void): Promise<void>
  /** Settles once nothing of it runs any more. */
  stop(): Promise<void>
  /** The index as it is now. The caller releases it. */
  view(): ChainView
}

/** Waits after the node did not answer. */
const BACK_OFF: BackOff = { first: 500, longest: 10_000, factor: 2, jitter: 0.2 }
/** A long catch-up publishes after so many milliseconds, or so many hashXs, also before it is at the tip. */
const LONGEST_SILENCE_MS = 10_000
const MOST_TOUCHED = 200_000
/**
 * Wait before the node is asked again after it was found to be on another tip than the index: twice as long each time in a
 * row, for something between that answers from a cache says so for long.
 */
const BEHIND_MS = 100
const LONGEST_BEHIND_MS = 5000
/** Wait, at most, before a published block is written: while clients are told of it. */
const LONGEST_TELLING_MS = 1000

/**
 * The loop that keeps index and mempool at the node: blocks first, then the mempool, and both published as one moment.
 * It wakes when the node says so and by timers, lives through outages of the node, and ends at anything else.
 */
export class Follower implements Service {
  readonly name = 'follower'
  readonly #options: FollowerOptions
  readonly #chain: ChainSync
  readonly #mempool: Mempool
  readonly #hub: MomentHub
  readonly #daemon: Daemon
  readonly #notices: DaemonNotices | undefined
  readonly #clock: Clock
  readonly #log: Logger
  readonly #fatal: (error: unknown) => void
  readonly #told: (() => Promise<void>) | undefined
  readonly #nap: Nap
  readonly #schedule: MempoolSchedule
  readonly #outage: Outage
  readonly #stopping = new AbortController()

  #loop: Promise<void> | undefined
  /** The write of the blocks that were published last. */
  #persisting: Promise<void> = Promise.resolve()
  /** Ends the wait before that write. */
  #hurry: AbortController | undefined
  /** Why they could not be written. */
  #unwritable: Error | undefined
  /** What a block confirms is being taken out of the mempool. */
  #applying = false
  #state: FollowerStatus['state'] = 'starting'
  #published: { readonly height: number; readonly hash: string } | undefined
  #daemonHeight: number | undefined
  #lastRefresh: number | undefined

  /** hashXs of changes that are not published yet. */
  #touched = new Set<string>()
  /** When blocks were first rolled back since the last publication. */
  #reorgSince: number | undefined
  /** When the catch-up under way began or last published. */
  #silentSince = 0
  #histogramStale = false
  /** How often in a row the node was on another tip when it was asked for its mempool. */
  #behind = 0

  /** Times by the monotonic clock at which something is to be done. */
  #blocksAt = 0
  #histogramAt = 0

  constructor(options: Partial<FollowerOptions>, collaborators: FollowerCollaborators<ChainSync>) {
    this.#options = { ...FOLLOWER_DEFAULTS, ...options }
    this.#schedule = new MempoolSchedule({ pollMs: this.#options.mempoolPollMs })
    this.#chain = collaborators.chain
    this.#mempool = collaborators.mempool
    this.#hub = collaborators.hub
    this.#daemon = collaborators.daemon
    this.#notices = collaborators.notices
    this.#clock = collaborators.clock
    this.#nap = new Nap(collaborators.clock)
    this.#log = collaborators.log
    this.#outage = new Outage(collaborators)
    this.#fatal = collaborators.fatal
    this.#told = collaborators.told
  }

  status(): FollowerStatus {
    return {
      state: this.#state,
      height: this.#published?.height,
      daemonHeight: this.#daemonHeight,
      lastRefresh: this.#lastRefresh,
      mempoolComplete: this.#mempool.complete,
      mempoolSize: this.#mempool.size,
      outage: this.#outage.reason ?? this.#daemon.trouble,
    }
  }

  /** Settles at once: whether there is something to serve is the hub's to say. */
  start(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const stop = (): void => this.#stopping.abort()
    signal.addEventListener('abort', stop, { once: true, signal: this.#stopping.signal })
    this.#stopping.signal.addEventListener('abort', () => this.#nap.wake(), { once: true })
    this.#notices?.listen((notice) => this.#hear(notice), this.#stopping.signal)
    this.#state = 'syncing'
    this.#loop = this.#run(this.#stopping.signal)
    return Promise.resolve()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#loop
    await this.#persisting
    this.#hub.close()
    await this.#chain.stop()
  }

  /** Looks for new blocks and transactions now instead of at the next poll. */
  poke(): void {
    this.#blocksAt = this.#now
    this.#hurry?.abort()
    this.#schedule.askAt(this.#now)
    this.#nap.wake()
  }

  get #now(): number {
    return this.#clock.monotonic()
  }

  async #run(signal: AbortSignal): Promise<void> {
    let backOff = waits(BACK_OFF)
    while (!signal.aborted) {
      try {
        await this.#round(signal)
        backOff = waits(BACK_OFF)
        this.#outage.recovered()
        const wait = Math.min(this.#blocksAt, this.#mempoolDue(), this.#histogramDue()) - this.#now
        if (wait > 0 && !signal.aborted) await this.#nap.take(wait)
      } catch (error) {
        if (signal.aborted) return
        if (!isOutage(error)) {
          this.#log.error({ err: error }, 'cannot follow the node any more')
          this.#fatal(error)
          return
        }
        this.#failed(error)
        // Whatever the node's notices say meanwhile: it did not answer a moment ago.
        await sleepOrAbort(backOff.next().value, this.#clock, signal)
      }
    }
  }

  async #round(signal: AbortSignal): Promise<void> {
    if (this.#blocksAt <= this.#now) await this.#followBlocks(signal)
    if (this.#hub.ready && this.#mempoolDue() <= this.#now) await this.#followMempool(signal)
    if (this.#hub.ready && this.#histogramDue() <= this.#now) this.#publishMempool()
  }

  async #followBlocks(signal: AbortSignal): Promise<void> {
    // Before the call: a notice that comes while it runs asks for another one.
    this.#blocksAt = this.#now + this.#options.blockPollMs
    await this.#persisting
    if (this.#unwritable !== undefined) throw this.#unwritable
    this.#silentSince = this.#now
    await this.#chain.catchUp(
      {
        applied: async (block) => {
          // During the first catch-up nobody listens and the mempool is empty.
          if (!this.#hub.ready) return
          this.#touch(block.touched)
          await this.#applyToMempool(block)
          // The last one at once: that the node has another one by now need not be known before.
          if (this.#isLongSilent() || (block.isLast && this.#reorgSince === undefined)) {
            this.#publishTip(this.#chain.view())
          }
        },
        rolledBack: (block) => {
          if (!this.#hub.ready) return
          this.#touch(block.touched)
          this.#mempool.rolledBack()
          this.#reorgSince ??= this.#now
          // Whatever branch wins, its mempool is taken from the list.
          this.#schedule.startOver(this.#now)
        },
      },
      signal,
    )
    const view = this.#chain.view()
    let handedOver = false
    try {
      if (toDisplayHex(view.tip.hash) === this.#published?.hash && this.#reorgSince === undefined) return
      if (!(await this.#regainTransactions(view, signal))) return
      handedOver = true
      this.#publishTip(view)
    } finally {
      if (!handedOver) view.release()
      // After the publication and beside what comes next: nobody waits for the disk to hear of a block.
      this.#persisting = this.#persist()
    }
  }

  /** No view is published meanwhile: who asks would miss what is neither in the mempool any more nor in that view yet. */
  async #applyToMempool({ txids, spentOutpoints }: AppliedBlock): Promise<void> {
    this.#applying = true
    try {
      this.#touch(await this.#mempool.applyBlock(txids, spentOutpoints))
    } finally {
      this.#applying = false
    }
  }

  /** Never rejects: a failure ends the loop when it looks at blocks the next time, which is at once. */
  async #persist(): Promise<void> {
    try {
      await this.#untilTold()
      await this.#chain.persist(() => this.#renewView())
    } catch (error) {
      this.#unwritable = error instanceof Error ? error : new InvariantError(String(error))
      this.poke()
    }
  }

  /**
   * Until clients have been told of what was published last: making thousands of rows takes the processor from that.
   * Not longer than a moment, nor once the next block is there.
   */
  async #untilTold(): Promise<void> {
    const told = this.#told
    if (told === undefined || this.#blocksAt <= this.#now) return
    const hurry = (this.#hurry = new AbortController())
    const stop = linkSignals(this.#stopping.signal, hurry.signal)
    try {
      await within(LONGEST_TELLING_MS, this.#clock, stop.signal, (limited) => untilAborted(told(), limited))
    } catch (error) {
      if (!isAbort(error)) throw error
    } finally {
      stop.unlink()
      this.#hurry = undefined
    }
  }

  /** True when a catch-up takes so long, or changes so much, that the blocks so far are worth a publication. */
  #isLongSilent(): boolean {
    const now = this.#now
    if (this.#reorgSince !== undefined && now - this.#reorgSince < this.#options.reorgPatienceMs) return false
    return now - this.#silentSince > LONGEST_SILENCE_MS || this.#touched.size > MOST_TOUCHED
  }

  /**
   * After a reorganisation: takes the transactions of lost blocks back into the mempool before anybody sees the new
   * tip. False if the node has moved on meanwhile: then the tip is not published, and blocks are asked for again.
   */
  async #regainTransactions(view: ChainView, signal: AbortSignal): Promise<boolean> {
    const since = this.#reorgSince
    const left = since === undefined ? 0 : since + this.#options.reorgPatienceMs - this.#now
    if (left <= 0 || !this.#hub.ready) return true
    try {
      const { outcome, touched } = await within(left, this.#clock, signal, (limited) =>
        this.#mempool.refresh(view, this.#daemon, limited, (stepTouched) => {
          this.#touch(stepTouched)
          return 'continue'
        }),
      )
      this.#touch(touched)
      // Sooner if the node has told of it meanwhile.
      if (outcome === 'behind') this.#blocksAt = Math.min(this.#blocksAt, this.#now + BEHIND_MS)
      return outcome !== 'behind'
    } catch (error) {
      if (signal.aborted || !isOutage(error)) throw error
      this.#log.warn({ reason: messageOf(error) }, 'new tip published before its mempool is known')
      return true
    }
  }

  async #followMempool(signal: AbortSignal): Promise<void> {
    const begun = this.#now
    const wasComplete = this.#mempool.complete
    let listed = begun
    const news = this.#schedule.begin(begun)
    const result = await this.#hub.with(({ view }) =>
      news === undefined
        ? this.#mempool.refresh(view, this.#daemon, signal, this.#step, () => {
            listed = this.#now
          })
        : this.#mempool.update(news, view, this.#daemon, signal, this.#step),
    )
    this.#daemonHeight = result.node.blocks
    this.#touch(result.touched)
    const now = this.#now
    if (result.outcome === 'behind') {
      this.#blocksAt = now
      this.#schedule.startOver(now + Math.min(BEHIND_MS * 2 ** this.#behind, LONGEST_BEHIND_MS))
      this.#behind += 1
      return
    }
    this.#behind = 0
    if (this.#touched.size > 0 || !wasComplete) this.#publishMempool()
    if (result.outcome === 'paused') {
      this.#schedule.startOver(now)
      return
    }
    this.#lastRefresh = this.#clock.now()
    this.#schedule.done(result, news === undefined, { begun, listed, now })
    // Its notices tell what comes, not what it had before and will never have again.
    if (result.loading) this.#schedule.startOver(now + this.#options.mempoolPollMs)
    if (!wasComplete && this.#mempool.complete) this.#log.info({ transactions: this.#mempool.size }, 'mempool loaded')
  }

  /** Publishes what has come so far, and lets blocks go first. */
  readonly #step = (touched: Set<string>): 'continue' | 'pause' => {
    this.#touch(touched)
    this.#publishMempool()
    return this.#blocksAt <= this.#now ? 'pause' : 'continue'
  }

  #publishTip(view: ChainView): void {
    const { height } = view.tip
    const first = this.#state !== 'following'
    this.#published = { height, hash: toDisplayHex(view.tip.hash) }
    this.#silentSince = this.#now
    this.#daemonHeight = Math.max(this.#daemonHeight ?? height, height)
    this.#reorgSince = undefined
    this.#behind = 0
    this.#state = 'following'
    // The best paying transactions went into the block.
    this.#histogramStale = true
    this.#histogramAt = this.#now
    this.#hub.publish(view, this.#change(true))
    this.#schedule.askAt(this.#now)
    this.#log.info({ height, hash: this.#published.hash }, first ? 'index reached the tip of the node' : 'new tip')
  }

  /** Publishes what is published in a view that is taken now. */
  #renewView(): void {
    if (!this.#hub.ready || this.#applying || this.#stopping.signal.aborted) return
    const view = this.#chain.view()
    if (toDisplayHex(view.tip.hash) === this.#published?.hash) {
      this.#hub.publish(view, { newTip: false, touched: new Set() })
    } else view.release()
  }

  #publishMempool(): void {
    this.#hub.renew(this.#change(false))
  }

  /** What has changed since the last publication, with a fresh fee histogram if it is time for one. */
  #change(newTip: boolean): MomentChange {
    if (this.#touched.size > 0) this.#histogramStale = true
    if (this.#histogramDue() <= this.#now) {
      this.#mempool.renewHistogram()
      this.#histogramStale = false
      this.#histogramAt = this.#now + (this.#mempool.complete ? this.#options.histogramMs : 0)
    }
    const touched = this.#touched
    this.#touched = new Set()
    return { newTip, touched }
  }

  /** Not while a tip waits to be published: the node has left the one that is current, and the mempool comes with the new one. */
  #mempoolDue(): number {
    return this.#reorgSince === undefined ? this.#schedule.at : Number.POSITIVE_INFINITY
  }

  /** Not while a tip waits to be published: what its blocks touched, and took out of the mempool, is told with it. */
  #histogramDue(): number {
    return this.#histogramStale && this.#reorgSince === undefined ? this.#histogramAt : Number.POSITIVE_INFINITY
  }

  #touch(hashXs: Iterable<string>): void {
    for (const hashX of hashXs) this.#touched.add(hashX)
  }

  #hear(notice: DaemonNotice): void {
    const now = this.#now
    const sooner = this.#schedule.hear(notice, now)
    const isTx = notice.kind === 'tx-added' || notice.kind === 'tx-removed'
    if (!isTx) {
      this.#blocksAt = now
      this.#hurry?.abort()
      // While a long catch-up is under way it is not the next one.
      if (notice.kind === 'block-connected' && this.#state === 'following') this.#chain.expect(notice.hash)
    }
    // Of many transactions that come at once the first one wakes the loop.
    if (sooner || !isTx) this.#nap.wake()
  }

  #failed(error: unknown): void {
    // Whatever was under way is to be done again from its beginning.
    this.#blocksAt = this.#now
    this.#schedule.startOver(this.#now)
    this.#outage.failed(error)
  }
}

/** True for what passes by itself: the node is away, busy, or has moved on between two questions. */
function isOutage(error: unknown): boolean {
  return error instanceof DaemonUnavailableError || error instanceof DaemonError || isAbort(error)
}
