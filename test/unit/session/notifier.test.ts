import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { Daemon } from '../../../src/daemon/daemon.ts'
import { toLatin1 } from '../../../src/lib/bytes.ts'
import { createLogger } from '../../../src/log.ts'
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
  const lines: string[] = []
  const log = createLogger('info', { write: (line: string) => lines.push(line) })
  const collaborators = { moments, subscriptions, daemon: {} as Daemon, clock, log }
  const notifier = new Notifier(DEFAULT_NOTIFIER, collaborators)
  const stop = new AbortController()
  notifier.start(stop.signal)
  return { notifier, subscriptions, clock, lines, publish: (news: MomentNews) => publish(news), stop }
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
    subscriptions.add(client, { key, alias: '', status: 'one', since: 0 }).subscription.held = 0
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
      subscriptions.add(quiet(2), { key, alias: '', status: '{}', since: 0, outpoint }).subscription.held = 0
    }
    const key = toLatin1(new Uint8Array(11).fill(7))
    subscriptions.add(subscriber, { key, alias: '', status: 'one', since: 0 }).subscription.held = 0
    publish({ newTip: true, touched: new Set([key]), stirred: new Set() })
    await notifier.idle()
    stop.abort()
    expect(looked).toBe(2000)
    expect(when).toHaveLength(1)
    // Those that came along with the tip, and with the script.
    expect(when[0]).toBeLessThanOrEqual(2 * DEFAULT_NOTIFIER.batch)
  })

  /** A notifier over scripts of which some cannot be worked out, each followed by one client. */
  function failingWorld() {
    const tries = new Map<string, number>()
    const bad = new Set<string>()
    const told: string[] = []
    let round = 0
    const moment = {
      status: (hashX: Uint8Array) => {
        const key = toLatin1(hashX)
        tries.set(key, (tries.get(key) ?? 0) + 1)
        if (bad.has(key)) throw new Error('a row is damaged')
        return { status: `round ${round}`, characters: 7, confirmed: 1 }
      },
    } as Partial<Moment> as Moment
    const around = world(moment)
    const follow = (key: string): void => {
      const client = quiet(told.length + 1, (subscription, status) => {
        subscription.told = status
        told.push(key)
      })
      around.subscriptions.add(client, { key, alias: '', status: 'one', since: 0 }).subscription.held = 0
    }
    const touch = async (...keys: string[]): Promise<void> => {
      round++
      around.publish({ newTip: false, touched: new Set(keys), stirred: new Set() })
      await around.notifier.idle()
    }
    /** Lets seconds pass, with everything done that falls due. */
    const pass = async (seconds: number): Promise<void> => {
      for (let i = 0; i < seconds; i++) {
        around.clock.advance(1000)
        await turn()
        await around.notifier.idle()
      }
    }
    return { ...around, tries, bad, told, follow, touch, pass }
  }

  const scriptOf = (n: number): string => toLatin1(Uint8Array.of(n >> 8, n & 255, ...new Uint8Array(9)))

  it('does not let a script whose status cannot be worked out hold up the others', async () => {
    const { bad, told, follow, touch, tries, stop } = failingWorld()
    const [rotten, sound] = [scriptOf(1), scriptOf(2)]
    for (const key of [rotten, sound]) follow(key)
    bad.add(rotten)
    await touch(rotten, sound)
    // No time passes: each of these is told at once.
    for (let i = 0; i < 5; i++) await touch(rotten, sound)
    expect(told).toEqual(Array.from({ length: 6 }, () => sound))
    expect(tries.get(rotten)).toBe(1)
    stop.abort()
  })

  it('tries what fails again after waits that grow, and tells of it once it is well', async () => {
    const { bad, told, follow, touch, tries, pass, notifier, lines, stop } = failingWorld()
    const key = scriptOf(1)
    follow(key)
    bad.add(key)
    await touch(key)
    const seen: (number | undefined)[] = []
    for (const seconds of [1, 1, 1, 3, 1, 7, 1]) {
      await pass(seconds)
      seen.push(tries.get(key))
    }
    expect(seen).toEqual([2, 2, 3, 3, 4, 4, 5])
    await pass(600)
    expect(tries.get(key)).toBeLessThan(30)
    expect(notifier.failing).toBe(1)
    // One line for the trouble of one script, however long it lasts.
    expect(lines.filter((line) => line.includes('could not be worked out'))).toHaveLength(1)
    bad.delete(key)
    await pass(33)
    expect(told).toEqual([key])
    expect(notifier.failing).toBe(0)
    stop.abort()
  })

  it('forgets what fails once nobody follows it, and sleeps no more for it', async () => {
    const { bad, follow, touch, pass, notifier, subscriptions, clock, stop } = failingWorld()
    const key = scriptOf(1)
    follow(key)
    bad.add(key)
    await touch(key)
    for (const { subscriber } of subscriptions.of(key)) subscriptions.removeAll(subscriber)
    await pass(2)
    expect(notifier.failing).toBe(0)
    expect(clock.sleeping).toBe(0)
    stop.abort()
  })

  it('tells of all of them when thousands fail at once and are well again', async () => {
    const { bad, told, follow, touch, pass, notifier, lines, stop } = failingWorld()
    const keys = Array.from({ length: 10_000 }, (_, n) => scriptOf(n))
    for (const key of keys) {
      follow(key)
      bad.add(key)
    }
    await touch(...keys)
    expect(notifier.failing).toBe(keys.length)
    expect(lines.filter((line) => line.includes('could not be worked out'))).toHaveLength(1)
    bad.clear()
    await pass(10)
    expect(told.toSorted()).toEqual(keys.toSorted())
    expect(notifier.failing).toBe(0)
    stop.abort()
  })
})
