import { ERROR_CODES, RpcError } from '../errors.ts'
import type { Clock } from '../lib/clock.ts'

/** ElectrumX's cost model; figures in units of cost, where not said otherwise. */
export interface CostOptions {
  /** COST_SOFT_LIMIT: above this a client gets fewer slots and longer delays. */
  readonly softLimit: number
  /** COST_HARD_LIMIT: at this it gets no slot any more and is closed. Not above the soft limit: no limit at all. */
  readonly hardLimit: number
  /** BANDWIDTH_UNIT_COST: bytes, either way, that cost one unit. */
  readonly bandwidthUnit: number
  /** REQUEST_SLEEP: milliseconds that a request waits when the hard limit is all but reached. */
  readonly requestSleep: number
  /** INITIAL_CONCURRENT: requests of a client that run at once while it is below the soft limit. */
  readonly initialConcurrent: number
}

export const DEFAULT_COSTS: CostOptions = {
  softLimit: 1000,
  hardLimit: 10_000,
  bandwidthUnit: 5000,
  requestSleep: 2500,
  initialConcurrent: 10,
}

/** The same without limits: costs are counted and have no consequences. */
export function unlimited(costs: CostOptions): CostOptions {
  return { ...costs, softLimit: 0, hardLimit: 0 }
}

/** What a connection costs by itself. */
export const CONNECTION_COST = 5
/** Cost that must have come or gone before the consequences are worked out again. */
const RECALCULATION_STEP = 100
/** A cost at the hard limit has decayed after so many seconds ... */
const DECAY_SECONDS = 10_000
/** ... and so many more for each subscription. */
const DECAY_SECONDS_PER_SUBSCRIPTION = 5

/** Where a meter finds what it must know of others. */
export interface CostSurroundings {
  /** What the groups of the client add to its own cost; may be negative. */
  extraCost(): number
  /** Told when the number of requests that may run at once is another one. */
  onConcurrency(concurrency: number): void
}

/**
 * What one client has used. The cost decays; how far it is between the soft and the hard limit decides how many of its
 * requests run at once and how long each waits. Own cost and extra cost count together.
 */
export class CostMeter {
  readonly #options: CostOptions
  readonly #clock: Clock
  readonly #surroundings: CostSurroundings
  #cost = CONNECTION_COST
  #lastCost = 0
  #lastTime: number
  #decayPerSecond: number
  #fraction = 0
  #concurrency: number

  constructor(options: CostOptions, clock: Clock, surroundings: CostSurroundings) {
    this.#options = options
    this.#clock = clock
    this.#surroundings = surroundings
    this.#lastTime = clock.monotonic()
    this.#decayPerSecond = options.hardLimit / DECAY_SECONDS
    this.#concurrency = options.initialConcurrent
  }

  /** As of the last recalculation, and what was charged since. */
  get cost(): number {
    return this.#cost
  }

  /** Own cost and that of the groups. */
  get totalCost(): number {
    return this.#cost + this.#surroundings.extraCost()
  }

  /** 0 up to the soft limit, 1 at the hard limit, more beyond. */
  get fraction(): number {
    return this.#fraction
  }

  /** Requests that may run at once; 0 means that the client has to go. */
  get concurrency(): number {
    return this.#concurrency
  }

  /** Milliseconds that each request waits before it is begun. */
  get delay(): number {
    return this.#fraction * this.#options.requestSleep
  }

  /** Adds to the cost, or takes away; the consequences follow once it has moved by more than 100. */
  bump(delta: number): void {
    this.#cost = Math.max(0, this.#cost + delta)
    if (Math.abs(this.#cost - this.#lastCost) > RECALCULATION_STEP) this.recalculate()
  }

  bumpBytes(bytes: number): void {
    if (this.#options.bandwidthUnit > 0) this.bump(bytes / this.#options.bandwidthUnit)
  }

  /** As bump(), for a running request: throws RpcError -101 once the client is past the hard limit. */
  charge(delta: number): void {
    this.bump(delta)
    if (this.#concurrency === 0) throw excessiveUsage()
  }

  /** Subscriptions are work to come, so who has many is forgiven more slowly. */
  setSubscriptions(count: number): void {
    this.#decayPerSecond = this.#options.hardLimit / (DECAY_SECONDS + DECAY_SECONDS_PER_SUBSCRIPTION * count)
  }

  /** Lets the cost decay for the time that has gone, and works out delay and concurrency. */
  recalculate(): void {
    const now = this.#clock.monotonic()
    this.#cost = Math.max(0, this.#cost - ((now - this.#lastTime) / 1000) * this.#decayPerSecond)
    this.#lastTime = now
    this.#lastCost = this.#cost
    const range = this.#options.hardLimit - this.#options.softLimit
    if (range <= 0) return
    this.#fraction = Math.max(0, (this.totalCost - this.#options.softLimit) / range)
    const concurrency = Math.max(0, Math.ceil((1 - this.#fraction) * this.#options.initialConcurrent))
    if (concurrency === this.#concurrency) return
    this.#concurrency = concurrency
    this.#surroundings.onConcurrency(concurrency)
  }
}

export function excessiveUsage(): RpcError {
  return new RpcError(ERROR_CODES.excessiveUsage.code, 'excessive resource usage', { limit: 'COST_HARD_LIMIT' })
}
