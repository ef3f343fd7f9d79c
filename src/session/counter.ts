/** A connection is pending until its handshake is done, then active. */
export type Stage = 'pending' | 'active'
/** Accepted by us, or dialled by us. */
export type Direction = 'inbound' | 'outbound'

/** A limit for each counter; undefined for none. */
export type CounterLimits = Readonly<Record<Stage, Readonly<Record<Direction, number | undefined>>>>

/** There is no place left: an error value that says which limit was met. Carries no stack, for it is made often. */
export interface LimitExceeded {
  readonly stage: Stage
  readonly direction: Direction
  readonly limit: number
}

/** A place that is counted until it is given back. */
export interface Place {
  readonly direction: Direction
  /** 'gone' after release(). */
  readonly stage: Stage | 'gone'
  /** From pending to active; the limit if there is no room, and the place is then pending still. */
  activate(): LimitExceeded | undefined
  /** More than one call counts once. */
  release(): void
}

/** Four counters with a limit each, asked before anything is allocated. A place counts in exactly one of them. */
export class SessionCounter {
  readonly #limits: CounterLimits
  readonly #counts: Record<Stage, Record<Direction, number>> = {
    pending: { inbound: 0, outbound: 0 },
    active: { inbound: 0, outbound: 0 },
  }

  constructor(limits: CounterLimits) {
    this.#limits = limits
  }

  count(stage: Stage, direction: Direction): number {
    return this.#counts[stage][direction]
  }

  get total(): number {
    const { pending, active } = this.#counts
    return pending.inbound + pending.outbound + active.inbound + active.outbound
  }

  /** A pending place, or the limit that says no. */
  open(direction: Direction): Place | LimitExceeded {
    return this.#exceeded('pending', direction) ?? this.#place(direction)
  }

  #place(direction: Direction): Place {
    return new CountedPlace(this.#counts, direction, (stage) => this.#exceeded(stage, direction))
  }

  #exceeded(stage: Stage, direction: Direction): LimitExceeded | undefined {
    const limit = this.#limits[stage][direction]
    return limit !== undefined && this.#counts[stage][direction] >= limit ? { stage, direction, limit } : undefined
  }
}

class CountedPlace implements Place {
  readonly direction: Direction
  readonly #counts: Record<Stage, Record<Direction, number>>
  readonly #exceeded: (stage: Stage) => LimitExceeded | undefined
  #stage: Stage | 'gone' = 'pending'

  constructor(
    counts: Record<Stage, Record<Direction, number>>,
    direction: Direction,
    exceeded: (stage: Stage) => LimitExceeded | undefined,
  ) {
    this.direction = direction
    this.#counts = counts
    this.#exceeded = exceeded
    counts.pending[direction]++
  }

  get stage(): Stage | 'gone' {
    return this.#stage
  }

  activate(): LimitExceeded | undefined {
    if (this.#stage !== 'pending') return undefined
    const limit = this.#exceeded('active')
    if (limit !== undefined) return limit
    this.#stage = 'active'
    this.#counts.pending[this.direction]--
    this.#counts.active[this.direction]++
    return undefined
  }

  release(): void {
    if (this.#stage === 'gone') return
    this.#counts[this.#stage][this.direction]--
    this.#stage = 'gone'
  }
}

export function isExceeded(result: Place | LimitExceeded): result is LimitExceeded {
  return 'limit' in result
}
