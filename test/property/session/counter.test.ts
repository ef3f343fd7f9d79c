import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Direction, isExceeded, type Place, SessionCounter, type Stage } from '../../../src/session/counter.ts'

const LIMITS = { pending: { inbound: 3, outbound: 2 }, active: { inbound: 4, outbound: undefined } } as const

type Step =
  | { readonly kind: 'open'; readonly direction: Direction }
  | { readonly kind: 'activate' | 'release'; readonly at: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('open' as const), direction: fc.constantFrom<Direction>('inbound', 'outbound') }),
  fc.record({ kind: fc.constantFrom('activate' as const, 'release' as const), at: fc.nat(30) }),
)

describe('session counter', () => {
  it('always has as many as there are places of each kind, never above a limit, whatever is done in whatever order', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const counter = new SessionCounter(LIMITS)
        const places: Place[] = []
        const count = (stage: Stage, direction: Direction) =>
          places.filter((place) => place.stage === stage && place.direction === direction).length
        for (const action of steps) {
          if (action.kind === 'open') {
            const room = count('pending', action.direction) < LIMITS.pending[action.direction]
            const opened = counter.open(action.direction)
            expect(isExceeded(opened)).toBe(!room)
            if (isExceeded(opened)) expect(opened.limit).toBe(LIMITS.pending[action.direction])
            else places.push(opened)
          } else {
            const place = places[action.at]
            if (place === undefined) continue
            if (action.kind === 'release') place.release()
            else {
              const before = place.stage
              const limit = LIMITS.active[place.direction]
              const room = limit === undefined || count('active', place.direction) < limit
              const exceeded = place.activate()
              expect(exceeded !== undefined).toBe(before === 'pending' && !room)
              expect(place.stage).toBe(before === 'pending' && room ? 'active' : before)
            }
          }
          for (const stage of ['pending', 'active'] as const) {
            for (const direction of ['inbound', 'outbound'] as const) {
              expect(counter.count(stage, direction)).toBe(count(stage, direction))
              expect(count(stage, direction)).toBeLessThanOrEqual(LIMITS[stage][direction] ?? Number.POSITIVE_INFINITY)
            }
          }
        }
        for (const place of places) place.release()
        expect(counter.total).toBe(0)
      }),
    )
  })
})
