import type { Clock } from '../../src/lib/clock.ts'

interface Sleeper {
  readonly ms: number
  readonly until: number
  readonly wake: () => void
}

/**
 * A clock whose hands the test turns. Sleeps that `runsBy` accepts pass at once and turn the hands themselves; the
 * others wait for advance(). `slept` has every sleep that was asked for.
 */
export class HandClock implements Clock {
  readonly slept: number[] = []
  readonly #runsBy: (ms: number) => boolean
  #time = 1_700_000_000_000
  #sleepers: Sleeper[] = []
  #watchers: (() => void)[] = []

  constructor(runsBy: (ms: number) => boolean = () => false) {
    this.#runsBy = runsBy
  }

  now(): number {
    return this.#time
  }

  monotonic(): number {
    return this.#time
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    this.slept.push(ms)
    return new Promise((resolve, reject) => {
      const wake = (): void => {
        signal?.removeEventListener('abort', abort)
        resolve()
      }
      const sleeper: Sleeper = { ms, until: this.#time + ms, wake }
      const abort = (): void => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper)
        reject(new DOMException('The operation was aborted', 'AbortError'))
      }
      if (signal?.aborted === true) {
        abort()
        return
      }
      if (this.#runsBy(ms)) {
        this.#time += ms
        resolve()
      } else {
        signal?.addEventListener('abort', abort, { once: true })
        this.#sleepers.push(sleeper)
      }
      for (const watch of this.#watchers.splice(0)) watch()
    })
  }

  /** Turns the hands and wakes whose time has come. */
  advance(ms: number): void {
    this.#time += ms
    const due = this.#sleepers.filter(({ until }) => until <= this.#time)
    this.#sleepers = this.#sleepers.filter(({ until }) => until > this.#time)
    for (const { wake } of due) wake()
  }

  /** Settles once somebody sleeps for a time that `matches`. */
  async sleeper(matches: (ms: number) => boolean): Promise<void> {
    while (!this.#sleepers.some(({ ms }) => matches(ms))) {
      await new Promise<void>((resolve) => this.#watchers.push(resolve))
    }
  }

  get sleeping(): number {
    return this.#sleepers.length
  }
}
