/** A read that takes longer was not answered from memory. From memory they take 3 to 20 µs. */
const QUICK_MS = 0.05
/** No read counts for more: the process may just have been made to wait for a processor. */
const MOST_MS = 2
/** Time above QUICK_MS, in all, after which reads block no longer. */
const PATIENCE_MS = 5
const FIRST_PAUSE_MS = 1000
const LONGEST_PAUSE_MS = 64_000

/**
 * Whether reads may block the event loop. What lies in memory (and nearly all of a busy index does: in the system's page
 * cache) is read in the time that a request to another thread takes to be written down, so there blocking is better for
 * everybody. Where reads wait for a disk it is not: hence blocking reads are timed, and after some slow ones the reads of
 * the next second or more go to other threads.
 */
export class ReadPace {
  readonly #now: () => number
  #spent = 0
  #pause = FIRST_PAUSE_MS
  #pausedUntil = Number.NEGATIVE_INFINITY

  /** `now`: milliseconds that only grow. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  get mayBlock(): boolean {
    return this.#pausedUntil === Number.NEGATIVE_INFINITY || this.#now() >= this.#pausedUntil
  }

  /** Does what blocks, and times it. */
  blocking<T>(read: () => T): T {
    const begun = this.#now()
    try {
      return read()
    } finally {
      this.#count(Math.min(this.#now() - begun, MOST_MS) - QUICK_MS)
    }
  }

  #count(excess: number): void {
    if (this.#spent === 0 && excess <= 0) return
    this.#spent = Math.max(0, this.#spent + excess)
    if (this.#spent === 0) {
      this.#pause = FIRST_PAUSE_MS
      this.#pausedUntil = Number.NEGATIVE_INFINITY
    } else if (this.#spent >= PATIENCE_MS) {
      this.#pausedUntil = this.#now() + this.#pause
      this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE_MS)
      // The next try has to earn it: it takes twenty quick reads for each slow one.
      this.#spent = PATIENCE_MS / 2
    }
  }
}
