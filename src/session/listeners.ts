import { systemClock } from '../lib/clock.ts'
import type { Logger } from '../log.ts'
import type { ConnectionLimits, HttpDoorkeeper, TransportKind } from './transports/connection.ts'
import { listenHttp } from './transports/http.ts'
import { listenError } from './transports/listen-error.ts'
import type { SocketListener, TlsMaterial } from './transports/listener.ts'
import type { TrustedProxies } from './transports/proxies.ts'
import { listenLines } from './transports/tcp.ts'
import { Turns } from './transports/turns.ts'
import { listenWebSocket } from './transports/websocket.ts'

export interface ListenTarget {
  readonly kind: TransportKind
  readonly host: string
  readonly port: number
  /** Wanted for ssl, wss and https, and for no other. */
  readonly tls?: TlsMaterial
}

export interface ListenersOptions {
  readonly listeners: readonly ListenTarget[]
  readonly connection: ConnectionLimits
  readonly proxies: TrustedProxies
}

/** All listeners of the server: opened, paused, resumed and closed together. */
export class Listeners {
  readonly #options: ListenersOptions
  readonly #doorkeeper: HttpDoorkeeper
  readonly #log: Logger
  /** One for all, so that who waits shares with everybody. */
  readonly #turns = new Turns(systemClock)
  #open: SocketListener[] = []
  #paused = false
  /** Those that could not have their port back; tried again. */
  readonly #broken = new Set<SocketListener>()

  constructor(options: ListenersOptions, doorkeeper: HttpDoorkeeper, log: Logger) {
    this.#options = options
    this.#doorkeeper = doorkeeper
    this.#log = log
  }

  get paused(): boolean {
    return this.#paused
  }

  get addresses(): readonly { readonly kind: TransportKind; readonly host: string; readonly port: number }[] {
    return this.#open.map(({ kind, address }) => ({ kind, ...address }))
  }

  /** Those of the addresses where newcomers are heard at the moment. */
  get listening(): readonly { readonly kind: TransportKind; readonly host: string; readonly port: number }[] {
    if (this.#paused) return []
    const open = this.#open.filter((listener) => !this.#broken.has(listener))
    return open.map(({ kind, address }) => ({ kind, ...address }))
  }

  /** Throws ListenError with the name of the address that cannot be had; those already open are closed then. */
  async open(): Promise<void> {
    for (const target of this.#options.listeners) {
      try {
        this.#open.push(await this.#listen(target))
      } catch (error) {
        await this.close()
        throw listenError(target, error)
      }
    }
  }

  pause(): void {
    this.#paused = true
    this.#broken.clear()
    for (const listener of this.#open) listener.pause()
  }

  /** Settles when all have been tried, so that what can listen does; never rejects. */
  async resume(): Promise<void> {
    this.#paused = false
    await Promise.all(this.#open.map((listener) => this.#resume(listener)))
  }

  /** Tries again what could not be resumed. */
  mend(): void {
    if (this.#paused) return
    for (const listener of this.#broken) {
      this.#broken.delete(listener)
      void this.#resume(listener)
    }
  }

  /** The certificate of everything secure, from the next handshake on. */
  secureWith(material: TlsMaterial): void {
    for (const listener of this.#open) listener.secureWith(material)
  }

  async close(): Promise<void> {
    this.#broken.clear()
    const open = this.#open
    this.#open = []
    await Promise.all(open.map((listener) => listener.close()))
  }

  #resume(listener: SocketListener): Promise<void> {
    return listener.resume().catch((error: unknown) => {
      const { kind, address } = listener
      const reason = listenError({ kind, ...address }, error).message
      this.#log.error({ reason, kind, ...address }, 'cannot listen again, will try again')
      this.#broken.add(listener)
    })
  }

  #listen(target: ListenTarget): Promise<SocketListener> {
    const { kind } = target
    const secure = kind === 'ssl' || kind === 'wss' || kind === 'https'
    if (secure !== (target.tls !== undefined)) {
      return Promise.reject(new Error(secure ? 'needs a certificate' : 'takes no certificate'))
    }
    const { connection, proxies } = this.#options
    const options = { ...target, proxies, handshakeTimeout: connection.handshakeTimeout }
    switch (kind) {
      case 'tcp':
      case 'ssl':
        return listenLines(options, connection, this.#doorkeeper, this.#log, this.#turns)
      case 'ws':
      case 'wss':
        return listenWebSocket(options, connection, this.#doorkeeper, this.#log, this.#turns)
      case 'http':
      case 'https':
        return listenHttp(options, connection, this.#doorkeeper, this.#log, this.#turns)
      case 'rpc':
      default:
        return Promise.reject(new Error('is not for clients'))
    }
  }
}
