import { type CounterLimits, isExceeded, type LimitExceeded, type Place, SessionCounter } from './counter.ts'
import type { SessionGroups } from './groups.ts'
import { isPrivateHost } from './subnets.ts'
import type { Pass } from './transports/connection.ts'
import type { TrustedProxies } from './transports/proxies.ts'

/** Why a newcomer was cut before it was a session: a closed list that shows in the log and in getinfo. */
export const REFUSALS = [
  'not serving',
  'too many newcomers',
  'too many newcomers of one host',
  'group is full',
] as const
export type Refusal = (typeof REFUSALS)[number]

/** Limits of numbers; `undefined` and 0 for none, as said. */
export interface AdmissionOptions {
  /** MAX_SESSIONS: active sessions. */
  readonly maxSessions: number
  /** MAX_HANDSHAKING: newcomers, from the first packet to the first request. */
  readonly maxHandshaking: number
  /** MAX_HANDSHAKING_PER_HOST: newcomers of one public address; 0 for any number. */
  readonly maxHandshakingPerHost: number
  /** Conversations that we begin ourselves; undefined for any number. */
  readonly outbound: { readonly pending: number | undefined; readonly active: number | undefined }
}

/** A place as the manager gave it away. */
export class Ticket implements Pass {
  host: string
  readonly #place: Place
  readonly #left: (ticket: Ticket) => void

  constructor(host: string, place: Place, left: (ticket: Ticket) => void) {
    this.host = host
    this.#place = place
    this.#left = left
  }

  /** From newcomer to session; the limit if there is no room. */
  activate(): LimitExceeded | undefined {
    if (this.#place.stage !== 'pending') return undefined
    const exceeded = this.#place.activate()
    if (exceeded === undefined) this.#left(this)
    return exceeded
  }

  release(): void {
    if (this.#place.stage === 'pending') this.#left(this)
    this.#place.release()
  }
}

/** Who may come in: asked before anything is allocated, and again when a proxy says who it really is. */
export class Admission {
  readonly counter: SessionCounter
  readonly #options: AdmissionOptions
  readonly #groups: SessionGroups
  readonly #proxies: TrustedProxies
  readonly #newcomers = new Map<string, number>()
  readonly #refused: Record<Refusal, number>
  /** One for all tickets. */
  readonly #left = ({ host }: Ticket): void => this.#count(host, -1)

  constructor(
    options: AdmissionOptions,
    collaborators: { readonly groups: SessionGroups; readonly proxies: TrustedProxies },
  ) {
    this.#options = options
    this.#groups = collaborators.groups
    this.#proxies = collaborators.proxies
    const limits: CounterLimits = {
      pending: { inbound: options.maxHandshaking, outbound: options.outbound.pending },
      active: { inbound: options.maxSessions, outbound: options.outbound.active },
    }
    this.counter = new SessionCounter(limits)
    this.#refused = {
      'not serving': 0,
      'too many newcomers': 0,
      'too many newcomers of one host': 0,
      'group is full': 0,
    }
  }

  get refused(): Readonly<Record<Refusal, number>> {
    return { ...this.#refused }
  }

  /** Counts a newcomer that came while nobody is served. */
  refuse(reason: Refusal): Refusal {
    this.#refused[reason]++
    return reason
  }

  /** A place for a newcomer from `host`, or why there is none. */
  admit(host: string): Ticket | Refusal {
    const reason = this.#objection(host)
    if (reason !== undefined) return this.refuse(reason)
    const place = this.counter.open('inbound')
    if (isExceeded(place)) return this.refuse('too many newcomers')
    const ticket = new Ticket(host, place, this.#left)
    this.#count(host, 1)
    return ticket
  }

  /** The newcomer is at `host`, as a proxy of ours says. Undefined if it may stay. */
  move(ticket: Ticket, host: string): Refusal | undefined {
    const reason = this.#objection(host)
    if (reason !== undefined) return this.refuse(reason)
    this.#count(ticket.host, -1)
    this.#count(host, 1)
    ticket.host = host
    return undefined
  }

  /**
   * The newcomer is through the handshake of his transport. No place of the group is held for him before, or half-open
   * handshakes would keep others out, so those that came with him may have it by now. Undefined if he may stay.
   */
  enter({ host }: Ticket): Refusal | undefined {
    return this.#groups.hasRoom(host) ? undefined : this.refuse('group is full')
  }

  #objection(host: string): Refusal | undefined {
    if ((this.#newcomers.get(host) ?? 0) >= this.#mostOf(host)) return 'too many newcomers of one host'
    return this.#groups.hasRoom(host) ? undefined : 'group is full'
  }

  /**
   * Newcomers that one host may have of all there may be. A private address is no host in particular (Tor brings all its clients from
   * one), so it may have half of all places: then the others still have theirs.
   */
  #mostOf(host: string): number {
    const { maxHandshaking, maxHandshakingPerHost } = this.#options
    if (maxHandshakingPerHost === 0 || this.#groups.isExempt(host) || this.#proxies.trusts(host)) return Infinity
    return isPrivateHost(host) ? Math.max(1, Math.ceil(maxHandshaking / 2)) : maxHandshakingPerHost
  }

  #count(host: string, change: 1 | -1): void {
    const count = (this.#newcomers.get(host) ?? 0) + change
    if (count === 0) this.#newcomers.delete(host)
    else this.#newcomers.set(host, count)
  }
}
