import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type InFlight, InFlightList } from '../../../src/session/in-flight.ts'

function entry(started: number): InFlight {
  return { started, before: undefined, after: undefined, abort: () => {} }
}

describe('the list of what is in flight', () => {
  it('is in the order of arrival whatever ends when, as a Set would be', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(15), { maxLength: 60 }), (steps) => {
        const list = new InFlightList()
        const model = new Set<InFlight>()
        const entries = Array.from({ length: 16 }, (_, i) => entry(i))
        for (const step of steps) {
          const one = entries[step]!
          if (model.delete(one)) {
            list.delete(one)
            list.delete(one) // Once more changes nothing.
          } else {
            model.add(one)
            list.add(one)
          }
          expect(list.all()).toEqual([...model])
          expect(list.count).toBe(model.size)
        }
      }),
    )
  })
})
