import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { UnderWay } from '../../../src/session/under-way.ts'
import { type Awaited, awaited } from '../../support/transport-kit.ts'

/** Subscriptions to 'k' under way, with what became of each: 'entered', 'ended', or nothing yet. */
function setUp() {
  const underWay = new UnderWay()
  const outcomes: (string | undefined)[] = []
  const gates: Awaited<number>[] = []
  const begin = (): Promise<number> => {
    const number = gates.length
    const gate = awaited<number>()
    gates.push(gate)
    outcomes.push(undefined)
    const found = underWay.follow(
      'k',
      () => gate.promise,
      (_value, ended) => {
        outcomes[number] = ended ? 'ended' : 'entered'
      },
    )
    return Promise.resolve(found)
  }
  return { underWay, outcomes, gates, begin }
}

describe('subscriptions under way', () => {
  it('are entered at once where everything is at hand, and there is nothing to end then', () => {
    const underWay = new UnderWay()
    const entered: unknown[] = []
    expect(
      underWay.follow(
        'k',
        () => 7,
        (...told) => entered.push(told),
      ),
    ).toBe(7)
    expect(entered).toEqual([[7, false]])
    expect(underWay.cancel('k')).toBe(false)
  })

  it('are ended by an end that comes before their status, and not by one of something else', async () => {
    const { underWay, outcomes, gates, begin } = setUp()
    const found = begin()
    expect(underWay.cancel('other')).toBe(false)
    expect(underWay.cancel('k')).toBe(true)
    expect(underWay.cancel('k')).toBe(false)
    gates[0]!.resolve(5)
    expect(await found).toBe(5)
    expect(outcomes).toEqual(['ended'])
  })

  it('fail as their status does, and leave nothing behind', async () => {
    const underWay = new UnderWay()
    const found = underWay.follow(
      'k',
      () => Promise.reject(new Error('too long')),
      () => {},
    )
    expect(underWay.size).toBe(1)
    await expect(found).rejects.toThrow('too long')
    expect(underWay.size).toBe(0)
    expect(underWay.cancel('k')).toBe(false)
  })

  it('fail with what entering them fails with, and leave nothing behind', async () => {
    const { underWay } = setUp()
    const found = underWay.follow(
      'k',
      () => Promise.resolve(1),
      () => {
        throw new Error('too many')
      },
    )
    await expect(found).rejects.toThrow('too many')
    expect(underWay.size).toBe(0)
  })

  it('take effect as they and their ends were asked for, in whichever order statuses are found', async () => {
    const step = fc.oneof(fc.constant('subscribe' as const), fc.constant('end' as const), fc.nat(5))
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
        const { underWay, outcomes, gates, begin } = setUp()
        // By number of subscription: whether an end came behind it before it was found.
        const expected: (string | undefined)[] = []
        const open = () => [...gates.keys()].filter((number) => expected[number] !== 'entered' && !found.has(number))
        const found = new Set<number>()
        const settle = async (number: number) => {
          gates[number]!.resolve(number)
          found.add(number)
          expected[number] ??= 'entered'
          await Promise.resolve()
          await Promise.resolve()
        }
        for (const what of steps) {
          if (what === 'subscribe') {
            void begin()
            expected.push(undefined)
          } else if (what === 'end') {
            const waiting = open().filter((number) => expected[number] === undefined)
            expect(underWay.cancel('k')).toBe(waiting.length > 0)
            for (const number of waiting) expected[number] = 'ended'
          } else {
            const number = open()[what]
            if (number !== undefined) await settle(number)
          }
        }
        for (const number of open()) await settle(number)
        expect(outcomes).toEqual(expected)
        expect(underWay.size).toBe(0)
      }),
    )
  })
})
