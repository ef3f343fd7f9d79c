import { describe, expect, it } from 'vitest'
import { BoundedQueue } from '../../../src/lib/queue.ts'

/** Whether a promise has settled once everything that could run has run. */
async function isPending(promise: Promise<unknown>): Promise<boolean> {
  let pending = true
  const settled = (): void => {
    pending = false
  }
  promise.then(settled, settled)
  await new Promise((resolve) => setImmediate(resolve))
  return pending
}

describe('BoundedQueue', () => {
  it('gives items in the order they came', async () => {
    const queue = new BoundedQueue<number>(10)
    for (const item of [1, 2, 3]) await queue.put(item)
    expect([await queue.take(), await queue.take(), await queue.take()]).toEqual([1, 2, 3])
    expect(queue.length).toBe(0)
  })

  it('makes a producer wait until there is room', async () => {
    const queue = new BoundedQueue<string>(5, (item) => item.length)
    await queue.put('abc')
    const waiting = queue.put('def')
    expect(await isPending(waiting)).toBe(true)
    expect(queue.size).toBe(3)
    expect(await queue.take()).toBe('abc')
    await waiting
    expect(queue.size).toBe(3)
  })

  it('takes one item of any size, so that nobody waits for ever', async () => {
    const queue = new BoundedQueue<string>(5, (item) => item.length)
    await queue.put('longer than five')
    expect(queue.size).toBe(16)
    expect(await queue.take()).toBe('longer than five')
  })

  it('makes a consumer wait until there is an item', async () => {
    const queue = new BoundedQueue<number>(1)
    const waiting = queue.take()
    expect(await isPending(waiting)).toBe(true)
    await queue.put(7)
    expect(await waiting).toBe(7)
  })

  it('is emptied after close, then ends for every consumer', async () => {
    const queue = new BoundedQueue<number>(2)
    await queue.put(1)
    queue.close()
    expect(await queue.take()).toBe(1)
    expect(await Promise.all([queue.take(), queue.take()])).toEqual([undefined, undefined])
  })

  it('wakes those who wait when it is closed', async () => {
    const empty = new BoundedQueue<number>(1)
    const consumer = empty.take()
    empty.close()
    expect(await consumer).toBeUndefined()
    const full = new BoundedQueue<number>(1)
    await full.put(1)
    const producer = full.put(2)
    full.close()
    await expect(producer).rejects.toThrow('closed')
    await expect(full.put(3)).rejects.toThrow('closed')
  })

  it('rejects all who wait and all who come after abort, with the first error', async () => {
    const queue = new BoundedQueue<number>(1)
    const consumer = queue.take()
    const failure = new Error('stop')
    queue.abort(failure)
    queue.abort(new Error('later'))
    await expect(consumer).rejects.toBe(failure)
    await expect(queue.take()).rejects.toBe(failure)
    await expect(queue.put(1)).rejects.toBe(failure)
    const full = new BoundedQueue<number>(1)
    await full.put(1)
    const producer = full.put(2)
    full.abort(failure)
    await expect(producer).rejects.toBe(failure)
    expect([full.length, full.size]).toEqual([0, 0])
  })
})
