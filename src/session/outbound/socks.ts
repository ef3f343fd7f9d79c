import { isIP, type Socket } from 'node:net'
import { throwIfAborted } from '../../lib/abort.ts'

/** SOCKS protocol version 5 (RFC 1928), CONNECT without authentication: what Tor speaks. */

/** The proxy is none, or refuses. `code` is its reply (RFC 1928, 6), if it gave one. */
export class SocksError extends Error {
  override readonly name = 'SocksError'
  readonly code: number | undefined
  constructor(message: string, code?: number) {
    super(message)
    this.code = code
  }
}

const VERSION = 5
const NO_AUTHENTICATION = 0
const CONNECT = 1
const IPV4 = 1
const DOMAIN = 3
const IPV6 = 4
const REFUSALS: Readonly<Record<number, string>> = {
  1: 'general failure',
  2: 'connection not allowed',
  3: 'network unreachable',
  4: 'host unreachable',
  5: 'connection refused',
  6: 'TTL expired',
  7: 'command not supported',
  8: 'address type not supported',
}

/** Settles if whoever listens at the other end of `socket` is a SOCKS5 proxy that wants no password. */
export async function greetProxy(socket: Socket, signal: AbortSignal): Promise<void> {
  const reader = new Reader(socket, signal)
  try {
    await greet(socket, reader)
  } finally {
    reader.release()
  }
}

/**
 * Has the proxy at the other end of `socket` connect to `host`, which it resolves itself: nothing of the name is seen
 * outside, and .onion has no other way. What follows on the socket is the host's.
 */
export async function connectThrough(socket: Socket, host: string, port: number, signal: AbortSignal): Promise<void> {
  const request = connectRequest(host, port)
  const reader = new Reader(socket, signal)
  try {
    await greet(socket, reader)
    socket.write(request)
    const head = await reader.take(4)
    if (head[0] !== VERSION) throw new SocksError('no SOCKS5 proxy')
    const code = head[1] ?? 0
    if (code !== 0) throw new SocksError(REFUSALS[code] ?? `refused with code ${code}`, code)
    await reader.take((await boundLength(reader, head[3])) + 2)
  } finally {
    reader.release()
  }
}

async function greet(socket: Socket, reader: Reader): Promise<void> {
  socket.write(Uint8Array.of(VERSION, 1, NO_AUTHENTICATION))
  const reply = await reader.take(2)
  if (reply[0] !== VERSION) throw new SocksError('no SOCKS5 proxy')
  if (reply[1] !== NO_AUTHENTICATION) throw new SocksError('the proxy wants authentication')
}

/** Throws SocksError for a name that does not fit into a request. */
function connectRequest(host: string, port: number): Uint8Array {
  const address = addressOf(host)
  return Buffer.concat([Uint8Array.of(VERSION, CONNECT, 0), address, Uint8Array.of(port >> 8, port & 0xff)])
}

function addressOf(host: string): Uint8Array {
  switch (isIP(host)) {
    case 4:
      return Uint8Array.of(IPV4, ...host.split('.').map(Number))
    case 6:
      return Uint8Array.of(IPV6, ...ipv6Bytes(host))
    default: {
      const name = Buffer.from(host, 'latin1')
      if (name.length === 0 || name.length > 255) throw new SocksError('a host name has 1 to 255 characters')
      return Buffer.concat([Uint8Array.of(DOMAIN, name.length), name])
    }
  }
}

/** 16 bytes of an address that isIP() has let pass, without a zone. */
function ipv6Bytes(text: string): number[] {
  // URL writes an address in its canonical form, which has no IPv4 part.
  const canonical = new URL(`http://[${text.split('%')[0] ?? ''}]/`).hostname.slice(1, -1)
  const [before = '', after] = canonical.split('::')
  const head = before === '' ? [] : before.split(':')
  const tail = after === undefined || after === '' ? [] : after.split(':')
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => '0')
  return [...head, ...zeros, ...tail].flatMap((group) => {
    const value = Number.parseInt(group, 16)
    return [value >> 8, value & 0xff]
  })
}

/** Bytes of the address that the proxy says it is bound to; nobody needs it. */
async function boundLength(reader: Reader, kind: number | undefined): Promise<number> {
  switch (kind) {
    case IPV4:
      return 4
    case IPV6:
      return 16
    case DOMAIN:
      return (await reader.take(1))[0] ?? 0
    default:
      throw new SocksError('the proxy names an address of an unknown kind')
  }
}

/** Reads so many bytes and not one more: what comes after them stays in the socket. */
class Reader {
  readonly #socket: Socket
  readonly #signal: AbortSignal
  readonly #changed = (): void => this.#wake?.()
  #wake: (() => void) | undefined

  constructor(socket: Socket, signal: AbortSignal) {
    this.#socket = socket
    this.#signal = signal
    // Once for all reads: a listener that is added while bytes wait is called at once, so that waiting with a new one
    // each time for more of them would never let any in.
    for (const event of EVENTS) socket.on(event, this.#changed)
    signal.addEventListener('abort', this.#changed)
  }

  /** Throws SocksError if the socket ends before, AbortError once the signal aborts. */
  async take(length: number): Promise<Uint8Array> {
    for (;;) {
      throwIfAborted(this.#signal)
      const part: unknown = this.#socket.read(length)
      if (part instanceof Uint8Array && part.length === length) return part
      if (part !== null || this.#socket.destroyed || this.#socket.readableEnded) {
        throw new SocksError('the proxy hung up')
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  release(): void {
    for (const event of EVENTS) this.#socket.off(event, this.#changed)
    this.#signal.removeEventListener('abort', this.#changed)
  }
}

const EVENTS = ['readable', 'end', 'close', 'error'] as const
