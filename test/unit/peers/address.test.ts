import { describe, expect, it } from 'vitest'
import {
  canonicalAddress,
  isHostName,
  isOnion,
  isPublicHost,
  networkOf,
} from '../../../src/session/outbound/address.ts'

describe('hosts that may be peers', () => {
  it.each([
    ['electrum.example.org'],
    ['a-b.c_d.example'],
    ['xn--bcher-kva.example'],
    ['8.8.8.8'],
    ['2606:4700::1111'],
    [`${'a'.repeat(56)}.onion`],
  ])('%s is one', (host) => expect(isPublicHost(host)).toBe(true))

  it.each([
    ['localhost'],
    ['www.localhost'],
    ['intranet'],
    ['127.0.0.1'],
    ['10.1.2.3'],
    ['172.16.0.1'],
    ['192.168.0.1'],
    ['169.254.1.1'],
    ['100.64.0.1'],
    ['0.0.0.0'],
    ['224.0.0.1'],
    ['255.255.255.255'],
    ['::'],
    ['::1'],
    ['fe80::1'],
    ['fc00::1'],
    ['ff02::1'],
    ['::ffff:10.0.0.1'],
    ['2002:0a00:0001::1'],
    ['64:ff9b::10.0.0.1'],
    ['127.1'],
    ['0x7f000001'],
    ['2130706433'],
    ['1.2.3.4.5'],
    [''],
    ['-a.example'],
    ['a..example'],
    ['a b.example'],
    ['a.example:80'],
    ['a.example/'],
    [`${'a'.repeat(64)}.example`],
    [`${'abc.'.repeat(70)}example`],
  ])('%s is none', (host) => expect(isPublicHost(host)).toBe(false))

  it('are names even where they are not public', () => {
    expect([isHostName('localhost'), isHostName('peer.example'), isHostName('peer.example.')]).toEqual([
      true,
      true,
      false,
    ])
  })

  it('are onions whatever the case', () => {
    expect([isOnion('abc.ONION'), isOnion('onion.example')]).toEqual([true, false])
  })
})

describe('networks', () => {
  it.each([
    ['203.0.113.7', '203.0.0.0/16'],
    ['::ffff:203.0.113.7', '203.0.0.0/16'],
    ['2001:db8:1:2::3', '2001:db8::/32'],
  ])('of %s is %s', (address, network) => expect(networkOf(address, { ipv4: 16, ipv6: 32 })).toBe(network))

  it('addresses have one spelling', () => {
    expect(['::ffff:1.2.3.4', '2001:DB8:0::1', 'fe80::1%eth0', 'peer.example'].map(canonicalAddress)).toEqual([
      '1.2.3.4',
      '2001:db8::1',
      'fe80::1',
      'peer.example',
    ])
  })
})
