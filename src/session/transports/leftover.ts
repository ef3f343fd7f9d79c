import type { FlowControl, FlowHandlers } from './flow.ts'
import type { Turns, Unfinished } from './turns.ts'

/** The connection whose it is. */
export interface LeftoverHandlers<T> extends Pick<FlowHandlers, 'stopReading'> {
  /** Closed by us, or told as closed: nobody hears of the rest. */
  readonly closed: boolean
  /** Tells at least one message of it, and others while goesOn(); gives back what it did not. */
  tell(read: T): T | undefined
  readOn(): void
  /** The client had closed, and all that it had sent before is told now. */
  onAllTold(): void
}

/**
 * What one connection has read and not begun, because its share of the turn was used up or it is not to be read; reading
 * stops meanwhile, and what the client sent before it closed is told before that.
 */
export class Leftover<T> implements Unfinished {
  readonly #flow: FlowControl
  readonly #turns: Turns
  readonly #handlers: LeftoverHandlers<T>
  #rest: T | undefined
  #gone = false

  constructor(flow: FlowControl, turns: Turns, handlers: LeftoverHandlers<T>) {
    this.#flow = flow
    this.#turns = turns
    this.#handlers = handlers
  }

  /** What there is, to be added to; undefined if there is nothing. */
  get rest(): T | undefined {
    return this.#rest
  }

  /** True once the client has closed. */
  get gone(): boolean {
    return this.#gone
  }

  /** Whether one more message may be begun in the running turn; the first question begins the connection's share of it. */
  goesOn(): boolean {
    this.#turns.begin(this)
    return !this.#handlers.closed && !this.#flow.stopped && !this.#turns.isOver
  }

  keep(rest: T): void {
    this.#rest = rest
    this.#handlers.stopReading()
    if (!this.#flow.stopped) this.#turns.wait(this)
  }

  /** There is no reason left not to read. */
  proceed(): void {
    if (this.#rest === undefined) this.#handlers.readOn()
    else this.#turns.wait(this)
  }

  goOn(): void {
    const rest = this.#rest
    if (rest === undefined || this.#flow.stopped) return
    this.#rest = undefined
    const left = this.#handlers.tell(rest)
    if (this.#handlers.closed) return
    if (left !== undefined) this.keep(left)
    else if (this.#gone) this.#handlers.onAllTold()
    else if (!this.#flow.stopped) this.#handlers.readOn()
  }

  /** The client has closed. True if nothing is left to be told, or never will be: it does not take its answers. */
  end(): boolean {
    this.#gone = true
    return this.#handlers.closed || this.#rest === undefined || this.#flow.congested
  }

  forget(): void {
    this.#rest = undefined
    this.#turns.leave(this)
  }
}
