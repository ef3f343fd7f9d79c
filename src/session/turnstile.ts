import type { Clock } from '../lib/clock.ts'
import { RawJson } from '../rpc/json.ts'
import type { RequestHooks, Waiting } from './requests.ts'
import { TURN_MS } from './transports/turns.ts'

/** Characters of answers beyond which nothing more is worked out before the client has been sent what there is. */
const MOST_AHEAD = 256 * 1024
/** Of a member of a list, roughly. */
const MEMBER_CHARACTERS = 100

/** How long a result will be as text, roughly; what is shared with others takes no memory of its own. */
function charactersOf(result: unknown): number {
  const content = result instanceof RawJson ? result.content : result
  if (typeof content === 'string') return content.length
  return Array.isArray(content) ? content.length * MEMBER_CHARACTERS : MEMBER_CHARACTERS
}

/** Where answers go. */
export interface Outlet {
  /** True while what was sent is not taken. */
  readonly congested: boolean
}

/** Of answers that are given whole. */
export const ROOMY: Outlet = Object.freeze({ congested: false })

/**
 * Lets the requests of one client pass as long as it takes its answers and others have had their turn. What is worked
 * out for a client that does not read would pile up, and a batch has a thousand requests that may all be at hand; so
 * those behind wait and are let go on one by one: the next when the one before is done and its answer is written.
 */
export class Turnstile implements RequestHooks {
  readonly #outlet: Outlet
  readonly #clock: Pick<Clock, 'monotonic'>
  /** A message's requests are being begun, the first of them at that time of the monotonic clock. */
  #beginning = false
  #begun: number | undefined
  /** One that has waited is being let go on. */
  #passing = false
  /** About as many characters were worked out at once and are not sent yet: all that came in one chunk is run first. */
  #ahead = 0
  /** Until then those who wait follow each other in the running turn, unless it is room that somebody waited for. */
  #until = 0
  #wasFull = false
  /** Made when needed: few clients ever ask for so much. */
  #waiting: Set<Waiting> | undefined

  constructor(outlet: Outlet, clock: Pick<Clock, 'monotonic'>) {
    this.#outlet = outlet
    this.#clock = clock
  }

  /** A message has come: what it asks for is begun until end(). */
  begin(): void {
    this.#beginning = true
    this.#begun = undefined
  }

  end(): void {
    this.#beginning = false
  }

  /** This was at hand. */
  ran(result: unknown): void {
    this.#ahead += charactersOf(result)
  }

  /** What was at hand is sent. */
  answered(): void {
    this.#ahead = 0
  }

  hasRoom(request: Waiting): boolean {
    const isFull = this.#ahead >= MOST_AHEAD || this.#outlet.congested
    if (!isFull && !this.#passing && this.#waiting === undefined && !this.#isLate(request)) return true
    // In a batch all that ran before it may be done, and their answers wait for this one: nothing else would let it go.
    if (this.#waiting === undefined && !this.#passing) setImmediate(() => this.#turn())
    this.#wasFull ||= isFull
    this.#waiting ??= new Set()
    this.#waiting.add(request)
    return false
  }

  leave(request: Waiting): void {
    this.#waiting?.delete(request)
    if (this.#waiting?.size !== 0) return
    this.#waiting = undefined
    this.#wasFull = false
  }

  /** Lets the next one go in a moment, when the answer of what ended is written. */
  done(): void {
    if (this.#waiting === undefined) return
    if (this.#wasFull || this.#clock.monotonic() >= this.#until) setImmediate(() => this.#turn())
    // An answer takes some promises to be made: those come before such a tick.
    else queueMicrotask(() => process.nextTick(() => this.letOneGo()))
  }

  letOneGo(): void {
    if (this.#outlet.congested || this.#waiting === undefined) return
    for (const request of this.#waiting) {
      this.leave(request)
      this.#passing = true
      request.proceed()
      this.#passing = false
      return
    }
  }

  /** True where those before it in the same message have used up the time of a turn. */
  #isLate({ started }: Waiting): boolean {
    if (!this.#beginning) return false
    this.#begun ??= started
    return started - this.#begun >= TURN_MS
  }

  #turn(): void {
    this.#until = this.#clock.monotonic() + TURN_MS
    this.letOneGo()
  }
}
