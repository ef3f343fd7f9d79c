import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { systemClock } from '../../../src/lib/clock.ts'
import { SessionCounter } from '../../../src/session/counter.ts'
import { Dialler, type DiallerOptions } from '../../../src/session/outbound/dial.ts'
import type { ConnectionLimits } from '../../../src/session/transports/connection.ts'

/** Times that no test waits for, not on a busy machine either: whoever looks at one of them sets it. */
export const LIMITS: ConnectionLimits = {
  maxReceive: 100_000,
  highMark: 64 * 1024,
  maxUnsent: 1_000_000,
  sendTimeout: 120_000,
  handshakeTimeout: 120_000,
  closeTimeout: 120_000,
}

/** Something that listens on loopback, at a port of its own, and goes with all its connections. */
export class LoopbackServer {
  readonly sockets = new Set<Socket>()
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
    server.on('connection', (socket) => {
      this.sockets.add(socket)
      socket.on('error', () => {})
      socket.once('close', () => this.sockets.delete(socket))
    })
  }

  static async listen(server: Server, host = '127.0.0.1'): Promise<LoopbackServer> {
    const made = new LoopbackServer(server)
    server.listen(0, host)
    await once(server, 'listening')
    return made
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy()
    if (!this.#server.listening) return
    this.#server.close()
    await once(this.#server, 'close')
  }
}

export function counterOf(pending?: number, active?: number): SessionCounter {
  return new SessionCounter({
    pending: { inbound: undefined, outbound: pending },
    active: { inbound: undefined, outbound: active },
  })
}

export function diallerOf(options: Partial<DiallerOptions> = {}, counter = counterOf()): Dialler {
  return new Dialler(
    { timeout: 120_000, limits: LIMITS, permitPrivate: true, ...options },
    { clock: systemClock, counter },
  )
}

/** Byte by byte, each when the one before has gone, so that none comes together with another. */
async function drip(socket: Socket, bytes: readonly number[]): Promise<void> {
  for (const byte of bytes) {
    await new Promise((resolve) => socket.write(Uint8Array.of(byte), resolve))
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
}

/** How a SOCKS5 proxy behaves that is no friend, or does what it should. */
export type ProxyManner = 'connects' | 'refuses' | 'wants a password' | 'hangs up' | 'says nothing' | 'speaks HTTP'

/** A SOCKS5 proxy (RFC 1928). */
export class SocksServer {
  readonly asked: { readonly host: string; readonly port: number }[] = []
  readonly #manner: ProxyManner
  readonly #target: (host: string, port: number) => number
  #server: LoopbackServer | undefined

  /** `target`: the loopback port that is meant by what is asked for. */
  constructor(manner: ProxyManner, target: (host: string, port: number) => number = (_host, port) => port) {
    this.#manner = manner
    this.#target = target
  }

  async start(): Promise<number> {
    this.#server = await LoopbackServer.listen(createServer({ noDelay: true }, (socket) => this.#greet(socket)))
    return this.#server.port
  }

  async close(): Promise<void> {
    await this.#server?.close()
  }

  #greet(socket: Socket): void {
    if (this.#manner === 'says nothing') return
    if (this.#manner === 'speaks HTTP') {
      socket.write('HTTP/1.0 400 Bad Request\r\n\r\n')
      return
    }
    socket.once('data', () => {
      if (this.#manner === 'wants a password') socket.write(Uint8Array.of(5, 2))
      else void drip(socket, [5, 0])
      socket.once('data', (request) => this.#answer(socket, request))
    })
  }

  #answer(socket: Socket, request: Uint8Array): void {
    const length = request[4] ?? 0
    const host =
      request[3] === 3
        ? Buffer.from(request.subarray(5, 5 + length)).toString()
        : Buffer.from(request.subarray(4, -2)).join('.')
    const port = Buffer.from(request.subarray(-2)).readUInt16BE()
    this.asked.push({ host, port })
    if (this.#manner === 'hangs up') {
      socket.destroy()
      return
    }
    if (this.#manner === 'refuses') {
      socket.end(Uint8Array.of(5, 5, 0, 1, 0, 0, 0, 0, 0, 0))
      return
    }
    const upstream = connect(this.#target(host, port), '127.0.0.1')
    upstream.on('error', () => socket.destroy())
    upstream.once('connect', () => {
      // The bound address is of the kind asked for, and the other side's first words come right behind it.
      const reply = [5, 0, 0, ...request.subarray(3)]
      socket.pause() // What comes before it is piped on must not be lost.
      void drip(socket, reply).then(() => upstream.pipe(socket).pipe(upstream))
    })
    socket.once('close', () => upstream.destroy())
  }
}
