import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../log.ts'

/** Where a catch-up stands. Counts are of the whole chain. */
export interface SyncPosition {
  readonly height: number
  readonly txCount: number
  /** The node's best height. */
  readonly target: number
}

/** A terminal that a line can be rewritten on. */
export interface StatusTerminal {
  write(text: string): unknown
  readonly columns?: number | undefined
}

const LOG_INTERVAL_MS = 10_000
const TERMINAL_INTERVAL_MS = 200
/** Rates are taken over the last so many milliseconds, so that the estimate follows the chain's changing density. */
const WINDOW_MS = 30_000

/** Tells how a catch-up goes: a line that is rewritten on a terminal, a log line every 10 s without one. */
export class SyncProgress {
  readonly #log: Logger
  readonly #clock: Clock
  readonly #terminal: StatusTerminal | undefined
  #samples: { readonly at: number; readonly position: SyncPosition }[] = []
  #lastShown = Number.NEGATIVE_INFINITY
  #lineOpen = false

  constructor(
    options: { readonly terminal: StatusTerminal | undefined },
    collaborators: { readonly log: Logger; readonly clock: Clock },
  ) {
    this.#terminal = options.terminal
    this.#log = collaborators.log
    this.#clock = collaborators.clock
  }

  update(position: SyncPosition): void {
    const at = this.#clock.monotonic()
    if (this.#samples.length === 0) this.#lastShown = at
    this.#samples.push({ at, position })
    while (this.#samples.length > 2 && at - this.#samples[1]!.at >= WINDOW_MS) this.#samples.shift()
    const interval = this.#terminal === undefined ? LOG_INTERVAL_MS : TERMINAL_INTERVAL_MS
    if (at - this.#lastShown < interval) return
    this.#lastShown = at
    const rates = this.#rates()
    if (this.#terminal === undefined) {
      this.#log.info({ ...position, ...rates }, 'syncing')
    } else {
      const line = statusLine(position, rates).slice(0, (this.#terminal.columns ?? 80) - 1)
      this.#terminal.write(`\r\u001b[2K${line}`)
      this.#lineOpen = true
    }
  }

  /** Ends the line on the terminal; the next update begins a new catch-up. */
  finish(): void {
    if (this.#lineOpen) this.#terminal?.write('\r\u001b[2K')
    this.#lineOpen = false
    this.#samples = []
  }

  #rates(): Rates {
    const first = this.#samples[0]!
    const last = this.#samples.at(-1)!
    const seconds = Math.max((last.at - first.at) / 1000, 1e-3)
    const blocksPerSecond = Math.max(last.position.height - first.position.height, 0) / seconds
    const txPerSecond = Math.max(last.position.txCount - first.position.txCount, 0) / seconds
    const left = last.position.target - last.position.height
    const { height, target } = last.position
    return {
      percent: round(target <= 0 ? 100 : (100 * height) / target, 2),
      blocksPerSecond: round(blocksPerSecond, 1),
      txPerSecond: Math.round(txPerSecond),
      etaSeconds: blocksPerSecond === 0 ? undefined : Math.round(left / blocksPerSecond),
    }
  }
}

interface Rates {
  readonly percent: number
  readonly blocksPerSecond: number
  readonly txPerSecond: number
  readonly etaSeconds: number | undefined
}

function statusLine({ height, target }: SyncPosition, rates: Rates): string {
  const eta = rates.etaSeconds === undefined ? '?' : duration(rates.etaSeconds)
  const { percent, blocksPerSecond, txPerSecond } = rates
  return `block ${height}/${target} ${percent.toFixed(2)} %  ${blocksPerSecond} blocks/s  ${txPerSecond} tx/s  ETA ${eta}`
}

/** `1d 02:03:04`, without the days where there are none. */
export function duration(seconds: number): string {
  const days = Math.floor(seconds / 86_400)
  const clock = [Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, Math.floor(seconds) % 60]
  const text = clock.map((part) => String(part).padStart(2, '0')).join(':')
  return days > 0 ? `${days}d ${text}` : text
}

function round(value: number, digits: number): number {
  const factor = 10 ** digits
  return Math.round(value * factor) / factor
}
