import type { DaemonNotice } from '../daemon/daemon.ts'
import type { MempoolNews, Refreshed } from '../mempool/mempool.ts'
import { NewsDesk } from './mempool-news.ts'

/**
 * A list leaves the node and us alone for so many times as long as it took, within bounds: it costs as much as the mempool
 * is large, whatever is new. To fetch what is new is no part of it.
 */
const LIST_REST = { factor: 4, shortestMs: 50, longestMs: 5_000 } as const
/**
 * News cost what they bring, and who waits for them waits for the rest as well: it is only as long as it takes for those
 * that come one by one to come together.
 */
const NEWS_REST_MS = 20
/** Removals that follow one another are not waited for longer. */
const LONGEST_REMOVAL_WAIT_MS = 150
/** Between lists while the node's notices have proved good. */
const SURE_POLL_MS = 30_000
/**
 * What takes the place of a transaction is told of right after its removal, in messages of their own, and so are those
 * that go with it. So long a removal waits for what follows: taken alone it would show coins as unspent that are not.
 */
const REMOVAL_WAIT_MS = 10

/** Of one question and what came of it. */
interface Times {
  readonly begun: number
  readonly listed: number
  readonly now: number
}

/**
 * When the node is asked for its mempool, and how: for the whole list by the clock, and at each notice until those have
 * proved good; from then on notices are taken by their word. Times are those of the monotonic clock.
 */
export class MempoolSchedule {
  readonly #pollMs: number
  readonly #desk = new NewsDesk()
  #listAt = 0
  #newsAt = Number.POSITIVE_INFINITY
  /** The first removal that was not taken yet: those that follow it are not waited for without end. */
  #removedAt: number | undefined
  /** Notices do not call for anything before this. */
  #restUntil = 0

  constructor(options: { readonly pollMs: number }) {
    this.#pollMs = options.pollMs
  }

  /** When something is to be asked. */
  get at(): number {
    return Math.min(this.#listAt, this.#newsAt)
  }

  /** Sets a time for the list. */
  askAt(time: number): void {
    this.#listAt = time
  }

  /** Something was not followed to its end: only the list can tell from here on. */
  startOver(time: number): void {
    this.#desk.lose()
    this.#listAt = time
  }

  /** Takes note of a notice; true if it is why something is to be asked, and sooner than before. */
  hear(notice: DaemonNotice, now: number): boolean {
    this.#desk.hear(notice)
    const before = this.at
    const later = Math.max(now, this.#restUntil)
    switch (notice.kind) {
      case 'tx-added':
        this.#newsAt = Math.min(this.#newsAt, later)
        break
      case 'tx-removed':
        this.#removedAt ??= now
        this.#newsAt = Math.max(
          Math.min(this.#newsAt, later),
          Math.min(now + REMOVAL_WAIT_MS, this.#removedAt + LONGEST_REMOVAL_WAIT_MS),
        )
        break
      case 'gap':
      case 'silence':
        this.#listAt = Math.min(this.#listAt, later)
        break
      case 'block-connected':
      case 'block-disconnected':
        break
    }
    return this.at < before
  }

  /**
   * What to go by now: the news, or undefined for the list. What is heard from here on, and every time set, is for the
   * next one.
   */
  begin(now: number): MempoolNews | undefined {
    const byList = this.#listAt <= now || !this.#desk.trusted
    this.#newsAt = Number.POSITIVE_INFINITY
    this.#removedAt = undefined
    if (!byList) return this.#desk.take()
    this.#listAt = Number.POSITIVE_INFINITY
    this.#desk.beginList()
    return undefined
  }

  /**
   * Sets the next times after what begin() said was done, by the list or not. `listed`: when the list was there, before
   * anything that it named was fetched.
   */
  done(result: Refreshed, byList: boolean, { begun, listed, now }: Times): void {
    this.#restUntil = byList ? restAfterList(begun + result.waited, listed, now) : now + NEWS_REST_MS
    this.#newsAt = Math.max(this.#newsAt, this.#restUntil)
    if (!byList) return
    this.#desk.endList(result.sequence, result.changed)
    const wait = this.#desk.trusted ? Math.max(this.#pollMs, SURE_POLL_MS) : this.#pollMs
    // Somebody may have asked for another list meanwhile.
    this.#listAt = Math.max(Math.min(this.#listAt, begun + wait), this.#restUntil)
  }
}

/** Until when: a list was asked for, was here, and what it named is here `now`. */
function restAfterList(asked: number, listed: number, now: number): number {
  const { factor, shortestMs, longestMs } = LIST_REST
  const rest = Math.min(Math.max(factor * (listed - asked), shortestMs), longestMs)
  return Math.max(listed + rest, now + shortestMs)
}
