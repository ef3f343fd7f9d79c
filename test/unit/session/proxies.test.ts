import { describe, expect, it } from 'vitest'
import { TrustedProxies } from '../../../src/session/transports/proxies.ts'

const proxies = new TrustedProxies(['127.0.0.0/8', '10.0.0.0/8', 'fd00::/8'])
const REMOTE = { host: '127.0.0.1', port: 4000 }

interface Row {
  readonly says: string
  readonly header: string | readonly string[] | undefined
  readonly client: string
  readonly port?: number
}

const ROWS: readonly Row[] = [
  { says: 'nothing', header: undefined, client: '127.0.0.1' },
  { says: 'an empty text', header: '', client: '127.0.0.1' },
  { says: 'one hop', header: '198.51.100.7', client: '198.51.100.7' },
  { says: 'hops of strangers before ours', header: '1.1.1.1, 2.2.2.2, 198.51.100.7', client: '198.51.100.7' },
  { says: 'proxies of ours behind the client', header: '6.6.6.6, 198.51.100.7, 10.0.0.3', client: '198.51.100.7' },
  { says: 'proxies of ours only', header: '10.0.0.9, 10.0.0.3', client: '10.0.0.9' },
  { says: 'several headers', header: ['1.1.1.1', '198.51.100.7'], client: '198.51.100.7' },
  { says: 'a port', header: '198.51.100.7:5151', client: '198.51.100.7', port: 5151 },
  { says: 'an IPv6 hop', header: '2001:DB8:0::7', client: '2001:db8::7' },
  { says: 'an IPv6 hop with a port', header: '[2001:db8::7]:99', client: '2001:db8::7', port: 99 },
  { says: 'an IPv4-mapped hop', header: '::ffff:198.51.100.7', client: '198.51.100.7' },
  { says: 'a word at the end', header: '198.51.100.7, unknown', client: '127.0.0.1' },
  { says: 'a word before a proxy of ours', header: '198.51.100.7, unknown, 10.0.0.3', client: '10.0.0.3' },
  { says: 'a port beyond all ports', header: '198.51.100.7:70000', client: '127.0.0.1' },
  { says: 'three parts for an address', header: '198.51.100', client: '127.0.0.1' },
  { says: 'an address with a zone', header: 'fe80::1%eth0', client: '127.0.0.1' },
  { says: 'ten thousand hops', header: Array(10_000).fill('10.0.0.1').join(','), client: '10.0.0.1' },
]

describe('X-Forwarded-For', () => {
  it.each(ROWS)('that says $says makes the client $client', ({ header, client, port = REMOTE.port }) => {
    const found = proxies.clientOf(header, REMOTE)
    expect(found.host).toBe(client)
    expect(found.port).toBe(port)
  })

  it('of somebody who is not trusted counts for nothing', () => {
    const stranger = { host: '198.51.100.1', port: 1 }
    expect(proxies.clientOf('9.9.9.9', stranger)).toBe(stranger)
    expect(new TrustedProxies([]).clientOf('9.9.9.9', REMOTE)).toBe(REMOTE)
  })

  it('takes IPv4-mapped addresses of ours for ours', () => {
    expect(proxies.trusts('::ffff:10.1.2.3')).toBe(true)
    expect(proxies.trusts('fd00::1')).toBe(true)
    expect(proxies.trusts('fe80::1')).toBe(false)
    expect(proxies.trusts('no address')).toBe(false)
  })

  it('refuses subnets that are none', () => {
    expect(() => new TrustedProxies(['10.0.0.0'])).toThrow()
  })
})
