import { describe, expect, it } from 'vitest'
import type { Clock } from '../../../src/lib/clock.ts'
import { createLogger } from '../../../src/log.ts'
import { duration, SyncProgress } from '../../../src/sync/progress.ts'

function setUp(onTerminal: boolean) {
  let now = 0
  const clock: Clock = { now: () => now, monotonic: () => now, sleep: async () => {} }
  const logged: Record<string, unknown>[] = []
  const log = createLogger('info', { write: (line) => logged.push(JSON.parse(line) as Record<string, unknown>) })
  const written: string[] = []
  const terminal = onTerminal ? { write: (text: string) => written.push(text), columns: 120 } : undefined
  const progress = new SyncProgress({ terminal }, { log, clock })
  return { progress, logged, written, pass: (ms: number) => (now += ms) }
}

describe('progress of a catch-up', () => {
  it('is one log line every 10 s without a terminal', () => {
    const { progress, logged, pass } = setUp(false)
    for (let second = 0; second <= 25; second += 1) {
      progress.update({ height: second * 100, txCount: second * 5000, target: 10_000 })
      pass(1000)
    }
    expect(logged).toHaveLength(2)
    expect(logged[0]).toMatchObject({
      msg: 'syncing',
      height: 1000,
      target: 10_000,
      percent: 10,
      blocksPerSecond: 100,
      txPerSecond: 5000,
      etaSeconds: 90,
    })
  })

  it('is one line that is rewritten on a terminal, gone at the end', () => {
    const { progress, logged, written, pass } = setUp(true)
    progress.update({ height: 0, txCount: 0, target: 1000 })
    pass(500)
    progress.update({ height: 250, txCount: 1000, target: 1000 })
    expect(written).toEqual(['\r\u001b[2Kblock 250/1000 25.00 %  500 blocks/s  2000 tx/s  ETA 00:00:02'])
    progress.finish()
    expect(written.at(-1)).toBe('\r\u001b[2K')
    expect(logged).toEqual([])
  })

  it.each([
    [59, '00:00:59'],
    [3661, '01:01:01'],
    [90_000, '1d 01:00:00'],
  ])('spells %i seconds as %s', (seconds, text) => {
    expect(duration(seconds)).toBe(text)
  })
})
