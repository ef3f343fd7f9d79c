import { FAILURE_KINDS } from '../daemon/failure.ts'
import { CACHE_NAMES, type Metric } from '../metrics.ts'
import { each, type MetricSource, metric } from './source.ts'

/** Index, mempool and node. */
export const chainMetrics: readonly Metric<MetricSource>[] = [
  metric({
    name: 'valence_index_height_blocks',
    kind: 'gauge',
    unit: 'blocks',
    sentence: 'Height of the best indexed block.',
    read: ({ index }) => index.tip.height,
  }),
  metric({
    name: 'valence_flushed_height_blocks',
    kind: 'gauge',
    unit: 'blocks',
    sentence: 'Height of the last block that is on disk.',
    read: ({ index }) => index.flushedHeight,
  }),
  metric({
    name: 'valence_node_height_blocks',
    kind: 'gauge',
    unit: 'blocks',
    sentence: 'Height that bitcoind said last.',
    read: ({ follower }) => follower()?.daemonHeight,
  }),
  metric({
    name: 'valence_index_transactions',
    kind: 'gauge',
    unit: 'transactions',
    sentence: 'Transactions in the index.',
    read: ({ index }) => index.tip.txCount,
  }),
  metric({
    name: 'valence_index_pending_bytes',
    kind: 'gauge',
    unit: 'bytes',
    sentence: 'Memory of blocks that are not on disk, about.',
    read: ({ index }) => index.pendingBytes,
  }),
  metric({
    name: 'valence_index_past_bytes',
    kind: 'gauge',
    unit: 'bytes',
    sentence: 'Memory of rows of earlier heights that were asked for since the last block, about; 100 MiB at most.',
    read: ({ index }) => index.pastBytes,
  }),
  metric({
    name: 'valence_flush_seconds',
    kind: 'histogram',
    unit: 'seconds',
    sentence: 'From the beginning of a flush of the index to its end; it runs beside everything else.',
    read: ({ index }) => index.flushSeconds,
  }),
  metric({
    name: 'valence_reorgs_total',
    kind: 'counter',
    unit: 'reorgs',
    sentence: 'Reorganisations followed.',
    read: ({ rolledBack }) => rolledBack().reorgs,
  }),
  metric({
    name: 'valence_rolled_back_blocks_total',
    kind: 'counter',
    unit: 'blocks',
    sentence: 'Blocks taken back.',
    read: ({ rolledBack }) => rolledBack().blocks,
  }),
  metric({
    name: 'valence_held_views',
    kind: 'gauge',
    unit: 'views',
    sentence: 'Views of the index that are not released, the current one among them.',
    read: ({ index }) => index.outstandingViews,
  }),
  metric({
    name: 'valence_running_reads',
    kind: 'gauge',
    unit: 'reads',
    sentence: 'Requests and notifications that read from a moment just now.',
    read: ({ moments }) => moments.usesRunning,
  }),
  metric({
    name: 'valence_ready_moments',
    kind: 'gauge',
    unit: 'moments',
    sentence: '1 once there is something to serve clients from, else 0.',
    read: ({ moments }) => Number(moments.ready),
  }),
  metric({
    name: 'valence_mempool_transactions',
    kind: 'gauge',
    unit: 'transactions',
    sentence: 'Transactions in the mirror of the mempool.',
    read: ({ mempool }) => mempool.size,
  }),
  metric({
    name: 'valence_mempool_waiting_transactions',
    kind: 'gauge',
    unit: 'transactions',
    sentence: 'Transactions that wait for a parent.',
    read: ({ mempool }) => mempool.waiting,
  }),
  metric({
    name: 'valence_mempool_virtual_bytes',
    kind: 'gauge',
    unit: 'bytes',
    sentence: 'Virtual size of what is in the mirror of the mempool.',
    read: ({ mempool }) => mempool.virtualBytes,
  }),
  metric({
    name: 'valence_mempool_kept_transactions',
    kind: 'gauge',
    unit: 'transactions',
    sentence: 'Transactions of the mempool that matter to Atomicals.',
    read: ({ mempool }) => mempool.keptTransactions,
  }),
  metric({
    name: 'valence_mempool_kept_bytes',
    kind: 'gauge',
    unit: 'bytes',
    sentence: 'Bytes of those that are kept whole, 64 MiB at most; the node is asked for others when they are needed.',
    read: ({ mempool }) => mempool.keptBytes,
  }),
  metric({
    name: 'valence_daemon_requests_total',
    kind: 'counter',
    unit: 'requests',
    sentence: 'Questions put to bitcoind; a batch, and one that is tried again, counts once.',
    read: ({ daemon }) => daemon.requests,
  }),
  metric({
    name: 'valence_daemon_failures_total',
    kind: 'counter',
    unit: 'failures',
    sentence: 'Attempts that a bitcoind did not answer, by kind.',
    labels: [{ name: 'kind', values: FAILURE_KINDS }],
    read: ({ daemon }) => each(daemon.failures),
  }),
  metric({
    name: 'valence_daemon_switches_total',
    kind: 'counter',
    unit: 'switches',
    sentence: 'How often another bitcoind was turned to, or the first one again.',
    read: ({ daemon }) => daemon.failOvers,
  }),
]

/** Caches and the process. */
export const processMetrics: readonly Metric<MetricSource>[] = [
  metric({
    name: 'valence_cache_hits_total',
    kind: 'counter',
    unit: 'hits',
    sentence: 'Answers that a cache had.',
    labels: [{ name: 'cache', values: CACHE_NAMES }],
    *read({ caches }) {
      for (const [name, { hits }] of caches.all) yield [[name], hits]
    },
  }),
  metric({
    name: 'valence_cache_misses_total',
    kind: 'counter',
    unit: 'misses',
    sentence: 'Answers that a cache had not.',
    labels: [{ name: 'cache', values: CACHE_NAMES }],
    *read({ caches }) {
      for (const [name, { misses }] of caches.all) yield [[name], misses]
    },
  }),
  metric({
    name: 'valence_cache_bytes',
    kind: 'gauge',
    unit: 'bytes',
    sentence: 'Bytes that a cache keeps, as it estimates them.',
    labels: [{ name: 'cache', values: CACHE_NAMES }],
    *read({ caches }) {
      for (const [name, { bytes }] of caches.all) yield [[name], bytes()]
    },
  }),
  metric({
    name: 'valence_event_loop_delay_p99_seconds',
    kind: 'gauge',
    unit: 'seconds',
    sentence: 'How late one timer of a hundred was, since the metrics were read the last time.',
    read: ({ loop }) => loop.takeP99(),
  }),
  metric({
    name: 'valence_resident_memory_bytes',
    kind: 'gauge',
    unit: 'bytes',
    sentence: 'Memory of the process.',
    read: () => process.memoryUsage.rss(),
  }),
  metric({
    name: 'valence_uptime_seconds',
    kind: 'gauge',
    unit: 'seconds',
    sentence: 'Age of the process.',
    read: () => process.uptime(),
  }),
]
