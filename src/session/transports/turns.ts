import type { Clock } from '../../lib/clock.ts'

/** Milliseconds of a turn of the event loop that one connection has for what it has read, before others are served. */
export const TURN_MS = 2

/** A connection that has more than it could begin in one turn. */
export interface Unfinished {
  /** Goes on with it until isOver; if there is still more then, it waits() again. Must not throw. */
  goOn(): void
}

/**
 * Shares the event loop among connections: one chunk of a stream can have thousands of requests in it, and the system
 * hands over many chunks in a row. Whoever has used up its share of a turn keeps the rest, reads no more, and goes on in
 * a later turn; those who wait share one turn's time among them, one after the other, so that it does not matter to
 * others how many they are.
 */
export class Turns {
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #waiting = new Set<Unfinished>()
  /** Whose share it is, until the end of the turn: chunks of one connection come in a row. */
  #active: Unfinished | undefined
  #until = 0
  /** When the time of those who wait is over in the running turn. */
  #end = 0
  #scheduled = false

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock
  }

  /** Connections that wait to go on. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** `who` has read something: its share of the running turn begins, unless it has begun already. */
  begin(who: Unfinished): void {
    this.#schedule()
    if (this.#active === who) return
    this.#active = who
    this.#until = this.#clock.monotonic() + TURN_MS
  }

  /** True once the share that began last is used up. */
  get isOver(): boolean {
    return this.#clock.monotonic() >= this.#until
  }

  /** Tells `who` to go on in a later turn, once. */
  wait(who: Unfinished): void {
    this.#waiting.add(who)
    this.#schedule()
  }

  /** `who` waits no longer. */
  leave(who: Unfinished): void {
    this.#waiting.delete(who)
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => this.#turn())
  }

  /** Reading is over for this turn. */
  #turn(): void {
    this.#scheduled = false
    this.#active = undefined
    if (this.#waiting.size === 0) return
    this.#end = this.#clock.monotonic() + TURN_MS
    this.#step()
  }

  /** Lets one go on, and the next when its promises are done as well, so that their time counts. */
  #step(): void {
    const [who] = this.#waiting
    if (who === undefined) return
    if (this.#clock.monotonic() >= this.#end) return this.#schedule()
    this.#waiting.delete(who)
    this.#active = who
    this.#until = this.#end
    who.goOn()
    this.#active = undefined
    if (this.#waiting.size > 0) queueMicrotask(() => process.nextTick(() => this.#step()))
  }
}
