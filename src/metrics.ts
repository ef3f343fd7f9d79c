/**
 * Numbers of the running server in the text format of Prometheus (exposition format 0.0.4). Whoever does the work counts
 * with plain integers; a metric is a value that says how its number is read when somebody asks.
 */

export type MetricKind = 'counter' | 'gauge' | 'histogram'

/** What a metric with labels shows of one thing: values of its labels in their order, and the number. */
export type LabelledValue = readonly [labels: readonly string[], value: number | Histogram]
/** undefined: not known at the moment; nothing is shown. */
export type Reading = number | Histogram | undefined | Iterable<LabelledValue>

export interface MetricLabel {
  readonly name: string
  /** The closed list of its values, or what they are where a table of the source has them. */
  readonly values: readonly string[] | string
}

/** One metric. The text, docs/METRICS.md and the tests read this and nothing else. S is where numbers are read from. */
export interface Metric<S> {
  /** Ends in its unit; that of a counter in its unit and `_total`. */
  readonly name: string
  readonly kind: MetricKind
  readonly unit: string
  readonly sentence: string
  readonly labels?: readonly MetricLabel[]
  read(source: S): Reading
}

/** Gives a metric its type from its source. */
export function defineMetric<S>(metric: Metric<S>): Metric<S> {
  return metric
}

export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** Counts by size: how many observations were at most each bound. */
export class Histogram {
  /** Upper bounds, rising; what is above the last is in the sum and the count alone. */
  readonly bounds: readonly number[]
  readonly #counts: number[]
  #sum = 0
  #count = 0

  constructor(bounds: readonly number[]) {
    this.bounds = bounds
    this.#counts = bounds.map(() => 0)
  }

  get sum(): number {
    return this.#sum
  }

  get count(): number {
    return this.#count
  }

  observe(value: number): void {
    this.#sum += value
    this.#count++
    const { bounds } = this
    for (let i = 0; i < bounds.length; i++) {
      if (value <= (bounds[i] ?? 0)) {
        this.#counts[i] = (this.#counts[i] ?? 0) + 1
        return
      }
    }
  }

  /** Observations at or below each bound. */
  cumulative(): readonly (readonly [bound: number, count: number])[] {
    let below = 0
    return this.bounds.map((bound, i) => {
      below += this.#counts[i] ?? 0
      return [bound, below]
    })
  }
}

/** Seconds from what memory answers to what nobody waits for. */
export const REQUEST_SECONDS: readonly number[] = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 30]
export const FLUSH_SECONDS: readonly number[] = [0.01, 0.05, 0.25, 1, 5, 30, 120]

/** What answers are kept from, so that they need not be worked out again. */
export const CACHE_NAMES = [
  'histories',
  'outputs',
  'block ids',
  'merkle trees',
  'headers',
  'transactions',
  'node facts',
] as const
export type CacheName = (typeof CACHE_NAMES)[number]

/** How often a cache had what it was asked for. Counted by the cache itself. */
export class CacheTally {
  hits = 0
  misses = 0
  /** Bytes kept, as the cache estimates them; set by the cache. */
  bytes: () => number = () => 0
}

export class CacheTallies {
  readonly #tallies = new Map<CacheName, CacheTally>(CACHE_NAMES.map((name) => [name, new CacheTally()]))

  of(name: CacheName): CacheTally {
    const tally = this.#tallies.get(name)
    if (tally === undefined) throw new RangeError(`no such cache: ${name}`)
    return tally
  }

  get all(): Iterable<readonly [CacheName, CacheTally]> {
    return this.#tallies
  }
}

/** All metrics as they are now. */
export function exposition<S>(metrics: readonly Metric<S>[], source: S): string {
  return metrics.map((metric) => familyText(metric, metric.read(source))).join('')
}

function familyText<S>({ name, kind, sentence, labels = [] }: Metric<S>, reading: Reading): string {
  const head = `# HELP ${name} ${escaped(sentence, false)}\n# TYPE ${name} ${kind}\n`
  const names = labels.map((label) => label.name)
  const lines: string[] = []
  for (const [values, value] of rowsOf(reading)) {
    const pairs = names.map((label, i) => `${label}="${escaped(values[i] ?? '', true)}"`)
    if (value instanceof Histogram) lines.push(...histogramLines(name, pairs, value))
    else lines.push(`${name}${braced(pairs)} ${value}\n`)
  }
  return head + lines.join('')
}

function rowsOf(reading: Reading): Iterable<LabelledValue> {
  if (reading === undefined) return []
  return typeof reading === 'number' || reading instanceof Histogram ? [[[], reading]] : reading
}

function histogramLines(name: string, pairs: readonly string[], histogram: Histogram): string[] {
  const bucket = (bound: string, count: number) => `${name}_bucket${braced([...pairs, `le="${bound}"`])} ${count}\n`
  return [
    ...histogram.cumulative().map(([bound, count]) => bucket(String(bound), count)),
    bucket('+Inf', histogram.count),
    `${name}_sum${braced(pairs)} ${histogram.sum}\n`,
    `${name}_count${braced(pairs)} ${histogram.count}\n`,
  ]
}

function braced(pairs: readonly string[]): string {
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function escaped(text: string, isLabel: boolean): string {
  const plain = text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
  return isLabel ? plain.replaceAll('"', '\\"') : plain
}
