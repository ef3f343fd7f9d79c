import { isIP } from 'node:net'
import { isOnion } from '../outbound/address.ts'
import { domainOf, type Random } from './book.ts'
import type { PeerRules } from './rules.ts'

/** How often strangers may register with add_peer. Times in seconds since the epoch. */
export class Registrations {
  readonly #rules: PeerRules
  readonly #random: Random
  readonly #last = new Map<string, number>()
  #nextOnion = 0

  constructor(rules: PeerRules, random: Random) {
    this.#rules = rules
    this.#random = random
  }

  /** Domains remembered. */
  get size(): number {
    return this.#last.size
  }

  /**
   * True if a name of this domain (or any address) may be registered now. Asking too early starts the pause anew, as in
   * ElectrumX: who keeps asking gets nowhere.
   */
  permits(host: string, now: number): boolean {
    this.#forget(now)
    const domain = isIP(host) === 0 ? domainOf(host) : 'any address'
    const last = this.#last.get(domain)
    if (last === undefined && this.#last.size >= this.#rules.maxDomains) return false
    this.#last.delete(domain)
    this.#last.set(domain, now)
    if (last !== undefined) return false
    return !isOnion(host) || this.#permitsOnion(now)
  }

  /** Nobody can say where a request for an onion comes from, so that only their number can be held down. */
  #permitsOnion(now: number): boolean {
    if (now < this.#nextOnion) return false
    this.#nextOnion = now + Math.floor(this.#random() * this.#rules.onionPause)
    return true
  }

  /** In order of time, so that the first that is young enough ends it. */
  #forget(now: number): void {
    for (const [domain, at] of this.#last) {
      if (at + this.#rules.addPause >= now) return
      this.#last.delete(domain)
    }
  }
}
