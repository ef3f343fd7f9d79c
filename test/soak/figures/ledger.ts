import { readdirSync } from 'node:fs'
import { memory, starvedSeconds } from '../../bench/support/process-stats.ts'
import type { ServerProcess } from '../../support/server-process.ts'
import type { Findings } from '../findings.ts'
import type { Bounds } from '../options.ts'
import { LEAST_FIGURES, slopeOf } from './growth.ts'
import { type HeapFigures, probeHeap } from './heap-probe.ts'
import { readMetrics, sumOf } from './metrics.ts'

const MIB = 1024 * 1024
const MS_AN_HOUR = 3_600_000
/** Caches fill and code is compiled: this share of a soak, but no longer than that, counts for nothing. */
const WARM_UP = { share: 0.2, mostMs: 10 * 60_000 } as const

/** A server that has waited longer for a processor is late by no fault of its own. */
const STARVED = 0.1

/** What is looked at once a minute. */
export interface Sample extends HeapFigures {
  /** Milliseconds since the beginning. */
  readonly at: number
  /** Bytes of the process that no file stands for (RssAnon). */
  readonly anonymous: number
  readonly descriptors: number
  /** How late one timer of a hundred was, in ms. */
  readonly delayMs: number
  /** Share of the time since the sample before in which the server's thread was ready and had no processor: 0 to 1. */
  readonly starved: number
}

/** The figures of a soak: read once a minute, judged at once or at the end. */
export class Ledger {
  readonly #server: ServerProcess
  readonly #findings: Findings
  readonly #bounds: Bounds
  readonly #began = performance.now()
  readonly #samples: Sample[] = []
  #before: Quiet | undefined
  #starvedBefore: { readonly at: number; readonly seconds: number } | undefined

  constructor(server: ServerProcess, findings: Findings, bounds: Bounds) {
    this.#server = server
    this.#findings = findings
    this.#bounds = bounds
  }

  /** Reads everything, and says what is wrong with it by itself. */
  async sample(): Promise<Sample> {
    // The delay is of the time since the last reading, so that the collection below is in the next one.
    const metrics = await readMetrics(this.#server)
    const { anonymous } = memory(this.#server.pid)
    const sample = {
      ...(await probeHeap(this.#server)),
      at: performance.now() - this.#began,
      anonymous,
      descriptors: descriptorsOf(this.#server.pid),
      starved: this.#starved(),
      delayMs: 1000 * sumOf(metrics, 'valence_event_loop_delay_p99_seconds'),
    }
    this.#samples.push(sample)
    if (sample.delayMs > this.#bounds.delayMs && sample.starved < STARVED) {
      this.#findings.add(`the event loop was ${Math.round(sample.delayMs)} ms late, one timer of a hundred in a minute`)
    }
    return sample
  }

  /** Whether the machine lets the server wait, now or in the minute before. */
  get isStarved(): boolean {
    return Math.max(this.#samples.at(-1)?.starved ?? 0, this.#starvedSince().share) >= STARVED
  }

  #starved(): number {
    const { share, ...now } = this.#starvedSince()
    this.#starvedBefore = now
    return share
  }

  #starvedSince(): { readonly at: number; readonly seconds: number; readonly share: number } {
    const now = { at: performance.now(), seconds: starvedSeconds(this.#server.pid) }
    const { at, seconds } = this.#starvedBefore ?? now
    return { ...now, share: now.at === at ? 0 : (1000 * (now.seconds - seconds)) / (now.at - at) }
  }

  /** Remembers what there is without clients. */
  async quiet(): Promise<void> {
    this.#starved()
    this.#before = await lookQuiet(this.#server)
  }

  /** What is left that was not there without clients; undefined if nothing is. */
  async leftOvers(): Promise<string | undefined> {
    const [before, now] = [this.#before ?? (await lookQuiet(this.#server)), await lookQuiet(this.#server)]
    const more = now.descriptors - before.descriptors
    const counts = Object.entries(now.counts).filter(([name, count]) => count > (before.counts[name] ?? 0))
    const left = [
      ...counts.map(([name, count]) => `${name} ${count} (${before.counts[name]} before)`),
      ...(more > this.#bounds.descriptors ? [`${more} descriptors more than before`] : []),
    ]
    return left.length === 0 ? undefined : left.join(', ')
  }

  /** How the heap went on, in words; a finding if it grew too much. */
  judgeHeap(): string {
    const whole = this.#samples.at(-1)?.at ?? 0
    const warm = Math.min(WARM_UP.mostMs, WARM_UP.share * whole)
    const points = this.#samples.filter(({ at }) => at >= warm).map(({ at, heapUsed }) => [at, heapUsed / MIB] as const)
    if (points.length < LEAST_FIGURES) return `too short to say whether the heap grows (${points.length} figures)`
    const hours = (points.at(-1)![0] - points[0]![0]) / MS_AN_HOUR
    const grown = slopeOf(points) * hours * MS_AN_HOUR
    const allowed = this.#bounds.heapMb + this.#bounds.heapMbPerHour * hours
    const said = `the heap grew by ${grown.toFixed(1)} MB in ${(hours * 60).toFixed(0)} minutes (${allowed.toFixed(1)} allowed)`
    if (grown > allowed) this.#findings.add(said)
    return said
  }
}

interface Quiet {
  readonly descriptors: number
  readonly counts: Readonly<Record<string, number>>
}

async function lookQuiet(server: ServerProcess): Promise<Quiet> {
  const metrics = await readMetrics(server)
  const inbound = (labels: string): boolean => labels.includes('direction="inbound"')
  const plain = [
    'valence_subscriptions',
    'valence_followed_scripts',
    'valence_notifier_backlog_scripts',
    'valence_notifier_failing_scripts',
    'valence_unsent_bytes',
    'valence_unanswered_messages',
    'valence_running_reads',
    'valence_held_views',
  ]
  return {
    descriptors: descriptorsOf(server.pid),
    counts: {
      sessions: sumOf(metrics, 'valence_sessions', inbound),
      ...Object.fromEntries(plain.map((name) => [name, sumOf(metrics, name)])),
    },
  }
}

function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}
