import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PAGE_BYTES, PageCache } from '../../../src/db/page-cache.ts'

describe('a page cache', () => {
  it('keeps nothing where there is no room for a page', () => {
    const cache = new PageCache(PAGE_BYTES - 1)
    expect(cache.claim(1)).toBeUndefined()
    expect(cache.find(1)).toBeUndefined()
  })

  it('gives up what was not used since', () => {
    const cache = new PageCache(3 * PAGE_BYTES)
    for (const page of [1, 2, 3]) cache.claim(page)?.fill(page)
    cache.find(1)
    cache.find(3)
    cache.claim(4)?.fill(4)
    expect([1, 2, 3, 4].map((page) => cache.find(page)?.[0])).toEqual([1, undefined, 3, 4])
  })

  it('holds at most what it may, and never anything but what was put there last', () => {
    const step = fc.record({ act: fc.constantFrom('read', 'read', 'read', 'drop'), page: fc.nat(12) })
    fc.assert(
      fc.property(fc.nat(6), fc.array(step, { maxLength: 200 }), (pages, steps) => {
        const cache = new PageCache(pages * PAGE_BYTES)
        const model = new Map<number, number>()
        for (const [i, { act, page }] of steps.entries()) {
          if (act === 'drop') {
            cache.drop(page)
            model.delete(page)
            expect(cache.find(page)).toBeUndefined()
            continue
          }
          const found = cache.find(page)
          if (found === undefined) {
            cache.claim(page)?.fill(i)
            model.set(page, i % 256)
          } else {
            expect(found[PAGE_BYTES - 1]).toBe(model.get(page))
          }
          if (pages > 0) expect(cache.find(page)?.[0]).toBe(model.get(page))
          expect(cache.size).toBeLessThanOrEqual(pages)
        }
      }),
    )
  })
})
