import { describe, expect, it } from 'vitest'
import { slopeOf } from '../../soak/figures/growth.ts'

describe('the slope by which a soak judges the heap', () => {
  it('is that of a line, whatever some figures far off it say', () => {
    const line = Array.from({ length: 30 }, (_, i) => [i, 40 + 0.5 * i] as const)
    const disturbed = line.map(([time, value], i) => [time, i % 7 === 3 ? value + 100 : value] as const)
    expect(slopeOf(line)).toBeCloseTo(0.5)
    expect(Math.abs(slopeOf(disturbed) - 0.5)).toBeLessThan(0.1)
  })

  it('is none where figures go up and down, or there are none', () => {
    expect(Math.abs(slopeOf(Array.from({ length: 20 }, (_, i) => [i, 40 + (i % 2)] as const)))).toBeLessThan(0.01)
    expect(slopeOf([])).toBe(0)
  })
})
