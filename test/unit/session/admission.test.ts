import { describe, expect, it } from 'vitest'
import { Admission, type AdmissionOptions, Ticket } from '../../../src/session/admission.ts'
import { DEFAULT_GROUPS, SessionGroups } from '../../../src/session/groups.ts'
import { TrustedProxies } from '../../../src/session/transports/proxies.ts'

const PUBLIC = '198.99.114.7'
const PROXY = '198.99.200.1'

function admission(options: Partial<AdmissionOptions> = {}, exempt: readonly string[] = []): Admission {
  return new Admission(
    {
      maxSessions: 5,
      maxHandshaking: 10,
      maxHandshakingPerHost: 2,
      outbound: { pending: undefined, active: undefined },
      ...options,
    },
    { groups: new SessionGroups({ ...DEFAULT_GROUPS, exempt }), proxies: new TrustedProxies([`${PROXY}/32`]) },
  )
}

function admitted(count: number, host: string, gate: Admission): Ticket[] {
  return Array.from({ length: count }, () => {
    const ticket = gate.admit(host)
    if (!(ticket instanceof Ticket)) throw new Error(ticket)
    return ticket
  })
}

describe('admission', () => {
  it.each([
    { what: 'a public address', host: PUBLIC, most: 2, exempt: [] },
    { what: 'a private address', host: '127.0.0.1', most: 5, exempt: [] },
    { what: 'an address free of limits', host: PUBLIC, most: 10, exempt: ['198.99.114.0/24'] },
    { what: 'a proxy of ours', host: PROXY, most: 10, exempt: [] },
  ])('lets $what have $most of 10 places for newcomers', ({ host, most, exempt }) => {
    const gate = admission({}, exempt)
    admitted(most, host, gate)
    expect(gate.admit(host)).toBe(most === 10 ? 'too many newcomers' : 'too many newcomers of one host')
    expect(gate.counter.count('pending', 'inbound')).toBe(most)
  })

  it('has no limit for a host where none is set', () => {
    const gate = admission({ maxHandshakingPerHost: 0 })
    admitted(10, PUBLIC, gate)
    expect(gate.admit(PUBLIC)).toBe('too many newcomers')
  })

  it('gives a place back when a newcomer is a session or has gone, once', () => {
    const gate = admission()
    const [first, second] = admitted(2, PUBLIC, gate)
    expect(first!.activate()).toBeUndefined()
    expect(first!.activate()).toBeUndefined()
    second!.release()
    second!.release()
    first!.release()
    first!.release()
    admitted(2, PUBLIC, gate)
    expect(gate.admit(PUBLIC)).toBe('too many newcomers of one host')
    expect(gate.counter.total).toBe(2)
  })

  it('keeps the place of a newcomer for whom there is no session', () => {
    const gate = admission({ maxSessions: 1 })
    const [first, second] = admitted(2, PUBLIC, gate)
    first!.activate()
    expect(second!.activate()).toEqual({ stage: 'active', direction: 'inbound', limit: 1 })
    expect(gate.counter.count('pending', 'inbound')).toBe(1)
  })

  it('counts a newcomer where a proxy says it is, or not at all', () => {
    const gate = admission()
    const [first, second, third] = admitted(3, PROXY, gate)
    expect(gate.move(first!, PUBLIC)).toBeUndefined()
    expect(gate.move(second!, PUBLIC)).toBeUndefined()
    expect(gate.move(third!, PUBLIC)).toBe('too many newcomers of one host')
    first!.release()
    expect(gate.move(third!, PUBLIC)).toBeUndefined()
    expect(gate.refused).toEqual({
      'not serving': 0,
      'too many newcomers': 0,
      'too many newcomers of one host': 1,
      'group is full': 0,
    })
  })
})
