import type { Clock } from './clock.ts'

export interface BackOff {
  /** First wait, in milliseconds. */
  readonly first: number
  /** No wait is longer. */
  readonly longest: number
  /** Each wait is this many times the one before. */
  readonly factor: number
  /** Part of each wait that is left to chance, 0 to 1, so that many clients do not come back in step. */
  readonly jitter: number
}

/** The waits of a back-off one after the other, without end. `random` gives numbers from 0 to 1. */
export function* waits(backOff: BackOff, random: () => number = Math.random): Generator<number, never> {
  let wait = backOff.first
  for (;;) {
    yield wait * (1 - backOff.jitter * random())
    wait = Math.min(wait * backOff.factor, backOff.longest)
  }
}

/** Calls `attempt` until it settles well, waiting in between while `again(error)` says so; else rethrows. */
export async function retry<T>(
  attempt: () => Promise<T>,
  options: {
    readonly backOff: BackOff
    readonly clock: Clock
    readonly signal?: AbortSignal
    readonly again: (error: unknown, failures: number) => boolean
  },
): Promise<T> {
  let failures = 0
  for (const wait of waits(options.backOff)) {
    options.signal?.throwIfAborted()
    try {
      return await attempt()
    } catch (error) {
      failures += 1
      if (options.signal?.aborted === true || !options.again(error, failures)) throw error
    }
    await options.clock.sleep(wait, options.signal)
  }
  throw new Error('unreachable: waits() has no end')
}
