import { isIP } from 'node:net'
import { isAbort, messageOf } from '../../errors.ts'
import { linkSignals } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../log.ts'
import { isHostName, isOnion, isPublicHost } from '../outbound/address.ts'
import { Blacklist } from './blacklist.ts'
import type { PeerBook } from './book.ts'
import type { CheckOutcome, PeerChecker } from './checker.ts'
import { featuresOf, type PeerFeatures, portsOf } from './features.ts'
import type { PeerNetwork } from './network.ts'
import { Peer } from './peer.ts'
import type { ProxyFinder } from './proxy.ts'
import { type PeerRules, pauseAfter } from './rules.ts'
import type { Findings } from './verify.ts'

export interface DiscoveryOptions {
  /** Rows as server.peers.subscribe has them, to begin with. */
  readonly bootstrap: readonly (readonly [host: string, ...details: string[]])[]
  readonly blacklistUrl?: string
  readonly forceProxy: boolean
  /** Takes hosts that are not public as peers. */
  readonly permitPrivate: boolean
  /** Peers that are looked into at the same time. */
  readonly maxChecks: number
  readonly rules: PeerRules
}

export interface DiscoveryCollaborators {
  readonly log: Logger
  readonly clock: Clock
  readonly network: PeerNetwork
  readonly book: PeerBook
  readonly checker: PeerChecker
  readonly proxies: ProxyFinder
  /** True for a host by which we are reached ourselves. */
  readonly isOurs: (host: string) => boolean
}

export interface Candidate {
  readonly host: string
  readonly features: PeerFeatures
}

/** Keeps the book true: finds peers, looks into each when its time has come, and forgets those that are no good. */
export class PeerDiscovery {
  readonly #options: DiscoveryOptions
  readonly #collaborators: DiscoveryCollaborators
  readonly #running = new Map<Peer, Promise<void>>()
  readonly #stop = new AbortController()
  #blacklist = new Blacklist()
  #wake = new AbortController()
  #nextImport = 0
  #toldNoProxy = false
  #loops: Promise<unknown> | undefined

  constructor(options: DiscoveryOptions, collaborators: DiscoveryCollaborators) {
    this.#options = options
    this.#collaborators = collaborators
  }

  get blacklist(): Blacklist {
    return this.#blacklist
  }

  /** Checks in flight. */
  get running(): number {
    return this.#running.size
  }

  start(): void {
    this.#loops ??= Promise.all([this.#refreshBlacklist(), this.#searchAndSchedule()])
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#loops
    await Promise.all(this.#running.values())
  }

  /**
   * Takes up to `most` of the candidates that are new and could be peers. `doors`: what is told of the ports of known
   * ones is worth a try at once. Returns how many are new.
   */
  note(candidates: readonly Candidate[], source: string, most: number, doors: 'ignore doors' | 'try doors'): number {
    const { book, log } = this.#collaborators
    const fresh: Peer[] = []
    for (const { host, features } of candidates) {
      if (!this.#couldBePeer(host, features)) continue
      const peer = new Peer(host, features, source)
      const known = book.matches(peer)
      if (known.length === 0) fresh.push(peer)
      else if (doors === 'try doors') for (const match of known) this.#tryDoors(match, features)
    }
    const added = book.sample(fresh, most).filter((peer) => book.add(peer))
    for (const { host } of added) log.info({ peer: host, source }, 'new peer')
    if (added.length > 0) this.#wake.abort()
    return added.length
  }

  #tryDoors(peer: Peer, features: PeerFeatures): void {
    if (!peer.noteDoors(features)) return
    peer.nextTry = 0
    this.#wake.abort()
  }

  #couldBePeer(host: string, features: PeerFeatures): boolean {
    const { forceProxy, permitPrivate } = this.#options
    const { isOurs, proxies } = this.#collaborators
    if (isIP(host) === 0 && !isHostName(host)) return false
    if (!permitPrivate && !isPublicHost(host)) return false
    if ((isOnion(host) || forceProxy) && proxies.found === undefined) return false
    const { ssl, tcp } = portsOf(features, host)
    return (ssl !== undefined || tcp !== undefined) && !isOurs(host) && !this.#blacklist.has(host)
  }

  async #refreshBlacklist(): Promise<void> {
    const { blacklistUrl, forceProxy, rules } = this.#options
    if (blacklistUrl === undefined) return
    const { log, network, proxies } = this.#collaborators
    await this.#repeat(rules.blacklistRefresh, 'blacklist not refreshed', async () => {
      if (forceProxy && proxies.found === undefined) return
      const text = await network.fetchText(blacklistUrl, forceProxy ? proxies.found : undefined, this.#stop.signal)
      this.#blacklist = Blacklist.parse(text)
      log.info({ entries: this.#blacklist.size }, 'blacklist refreshed')
      // Looked into at once, they are found to be bad.
      for (const peer of this.#collaborators.book.all()) {
        if (this.#blacklist.has(peer.host, peer.address) && !peer.bad) peer.nextTry = 0
      }
      this.#wake.abort()
    })
  }

  /** The proxy first: without it onions among the first peers could not be taken. */
  async #searchAndSchedule(): Promise<void> {
    const { proxies } = this.#collaborators
    let schedule: Promise<void> | undefined
    await this.#repeat(this.#options.rules.proxySearch, 'no proxy searched', async () => {
      try {
        if (proxies.found !== undefined) return
        if ((await proxies.search(this.#stop.signal)) !== undefined) this.#gotProxy()
        else this.#gotNoProxy()
      } finally {
        schedule ??= this.#schedule()
      }
    })
    await schedule
  }

  /** Told once, until there was one: hidden services are missed by few, but with FORCE_PROXY nothing is found at all. */
  #gotNoProxy(): void {
    const { log } = this.#collaborators
    if (this.#toldNoProxy) return
    this.#toldNoProxy = true
    if (this.#options.forceProxy) {
      log.warn(
        'FORCE_PROXY is set and no Tor proxy answers (TOR_PROXY_HOST, TOR_PROXY_PORT): no other server is looked for',
      )
    } else log.info('no Tor proxy answers (TOR_PROXY_HOST, TOR_PROXY_PORT): hidden services are not looked for')
  }

  #gotProxy(): void {
    this.#toldNoProxy = false
    this.#collaborators.log.info({ proxy: this.#collaborators.proxies.found }, 'proxy found')
    this.#import()
    for (const peer of this.#collaborators.book.all()) if (peer.isOnion || this.#options.forceProxy) peer.nextTry = 0
    this.#wake.abort()
  }

  #import(): void {
    const { bootstrap, rules } = this.#options
    this.#nextImport = this.#now() + rules.recheck
    const candidates = bootstrap.map(([host, ...details]) => ({ host, features: featuresOf(host, details) }))
    this.note(candidates, 'bootstrap', candidates.length, 'ignore doors')
  }

  async #schedule(): Promise<void> {
    const { book, log } = this.#collaborators
    while (!this.#stop.signal.aborted) {
      this.#wake = new AbortController()
      // All forgotten, after a long time without a network perhaps: begin anew.
      if (book.size === 0 && this.#now() >= this.#nextImport) this.#import()
      this.#beginDue()
      try {
        await this.#rest()
      } catch (error) {
        log.error({ err: error }, 'peer discovery has stopped')
        return
      }
    }
  }

  #beginDue(): void {
    const now = this.#now()
    const due = [...this.#collaborators.book.all()].filter((peer) => peer.nextTry <= now && !this.#running.has(peer))
    due.sort((a, b) => a.lastTry - b.lastTry)
    for (const peer of due.slice(0, Math.max(0, this.#options.maxChecks - this.#running.size))) {
      this.#running.set(
        peer,
        this.#lookInto(peer).finally(() => {
          this.#running.delete(peer)
          this.#wake.abort()
        }),
      )
    }
  }

  /** Until the next one is due, or something has changed. */
  async #rest(): Promise<void> {
    const { book, clock } = this.#collaborators
    const waiting = [...book.all()].filter((peer) => !this.#running.has(peer)).map(({ nextTry }) => nextTry)
    const isFull = this.#running.size >= this.#options.maxChecks
    const next = isFull ? Number.POSITIVE_INFINITY : Math.min(...waiting, this.#now() + this.#options.rules.recheck)
    const seconds = Number.isFinite(next) ? Math.max(0, next - this.#now()) : this.#options.rules.recheck
    const { signal, unlink } = linkSignals(this.#stop.signal, this.#wake.signal)
    try {
      await clock.sleep(seconds * 1000, signal)
    } catch (error) {
      if (!isAbort(error)) throw error
    } finally {
      unlink()
    }
  }

  async #lookInto(peer: Peer): Promise<void> {
    const { checker, log, proxies } = this.#collaborators
    peer.lastTry = this.#now()
    try {
      this.#apply(peer, await checker.check(peer, proxies.found, this.#stop.signal))
    } catch (error) {
      if (!this.#stop.signal.aborted) log.error({ err: error, peer: peer.host }, 'check of a peer failed')
      peer.nextTry = this.#now() + pauseAfter(1, this.#options.rules)
    }
  }

  #apply(peer: Peer, outcome: CheckOutcome): void {
    const { log } = this.#collaborators
    const { rules } = this.#options
    switch (outcome.kind) {
      case 'good':
        this.#good(peer, outcome.findings)
        break
      case 'bad':
        log.warn({ peer: peer.host, reason: outcome.reason }, 'bad peer')
        peer.bad = true
        this.#failed(peer)
        break
      case 'failed':
        log.info({ peer: peer.host, reason: outcome.reason }, 'peer not reached')
        this.#failed(peer)
        break
      case 'later':
        log.debug({ peer: peer.host, reason: outcome.reason }, 'peer not looked into')
        peer.nextTry = this.#now() + rules.retry
        break
    }
  }

  #good(peer: Peer, findings: Findings): void {
    const { book, log } = this.#collaborators
    const now = this.#now()
    // Others of its kind may have been verified meanwhile.
    const crowd = book.crowdFault(peer, now, this.#blacklist)
    if (crowd !== undefined) {
      this.#apply(peer, { kind: 'bad', reason: crowd })
      return
    }
    log.info({ peer: peer.host, seconds: now - peer.lastTry }, 'peer verified')
    peer.bad = false
    peer.failures = 0
    peer.lastGood = now
    peer.source = 'peer'
    peer.features = { ...findings.features, software: findings.software }
    peer.nextTry = now + pauseAfter(0, this.#options.rules)
    book.dropAliases(peer)
    this.note(findings.known, peer.host, this.#options.rules.perSource, 'ignore doors')
  }

  #failed(peer: Peer): void {
    const { book, log } = this.#collaborators
    const { rules } = this.#options
    peer.failures++
    peer.nextTry = this.#now() + pauseAfter(peer.failures, rules)
    const most = peer.lastGood > 0 && !peer.bad ? rules.triesOfGood : rules.triesOfOthers
    if (peer.failures < most) return
    book.remove(peer)
    if (book.size === 0) this.#nextImport = this.#now() + rules.recheck
    log.info({ peer: peer.host, bad: peer.bad }, 'peer forgotten')
  }

  /** Does `job` now and every so many seconds until stopped. */
  async #repeat(seconds: number, complaint: string, job: () => Promise<void>): Promise<void> {
    const { clock, log } = this.#collaborators
    const { signal } = this.#stop
    while (!signal.aborted) {
      try {
        await job()
      } catch (error) {
        if (!signal.aborted) log.warn({ reason: messageOf(error) }, complaint)
      }
      try {
        await clock.sleep(seconds * 1000, signal)
      } catch (error) {
        if (!isAbort(error)) throw error
      }
    }
  }

  /** Seconds since the epoch. */
  #now(): number {
    return this.#collaborators.clock.now() / 1000
  }
}
