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
  readonly #ledger: Ledger

  constructor(limits: CounterLimits) {
    const counts = { pending: { inbound: 0, outbound: 0 }, active: { inbound: 0, outbound: 0 } }
    this.#ledger = { counts, limits }
  }

  count(stage: Stage, direction: Direction): number {
    return this.#ledger.counts[stage][direction]
  }

  get total(): number {
    const { pending, active } = this.#ledger.counts
    return pending.inbound + pending.outbound + active.inbound + active.outbound
  }

  /** A pending place, or the limit that says no. */
  open(direction: Direction): Place | LimitExceeded {
    return exceeded(this.#ledger, 'pending', direction) ?? new CountedPlace(this.#ledger, direction)
  }
}

interface Ledger {
  readonly counts: Record<Stage, Record<Direction, number>>
  readonly limits: CounterLimits
}

function exceeded({ counts, limits }: Ledger, stage: Stage, direction: Direction): LimitExceeded | undefined {
  const limit = limits[stage][direction]
  return limit !== undefined && counts[stage][direction] >= limit ? { stage, direction, limit } : undefined
}

class CountedPlace implements Place {
  readonly direction: Direction
  /** The counter's own: places are as many as connections, and kept small. */
  readonly #ledger: Ledger
  #stage: Stage | 'gone' = 'pending'

  constructor(ledger: Ledger, direction: Direction) {
    this.direction = direction
    this.#ledger = ledger
    ledger.counts.pending[direction]++
  }

  get stage(): Stage | 'gone' {
    return this.#stage
  }

  activate(): LimitExceeded | undefined {
    if (this.#stage !== 'pending') return undefined
    const limit = exceeded(this.#ledger, 'active', this.direction)
    if (limit !== undefined) return limit
    this.#stage = 'active'
    const { pending, active } = this.#ledger.counts
    pending[this.direction]--
    active[this.direction]++
    return undefined
  }

  release(): void {
    if (this.#stage === 'gone') return
    this.#ledger.counts[this.#stage][this.direction]--
    this.#stage = 'gone'
  }
}

export function isExceeded(result: Place | LimitExceeded): result is LimitExceeded {
  return 'limit' in result
}
