import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import { connect as connectTcp, isIP, type LookupFunction, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { isAbort, messageOf } from '../../errors.ts'
import { abortErrorOf, linkSignals, throwIfAborted, untilAborted } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import { isExceeded, type LimitExceeded, type Place, type SessionCounter } from '../counter.ts'
import type { Connection, ConnectionLimits } from '../transports/connection.ts'
import { LineConnection } from '../transports/tcp.ts'
import { Turns } from '../transports/turns.ts'
import { isPublicAddress } from './address.ts'
import { connectThrough, greetProxy } from './socks.ts'

export interface NetAddress {
  readonly host: string
  readonly port: number
}

/** `any`: whatever certificate there is, for servers sign their own; `verified`: as browsers do. */
export type TlsUse = 'none' | 'any' | 'verified'

export interface DialTarget extends NetAddress {
  readonly tls: TlsUse
  /** A SOCKS5 proxy to go through; it also resolves the name. */
  readonly proxy?: NetAddress
  /** Named by the operator: it may be anywhere, also where only this machine reaches. */
  readonly trusted?: boolean
  /** Milliseconds until it has to be connected, instead of the dialler's. */
  readonly timeout?: number
}

/**
 * Opens a connection to a server; rejects with DialError, or with AbortError once `signal` aborts. With a `place` it is
 * counted in that, by whoever has it; without, it is counted here for as long as it lasts.
 */
export type Dial = (target: DialTarget, signal: AbortSignal, place?: Place) => Promise<Connection>

export type DialStage = 'limit' | 'resolve' | 'address' | 'connect' | 'proxy' | 'tls' | 'timeout'

/** A connection that did not come about, and where it failed. */
export class DialError extends Error {
  override readonly name = 'DialError'
  readonly stage: DialStage
  /** The limit that was met, at stage `limit`. */
  readonly exceeded: LimitExceeded | undefined
  constructor(stage: DialStage, message: string, options?: ErrorOptions & { readonly exceeded?: LimitExceeded }) {
    super(message, options)
    this.stage = stage
    this.exceeded = options?.exceeded
  }
}

export interface DiallerOptions {
  /** Milliseconds from the first packet to the end of the last handshake. */
  readonly timeout: number
  readonly limits: ConnectionLimits
  /** Lets addresses that are not public be dialled; a proxy may be anywhere. */
  readonly permitPrivate: boolean
  /** The address to dial from, so that servers see the one that we report. Of its own family only. */
  readonly localAddress?: string
}

export interface DiallerCollaborators {
  readonly clock: Clock
  /** Dials in flight are pending and outbound in it, connections active; unless they have a place already. */
  readonly counter: SessionCounter
  /** All addresses of a name; the system's resolver. */
  readonly resolve?: (host: string) => Promise<readonly string[]>
}

/** The system's resolver. Not to be aborted; who waits may go. */
export async function resolveHost(host: string): Promise<readonly string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address)
}

/** Opens connections: TCP, perhaps through a SOCKS5 proxy, perhaps with TLS; bounded in number and in time. */
export class Dialler {
  readonly #options: DiallerOptions
  readonly #clock: Clock
  readonly #counter: SessionCounter
  readonly #resolve: (host: string) => Promise<readonly string[]>
  readonly #turns: Turns

  constructor(options: DiallerOptions, collaborators: DiallerCollaborators) {
    this.#options = options
    this.#clock = collaborators.clock
    this.#counter = collaborators.counter
    this.#resolve = collaborators.resolve ?? resolveHost
    this.#turns = new Turns(collaborators.clock)
  }

  /** A connection that carries lines. `remote` is the address connected to; through a proxy, the host as given. */
  readonly connect: Dial = async (target, signal, place) => {
    const socket = place === undefined ? await this.open(target, signal) : await this.#dial(target, signal)
    const host = target.proxy === undefined ? (socket.remoteAddress ?? target.host) : target.host
    const kind = target.tls === 'none' ? 'tcp' : 'ssl'
    const remote = { host: unmapped(host), port: target.port }
    return new LineConnection({ kind, remote }, this.#options.limits, { socket, turns: this.#turns })
  }

  /** The bare socket, counted until it closes. */
  async open(target: DialTarget, signal: AbortSignal): Promise<Socket> {
    throwIfAborted(signal)
    const place = this.#counter.open('outbound')
    if (isExceeded(place)) throw tooMany(place)
    try {
      const socket = await this.#dial(target, signal)
      socket.once('close', () => place.release())
      const exceeded = place.activate()
      if (exceeded === undefined && !socket.destroyed) return socket
      socket.destroy()
      throw exceeded === undefined ? new DialError('connect', 'closed at once') : tooMany(exceeded)
    } catch (error) {
      place.release()
      throw error
    }
  }

  /** True if there is a SOCKS5 proxy at `address` that wants no password. */
  async isProxy(address: NetAddress, signal: AbortSignal): Promise<boolean> {
    try {
      await within(this.#options.timeout, this.#clock, signal, async (inner) => {
        const socket = await this.#tcp(address, inner, true)
        await greetProxy(socket, inner).finally(() => socket.destroy())
      })
      return true
    } catch (error) {
      if (isAbort(error)) throw error
      return false
    }
  }

  #dial(target: DialTarget, signal: AbortSignal): Promise<Socket> {
    throwIfAborted(signal)
    return within(target.timeout ?? this.#options.timeout, this.#clock, signal, (inner) =>
      this.#handshakes(target, inner),
    )
  }

  async #handshakes(target: DialTarget, signal: AbortSignal): Promise<Socket> {
    const { proxy } = target
    const socket = await this.#tcp(proxy ?? target, signal, proxy !== undefined || target.trusted === true)
    try {
      if (proxy !== undefined) {
        await staged('proxy', signal, () => connectThrough(socket, target.host, target.port, signal))
      }
      return target.tls === 'none' ? socket : await staged('tls', signal, () => secure(socket, target, signal))
    } catch (error) {
      socket.destroy()
      throw error
    }
  }

  async #tcp(address: NetAddress, signal: AbortSignal, trusted: boolean): Promise<Socket> {
    const addresses = await this.#addressesOf(address.host, signal, trusted)
    const { localAddress } = this.#options
    const socket = connectTcp({
      host: address.host,
      port: address.port,
      lookup: lookupAmong(addresses),
      noDelay: true,
      keepAlive: true,
      ...(localAddress === undefined || trusted ? {} : { localAddress, family: isIP(localAddress) }),
    })
    // Who owns the socket later hears of errors himself; until then none may be without a listener.
    socket.on('error', () => {})
    try {
      await staged('connect', signal, () => once(socket, 'connect', { signal }))
      return socket
    } catch (error) {
      socket.destroy()
      throw error
    }
  }

  /** What may be dialled of what the name means. A name could otherwise lead strangers into our own network. */
  async #addressesOf(host: string, signal: AbortSignal, trusted: boolean): Promise<readonly string[]> {
    const all =
      isIP(host) === 0 ? await staged('resolve', signal, () => untilAborted(this.#resolve(host), signal)) : [host]
    const allowed = trusted || this.#options.permitPrivate ? all : all.filter(isPublicAddress)
    if (allowed.length === 0) throw new DialError('address', 'not a public address')
    return allowed
  }
}

/** Answers node's question for a name with what was resolved before. */
function lookupAmong(addresses: readonly string[]): LookupFunction {
  return (_host, options, callback) => {
    const found = addresses
      .map((address) => ({ address, family: isIP(address) }))
      .filter(({ family }) => options.family === undefined || options.family === 0 || options.family === family)
    const first = found[0]
    if (first === undefined) callback(new Error('no address of that family'), '')
    else if (options.all === true) callback(null, found)
    else callback(null, first.address, first.family)
  }
}

async function secure(raw: Socket, target: DialTarget, signal: AbortSignal): Promise<TLSSocket> {
  const socket = connectTls({
    socket: raw,
    rejectUnauthorized: target.tls === 'verified',
    ...(isIP(target.host) === 0 ? { servername: target.host } : {}),
  })
  socket.on('error', () => {})
  // A raw socket that breaks does not always take the TLS one along.
  raw.once('close', () => socket.destroy())
  await once(socket, 'secureConnect', { signal })
  return socket
}

async function staged<T>(stage: DialStage, signal: AbortSignal, job: () => Promise<T>): Promise<T> {
  try {
    return await job()
  } catch (error) {
    if (signal.aborted) throw abortErrorOf(signal)
    throw new DialError(stage, messageOf(error), { cause: error })
  }
}

/** `job` with a signal that also aborts after `ms`; that it did shows as DialError. */
async function within<T>(
  ms: number,
  clock: Clock,
  signal: AbortSignal,
  job: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadline = new AbortController()
  const done = new AbortController()
  const { signal: inner, unlink } = linkSignals(signal, deadline.signal)
  clock.sleep(ms, done.signal).then(
    () => deadline.abort(),
    () => {}, // The job was done first.
  )
  try {
    return await job(inner)
  } catch (error) {
    if (deadline.signal.aborted && !signal.aborted) throw new DialError('timeout', `not connected within ${ms} ms`)
    throw error
  } finally {
    done.abort()
    unlink()
  }
}

export function tooMany(exceeded: LimitExceeded): DialError {
  const { stage, limit } = exceeded
  return new DialError('limit', `${limit} outbound connections are ${stage} already`, { exceeded })
}

function unmapped(host: string): string {
  return host.startsWith('::ffff:') && host.includes('.') ? host.slice(7) : host
}
