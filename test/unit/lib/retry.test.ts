import { describe, expect, it } from 'vitest'
import type { Clock } from '../../../src/lib/clock.ts'
import { type BackOff, retry, waits } from '../../../src/lib/retry.ts'

const BACK_OFF: BackOff = { first: 100, longest: 1000, factor: 3, jitter: 0 }

/** A clock on which every sleep is over at once; `slept` are its lengths. */
function fastClock(): Clock & { readonly slept: number[] } {
  const slept: number[] = []
  return {
    slept,
    now: () => 0,
    monotonic: () => 0,
    sleep: async (ms, signal) => {
      signal?.throwIfAborted()
      slept.push(ms)
    },
  }
}

/** Fails `failures` times, then gives how often it was called. */
function failing(failures: number): () => Promise<number> {
  let calls = 0
  return async () => {
    calls += 1
    if (calls <= failures) throw new Error(`failure ${calls}`)
    return calls
  }
}

describe('waits', () => {
  it('grow up to the longest', () => {
    const generator = waits(BACK_OFF)
    const first = Array.from({ length: 5 }, () => generator.next().value)
    expect(first).toEqual([100, 300, 900, 1000, 1000])
  })

  it('are shortened by chance, by no more than the jitter', () => {
    const shortest = waits({ ...BACK_OFF, jitter: 0.5 }, () => 1)
    expect([shortest.next().value, shortest.next().value]).toEqual([50, 150])
    expect(waits({ ...BACK_OFF, jitter: 0.5 }, () => 0).next().value).toBe(100)
  })
})

describe('retry', () => {
  it('waits between attempts and gives what the first good one gives', async () => {
    const clock = fastClock()
    const result = await retry(failing(3), { backOff: BACK_OFF, clock, again: () => true })
    expect(result).toBe(4)
    expect(clock.slept).toEqual([100, 300, 900])
  })

  it('rethrows as soon as another attempt is not wanted, and tells how many failed', async () => {
    const seen: number[] = []
    const again = (_: unknown, failures: number): boolean => {
      seen.push(failures)
      return failures < 2
    }
    await expect(retry(failing(9), { backOff: BACK_OFF, clock: fastClock(), again })).rejects.toThrow('failure 2')
    expect(seen).toEqual([1, 2])
  })

  it('does not begin once the signal has aborted', async () => {
    const options = { backOff: BACK_OFF, clock: fastClock(), again: () => true }
    await expect(retry(failing(0), { ...options, signal: AbortSignal.abort() })).rejects.toThrow(/abort/i)
  })

  it('makes no further attempt once the signal aborts', async () => {
    const controller = new AbortController()
    let calls = 0
    const attempt = async (): Promise<never> => {
      calls += 1
      controller.abort()
      throw new Error('failure')
    }
    const options = { backOff: BACK_OFF, clock: fastClock(), again: () => true, signal: controller.signal }
    await expect(retry(attempt, options)).rejects.toThrow('failure')
    expect(calls).toBe(1)
  })
})
