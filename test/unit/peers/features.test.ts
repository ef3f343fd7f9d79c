import { describe, expect, it } from 'vitest'
import {
  clearnetHost,
  detailsOf,
  featuresOf,
  mentionsHost,
  portsOf,
  readFeatures,
  writeFeatures,
} from '../../../src/session/peers/features.ts'
import { Peer } from '../../../src/session/peers/peer.ts'

const ANSWER = {
  hosts: { 'Peer.example': { tcp_port: 50_001, ssl_port: '50002' }, 'abc.onion': { tcp_port: 50_001 } },
  genesis_hash: 'ab'.repeat(32),
  server_version: 'Other 1.2',
  protocol_min: '1.4',
  protocol_max: '1.6',
  pruning: null,
  hash_function: 'sha256',
}

describe('what a server says of itself', () => {
  it('is read, hosts without regard to case', () => {
    const features = readFeatures(ANSWER)!
    expect(features).toMatchObject({ genesisHash: 'ab'.repeat(32), software: 'Other 1.2', protocolMax: '1.6' })
    expect(portsOf(features, 'peer.EXAMPLE')).toEqual({ ssl: 50_002, tcp: 50_001 })
    expect(mentionsHost(features, 'ABC.onion')).toBe(true)
    expect(mentionsHost(features, 'other.example')).toBe(false)
    expect(clearnetHost(features)).toBe('Peer.example')
    expect(writeFeatures(features)).toMatchObject({ hosts: { 'abc.onion': { ssl_port: null, tcp_port: 50_001 } } })
  })

  it.each([[null], [[]], ['x'], [{}], [{ hosts: [] }], [{ hosts: null }], [7]])('is not read from %j', (value) => {
    expect(readFeatures(value)).toBeUndefined()
  })

  it('is cleaned of what makes no sense, and bounded', () => {
    const hosts: Record<string, unknown> = {
      ['x'.repeat(254)]: {},
      a: { tcp_port: 0, ssl_port: 65_536 },
      b: 'x',
      c: { tcp_port: '5e3' },
    }
    for (let i = 0; i < 100; i++) hosts[`h${i}`] = {}
    const features = readFeatures({
      hosts,
      server_version: 'x'.repeat(5000),
      protocol_max: '<script>',
      protocol_min: '1.2.3.4.5',
      pruning: -1,
      genesis_hash: 5,
    })!
    expect(features.hosts.size).toBe(20)
    expect([...features.hosts.keys()].every((host) => host.length < 254)).toBe(true)
    for (const host of ['a', 'b', 'c']) expect(portsOf(features, host)).toEqual({ ssl: undefined, tcp: undefined })
    expect(features.software).toHaveLength(100)
    expect(detailsOf(features, 'a')).toEqual(['v0.0'])
    expect(features.genesisHash).toBeUndefined()
  })

  it('is told as a row, with the address where it is known', () => {
    const peer = new Peer('Peer.example', readFeatures({ ...ANSWER, pruning: 100 })!, 'test')
    expect(peer.toRow()).toEqual(['Peer.example', 'Peer.example', ['v1.6', 'p100', 's50002', 't50001']])
    peer.address = '203.0.113.7'
    expect(peer.toRow()[0]).toBe('203.0.113.7')
  })

  it.each([
    [['v1.4.2', 's', 't'], { ssl: 50_002, tcp: 50_001 }, '1.4.2'],
    [['t1', 's2', 'p5', 'v1'], { ssl: 2, tcp: 1 }, '1'],
    [['t99999', 'sx', 'z', ''], { ssl: undefined, tcp: undefined }, undefined],
  ])('is read from the details %j of a row', (details, ports, protocol) => {
    const features = featuresOf('peer.example', details)
    expect(portsOf(features, 'peer.example')).toEqual(ports)
    expect(features.protocolMax).toBe(protocol)
  })
})

describe('the doors of a peer', () => {
  it('are SSL before TCP, then once what others told of, never without bound', () => {
    const peer = new Peer('peer.example', featuresOf('peer.example', ['t1', 's2']), 'test')
    expect(peer.noteDoors(featuresOf('peer.example', ['t1', 's2']))).toBe(false)
    expect(peer.noteDoors(featuresOf('peer.example', ['t1', 's3']))).toBe(true)
    for (let port = 10; port < 100; port++) peer.noteDoors(featuresOf('peer.example', [`t${port}`]))
    const doors = peer.takeDoors()
    expect(doors.slice(0, 3)).toEqual([
      { kind: 'ssl', port: 2 },
      { kind: 'tcp', port: 1 },
      { kind: 'ssl', port: 3 },
    ])
    expect(doors).toHaveLength(6)
    expect(peer.takeDoors()).toHaveLength(2)
  })
})
