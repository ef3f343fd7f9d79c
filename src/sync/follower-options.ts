import type { Daemon, DaemonNotices } from '../daemon/daemon.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../log.ts'
import type { MomentHub } from '../mempool/hub.ts'
import type { Mempool } from '../mempool/mempool.ts'

export interface FollowerOptions {
  /** Milliseconds between polls for blocks. */
  readonly blockPollMs: number
  /** Milliseconds between polls of the mempool; more while polls take long, or the node's notices have proved good. */
  readonly mempoolPollMs: number
  /** Age in milliseconds at which the fee histogram is made anew. */
  readonly histogramMs: number
  /** How long a new tip may wait, in milliseconds, for transactions that a reorganisation gave back to the mempool. */
  readonly reorgPatienceMs: number
}

export const FOLLOWER_DEFAULTS: FollowerOptions = {
  blockPollMs: 5_000,
  mempoolPollMs: 1_000,
  histogramMs: 120_000,
  reorgPatienceMs: 10_000,
}

export interface FollowerCollaborators<Chain> {
  readonly chain: Chain
  readonly mempool: Mempool
  readonly hub: MomentHub
  readonly daemon: Daemon
  readonly notices?: DaemonNotices | undefined
  readonly clock: Clock
  readonly log: Logger
  /** Settles once clients have been told of what was published; what is published is written after that. */
  readonly told?: () => Promise<void>
  /** Told once of an error after which the index cannot be followed any more: the server is to stop. */
  readonly fatal: (error: unknown) => void
}

export interface FollowerStatus {
  /** `starting` until the loop runs, `syncing` until the node's tip was reached once, `following` from then on. */
  readonly state: 'starting' | 'syncing' | 'following'
  /** Height that is served; undefined while nothing is. */
  readonly height: number | undefined
  /** The node's best height when it was last asked; undefined before. */
  readonly daemonHeight: number | undefined
  /** When the mempool was last what the node had, in milliseconds since the epoch. */
  readonly lastRefresh: number | undefined
  readonly mempoolComplete: boolean
  readonly mempoolSize: number
  /** Why the node is not reached, or cannot be followed, at the moment. */
  readonly outage: string | undefined
}
