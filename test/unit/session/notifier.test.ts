import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { Daemon } from '../../../src/daemon/daemon.ts'
import { toLatin1 } from '../../../src/lib/bytes.ts'
import { silentLogger } from '../../../src/log.ts'
import type { Moment, MomentNews, MomentSource } from '../../../src/mempool/moment.ts'
import { outpointBytes } from '../../../src/rpc/outpoint.ts'
import { DEFAULT_NOTIFIER, Notifier } from '../../../src/session/notifier.ts'
import { type Subscriber, Subscriptions } from '../../../src/session/subscriptions.ts'
import { HandClock } from '../../support/hand-clock.ts'

const CLIENTS = 200

/** A client that takes note of statuses alone. */
function quiet(id: number, tellStatus: Subscriber['tellStatus'] = () => {}): Subscriber {
  return { id, tellStatus, tellTip: () => {}, cannotFollow: () => {} }
}

/** A notifier that was started over one moment. */
function world(moment: Moment) {
  const subscriptions = new Subscriptions({ maxPerSession: 0, maxTotal: 0 })
  let publish: (news: MomentNews) => void = () => {}
  const moments: MomentSource = {
    ready: true,
    with: async (use) => use(moment),
    use: (use) => use(moment),
    listen: (listener) => {
      publish = listener
    },
  }
  const clock = new HandClock()
  const collaborators = { moments, subscriptions, daemon: {} as Daemon, clock, log: silentLogger() }
  const notifier = new Notifier(DEFAULT_NOTIFIER, collaborators)
  const stop = new AbortController()
  notifier.start(stop.signal)
  return { notifier, subscriptions, clock, publish: (news: MomentNews) => publish(news), stop }
}

/** How many clients were told between two turns, where each write takes so many milliseconds. */
async function toldPerTurn(millisecondsEach: number): Promise<number[]> {
  const moment = { status: () => ({ status: 'other', characters: 5, confirmed: 1 }) } as Partial<Moment> as Moment
  const { notifier, subscriptions, clock, publish, stop } = world(moment)
  const told: number[] = []
  const touched = new Set<string>()
  for (let id = 0; id < CLIENTS; id++) {
    const key = toLatin1(new Uint8Array(11).fill(id))
    const client = quiet(id, () => {
      told.push(id)
      // As a connection writes: at the end of the turn.
      setImmediate(() => clock.advance(millisecondsEach))
    })
    subscriptions.add(client, { key, alias: '', status: 'one', since: 0 }).held = 0
    touched.add(key)
  }
  publish({ newTip: false, touched, stirred: new Set() })
  const each: number[] = []
  while (told.length < CLIENTS) {
    const before = told.length
    await turn()
    if (told.length > before) each.push(told.length - before)
  }
  await notifier.idle()
  stop.abort()
  return each
}

describe('the notifier', () => {
  it('tells more clients in a turn while writes are quick, up to its limit', async () => {
    const each = await toldPerTurn(0.01)
    expect(Math.max(...each)).toBe(DEFAULT_NOTIFIER.sendsPerTurn)
    expect(each[0]).toBeLessThan(DEFAULT_NOTIFIER.sendsPerTurn)
  })

  it('lets others have a turn after a few while writes take long', async () => {
    const each = await toldPerTurn(3)
    expect(Math.max(...each)).toBeLessThanOrEqual(8)
    expect(each.reduce((sum, told) => sum + told, 0)).toBe(CLIENTS)
  })

  it('tells of scripts before it looks for thousands of outpoints that nobody has seen yet', async () => {
    let looked = 0
    const moment = {
      tip: { height: 1, hash: new Uint8Array(32), txCount: 1 },
      status: () => ({ status: 'other', characters: 5, confirmed: 1 }),
      mempool: { has: () => false },
      view: {
        header: () => new Uint8Array(80),
        findTransaction: async () => {
          looked++
          return undefined
        },
      },
    } as unknown as Moment
    const { notifier, subscriptions, publish, stop } = world(moment)
    const when: number[] = []
    const subscriber = quiet(1, () => when.push(looked))
    for (let vout = 0; vout < 2000; vout++) {
      const ref = { txid: 'ab'.repeat(32), vout }
      const key = toLatin1(outpointBytes(ref)!)
      const outpoint = { ref, script: 'unknown' as const }
      subscriptions.add(quiet(2), { key, alias: '', status: '{}', since: 0, outpoint }).held = 0
    }
    const key = toLatin1(new Uint8Array(11).fill(7))
    subscriptions.add(subscriber, { key, alias: '', status: 'one', since: 0 }).held = 0
    publish({ newTip: true, touched: new Set([key]), stirred: new Set() })
    await notifier.idle()
    stop.abort()
    expect(looked).toBe(2000)
    expect(when).toHaveLength(1)
    // Those that came along with the tip, and with the script.
    expect(when[0]).toBeLessThanOrEqual(2 * DEFAULT_NOTIFIER.batch)
  })
})
