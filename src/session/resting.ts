/** Each wait is twice the one before, up to so many ticks. */
const LONGEST_WAIT = 32
/** Keys that have a wait of their own. */
const MOST_OWN = 4096
/** Ticks that the others wait, all together. */
const CROWD_WAIT = 8

interface Rest {
  /** Ticks of the last wait. */
  wait: number
  /** The tick at which it is over. */
  until: number
}

/**
 * What failed and is to be tried again, each after a wait of its own that grows with every failure: one that fails for
 * good costs the others next to nothing. Time is counted in ticks. When very many fail, something fails that is common to
 * all, and those above a number have one wait together.
 */
export class RestingKeys {
  readonly #own = new Map<string, Rest>()
  #crowd = new Set<string>()
  #crowdUntil = 0
  #now = 0

  /** Keys that have failed and have not been well since. */
  get size(): number {
    return this.#own.size + this.#crowd.size
  }

  /** True while it is not yet to be tried again. */
  rests(key: string): boolean {
    const own = this.#own.get(key)
    return own === undefined ? this.#crowd.has(key) : own.until > this.#now
  }

  /** True if it has failed before, and has had a wait of its own for that. */
  knows(key: string): boolean {
    return this.#own.has(key)
  }

  failed(key: string): void {
    const own = this.#own.get(key)
    if (own !== undefined) {
      own.wait = Math.min(own.wait * 2, LONGEST_WAIT)
      own.until = this.#now + own.wait
    } else if (this.#own.size < MOST_OWN) {
      this.#own.set(key, { wait: 1, until: this.#now + 1 })
    } else {
      if (this.#crowd.size === 0) this.#crowdUntil = this.#now + CROWD_WAIT
      this.#crowd.add(key)
    }
  }

  /** It is well again, or nobody asks for it any more. */
  forget(key: string): void {
    this.#own.delete(key)
    this.#crowd.delete(key)
  }

  /** Lets time go on by one; gives what is to be tried again now. */
  *tick(): Iterable<string> {
    this.#now++
    for (const [key, { until }] of this.#own) if (until === this.#now) yield key
    if (this.#crowd.size === 0 || this.#crowdUntil > this.#now) return
    const crowd = this.#crowd
    this.#crowd = new Set()
    yield* crowd
  }
}
