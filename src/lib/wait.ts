import { linkSignals, throwIfAborted } from './abort.ts'
import type { Clock } from './clock.ts'

/** Calls `action` with a signal that aborts with `signal` or after `ms`, whichever is first. */
export async function within<T>(
  ms: number,
  clock: Clock,
  signal: AbortSignal,
  action: (limited: AbortSignal) => Promise<T>,
): Promise<T> {
  throwIfAborted(signal)
  const limit = new AbortController()
  const linked = linkSignals(signal, limit.signal)
  const timer = new AbortController()
  const timeout = sleepOrAbort(ms, clock, timer.signal).then((slept) => slept && limit.abort())
  try {
    return await action(linked.signal)
  } finally {
    linked.unlink()
    timer.abort()
    await timeout
  }
}

/** Waits for `ms`, or until `signal` aborts, which is no error here. False if it was cut short. */
export async function sleepOrAbort(ms: number, clock: Clock, signal: AbortSignal): Promise<boolean> {
  try {
    await clock.sleep(ms, signal)
    return true
  } catch (error) {
    if (signal.aborted) return false
    throw error
  }
}

/** A wait that somebody else can end. A wake() while nobody waits is not remembered. */
export class Nap {
  readonly #clock: Clock
  #waker: AbortController | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Settles after `ms` or at wake(). One waits at a time. */
  async take(ms: number): Promise<void> {
    const waker = new AbortController()
    this.#waker = waker
    await sleepOrAbort(ms, this.#clock, waker.signal)
    this.#waker = undefined
  }

  wake(): void {
    this.#waker?.abort()
  }
}
