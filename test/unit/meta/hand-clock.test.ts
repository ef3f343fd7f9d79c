import { getEventListeners } from 'node:events'
import { expect, it } from 'vitest'
import { HandClock } from '../../support/hand-clock.ts'

it('the clock that tests turn by hand leaves nothing on a signal once a sleep has ended', async () => {
  const clock = new HandClock()
  const { signal } = new AbortController()
  for (let i = 0; i < 20; i++) {
    const slept = clock.sleep(10, signal)
    clock.advance(10)
    await slept
  }
  expect(getEventListeners(signal, 'abort')).toEqual([])
})
