import { createServer as createNetServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls'
import type { Logger } from '../../log.ts'
import type { Doorkeeper, Listener, Pass, RemoteAddress, TransportKind } from './connection.ts'
import { NO_PROXIES, type TrustedProxies } from './proxies.ts'
import { takeProxyHeader } from './proxy-header.ts'

/** Certificate chain and key as PEM. */
export interface TlsMaterial {
  readonly cert: string
  readonly key: string
}

export interface ListenerOptions {
  readonly kind: TransportKind
  readonly host: string
  /** 0: the system chooses one; it is kept when listening is taken up again. */
  readonly port: number
  /** Milliseconds in which a newcomer must be through the transport's own handshake. */
  readonly handshakeTimeout: number
  /** Wanted for ssl, wss and https. */
  readonly tls?: TlsMaterial
  readonly backlog?: number
  /** Who may say that a connection is somebody else's: with a PROXY header on any kind, or as HTTP proxies do. */
  readonly proxies?: TrustedProxies
}

/** A newcomer on his way in. */
export interface Arrival {
  readonly pass: Pass
  /** The client, as far as it is known. */
  readonly remote: RemoteAddress
  /** The handshake is done: the pass belongs to who calls this, and the time limit is off. */
  settle(): void
}

const DEFAULT_BACKLOG = 511

/**
 * Accepts sockets for every kind of transport alike: asks the doorkeeper first, bounds the time of the handshake, does
 * TLS where it is wanted, and hands over what comes out. Pausing closes the listening socket (so newcomers are refused
 * by the system, as ElectrumX does) and leaves connections alone.
 */
export class SocketListener implements Listener {
  readonly kind: TransportKind
  readonly #options: ListenerOptions
  readonly #doorkeeper: Doorkeeper
  readonly #log: Logger
  readonly #deliver: (socket: Socket, arrival: Arrival) => void
  readonly #proxies: TrustedProxies
  readonly #tls: TlsServer | undefined
  /** By both addresses and ports: how a socket that comes out of TLS is known again. */
  readonly #arriving = new Map<string, Newcomer>()
  /** One for all sockets. */
  readonly #onError: (error: Error) => void
  #server: Server | undefined
  #port: number
  /** Whether it is to listen; what is under way when this changes is undone at its end. */
  #wanted = false
  #changing: Promise<void> = Promise.resolve()

  constructor(
    options: ListenerOptions,
    doorkeeper: Doorkeeper,
    log: Logger,
    deliver: (socket: Socket, arrival: Arrival) => void,
  ) {
    this.kind = options.kind
    this.#options = options
    this.#doorkeeper = doorkeeper
    this.#log = log
    this.#deliver = deliver
    this.#port = options.port
    this.#proxies = options.proxies ?? NO_PROXIES
    this.#onError = (error) => log.trace({ err: error, kind: this.kind }, 'socket error')
    this.#tls = options.tls === undefined ? undefined : this.#makeTls(options.tls)
  }

  get address(): { readonly host: string; readonly port: number } {
    return { host: this.#options.host, port: this.#port }
  }

  /** Settles once it listens; throws what the system says if the address cannot be had. */
  start(): Promise<void> {
    return this.resume()
  }

  pause(): void {
    this.#wanted = false
    // Not waited for: the callback of close() comes only when the last connection has gone.
    this.#server?.close()
    this.#server = undefined
  }

  /** One change after the other: two at once would fight for the port. */
  resume(): Promise<void> {
    this.#wanted = true
    const listening = this.#changing.then(() => this.#listen())
    this.#changing = listening.catch(() => {}) // Whoever asked is told; the next one starts from here all the same.
    return listening
  }

  async close(): Promise<void> {
    this.pause()
    for (const { raw } of this.#arriving.values()) raw.destroy()
    await this.#changing
  }

  /** From the next handshake on; throws, and changes nothing, if the pair does not fit together. */
  secureWith({ cert, key }: TlsMaterial): void {
    this.#tls?.setSecureContext({ cert, key, minVersion: 'TLSv1.2' })
  }

  async #listen(): Promise<void> {
    if (!this.#wanted || this.#server !== undefined) return
    const server = createNetServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 })
    server.on('connection', (socket) => this.#arrived(socket))
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(
        { host: this.#options.host, port: this.#port, backlog: this.#options.backlog ?? DEFAULT_BACKLOG },
        () => {
          server.off('error', reject)
          resolve()
        },
      )
    })
    server.on('error', (error) => this.#log.warn({ err: error, kind: this.kind }, 'listening socket failed'))
    const bound = server.address()
    if (bound !== null && typeof bound === 'object') this.#port = bound.port
    if (this.#wanted) this.#server = server
    else server.close()
  }

  #arrived(raw: Socket): void {
    raw.on('error', this.#onError)
    const remote = remoteOf(raw)
    const pass = remote === undefined ? undefined : this.#doorkeeper.admit(this.kind, remote)
    if (remote === undefined || pass === undefined) {
      raw.destroy()
      return
    }
    const newcomer = new Newcomer(raw, pass, remote)
    if (this.#proxies.trusts(remote.host)) this.#unwrap(raw, newcomer)
    else this.#pass(raw, newcomer)
    // Who comes without a handshake is settled by now: a timer and its listeners would stay with the socket for good.
    if (!newcomer.settled) this.#await(newcomer)
  }

  /** Bounds the time of the handshake. */
  #await(newcomer: Newcomer): void {
    const { raw } = newcomer
    const key = keyOf(raw)
    this.#arriving.set(key, newcomer)
    const timer = setTimeout(() => {
      this.#log.debug({ kind: this.kind, reason: 'handshake timeout' }, 'newcomer cut')
      raw.destroy()
    }, this.#options.handshakeTimeout)
    const gone = (): void => {
      newcomer.settle()
      newcomer.pass.release()
    }
    raw.once('close', gone)
    newcomer.onSettled = () => {
      clearTimeout(timer)
      this.#arriving.delete(key)
      raw.off('close', gone)
    }
  }

  /** What comes from a proxy of ours may say first whose it is. Who says nothing of the kind is served as itself. */
  #unwrap(raw: Socket, arrival: Newcomer): void {
    takeProxyHeader(raw, (header) => {
      if (header.kind === 'broken') {
        this.#log.warn({ kind: this.kind, proxy: arrival.remote.host }, 'a trusted proxy sent a broken PROXY header')
        raw.destroy()
        return
      }
      if (header.kind === 'found' && header.client !== undefined) {
        arrival.remote = header.client
        if (!this.#doorkeeper.moved(arrival.pass, this.kind, header.client)) {
          raw.destroy()
          return
        }
      }
      this.#pass(raw, arrival)
    })
  }

  #pass(raw: Socket, arrival: Arrival): void {
    if (this.#tls === undefined) this.#deliver(raw, arrival)
    else this.#tls.emit('connection', raw)
  }

  #makeTls(material: TlsMaterial): TlsServer {
    const server = createTlsServer({
      cert: material.cert,
      key: material.key,
      minVersion: 'TLSv1.2',
      handshakeTimeout: this.#options.handshakeTimeout,
    })
    server.on('secureConnection', (socket) => {
      socket.on('error', this.#onError)
      const found = this.#arriving.get(keyOf(socket))
      if (found === undefined) socket.destroy()
      else this.#deliver(socket, found)
    })
    server.on('tlsClientError', (error, socket) => {
      this.#log.debug({ kind: this.kind, message: error.message }, 'TLS handshake failed')
      socket.destroy()
    })
    return server
  }
}

class Newcomer implements Arrival {
  readonly raw: Socket
  readonly pass: Pass
  remote: RemoteAddress
  settled = false
  /** Takes back what was done to bound the time, if anything was. */
  onSettled: (() => void) | undefined

  constructor(raw: Socket, pass: Pass, remote: RemoteAddress) {
    this.raw = raw
    this.pass = pass
    this.remote = remote
  }

  settle(): void {
    this.settled = true
    this.onSettled?.()
    this.onSettled = undefined
  }
}

/** Both ends of it: a client may come to two addresses of ours from one port. */
function keyOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`
}

/** Undefined if the socket is gone already. IPv4-mapped addresses come out as IPv4. */
function remoteOf(socket: Socket): RemoteAddress | undefined {
  const { remoteAddress, remotePort } = socket
  if (remoteAddress === undefined || remotePort === undefined) return undefined
  const host =
    remoteAddress.startsWith('::ffff:') && remoteAddress.includes('.') ? remoteAddress.slice(7) : remoteAddress
  return { host, port: remotePort }
}
