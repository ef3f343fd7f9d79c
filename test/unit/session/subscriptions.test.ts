import { describe, expect, it } from 'vitest'
import { type Subscriber, Subscriptions } from '../../../src/session/subscriptions.ts'

function subscriber(id: number): Subscriber {
  return { id, tellStatus: () => {}, tellTip: () => {}, cannotFollow: () => {} }
}

function news(key: string, status: string | null = null) {
  return { key, alias: `alias of ${key}`, status, since: 0 }
}

describe('subscriptions', () => {
  it('finds the followers of a script, one or many, and forgets those who left', () => {
    const table = new Subscriptions({ maxPerSession: 0, maxTotal: 0 })
    const [a, b, c] = [subscriber(1), subscriber(2), subscriber(3)]
    for (const who of [a, b, c]) table.add(who, news('x'))
    table.add(a, news('y'))
    const followers = (key: string) => [...table.of(key)].map((subscription) => subscription.subscriber.id)
    expect(followers('x')).toEqual([1, 2, 3])
    expect(followers('y')).toEqual([1])
    expect(table.remove(b, 'x')).toBe(true)
    expect(table.remove(b, 'x')).toBe(false)
    expect(followers('x')).toEqual([1, 3])
    expect(table.total).toBe(3)
    table.removeAll(a)
    table.removeAll(c)
    expect([followers('x'), followers('y'), table.total, table.scripts]).toEqual([[], [], 0, 0])
  })

  it('names what the only follower of a script follows besides, nearest first, and no more than is asked for', () => {
    const table = new Subscriptions({ maxPerSession: 0, maxTotal: 0 })
    const [a, b] = [subscriber(1), subscriber(2)]
    for (const key of ['v', 'w', 'x', 'y', 'z']) table.add(a, news(key))
    table.add(b, news('z'))
    expect([...table.besides('x', 10)]).toEqual(['w', 'v', 'y', 'z'])
    expect([...table.besides('x', 3)]).toEqual(['w', 'v', 'y'])
    expect([...table.besides('v', 1)]).toEqual(['w'])
    expect([...table.besides('z', 10)]).toEqual([])
    expect([...table.besides('nobody', 10)]).toEqual([])
  })

  it.each([
    ['first', ['x', 'y', 'z']],
    ['middle', ['y', 'z', 'x']],
    ['last', ['z', 'y', 'x']],
  ])('lets go of the %s subscription of a client without losing the others', (_name, order) => {
    const table = new Subscriptions({ maxPerSession: 0, maxTotal: 0 })
    const [a, b] = [subscriber(1), subscriber(2)]
    for (const key of ['x', 'y', 'z']) for (const who of [a, b]) table.add(who, news(key))
    for (const [i, key] of order.entries()) {
      expect(table.remove(a, key)).toBe(true)
      expect([table.count(a), table.count(b), table.total]).toEqual([2 - i, 3, 5 - i])
    }
    for (const key of ['x', 'y']) table.add(a, news(key))
    table.remove(a, 'x')
    table.removeAll(a)
    table.removeAll(b)
    expect([table.total, table.scripts, table.count(a), table.count(b)]).toEqual([0, 0, 0, 0])
  })

  it('counts a second subscription to a script as the same with a newer status', () => {
    const table = new Subscriptions({ maxPerSession: 1, maxTotal: 1 })
    const a = subscriber(1)
    const first = table.add(a, news('x', 'old'))
    const second = table.add(a, news('x', 'new'))
    expect(second.subscription).toBe(first.subscription)
    expect(second.subscription).toMatchObject({ told: 'new', held: 2 })
    expect(table.total).toBe(1)
  })

  it('takes back what one subscription has changed, and the last of them with all that there is', () => {
    const table = new Subscriptions({ maxPerSession: 0, maxTotal: 0 })
    const a = subscriber(1)
    const first = table.add(a, news('x', 'old'))
    const second = table.add(a, news('x', 'new'))
    expect([first.before, second.before]).toEqual([undefined, expect.objectContaining({ status: 'old' })])
    table.takeBack(second)
    expect(first.subscription).toMatchObject({ told: 'old', claims: 1, stale: true })
    expect(table.has(a, 'x')).toBe(true)
    table.takeBack(first)
    expect(table.has(a, 'x')).toBe(false)
    // It has gone, and another one in its place is not its own.
    table.add(a, news('x'))
    table.takeBack(first)
    expect(table.has(a, 'x')).toBe(true)
  })

  it('refuses with -101 above the limit of a client and above that of all', () => {
    const table = new Subscriptions({ maxPerSession: 2, maxTotal: 3 })
    const [a, b] = [subscriber(1), subscriber(2)]
    table.add(a, news('x'))
    table.add(a, news('y'))
    expect(() => table.add(a, news('z'))).toThrow(expect.objectContaining({ code: -101 }))
    table.add(b, news('x'))
    expect(() => table.add(b, news('y'))).toThrow(expect.objectContaining({ code: -101 }))
    table.remove(a, 'x')
    table.add(b, news('y'))
    expect(table.total).toBe(3)
  })

  it('counts outpoints towards the same limits and forgets one with its last follower', () => {
    const table = new Subscriptions({ maxPerSession: 2, maxTotal: 0 })
    const [a, b] = [subscriber(1), subscriber(2)]
    const outpoint = { ref: { txid: 'ab'.repeat(32), vout: 0 }, script: 'unknown' as const }
    const key = 'o'.repeat(36)
    for (const who of [a, b]) table.add(who, { ...news(key, '{}'), outpoint })
    table.add(a, news('x'))
    expect(() => table.add(a, news('y'))).toThrow(expect.objectContaining({ code: -101 }))
    const nothing = { newTip: false, touched: new Set<string>(), stirred: new Set<string>() }
    const looked = (change: object) => {
      const news = { ...nothing, ...change }
      return [...table.outpoints.among(news), ...table.outpoints.unknownAmong(news)]
    }
    expect(looked({ newTip: true })).toEqual([key])
    expect(looked({ stirred: new Set([outpoint.ref.txid]) })).toEqual([key])
    expect(table.outpoints.settle(key, Uint8Array.of(65))).toBe(true)
    expect([looked({ newTip: true }), looked({ touched: new Set(['A', 'B']) })]).toEqual([[], [key]])
    table.remove(a, key)
    expect(table.outpoints.size).toBe(1)
    table.removeAll(b)
    expect([table.outpoints.size, looked({ touched: new Set(['A']) })]).toEqual([0, []])
  })

  it('intersects with what was touched from whichever side is smaller', () => {
    const table = new Subscriptions({ maxPerSession: 0, maxTotal: 0 })
    const a = subscriber(1)
    for (const key of ['a', 'b', 'c']) table.add(a, news(key))
    expect([...table.among(new Set(['b', 'z']))]).toEqual(['b'])
    expect([...table.among(new Set('cdefghijkla'.split('')))].sort()).toEqual(['a', 'c'])
  })
})
