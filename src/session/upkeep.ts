import { isAbort } from '../errors.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../log.ts'

/** Something to be done again and again. */
export interface Chore {
  /** Milliseconds; 0 for never. */
  readonly interval: number
  /** True for the first time at once, false after the first interval. */
  readonly atOnce?: boolean
  /** `now` on the monotonic clock. What it throws is logged and does not keep it from being done again. */
  run(now: number): void
}

const TICK = 1000

/** Does all chores when they are due, to the second, until `signal` aborts. One timer for all of them. */
export async function doChores(
  chores: readonly Chore[],
  clock: Clock,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  const started = clock.monotonic()
  const plan = chores
    .filter(({ interval }) => interval > 0)
    .map((chore) => ({ chore, due: chore.atOnce === true ? started : started + chore.interval }))
  try {
    for (;;) {
      await clock.sleep(TICK, signal)
      const now = clock.monotonic()
      for (const entry of plan) {
        if (entry.due > now) continue
        entry.due = now + entry.chore.interval
        try {
          entry.chore.run(now)
        } catch (error) {
          log.error({ err: error }, 'upkeep of sessions failed')
        }
      }
    }
  } catch (error) {
    if (!isAbort(error)) throw error
  }
}
