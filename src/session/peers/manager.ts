import { isIP } from 'node:net'
import { untilAborted } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Service } from '../../lib/service.ts'
import type { Logger } from '../../log.ts'
import type { JsonObject } from '../../rpc/json.ts'
import type { ServerKeeper } from '../handle.ts'
import { canonicalAddress, isOnion, isPublicHost } from '../outbound/address.ts'
import { createElectrumManager, type ElectrumManager } from '../outbound/client.ts'
import { PeerBook, type Random } from './book.ts'
import { PeerChecker } from './checker.ts'
import { PeerDiscovery } from './discovery.ts'
import { detailsOf, featuresOf, mentionsHost, type PeerFeatures, readFeatures, writeFeatures } from './features.ts'
import type { PeerNetwork } from './network.ts'
import type { PeerRow, PeerStatus } from './peer.ts'
import { ProxyFinder, type ProxyOptions } from './proxy.ts'
import { Registrations } from './registrations.ts'
import { PEER_RULES, type PeerRules } from './rules.ts'
import type { PeerChain } from './verify.ts'

/** `self`: we tell of ourselves alone. `off`: of nobody. Neither connects to anybody. */
export type PeerDiscoveryMode = 'on' | 'self' | 'off'

export interface PeerManagerOptions {
  readonly discovery: PeerDiscoveryMode
  /** Tells servers of ourselves that do not know us. */
  readonly announce: boolean
  /** Hex as displayed. */
  readonly genesisHash: string
  readonly software: string
  /** Lowest and highest protocol we speak to peers. */
  readonly protocol: readonly [min: string, max: string]
  /** `host v1.4 s50002 t50001`: known good servers of this network. */
  readonly bootstrap: readonly string[]
  readonly blacklistUrl?: string
  readonly proxy: ProxyOptions
  /** All connections through the proxy, so that nobody learns our address. */
  readonly forceProxy: boolean
  /** For networks of one's own: takes hosts that are not public as peers. The dialler has to permit them, too. */
  readonly permitPrivate?: boolean
  /** Peers that are looked into at the same time. */
  readonly maxChecks?: number
  readonly rules?: PeerRules
}

export interface PeerManagerCollaborators {
  readonly log: Logger
  readonly clock: Clock
  readonly network: PeerNetwork
  /** Where what is dialled is registered; its limits hold. */
  readonly sessions: ServerKeeper
  readonly chain: PeerChain
  /** What we answer to server.features. */
  readonly features: () => Readonly<Record<string, unknown>>
  readonly random?: Random
}

/** A peer as administrators see it. Times in seconds since the epoch, 0 for never. */
export interface PeerView {
  readonly host: string
  readonly status: PeerStatus
  readonly ip_addr: string | null
  readonly source: string
  readonly last_good: number
  readonly last_try: number
  readonly next_try: number
  readonly try_count: number
  readonly features: JsonObject
}

/** Numbers for the administrator and for metrics. */
export interface PeerSummary {
  readonly discovery: PeerDiscoveryMode
  readonly counts: Readonly<Record<PeerStatus | 'total', number>>
  /** `host:port` */
  readonly proxy: string | null
  readonly blacklisted: number
  /** Being looked into at the moment. */
  readonly checks: number
}

export interface PeerAdminView extends PeerSummary {
  readonly peers: readonly PeerView[]
}

export const MAX_CHECKS = 8
const MAX_RESOLVING = 8

/** Other servers: which there are, which of them are good, and who may know. */
export class PeerManager implements Service {
  readonly name = 'peers'
  readonly #options: PeerManagerOptions
  readonly #collaborators: PeerManagerCollaborators
  readonly #rules: PeerRules
  readonly #book: PeerBook
  readonly #registrations: Registrations
  readonly #proxies: ProxyFinder
  readonly #conversations: ElectrumManager
  readonly #discovery: PeerDiscovery
  readonly #stop = new AbortController()
  #resolving = 0

  constructor(options: PeerManagerOptions, collaborators: PeerManagerCollaborators) {
    const random = collaborators.random ?? Math.random
    this.#options = options
    this.#collaborators = collaborators
    this.#rules = options.rules ?? PEER_RULES
    this.#book = new PeerBook(this.#rules, random)
    this.#registrations = new Registrations(this.#rules, random)
    this.#proxies = new ProxyFinder(options.proxy, collaborators.network)
    this.#conversations = createElectrumManager({}, collaborators.clock)
    this.#discovery = this.#makeDiscovery()
  }

  /** Counts of conversations and ports, for metrics. */
  get conversations(): ElectrumManager {
    return this.#conversations
  }

  /** Returns at once; peers come later, one after the other. To be started when our own tip is known. */
  start(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const { announce, discovery, forceProxy } = this.#options
    this.#collaborators.log.info({ discovery, announce, forceProxy }, 'peer discovery')
    if (discovery === 'on') this.#discovery.start()
    return Promise.resolve()
  }

  /** Ends all checks and closes their connections. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await Promise.all([this.#discovery.stop(), this.#conversations.destroy()])
  }

  /** Rows for server.peers.subscribe. `overTor`: the client came over Tor, see isOverTor(). */
  list(overTor: boolean): readonly PeerRow[] {
    const { discovery } = this.#options
    if (discovery === 'off') return []
    if (discovery === 'self') return this.#ownRows()
    return this.#book.rows(overTor, this.#now(), this.#discovery.blacklist)
  }

  /** True for a client at the address of our proxy: it came to our hidden service. */
  isOverTor(address: string): boolean {
    return this.#proxies.found !== undefined && this.#proxies.isAddress(address)
  }

  /**
   * A server asks to be known (server.add_peer). True if it will be looked into: a name has to resolve to where the
   * request comes from, so that nobody can send us to others; for onions only the pace can be held down.
   */
  async addPeer(features: unknown, sourceAddress: string): Promise<boolean> {
    if (this.#options.discovery !== 'on' || this.#stop.signal.aborted) return false
    const offered = readFeatures(features)
    const host = offered === undefined ? undefined : [...offered.hosts.keys()][0]
    if (offered === undefined || host === undefined) return false
    const refusal = await this.#refusalOf(host, offered, canonicalAddress(sourceAddress))
    if (refusal !== undefined) {
      this.#collaborators.log.debug({ peer: host, refusal }, 'add_peer refused')
      return false
    }
    this.#discovery.note([{ host, features: offered }], 'add_peer', this.#rules.perSource, 'try doors')
    return true
  }

  /** For administrators: `host v1.4 s50002 t50001`. True if it is new and could be a peer. */
  addByName(name: string): boolean {
    if (this.#options.discovery !== 'on') return false
    const [host = '', ...details] = name.trim().split(/\s+/)
    const candidates = [{ host, features: featuresOf(host, details) }]
    return this.#discovery.note(candidates, 'administrator', 1, 'try doors') > 0
  }

  get summary(): PeerSummary {
    const { found } = this.#proxies
    return {
      discovery: this.#options.discovery,
      counts: this.#book.counts(this.#now()),
      proxy: found === undefined ? null : `${found.host}:${found.port}`,
      blacklisted: this.#discovery.blacklist.size,
      checks: this.#discovery.running,
    }
  }

  adminView(): PeerAdminView {
    const now = this.#now()
    const peers = [...this.#book.all()].sort((a, b) => Number(a.bad) - Number(b.bad) || b.lastGood - a.lastGood)
    return {
      ...this.summary,
      peers: peers.map((peer) => ({
        host: peer.host,
        status: peer.statusAt(now - this.#rules.recent),
        ip_addr: peer.address ?? null,
        source: peer.source,
        last_good: peer.lastGood,
        last_try: peer.lastTry,
        next_try: peer.nextTry,
        try_count: peer.failures,
        features: writeFeatures(peer.features),
      })),
    }
  }

  async #refusalOf(host: string, offered: PeerFeatures, source: string): Promise<string | undefined> {
    const { forceProxy, genesisHash, permitPrivate } = this.#options
    if (permitPrivate !== true && !isPublicHost(host)) return 'not a public host'
    if (offered.genesisHash !== undefined && offered.genesisHash !== genesisHash) return 'another network'
    if (this.#isOurs(host)) return 'that is us'
    if (this.#book.isFull) return 'enough peers'
    if (!this.#registrations.permits(host, this.#now())) return 'too many requests'
    if (isOnion(host)) return this.#proxies.found === undefined ? 'no way to reach an onion' : undefined
    // Whoever hides behind the proxy must not ask the name servers of the open network.
    if (forceProxy) return 'no names are resolved outside of the proxy'
    return (await this.#resolvesTo(host, source)) ? undefined : 'does not resolve to where the request comes from'
  }

  async #resolvesTo(host: string, source: string): Promise<boolean> {
    if (isIP(host) !== 0) return canonicalAddress(host) === source
    if (this.#resolving >= MAX_RESOLVING) return false
    this.#resolving++
    try {
      const addresses = await untilAborted(this.#collaborators.network.resolve(host), this.#stop.signal)
      return addresses.some((address) => canonicalAddress(address) === source)
    } catch (error) {
      this.#collaborators.log.debug({ err: error, peer: host }, 'name of a peer not resolved')
      return false
    } finally {
      this.#resolving--
    }
  }

  #ownRows(): readonly PeerRow[] {
    const own = readFeatures(this.#collaborators.features())
    return own === undefined ? [] : [...own.hosts.keys()].map((host) => [host, host, detailsOf(own, host)])
  }

  #isOurs(host: string): boolean {
    const own = readFeatures(this.#collaborators.features())
    return own !== undefined && mentionsHost(own, host)
  }

  #makeDiscovery(): PeerDiscovery {
    const { log, clock, network, sessions, chain, features } = this.#collaborators
    const permitPrivate = this.#options.permitPrivate ?? false
    const checker = new PeerChecker(
      { ...this.#options, permitPrivate, rules: this.#rules },
      {
        log,
        clock,
        network,
        sessions,
        conversations: this.#conversations,
        chain,
        features,
        isBlacklisted: (peer) => this.#discovery.blacklist.has(peer.host, peer.address),
        crowdFault: (peer) => this.#book.crowdFault(peer, this.#now(), this.#discovery.blacklist),
        proxyLost: (proxy) => this.#proxies.lost(proxy),
      },
    )
    const { blacklistUrl, forceProxy, maxChecks } = this.#options
    const bootstrap = this.#options.bootstrap.map((name): [string, ...string[]] => {
      const [host = '', ...details] = name.trim().split(/\s+/)
      return [host, ...details]
    })
    return new PeerDiscovery(
      {
        bootstrap,
        forceProxy,
        permitPrivate,
        maxChecks: maxChecks ?? MAX_CHECKS,
        rules: this.#rules,
        ...(blacklistUrl === undefined ? {} : { blacklistUrl }),
      },
      {
        log,
        clock,
        network,
        book: this.#book,
        checker,
        proxies: this.#proxies,
        isOurs: (host) => this.#isOurs(host),
      },
    )
  }

  /** Seconds since the epoch. */
  #now(): number {
    return this.#collaborators.clock.now() / 1000
  }
}
