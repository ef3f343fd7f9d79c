import { describe, expect, it } from 'vitest'
import { DEFAULT_GROUPS, SessionGroups } from '../../../src/session/groups.ts'

const NAMES: readonly { host: string; name: string | undefined }[] = [
  { host: '1.2.3.4', name: '1.2.3.0/24' },
  { host: '1.2.3.255', name: '1.2.3.0/24' },
  { host: '::ffff:1.2.3.4', name: '1.2.3.0/24' },
  { host: '2600:1:2:3::4', name: '2600:1:2::/48' },
  { host: '100.64.0.1', name: '100.64.0.0/24' },
  { host: '127.0.0.1', name: undefined },
  { host: '::1', name: undefined },
  { host: '10.1.2.3', name: undefined },
  { host: '172.16.0.9', name: undefined },
  { host: '192.168.1.1', name: undefined },
  { host: '169.254.1.1', name: undefined },
  { host: 'fd00::1', name: undefined },
  { host: 'fe80::1', name: undefined },
  { host: '8.8.8.8', name: undefined }, // exempt below
  { host: '2a00:dead::1', name: undefined }, // exempt below
  { host: 'abcdefghij.onion', name: 'unknown_addr' },
]

describe('session groups', () => {
  const groups = new SessionGroups({ ...DEFAULT_GROUPS, exempt: ['8.8.0.0/16', '2a00:dead::/32'] })

  it.each(NAMES)('puts $host into $name', ({ host, name }) => {
    expect(groups.nameOf(host)).toBe(name)
  })

  it('knows who is free of limits, which private addresses are not by themselves', () => {
    expect(['8.8.8.8', '::ffff:8.8.1.1', '2a00:dead::1'].map((host) => groups.isExempt(host))).toEqual([
      true,
      true,
      true,
    ])
    expect(['8.9.0.1', '127.0.0.1', '2a00:beef::1', 'x.onion'].map((host) => groups.isExempt(host))).toEqual(
      Array(4).fill(false),
    )
  })

  it('takes the size of subnets from the settings', () => {
    const wide = new SessionGroups({ ...DEFAULT_GROUPS, ipv4Bits: 16, ipv6Bits: 32 })
    expect(wide.nameOf('1.2.3.4')).toBe('1.2.0.0/16')
    expect(wide.nameOf('2600:1:2::1')).toBe('2600:1::/32')
  })

  it('refuses an exempt subnet that is none', () => {
    expect(() => new SessionGroups({ ...DEFAULT_GROUPS, exempt: ['300.0.0.0/8'] })).toThrow()
  })

  it('adds what the others of the group used to the cost of each', () => {
    const own = new SessionGroups(DEFAULT_GROUPS)
    const a = { cost: 10 }
    const b = { cost: 200 }
    const group = own.join('1.2.3.4', a, 0)[0]!
    expect(own.join('1.2.3.5', b, 0)).toEqual([group])
    expect(group.extraCost(a)).toBe(200)
    expect(group.extraCost(b)).toBe(10)
  })

  it('keeps what a client used when it has gone, and refunds 600 of 10,000 every 300 seconds', () => {
    const own = new SessionGroups(DEFAULT_GROUPS)
    const a = { cost: 1000 }
    const b = { cost: 1 }
    const group = own.join('1.2.3.4', a, 0)[0]!
    own.join('1.2.3.9', b, 0)
    group.leave(a)
    expect(group.retainedCost).toBe(1000)
    expect(group.extraCost(b)).toBe(1000)
    own.refund(300, 10_000)
    expect(group.retainedCost).toBe(400)
    group.leave(a)
    expect(group.retainedCost).toBe(400)
  })

  it('forgets a group once nobody and nothing is left in it', () => {
    const own = new SessionGroups(DEFAULT_GROUPS)
    const a = { cost: 700 }
    own.join('1.2.3.4', a, 0)[0]!.leave(a)
    own.refund(300, 10_000)
    expect(own.size).toBe(1)
    own.refund(300, 10_000)
    expect(own.size).toBe(0)
  })

  it('forgets at once a group that is empty where the limiter is off, in place of keeping every subnet for good', () => {
    const own = new SessionGroups(DEFAULT_GROUPS)
    const [gone, here] = [{ cost: 5 }, { cost: 5 }]
    own.join('1.2.3.4', gone, 0)[0]!.leave(gone)
    own.join('9.9.9.9', here, 0)
    own.refund(300, 0)
    expect([...own.all].map(({ name }) => name)).toEqual(['9.9.9.0/24'])
  })

  it('puts who came within the same time together, wherever from, at 3 % of what the others used', () => {
    const own = new SessionGroups({ ...DEFAULT_GROUPS, timeSlot: 300, exempt: ['8.8.0.0/16'] })
    const [wallet, tor, flood] = [{ cost: 5 }, { cost: 100 }, { cost: 2000 }]
    const at = Date.UTC(2026, 0, 2, 3, 4, 5)
    const names = (host: string, member: { cost: number }, now: number) =>
      own.join(host, member, now).map(({ name }) => name)
    expect(names('1.2.3.4', wallet, at)).toEqual(['1.2.3.0/24', 'from 2026-01-02T03:00:00.000Z'])
    expect(names('127.0.0.1', tor, at + 50_000)).toEqual(['from 2026-01-02T03:00:00.000Z'])
    expect(names('9.9.9.9', flood, at + 54_999)).toEqual(['9.9.9.0/24', 'from 2026-01-02T03:00:00.000Z'])
    expect(names('1.2.9.9', { cost: 9 }, at + 55_000)).toEqual(['1.2.9.0/24', 'from 2026-01-02T03:05:00.000Z'])
    expect(names('8.8.8.8', { cost: 9 }, at)).toEqual([])
    expect(own.get('from 2026-01-02T03:00:00.000Z')!.extraCost(wallet)).toBeCloseTo(2100 * 0.03)
    expect(own.get('1.2.3.0/24')!.extraCost(wallet)).toBe(0)
  })

  it('add up a group of many not for each of them, and are never far behind', () => {
    const own = new SessionGroups({ ...DEFAULT_GROUPS, timeSlot: 300 })
    const count = 4000
    let looks = 0
    const members = Array.from({ length: count }, () => ({
      used: 5,
      get cost() {
        looks++
        return this.used
      },
    }))
    for (const [i, member] of members.entries()) {
      for (const group of own.join(`${1 + (i >> 8)}.1.${i & 255}.1`, member, 0)) group.extraCost(member)
    }
    // Sixteen for each question, and a few of its own; all for each would be eight million.
    expect(looks).toBeLessThan(count * 30)
    for (const member of members) member.used = 105
    const slot = own.get('from 1970-01-01T00:00:00.000Z')!
    for (let i = 0; i < count / 16; i++) slot.extraCost(members[0]!)
    expect(slot.sessionCost).toBe(105 * count)
  })

  it('says when a group is full, and never of clients without a group', () => {
    const own = new SessionGroups({ ...DEFAULT_GROUPS, maxSessions: 1 })
    expect(own.hasRoom('1.2.3.4')).toBe(true)
    own.join('1.2.3.4', { cost: 0 }, 0)
    expect(own.hasRoom('1.2.3.9')).toBe(false)
    expect(own.hasRoom('1.2.4.9')).toBe(true)
    expect(own.hasRoom('127.0.0.1')).toBe(true)
  })
})
