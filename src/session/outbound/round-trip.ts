/** Bounds of a deadline, in milliseconds. */
export interface DeadlineLimits {
  readonly least: number
  /** Also what is allowed before anything was measured. */
  readonly most: number
}

/** Weights of a new measurement in the mean and in the deviation (RFC 6298, 2.3). */
const MEAN_WEIGHT = 1 / 8
const DEVIATION_WEIGHT = 1 / 4
const DEVIATIONS = 4

/**
 * How long one remote may take to answer, learnt from how long it took: the smoothed mean and four deviations
 * (RFC 6298), within limits. Doubled each time it was too short (5.5), so that a remote that became slow can be
 * measured anew.
 */
export class RoundTrip {
  readonly #limits: DeadlineLimits
  #mean: number | undefined
  #deviation = 0
  #deadline: number

  constructor(limits: DeadlineLimits) {
    this.#limits = limits
    this.#deadline = limits.most
  }

  /** Milliseconds. */
  get deadline(): number {
    return this.#deadline
  }

  /** Smoothed mean in milliseconds; undefined before the first answer. */
  get mean(): number | undefined {
    return this.#mean
  }

  /** Only of questions that were sent once: nobody knows which of two an answer answers (Karn). */
  measured(ms: number): void {
    if (this.#mean === undefined) {
      this.#mean = ms
      this.#deviation = ms / 2
    } else {
      this.#deviation += DEVIATION_WEIGHT * (Math.abs(this.#mean - ms) - this.#deviation)
      this.#mean += MEAN_WEIGHT * (ms - this.#mean)
    }
    this.#deadline = this.#within(this.#mean + DEVIATIONS * this.#deviation)
  }

  missed(): void {
    this.#deadline = this.#within(this.#deadline * 2)
  }

  #within(ms: number): number {
    return Math.min(Math.max(ms, this.#limits.least), this.#limits.most)
  }
}
