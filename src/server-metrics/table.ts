import type { Metric } from '../metrics.ts'
import { chainMetrics, processMetrics } from './chain.ts'
import { requestMetrics, sessionMetrics } from './sessions.ts'
import type { MetricSource } from './source.ts'

/** Every metric there is, in the order in which it is shown. docs/METRICS.md is printed from this. */
export const METRICS: readonly Metric<MetricSource>[] = [
  ...requestMetrics,
  ...sessionMetrics,
  ...chainMetrics,
  ...processMetrics,
]
