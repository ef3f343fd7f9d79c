import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { sortedInTurns } from '../../../src/lib/sort.ts'

describe('sorting in turns', () => {
  it.each([0, 1, 4096, 4097, 8192, 20_000])('orders %i numbers as sorting in one go does', async (count) => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 50_000 }), fc.integer(), async (kinds, seed) => {
        // Many are the same where there are few kinds: those stay in the order in which they were.
        const values = Array.from({ length: count }, (_, i) => Math.imul(i + seed, 0x9e37_79b1) % kinds)
        const byValue = (a: number, b: number): number => values[a]! - values[b]!
        const expected = [...values.keys()].sort(byValue)
        expect([...(await sortedInTurns(count, byValue))]).toEqual(expected)
      }),
      { numRuns: 5 },
    )
  })

  it('lets others have their turns', async () => {
    let turns = 0
    let running = true
    const look = (): void => {
      turns += 1
      if (running) setImmediate(look)
    }
    setImmediate(look)
    await sortedInTurns(100_000, (a, b) => b - a)
    running = false
    expect(turns).toBeGreaterThan(100_000 / 4096)
  })
})
