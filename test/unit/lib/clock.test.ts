import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { steadyClock, systemClock } from '../../../src/lib/clock.ts'

const LONG = 600_000

function timers(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
}

describe('a sleep by the system’s clock', () => {
  it('ends after its time and leaves the signal alone', async () => {
    const { signal } = new AbortController()
    await systemClock.sleep(1)
    await systemClock.sleep(1, signal)
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  })

  it('ends with the abort, as an AbortError, and leaves no timer', async () => {
    const before = timers()
    const plain = new AbortController()
    const sleeping = systemClock.sleep(LONG, plain.signal)
    expect(timers()).toBe(before + 1)
    plain.abort()
    await expect(sleeping).rejects.toBe(plain.signal.reason)
    const reasoned = new AbortController()
    const other = systemClock.sleep(LONG, reasoned.signal)
    reasoned.abort(new Error('enough'))
    await expect(other).rejects.toMatchObject({ name: 'AbortError', cause: new Error('enough') })
    expect(timers()).toBe(before)
  })

  it('does not begin when the signal has aborted before', async () => {
    const before = timers()
    await expect(systemClock.sleep(LONG, AbortSignal.abort())).rejects.toMatchObject({ name: 'AbortError' })
    expect(timers()).toBe(before)
  })
})

describe('a steady clock', () => {
  it('begins with the time of day and goes on by the one that only grows, through jumps in both directions', () => {
    const hands = { day: 1_000_000, since: 500 }
    const clock = steadyClock({
      now: () => hands.day,
      monotonic: () => hands.since,
      sleep: () => Promise.resolve(),
    })
    expect(clock.now()).toBe(1_000_000)
    hands.since += 10
    hands.day += 50_000_000
    expect(clock.now()).toBe(1_000_010)
    hands.since += 10
    hands.day = 3
    expect(clock.now()).toBe(1_000_020)
    expect(clock.monotonic()).toBe(520)
  })
})
