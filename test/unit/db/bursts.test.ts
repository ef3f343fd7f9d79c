import { describe, expect, it } from 'vitest'
import { Bursts } from '../../../src/db/bursts.ts'

describe('bursts', () => {
  it('let go together all who came in one turn, and none of them before its end', async () => {
    const bursts = new Bursts()
    const order: string[] = []
    const come = async (name: string): Promise<void> => {
      await bursts.next()
      order.push(name)
    }
    const first = come('first')
    const later = Promise.resolve().then(() => come('in a microtask'))
    for (let i = 0; i < 20; i++) await Promise.resolve()
    order.push('the turn goes on')
    expect(bursts.next()).toBe(bursts.next())
    await Promise.all([first, later])
    expect(order).toEqual(['the turn goes on', 'first', 'in a microtask'])
  })

  it('begin anew with each turn', async () => {
    const bursts = new Bursts()
    const before = bursts.next()
    await before
    const next = bursts.next()
    expect(next).not.toBe(before)
    const order: string[] = []
    const wait = async (): Promise<void> => {
      await next
      order.push('over')
    }
    const waiting = wait()
    for (let i = 0; i < 20; i++) await Promise.resolve()
    order.push('the turn goes on')
    await waiting
    expect(order).toEqual(['the turn goes on', 'over'])
  })
})
