import { describe, expect, it } from 'vitest'
import { METRICS } from '../../../src/server-metrics/table.ts'
import { DaemonTally } from '../../../src/server-metrics/tallies.ts'

describe('the table of metrics', () => {
  it('has each name once', () => {
    const names = METRICS.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
  })

  it.each(METRICS.map((metric) => [metric.name, metric] as const))(
    '%s: is named after us and ends in its unit, a counter in _total',
    (name, { kind, unit }) => {
      expect(name).toMatch(/^valence_[a-z0-9_]+$/)
      const end = kind === 'counter' ? `_${unit}_total` : `_${unit}`
      expect(name.endsWith(end), `${name} has to end in ${end}`).toBe(true)
    },
  )
})

describe('what the daemon client tells', () => {
  it('is counted: questions, failures by kind, changes of the node', () => {
    const tally = new DaemonTally()
    tally.asked()
    tally.asked()
    tally.failed('127.0.0.1:1', 'timeout')
    tally.switched()
    expect(tally).toMatchObject({ requests: 2, failOvers: 1 })
    expect(tally.failures.get('timeout')).toBe(1)
    expect(tally.failures.get('dropped')).toBe(0)
  })
})
