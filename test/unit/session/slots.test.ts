import { describe, expect, it } from 'vitest'
import { Slots } from '../../../src/session/slots.ts'

const NEVER = new AbortController().signal

/** Whether a promise has settled by now. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  const still = Symbol('still')
  const first = await Promise.race([promise.catch(() => {}), Promise.resolve().then(() => Promise.resolve(still))])
  return first !== still
}

describe('slots', () => {
  it('lets as many run as the target says, and the others in order', async () => {
    const slots = new Slots(2)
    const order: number[] = []
    await slots.take(NEVER)
    await slots.take(NEVER)
    const waiting = [1, 2].map((i) => slots.take(NEVER).then(() => order.push(i)))
    expect(slots.waiting).toBe(2)
    slots.release()
    await waiting[0]
    slots.release()
    await waiting[1]
    expect(order).toEqual([1, 2])
    expect(slots.taken).toBe(2)
  })

  it('admits nobody new until it is below a lowered target, and more at once when it is raised', async () => {
    const slots = new Slots(3)
    for (let i = 0; i < 3; i++) await slots.take(NEVER)
    slots.setTarget(1)
    const next = slots.take(NEVER)
    slots.release()
    slots.release()
    expect(await settled(next)).toBe(false)
    slots.release()
    await next
    const more = [slots.take(NEVER), slots.take(NEVER)]
    slots.setTarget(3)
    await Promise.all(more)
    expect(slots.taken).toBe(3)
  })

  it('refuses those who wait and those who come with -101 at a target of 0', async () => {
    const slots = new Slots(1)
    await slots.take(NEVER)
    const waiting = slots.take(NEVER)
    slots.setTarget(0)
    await expect(waiting).rejects.toMatchObject({ code: -101 })
    await expect(slots.take(NEVER)).rejects.toMatchObject({ code: -101 })
    expect(slots.waiting).toBe(0)
  })

  it('forgets who gave up waiting', async () => {
    const slots = new Slots(1)
    await slots.take(NEVER)
    const controller = new AbortController()
    const waiting = slots.take(controller.signal)
    controller.abort(new Error('gave up'))
    await expect(waiting).rejects.toThrow('gave up')
    await expect(slots.take(controller.signal)).rejects.toThrow('gave up')
    slots.release()
    expect(slots.taken).toBe(0)
    await slots.take(NEVER)
  })

  it('settles everybody when it is closed', async () => {
    const slots = new Slots(1)
    await slots.take(NEVER)
    const waiting = slots.take(NEVER)
    slots.close(new Error('gone'))
    await expect(waiting).rejects.toThrow('gone')
    await expect(slots.take(NEVER)).rejects.toThrow('gone')
  })
})
