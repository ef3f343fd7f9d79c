import ipaddr from 'ipaddr.js'

export interface Endpoint {
  readonly host: string
  readonly port: number
}

export const V2_SIGNATURE = Buffer.from([13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 10])

/** What a proxy sends ahead of a connection from `client`, as text (PROXY protocol, version 1). */
export function proxyV1({ host, port }: Endpoint): Buffer {
  const own = host.includes(':') ? '2001:db8::1' : '192.0.2.1'
  return Buffer.from(`PROXY ${host.includes(':') ? 'TCP6' : 'TCP4'} ${host} ${own} ${port} 50001\r\n`)
}

/** The same as bytes (version 2); `command` 0x20 is a health check, `family` 0x11 and 0x21 are TCP over IPv4 and IPv6. */
export function proxyV2(
  { host, port }: Endpoint,
  { command = 0x21, family, extra = Buffer.alloc(0) }: { command?: number; family?: number; extra?: Buffer } = {},
): Buffer {
  const source = Buffer.from(ipaddr.parse(host).toByteArray())
  const ports = Buffer.alloc(4)
  ports.writeUInt16BE(port, 0)
  ports.writeUInt16BE(50_001, 2)
  const rest = Buffer.concat([source, Buffer.alloc(source.length, 1), ports, extra])
  const head = Buffer.from([
    command,
    family ?? (source.length === 4 ? 0x11 : 0x21),
    rest.length >> 8,
    rest.length & 255,
  ])
  return Buffer.concat([V2_SIGNATURE, head, rest])
}
