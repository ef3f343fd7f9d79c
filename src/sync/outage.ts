import { messageOf } from '../errors.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../log.ts'

/** A reason that is another than the one told last is told after so long: heights in it change all the time. */
const TELL_AGAIN_MS = 60_000

/** Whether the node can be followed at the moment, and what the log says of it: not each try, but each turn of things. */
export class Outage {
  readonly #clock: Clock
  readonly #log: Logger
  #reason: string | undefined
  /** What was told last, and when by the monotonic clock. */
  #told: { readonly reason: string; readonly at: number } | undefined

  constructor(collaborators: { readonly clock: Clock; readonly log: Logger }) {
    this.#clock = collaborators.clock
    this.#log = collaborators.log
  }

  /** Why the node cannot be followed; undefined while it can. */
  get reason(): string | undefined {
    return this.#reason
  }

  failed(error: unknown): void {
    const reason = messageOf(error)
    const at = this.#clock.monotonic()
    const told = this.#told
    this.#reason = reason
    if (told !== undefined && (told.reason === reason || at - told.at < TELL_AGAIN_MS)) return
    this.#told = { reason, at }
    this.#log.warn({ reason }, 'the node cannot be followed at the moment; trying again')
  }

  recovered(): void {
    if (this.#reason === undefined) return
    this.#reason = undefined
    this.#told = undefined
    this.#log.info('the node is followed again')
  }
}
