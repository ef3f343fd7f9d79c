import type { Socket } from 'node:net'
import ipaddr from 'ipaddr.js'
import type { RemoteAddress } from './connection.ts'
import { addressOf } from './proxies.ts'

/**
 * The header that a proxy sends ahead of a connection to say whose it is: PROXY protocol, versions 1 and 2
 * (haproxy.org, doc/proxy-protocol.txt).
 */
export type ProxyHeader =
  /** Could still become one. */
  | { readonly kind: 'incomplete' }
  /** The connection does not begin with one. */
  | { readonly kind: 'none' }
  /** It begins like one, and is none. */
  | { readonly kind: 'broken' }
  /** `client` is undefined where the proxy speaks for itself (a health check) or of a network that is not IP. */
  | { readonly kind: 'found'; readonly length: number; readonly client: RemoteAddress | undefined }

const INCOMPLETE: ProxyHeader = { kind: 'incomplete' }
const NONE: ProxyHeader = { kind: 'none' }
const BROKEN: ProxyHeader = { kind: 'broken' }

const V1_START = Buffer.from('PROXY ')
/** With its line end (section 2.1). */
const V1_LONGEST = 107
const V2_START = Buffer.from('\r\n\r\n\0\r\nQUIT\n')
const V2_FIXED = 16
/** Addresses take 12 to 216 bytes, what else a proxy tells (section 2.2.1) has to fit into the rest. */
const V2_LONGEST = 4096
const CRLF = Buffer.from('\r\n')
const V1_LINE = /^PROXY (TCP[46]) ([0-9a-f.:]+) ([0-9a-f.:]+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4})$/i

/** What the first bytes of a connection are. Looks at no more than 4 KiB of them. */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (begins(bytes, V1_START)) return bytes.length < V1_START.length ? INCOMPLETE : readText(bytes)
  if (begins(bytes, V2_START)) return bytes.length < V2_FIXED ? INCOMPLETE : readBinary(bytes)
  return NONE
}

/** True if `bytes` and `start` agree as far as both go. */
function begins(bytes: Buffer, start: Buffer): boolean {
  const common = Math.min(bytes.length, start.length)
  return bytes.compare(start, 0, common, 0, common) === 0
}

function readText(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, V1_LONGEST).indexOf(CRLF)
  if (end === -1) return bytes.length < V1_LONGEST ? INCOMPLETE : BROKEN
  const line = bytes.toString('latin1', 0, end)
  const length = end + CRLF.length
  if (line === 'PROXY UNKNOWN' || line.startsWith('PROXY UNKNOWN ')) return { kind: 'found', length, client: undefined }
  const [, family, host = '', , port = ''] = V1_LINE.exec(line) ?? []
  const client = Number(port) > 65_535 ? undefined : addressOf(host, Number(port))
  if (family === undefined || client === undefined) return BROKEN
  if (family.toUpperCase() === 'TCP4' && !ipaddr.IPv4.isValid(host)) return BROKEN
  if (family.toUpperCase() === 'TCP6' && !ipaddr.IPv6.isValid(host)) return BROKEN
  return { kind: 'found', length, client }
}

function readBinary(bytes: Buffer): ProxyHeader {
  const command = bytes.readUInt8(12)
  const family = bytes.readUInt8(13) >> 4
  const length = V2_FIXED + bytes.readUInt16BE(14)
  if (command !== 0x20 && command !== 0x21) return BROKEN
  if (length > V2_LONGEST) return BROKEN
  if (bytes.length < length) return INCOMPLETE
  if (command === 0x20) return { kind: 'found', length, client: undefined }
  const size = family === 1 ? 4 : family === 2 ? 16 : 0
  if (size === 0) return { kind: 'found', length, client: undefined }
  if (length < V2_FIXED + 2 * size + 4) return BROKEN
  const address = ipaddr.fromByteArray([...bytes.subarray(V2_FIXED, V2_FIXED + size)])
  const client = addressOf(address.toString(), bytes.readUInt16BE(V2_FIXED + 2 * size))
  return { kind: 'found', length, client }
}

/**
 * Takes the header off a socket that nobody reads yet, and leaves what follows it for who reads next. Tells `done` once,
 * in the turn in which the header was whole; not at all if the socket ends before. Bounding the time is the caller's.
 */
export function takeProxyHeader(socket: Socket, done: (header: ProxyHeader) => void): void {
  let bytes: Buffer = Buffer.alloc(0)
  const onReadable = (): void => {
    for (;;) {
      const part: unknown = socket.read()
      if (!Buffer.isBuffer(part)) return
      bytes = bytes.length === 0 ? part : Buffer.concat([bytes, part])
      const header = readProxyHeader(bytes)
      if (header.kind === 'incomplete') continue
      socket.off('readable', onReadable)
      const rest = header.kind === 'found' ? bytes.subarray(header.length) : bytes
      if (rest.length > 0 && header.kind !== 'broken') socket.unshift(rest)
      done(header)
      return
    }
  }
  // Whoever closes before it has said anything is gone for good: there is nothing to answer.
  socket.once('end', () => socket.listenerCount('readable') > 0 && socket.destroy())
  socket.on('readable', onReadable)
}
