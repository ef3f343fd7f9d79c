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
  loading: false,
  waited: 0,
  touched: new Set(),
}

/** When the next list is asked for after one that was begun at 0. */
function nextAfter({ listed, now, waited = 0 }: { listed: number; now: number; waited?: number }): number {
  const schedule = new MempoolSchedule({ pollMs: 1000 })
  schedule.begin(0)
  schedule.done({ ...RESULT, waited }, true, { begun: 0, listed, now })
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

  it('do not count the time in which it was away', () => {
    expect(nextAfter({ listed: 4000, now: 4100, waited: 3900 })).toBe(4400)
  })
})

describe('news of a mempool', () => {
  const TXID = 'aa'.repeat(32)

  /** Notices have proved good, nothing is due before the next list. */
  function trusting(): MempoolSchedule {
    const schedule = new MempoolSchedule({ pollMs: 1000 })
    schedule.begin(0)
    schedule.hear({ kind: 'tx-added', txid: TXID, sequence: 1n }, 1)
    schedule.done({ ...RESULT, sequence: 2, changed: [TXID] }, true, { begun: 0, listed: 2, now: 2 })
    schedule.begin(500)
    schedule.done(RESULT, false, { begun: 500, listed: 500, now: 500 })
    return schedule
  }

  it('are taken at once when a transaction came', () => {
    const schedule = trusting()
    schedule.hear({ kind: 'tx-added', txid: 'bb'.repeat(32), sequence: 3n }, 1000)
    expect(schedule.at).toBe(1000)
  })

  it('of a removal wait for what took the place of the transaction, and are taken with it', () => {
    const schedule = trusting()
    schedule.hear({ kind: 'tx-removed', txid: TXID, sequence: 3n }, 1000)
    expect(schedule.at).toBeGreaterThan(1001)
    schedule.hear({ kind: 'tx-removed', txid: 'cc'.repeat(32), sequence: 4n }, 1001)
    schedule.hear({ kind: 'tx-added', txid: 'bb'.repeat(32), sequence: 5n }, 1001)
    expect(schedule.at).toBe(1001)
    expect(schedule.begin(1001)).toEqual({ added: ['bb'.repeat(32)], removed: [TXID, 'cc'.repeat(32)] })
  })

  it('of an earlier transaction wait as well while a replacement is told of', () => {
    const schedule = trusting()
    schedule.hear({ kind: 'tx-added', txid: 'bb'.repeat(32), sequence: 3n }, 1000)
    schedule.hear({ kind: 'tx-removed', txid: TXID, sequence: 4n }, 1000)
    expect(schedule.at).toBeGreaterThan(1000)
    schedule.hear({ kind: 'tx-added', txid: 'cc'.repeat(32), sequence: 5n }, 1001)
    expect(schedule.at).toBe(1001)
  })

  it('of nothing but removals are taken a moment after the last of them', () => {
    const schedule = trusting()
    schedule.hear({ kind: 'tx-removed', txid: TXID, sequence: 3n }, 1000)
    schedule.hear({ kind: 'tx-removed', txid: 'cc'.repeat(32), sequence: 4n }, 1004)
    expect(schedule.at).toBeGreaterThan(1004)
    expect(schedule.at).toBeLessThan(1050)
    expect(schedule.begin(schedule.at)).toEqual({ added: [], removed: [TXID, 'cc'.repeat(32)] })
  })

  it('of a removal are waited for anew after those before it were taken', () => {
    const schedule = trusting()
    schedule.hear({ kind: 'tx-removed', txid: TXID, sequence: 3n }, 1000)
    const taken = schedule.at
    schedule.begin(taken)
    schedule.done(RESULT, false, { begun: taken, listed: taken, now: taken })
    schedule.hear({ kind: 'tx-removed', txid: 'cc'.repeat(32), sequence: 4n }, 2000)
    expect(schedule.at).toBeGreaterThan(2000)
  })

  it('that come while others are taken wait for a moment, however long those took', () => {
    const schedule = trusting()
    schedule.hear({ kind: 'tx-added', txid: 'bb'.repeat(32), sequence: 3n }, 1000)
    schedule.begin(1000)
    schedule.hear({ kind: 'tx-added', txid: 'cc'.repeat(32), sequence: 4n }, 1010)
    schedule.done(RESULT, false, { begun: 1000, listed: 1100, now: 1100 })
    expect(schedule.at).toBe(1120)
  })

  it('are in the order of the last words on each transaction, so that a child is after a parent that came again', () => {
    const schedule = trusting()
    for (const [i, txid] of ['bb', 'cc', 'bb'].entries()) {
      schedule.hear({ kind: 'tx-added', txid: txid.repeat(32), sequence: BigInt(3 + i) }, 1000)
    }
    expect(schedule.begin(1000)).toEqual({ added: ['cc'.repeat(32), 'bb'.repeat(32)], removed: [] })
  })

  it('are those from the place of a list on, whose number tells what comes next', () => {
    const schedule = trusting()
    schedule.begin(40_000)
    for (const [i, txid] of ['bb', 'cc', 'dd'].entries()) {
      schedule.hear({ kind: 'tx-added', txid: txid.repeat(32), sequence: BigInt(7 + i) }, 40_000)
    }
    const changed = ['bb'.repeat(32)]
    schedule.done({ ...RESULT, sequence: 8, changed }, true, { begun: 40_000, listed: 40_010, now: 40_020 })
    expect(schedule.begin(schedule.at)).toEqual({ added: ['cc'.repeat(32), 'dd'.repeat(32)], removed: [] })
  })

  it('are not kept beyond 5,000: the list is asked for', () => {
    for (const [count, byList] of [
      [5_000, false],
      [5_001, true],
    ] as const) {
      const schedule = trusting()
      for (let i = 0; i < count; i++) {
        schedule.hear({ kind: 'tx-added', txid: i.toString(16).padStart(64, '0'), sequence: BigInt(3 + i) }, 1000)
      }
      expect(schedule.begin(1000) === undefined).toBe(byList)
    }
  })

  it('do not do in place of a list that is to come later, where something was not followed to its end', () => {
    const schedule = trusting()
    schedule.startOver(5000)
    schedule.hear({ kind: 'tx-added', txid: 'bb'.repeat(32), sequence: 3n }, 1000)
    expect(schedule.begin(1000)).toBeUndefined()
  })

  it('are left for a list that somebody asked for while another one was taken over', () => {
    const schedule = trusting()
    schedule.askAt(40_000)
    schedule.begin(40_000)
    schedule.askAt(40_500)
    schedule.done({ ...RESULT, sequence: 9 }, true, { begun: 40_000, listed: 40_010, now: 40_020 })
    expect(schedule.at).toBe(40_500)
  })

  it('of removals that do not end are taken all the same', () => {
    const schedule = trusting()
    let now = 1000
    for (; schedule.at > now && now < 2000; now += 1) {
      schedule.hear({ kind: 'tx-removed', txid: now.toString(16).padStart(64, '0'), sequence: BigInt(now) }, now)
    }
    expect(now).toBeLessThan(1200)
  })
})
