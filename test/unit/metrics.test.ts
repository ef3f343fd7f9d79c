import { describe, expect, it } from 'vitest'
import { CacheTallies, defineMetric, exposition, Histogram } from '../../src/metrics.ts'

interface Source {
  readonly n: number | undefined
  readonly histogram: Histogram
}

const gauge = defineMetric<Source>({
  name: 'a_things',
  kind: 'gauge',
  unit: 'things',
  sentence: 'A back\\slash and\na line.',
  read: ({ n }) => n,
})

describe('the text of metrics', () => {
  const histogram = new Histogram([0.1, 1])

  it('has a help line, a type line and a value', () => {
    expect(exposition([gauge], { n: 3, histogram })).toBe(
      '# HELP a_things A back\\\\slash and\\na line.\n# TYPE a_things gauge\na_things 3\n',
    )
  })

  it('shows no value that is not known', () => {
    expect(exposition([gauge], { n: undefined, histogram })).not.toMatch(/^a_things/m)
  })

  it('escapes what a label must not hold, and keeps the order of labels', () => {
    const labelled = defineMetric<Source>({
      ...gauge,
      labels: [
        { name: 'x', values: [] },
        { name: 'y', values: [] },
      ],
      read: () => [[['say "hi"\n\\', 'two'], 1]],
    })
    expect(exposition([labelled], { n: 0, histogram })).toContain('a_things{x="say \\"hi\\"\\n\\\\",y="two"} 1\n')
  })

  it('shows a histogram as cumulative buckets, sum and count, with its labels before the bound', () => {
    const own = new Histogram([0.1, 1])
    for (const value of [0.05, 0.1, 0.5, 7]) own.observe(value)
    const metric = defineMetric<Source>({
      name: 'b_seconds',
      kind: 'histogram',
      unit: 'seconds',
      sentence: 'B.',
      labels: [{ name: 'of', values: ['x'] }],
      read: () => [[['x'], own]],
    })
    expect(exposition([metric], { n: 0, histogram }).split('\n').slice(2)).toEqual([
      'b_seconds_bucket{of="x",le="0.1"} 2',
      'b_seconds_bucket{of="x",le="1"} 3',
      'b_seconds_bucket{of="x",le="+Inf"} 4',
      'b_seconds_sum{of="x"} 7.65',
      'b_seconds_count{of="x"} 4',
      '',
    ])
  })
})

describe('tallies of caches', () => {
  it('are one for each name, whoever asks', () => {
    const tallies = new CacheTallies()
    tallies.of('headers').hits++
    expect([...tallies.all].find(([name]) => name === 'headers')?.[1]).toMatchObject({ hits: 1, misses: 0 })
  })
})
