import { describe, expect, it } from 'vitest'
import { readProxyHeader } from '../../../src/session/transports/proxy-header.ts'
import { proxyV1, proxyV2, V2_SIGNATURE } from '../../support/proxy-header.ts'

const CLIENT = { host: '198.51.100.7', port: 5151 }
const CLIENT_V6 = { host: '2001:db8::7', port: 5151 }
const REST = Buffer.from('{"id":0}\n')

const GOOD = [
  { name: 'version 1, IPv4', bytes: proxyV1(CLIENT), client: CLIENT },
  { name: 'version 1, IPv6', bytes: proxyV1(CLIENT_V6), client: CLIENT_V6 },
  { name: 'version 1 of a health check', bytes: Buffer.from('PROXY UNKNOWN\r\n'), client: undefined },
  { name: 'version 1, unknown with words', bytes: Buffer.from('PROXY UNKNOWN a b 1 2\r\n'), client: undefined },
  { name: 'version 2, IPv4', bytes: proxyV2(CLIENT), client: CLIENT },
  { name: 'version 2, IPv6', bytes: proxyV2(CLIENT_V6), client: CLIENT_V6 },
  { name: 'version 2, IPv4-mapped', bytes: proxyV2({ host: '::ffff:198.51.100.7', port: 5151 }), client: CLIENT },
  { name: 'version 2 with more to tell', bytes: proxyV2(CLIENT, { extra: Buffer.alloc(300, 4) }), client: CLIENT },
  { name: 'version 2 of a health check', bytes: proxyV2(CLIENT, { command: 0x20 }), client: undefined },
  { name: 'version 2 of a local socket', bytes: proxyV2(CLIENT, { family: 0x31 }), client: undefined },
  { name: 'version 2 without addresses', bytes: raw(0x20, 0, Buffer.alloc(0)), client: undefined },
] as const

const BROKEN = [
  { name: 'version 1 without an end', bytes: Buffer.from(`PROXY TCP4 ${'1'.repeat(101)}`) },
  { name: 'version 1 of another family', bytes: Buffer.from('PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n') },
  { name: 'version 1 with an IPv6 address as IPv4', bytes: Buffer.from('PROXY TCP4 ::1 ::2 1 2\r\n') },
  { name: 'version 1 with an IPv4 address as IPv6', bytes: Buffer.from('PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n') },
  { name: 'version 1 with no address', bytes: Buffer.from('PROXY TCP4 1.1.1 2.2.2.2 1 2\r\n') },
  { name: 'version 1 with a wrong port', bytes: Buffer.from('PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n') },
  { name: 'version 1 with a port that begins with 0', bytes: Buffer.from('PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n') },
  { name: 'version 1 with two blanks', bytes: Buffer.from('PROXY  TCP4 1.1.1.1 2.2.2.2 1 2\r\n') },
  {
    name: 'version 1 without a carriage return',
    bytes: Buffer.from(`PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n${'x'.repeat(99)}`),
  },
  { name: 'version 3', bytes: raw(0x31, 0x11, Buffer.alloc(12)) },
  { name: 'an unknown command', bytes: raw(0x22, 0x11, Buffer.alloc(12)) },
  { name: 'addresses cut short', bytes: raw(0x21, 0x11, Buffer.alloc(11)) },
  { name: 'IPv6 addresses cut short', bytes: raw(0x21, 0x21, Buffer.alloc(35)) },
  { name: 'a length beyond reason', bytes: raw(0x21, 0x11, Buffer.alloc(0), 65_535) },
] as const

function raw(command: number, family: number, rest: Buffer, length = rest.length): Buffer {
  return Buffer.concat([V2_SIGNATURE, Buffer.from([command, family, length >> 8, length & 255]), rest])
}

describe('PROXY header', () => {
  it.each(GOOD)('$name is read, wherever it is cut, and nothing behind it', ({ bytes, client }) => {
    const whole = Buffer.concat([bytes, REST])
    for (let end = 0; end < bytes.length; end++) {
      expect(readProxyHeader(whole.subarray(0, end))).toEqual({ kind: 'incomplete' })
    }
    for (let end = bytes.length; end <= whole.length; end++) {
      expect(readProxyHeader(whole.subarray(0, end))).toEqual({ kind: 'found', length: bytes.length, client })
    }
  })

  it.each(BROKEN)('$name is refused', ({ bytes }) => {
    expect(readProxyHeader(bytes)).toEqual({ kind: 'broken' })
  })

  it.each([
    '{"id":0,"method":"server.version"}\n',
    '[',
    'PROXZ',
    'proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n',
    '\x16\x03\x01\x02\x00',
    'GET / HTTP/1.1\r\n',
    '\r\n\r\nX',
  ])('does not stand at the beginning of %j', (text) => {
    expect(readProxyHeader(Buffer.from(text, 'latin1'))).toEqual({ kind: 'none' })
  })
})
