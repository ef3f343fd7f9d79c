import { describe, expect, it } from 'vitest'
import type { Refreshed } from '../../../src/mempool/mempool.ts'
import { MempoolSchedule } from '../../../src/sync/mempool-schedule.ts'

const RESULT: Refreshed = {
  node: {
    chain: 'regtest',
    blocks: 1,
    headers: 1,
    bestBlockHash: '00'.repeat(32),
    initialBlockDownload: false,
    pruned: false,
  },
  sequence: undefined,
  changed: [],
  outcome: 'current',
  touched: new Set(),
}

/** When the next list is asked for after one that was begun at 0. */
function nextAfter({ listed, now, pollMs = 1000 }: { listed: number; now: number; pollMs?: number }): number {
  const schedule = new MempoolSchedule({ pollMs })
  schedule.begin(0)
  schedule.done(RESULT, true, { begun: 0, listed, now })
  return schedule.at
}

describe('the polls of a mempool without notices', () => {
  it('begin one interval after each other, however long it took to fetch what was new', () => {
    expect(nextAfter({ listed: 20, now: 30 })).toBe(1000)
    expect(nextAfter({ listed: 20, now: 900 })).toBe(1000)
  })

  it('follow soon where fetching what was new took longer than the interval', () => {
    expect(nextAfter({ listed: 20, now: 3000 })).toBe(3050)
  })

  it('leave the node alone for four times as long as its list took', () => {
    expect(nextAfter({ listed: 500, now: 600 })).toBe(2500)
    expect(nextAfter({ listed: 4000, now: 4100 })).toBe(9000)
  })
})
