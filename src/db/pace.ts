/** A read that takes longer was not answered from memory. From memory they take 3 to 20 µs. */
const QUICK_MS = 0.05
/** No read counts for more: the process may have been made to wait for a processor besides. */
const MOST_MS = 8
/**
 * Time above QUICK_MS, in all, after which reads block no longer. A second without them costs a busy server ten times that:
 * 20 to 30 µs more for each read, at ten thousand of them.
 */
const PATIENCE_MS = 20
/**
 * What a slow read counts for, and at most, if the system knows of no read from a disk meanwhile. Not nothing: there are
 * file systems of which it never knows.
 */
const UNPROVEN = 1 / 10
const MOST_UNPROVEN_MS = MOST_MS / 4
const FIRST_PAUSE_MS = 1000
const LONGEST_PAUSE_MS = 64_000

/**
 * Whether reads may block the event loop. What lies in memory (and nearly all of a busy index does: in the system's page
 * cache) is read in the time that a request to another thread takes to be written down, so there blocking is better for
 * everybody. Where reads wait for a disk it is not: hence blocking reads are timed, and after some slow ones the reads of
 * the next second or more go to other threads.
 *
 * A read is slow too where the process has to wait for a processor, and going to other threads does not help there (seen on
 * two busy cores: three pauses of four began without a read from the disk). So the system is asked after a slow read.
 */
export class ReadPace {
  readonly #now: () => number
  readonly #diskReads: () => number
  #known: number
  #spent = 0
  #pause = FIRST_PAUSE_MS
  #pausedUntil = Number.NEGATIVE_INFINITY

  /** `now`: milliseconds that only grow. `diskReads`: a count of this process that grows with every read from a disk. */
  constructor(now: () => number = () => performance.now(), diskReads: () => number = readsOfProcess) {
    this.#now = now
    this.#diskReads = diskReads
    this.#known = diskReads()
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
      this.#count(this.#now() - begun)
    }
  }

  #count(took: number): void {
    if (this.#spent === 0 && took <= QUICK_MS) return
    this.#spent = Math.max(0, this.#spent + (took <= QUICK_MS ? took - QUICK_MS : this.#excess(took)))
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

  /** What a slow read counts for. */
  #excess(took: number): number {
    if (this.#hasReadDisk()) return Math.min(took, MOST_MS) - QUICK_MS
    return (Math.min(took, MOST_UNPROVEN_MS) - QUICK_MS) * UNPROVEN
  }

  /** Whether the process has read from a disk since the last slow read. */
  #hasReadDisk(): boolean {
    const before = this.#known
    this.#known = this.#diskReads()
    return this.#known > before
  }
}

/** Of all threads; files that are mapped are read by page faults. About 3 µs. */
function readsOfProcess(): number {
  const { fsRead, majorPageFault } = process.resourceUsage()
  return fsRead + majorPageFault
}
