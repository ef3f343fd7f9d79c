import { type CacheTallies, defineMetric, type Histogram, type LabelledValue } from '../metrics.ts'
import type { SessionCounter } from '../session/counter.ts'
import type { SessionGroup } from '../session/groups.ts'
import type { SessionCounts } from '../session/manager.ts'
import type { PeerSummary } from '../session/peers/manager.ts'
import type { SessionTally } from '../session/tally.ts'
import type { FollowerStatus } from '../sync/follower-options.ts'
import type { DaemonTally } from './tallies.ts'

/** Where the numbers are read from: the parts of the server, as far as they count. */
export interface MetricSource {
  readonly tally: SessionTally
  readonly caches: CacheTallies
  readonly daemon: DaemonTally
  readonly loop: { takeP99(): number }
  readonly sessions: {
    readonly counts: SessionCounts
    readonly counter: SessionCounter
    readonly groups: { readonly all: Iterable<SessionGroup> }
    readonly traffic: { readonly receivedBytes: number; readonly sentBytes: number }
    readonly dialled: { readonly closed: Readonly<Record<string, number>> }
    clients(): Iterable<{ readonly unsent: number }>
  }
  readonly notifier: { readonly backlog: number; readonly failing: number }
  readonly subscriptions: { readonly total: number; readonly scripts: number }
  readonly index: {
    readonly tip: { readonly height: number; readonly txCount: number }
    readonly flushedHeight: number
    readonly outstandingViews: number
    readonly pendingBytes: number
    readonly pastBytes: number
    readonly flushSeconds: Histogram
  }
  readonly moments: { readonly ready: boolean; readonly usesRunning: number }
  readonly mempool: {
    readonly size: number
    readonly virtualBytes: number
    readonly waiting: number
    readonly keptTransactions: number
    readonly keptBytes: number
  }
  /** undefined until bitcoind was found. */
  readonly follower: () => FollowerStatus | undefined
  readonly rolledBack: () => { readonly reorgs: number; readonly blocks: number }
  readonly peers: { readonly summary: PeerSummary }
  readonly administrators: { readonly refused: number; readonly idle: number; readonly timedOut: number }
}

/** A metric of this server. */
export const metric = defineMetric<MetricSource>

/** Counts by name, as values of the one label. */
export function* each<K extends string | number>(counts: Iterable<readonly [K, number]>): Iterable<LabelledValue> {
  for (const [name, count] of counts) yield [[String(name)], count]
}

export function sum(values: Iterable<number>): number {
  let total = 0
  for (const value of values) total += value
  return total
}
