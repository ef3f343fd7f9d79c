import { describe, expect, it } from 'vitest'
import { Registrations } from '../../../src/session/peers/registrations.ts'
import { PEER_RULES } from '../../../src/session/peers/rules.ts'

const NOW = 1_700_000_000

describe('registrations of peers', () => {
  it('are taken once in ten minutes for all names of a domain, and who keeps asking waits longer', () => {
    const registrations = new Registrations(PEER_RULES, () => 0)
    expect(registrations.permits('a.one.example', NOW)).toBe(true)
    expect(registrations.permits('b.one.EXAMPLE', NOW + 1)).toBe(false)
    expect(registrations.permits('a.two.example', NOW + 1)).toBe(true)
    expect(registrations.permits('a.one.example', NOW + 600)).toBe(false)
    expect(registrations.permits('a.one.example', NOW + 1200)).toBe(false)
    expect(registrations.permits('a.one.example', NOW + 1801)).toBe(true)
  })

  it('count all addresses as one', () => {
    const registrations = new Registrations(PEER_RULES, () => 0)
    expect(registrations.permits('203.0.113.7', NOW)).toBe(true)
    expect(registrations.permits('2001:db8::1', NOW)).toBe(false)
    expect(registrations.permits('198.51.100.1', NOW + 601)).toBe(true)
  })

  it('take an onion once in a random time', () => {
    const registrations = new Registrations(PEER_RULES, () => 0.5)
    expect(registrations.permits('a.onion', NOW)).toBe(true)
    expect(registrations.permits('b.onion', NOW + 599)).toBe(false)
    expect(registrations.permits('c.onion', NOW + 600)).toBe(true)
    expect(registrations.permits('c.onion', NOW + 601)).toBe(false)
  })

  it('remember no more domains than they may, and none for long', () => {
    const registrations = new Registrations({ ...PEER_RULES, maxDomains: 100 }, () => 0)
    const accepted = Array.from({ length: 150 }, (_, n) => registrations.permits(`www.d${n}.example${n}`, NOW))
    expect(accepted.filter(Boolean)).toHaveLength(100)
    expect(registrations.size).toBe(100)
    expect(registrations.permits('www.late.example', NOW + 601)).toBe(true)
    expect(registrations.size).toBe(1)
  })
})
