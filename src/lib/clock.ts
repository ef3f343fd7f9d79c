import { setTimeout as delay } from 'node:timers/promises'

/** Time as a collaborator, so that tests turn the hands instead of waiting. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Milliseconds that only grow, for measuring. */
  monotonic(): number
  /** Settles after `ms`; rejects with AbortError once `signal` aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: async (ms, signal) => {
    await delay(ms, undefined, signal === undefined ? {} : { signal })
  },
}
