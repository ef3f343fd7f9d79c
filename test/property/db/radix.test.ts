import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { radixOrder } from '../../../src/db/radix.ts'

describe('radix order', () => {
  it('is that of the keys, and of the numbers where keys are equal', () => {
    const keys = fc.oneof(fc.uint32Array({ maxLength: 200 }), fc.uint32Array({ maxLength: 200, max: 3 }))
    fc.assert(
      fc.property(keys, (given) => {
        const expected = [...given.keys()].sort((a, b) => given[a]! - given[b]! || a - b)
        const { numbers, keys: sorted } = radixOrder(given)
        expect([...numbers]).toEqual(expected)
        expect([...sorted]).toEqual(expected.map((number) => given[number]))
      }),
    )
  })
})
