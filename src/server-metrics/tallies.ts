import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'
import { FAILURE_KINDS, type FailureKind } from '../daemon/failure.ts'
import type { DaemonObserver } from '../daemon/node-pool.ts'

/** Counts what the daemon client tells of itself. */
export class DaemonTally implements DaemonObserver {
  requests = 0
  failOvers = 0
  readonly failures = new Map<FailureKind, number>(FAILURE_KINDS.map((kind) => [kind, 0]))

  asked(): void {
    this.requests++
  }

  failed(_address: string, kind: FailureKind): void {
    this.failures.set(kind, (this.failures.get(kind) ?? 0) + 1)
  }

  switched(): void {
    this.failOvers++
  }
}

/** How late timers fire: what every client waits for in vain. */
export class EventLoopDelay {
  readonly #histogram: IntervalHistogram

  constructor() {
    this.#histogram = monitorEventLoopDelay({ resolution: 20 })
    this.#histogram.enable()
  }

  /** Seconds that one of a hundred turns took longer than, since this was asked the last time. */
  takeP99(): number {
    const seconds = this.#histogram.count === 0 ? 0 : this.#histogram.percentile(99) / 1e9
    this.#histogram.reset()
    return seconds
  }

  stop(): void {
    this.#histogram.disable()
  }
}
