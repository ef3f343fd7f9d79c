import { describe, expect, it } from 'vitest'
import { CostMeter, type CostOptions, DEFAULT_COSTS } from '../../../src/session/cost.ts'
import { HandClock } from '../../support/hand-clock.ts'

function meter(options: Partial<CostOptions> = {}, extra: () => number = () => 0) {
  const clock = new HandClock()
  const changes: number[] = []
  const cost = new CostMeter({ ...DEFAULT_COSTS, ...options }, clock, {
    extraCost: extra,
    onConcurrency: (concurrency) => changes.push(concurrency),
  })
  return { clock, cost, changes }
}

/** Cost brought to a total, then the consequences of it. ElectrumX 2.0 with its default limits. */
const FIGURES: readonly { total: number; fraction: number; concurrency: number; delay: number }[] = [
  { total: 0, fraction: 0, concurrency: 10, delay: 0 },
  { total: 5, fraction: 0, concurrency: 10, delay: 0 },
  { total: 1000, fraction: 0, concurrency: 10, delay: 0 },
  { total: 1001, fraction: 1 / 9000, concurrency: 10, delay: 2500 / 9000 },
  { total: 1900, fraction: 0.1, concurrency: 9, delay: 250 },
  { total: 2800, fraction: 0.2, concurrency: 8, delay: 500 },
  { total: 5500, fraction: 0.5, concurrency: 5, delay: 1250 },
  { total: 9100, fraction: 0.9, concurrency: 1, delay: 2250 },
  { total: 9999, fraction: 8999 / 9000, concurrency: 1, delay: (2500 * 8999) / 9000 },
  { total: 10_000, fraction: 1, concurrency: 0, delay: 2500 },
  { total: 20_000, fraction: 19_000 / 9000, concurrency: 0, delay: (2500 * 19_000) / 9000 },
]

describe('cost meter', () => {
  it.each(FIGURES)('has the figures of ElectrumX at a cost of $total', ({ total, fraction, concurrency, delay }) => {
    const { cost } = meter()
    cost.bump(total - cost.cost)
    cost.recalculate()
    expect(cost.fraction).toBeCloseTo(fraction, 10)
    expect(cost.concurrency).toBe(concurrency)
    expect(cost.delay).toBeCloseTo(delay, 8)
  })

  it('begins with the cost of a connection', () => {
    expect(meter().cost.cost).toBe(5)
  })

  it('charges a unit for every 5000 bytes', () => {
    const { cost } = meter()
    cost.bumpBytes(12_500)
    expect(cost.cost).toBeCloseTo(7.5)
  })

  it('works out the consequences only once the cost has moved by more than 100', () => {
    const { cost, changes } = meter()
    cost.bump(3000)
    expect(changes).toEqual([8])
    cost.bump(100)
    expect(cost.fraction).toBeCloseTo(2005 / 9000)
    cost.bump(1)
    expect(cost.fraction).toBeCloseTo(2106 / 9000)
  })

  it('reaches the soft limit after 10 bad requests and the hard one after 100', () => {
    const { cost } = meter()
    for (let i = 0; i < 10; i++) cost.bump(100)
    cost.recalculate()
    expect(cost.delay).toBeGreaterThan(0)
    for (let i = 10; i < 99; i++) cost.bump(100)
    cost.recalculate()
    expect(cost.concurrency).toBe(1)
    cost.bump(100)
    cost.recalculate()
    expect(cost.concurrency).toBe(0)
  })

  it('forgives a cost at the hard limit in 10,000 seconds, more slowly with subscriptions', () => {
    const { cost, clock } = meter()
    cost.bump(9995)
    clock.advance(1_000_000)
    cost.recalculate()
    expect(cost.cost).toBeCloseTo(9000)
    cost.setSubscriptions(2000) // 10,000 / (10,000 + 5 * 2000) = a half each second
    clock.advance(1_000_000)
    cost.recalculate()
    expect(cost.cost).toBeCloseTo(8500)
  })

  it('never falls below nothing', () => {
    const { cost, clock } = meter()
    clock.advance(10_000_000)
    cost.recalculate()
    expect(cost.cost).toBe(0)
    cost.bump(-50)
    expect(cost.cost).toBe(0)
  })

  it('counts what others of the group used, which may also be less than nothing', () => {
    let extra = 5000
    const { cost } = meter({}, () => extra)
    cost.bump(495)
    cost.recalculate()
    expect(cost.concurrency).toBe(5)
    extra = -1000
    cost.recalculate()
    expect(cost.fraction).toBe(0)
  })

  it('throws -101 when a running request crosses the hard limit', () => {
    const { cost } = meter()
    cost.charge(9000)
    expect(() => cost.charge(2000)).toThrow(expect.objectContaining({ code: -101 }))
  })

  it('limits nothing if both limits are 0', () => {
    const { cost } = meter({ softLimit: 0, hardLimit: 0 })
    cost.charge(1_000_000)
    expect(cost.concurrency).toBe(10)
    expect(cost.delay).toBe(0)
  })
})
