import { canonicalAddress, networkOf } from '../outbound/address.ts'
import type { Blacklist } from './blacklist.ts'
import { Peer, type PeerRow, type PeerStatus } from './peer.ts'
import type { PeerRules } from './rules.ts'

/** Picks without bias: a number from 0 up to, without, 1. */
export type Random = () => number

/** All peers we know of, in memory, one for each host. Pure but for the time it is told; seconds since the epoch. */
export class PeerBook {
  readonly #rules: PeerRules
  readonly #random: Random
  readonly #peers = new Map<string, Peer>()

  constructor(rules: PeerRules, random: Random) {
    this.#rules = rules
    this.#random = random
  }

  get size(): number {
    return this.#peers.size
  }

  get isFull(): boolean {
    return this.#peers.size >= this.#rules.maxPeers
  }

  all(): Iterable<Peer> {
    return this.#peers.values()
  }

  has(peer: Peer): boolean {
    return this.#peers.get(peer.key) === peer
  }

  /** False if the book is full or has the host already. */
  add(peer: Peer): boolean {
    if (this.isFull || this.#peers.has(peer.key)) return false
    this.#peers.set(peer.key, peer)
    return true
  }

  remove(peer: Peer): void {
    if (this.has(peer)) this.#peers.delete(peer.key)
  }

  /** Those of the same host, or of the address that the other one goes by. */
  matches(peer: Peer): Peer[] {
    return [...this.#peers.values()].filter(
      (known) => known.key === peer.key || known.key === peer.address || known.address === peer.key,
    )
  }

  /** An address that turned out to be one of a name we know is the same server twice: the name stays. */
  dropAliases(peer: Peer): void {
    if (peer.isAddress) {
      const named = this.matches(peer).some((other) => other !== peer && !other.isAddress && other.lastGood > 0)
      if (named) this.remove(peer)
      return
    }
    for (const other of this.matches(peer)) if (other !== peer && other.isAddress) this.remove(other)
  }

  recentGood(now: number, blacklist: Blacklist): Peer[] {
    const cutoff = now - this.#rules.recent
    return [...this.#peers.values()].filter(
      (peer) => !peer.bad && peer.lastGood > cutoff && !blacklist.has(peer.host, peer.address),
    )
  }

  /** Why `peer` is one too many of its kind among the good ones, if it is. */
  crowdFault(peer: Peer, now: number, blacklist: Blacklist): string | undefined {
    const others = this.recentGood(now, blacklist).filter((other) => other !== peer)
    if (peer.isOnion) {
      const onions = others.filter(({ isOnion }) => isOnion).length
      const half = Math.floor(others.length / 2)
      return onions > half && half >= this.#rules.onionsFree ? 'too many onion peers already' : undefined
    }
    const crowd = this.#crowdOf(peer)
    if (crowd === undefined) return undefined
    // An address whose name is known is no crowd but an alias.
    const same = others.filter((other) => !other.isOnion && this.#crowdOf(other) === crowd)
    const isAlias = same.every((other) => other.isAddress !== peer.isAddress)
    return same.length > 0 && !isAlias ? `too many peers in ${crowd} already` : undefined
  }

  /**
   * What to tell of them: recently verified ones, few of one network and in random order, so that who has many machines
   * in one place gets no more room than others. Onions are a part of the answer, but for who came over Tor.
   */
  rows(overTor: boolean, now: number, blacklist: Blacklist): PeerRow[] {
    const onions: Peer[] = []
    const networks = new Map<string, Peer[]>()
    for (const peer of this.#shuffled(this.recentGood(now, blacklist))) {
      if (peer.isOnion) {
        onions.push(peer)
        continue
      }
      const network =
        peer.address === undefined ? domainOf(peer.host) : networkOf(peer.address, this.#rules.networkBits)
      const members = networks.get(network) ?? []
      if (members.length < this.#rules.perNetwork) members.push(peer)
      networks.set(network, members)
    }
    const chosen = [...networks.values()].flat()
    const { onionsOverTor, onionsLeast, onionsPart } = this.#rules
    const most = overTor ? onionsOverTor : Math.max(onionsLeast, Math.floor(chosen.length * onionsPart))
    return [...chosen, ...onions.slice(0, most)].map((peer) => peer.toRow())
  }

  counts(now: number): Record<PeerStatus | 'total', number> {
    const counts = { good: 0, stale: 0, never: 0, bad: 0, total: this.#peers.size }
    for (const peer of this.#peers.values()) counts[peer.statusAt(now - this.#rules.recent)]++
    return counts
  }

  /** At most `count` of `items`, each as likely as the others. */
  sample<T>(items: readonly T[], count: number): T[] {
    return this.#shuffled(items).slice(0, count)
  }

  #crowdOf(peer: Peer): string | undefined {
    return peer.address === undefined ? undefined : networkOf(canonicalAddress(peer.address), this.#rules.crowdBits)
  }

  #shuffled<T>(items: readonly T[]): T[] {
    const mixed = [...items]
    for (let last = mixed.length - 1; last > 0; last--) {
      const other = Math.floor(this.#random() * (last + 1))
      const [a, b] = [mixed[last], mixed[other]]
      if (a === undefined || b === undefined) continue
      mixed[last] = b
      mixed[other] = a
    }
    return mixed
  }
}

/** The last two labels of a name; an address is its own. */
export function domainOf(host: string): string {
  return host.toLowerCase().split('.').slice(-2).join('.')
}
