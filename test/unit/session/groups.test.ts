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
    const group = own.join('1.2.3.4', a)!
    expect(own.join('1.2.3.5', b)).toBe(group)
    expect(group.extraCost(a)).toBe(200)
    expect(group.extraCost(b)).toBe(10)
  })

  it('keeps what a client used when it has gone, and refunds 600 of 10,000 every 300 seconds', () => {
    const own = new SessionGroups(DEFAULT_GROUPS)
    const a = { cost: 1000 }
    const b = { cost: 1 }
    const group = own.join('1.2.3.4', a)!
    own.join('1.2.3.9', b)
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
    own.join('1.2.3.4', a)!.leave(a)
    own.refund(300, 10_000)
    expect(own.size).toBe(1)
    own.refund(300, 10_000)
    expect(own.size).toBe(0)
  })

  it('says when a group is full, and never of clients without a group', () => {
    const own = new SessionGroups({ ...DEFAULT_GROUPS, maxSessions: 1 })
    expect(own.hasRoom('1.2.3.4')).toBe(true)
    own.join('1.2.3.4', { cost: 0 })
    expect(own.hasRoom('1.2.3.9')).toBe(false)
    expect(own.hasRoom('1.2.4.9')).toBe(true)
    expect(own.hasRoom('127.0.0.1')).toBe(true)
  })
})
