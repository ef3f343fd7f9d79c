import { messageOf } from '../../errors.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../log.ts'
import type { ServerKeeper } from '../handle.ts'
import { canonicalAddress, isPublicHost } from '../outbound/address.ts'
import { type ElectrumManager, RemoteError } from '../outbound/client.ts'
import { DialError, type NetAddress } from '../outbound/dial.ts'
import { AbortedError, ConversationError, InvalidError } from '../outbound/errors.ts'
import { openSession, type ServerSession } from '../outbound/session.ts'
import { clearnetHost, portsOf, readFeatures } from './features.ts'
import type { PeerNetwork } from './network.ts'
import type { Peer, PeerDoor } from './peer.ts'
import type { PeerRules } from './rules.ts'
import { BadPeerError, type Findings, type PeerChain, verifyPeer } from './verify.ts'

/** `later`: nothing was learnt, and not through the peer's fault. */
export type CheckOutcome =
  | { readonly kind: 'good'; readonly findings: Findings }
  | { readonly kind: 'bad' | 'failed' | 'later'; readonly reason: string }

export interface CheckerOptions {
  readonly genesisHash: string
  readonly software: string
  readonly protocol: readonly [min: string, max: string]
  /** Tells servers of ourselves that do not know us. */
  readonly announce: boolean
  readonly forceProxy: boolean
  readonly permitPrivate: boolean
  readonly rules: PeerRules
}

export interface CheckerCollaborators {
  readonly log: Logger
  readonly clock: Clock
  readonly network: PeerNetwork
  readonly conversations: ElectrumManager
  /** Where what is dialled is registered. */
  readonly sessions: ServerKeeper
  readonly chain: PeerChain
  /** What we answer to server.features. */
  readonly features: () => Readonly<Record<string, unknown>>
  readonly isBlacklisted: (peer: Peer) => boolean
  /** Why a peer whose address is known now is one too many, if it is. */
  readonly crowdFault: (peer: Peer) => string | undefined
  /** The proxy takes no connections (any more). */
  readonly proxyLost: (proxy: NetAddress) => void
}

/** Milliseconds. Over Tor everything takes long. */
export const PEER_TIMEOUT = { direct: 30_000, tor: 120_000 } as const
/** However quick a server was at first: the next question may cost it more. */
export const LEAST_TIMEOUT = 10_000

/** Nobody has to be told of a server that talks nonsense. */
export const MAX_BAD_MESSAGES = 1

/** Connects to one peer, by each of its doors until one leads somewhere, and finds out about it. */
export class PeerChecker {
  readonly #options: CheckerOptions
  readonly #collaborators: CheckerCollaborators

  constructor(options: CheckerOptions, collaborators: CheckerCollaborators) {
    this.#options = options
    this.#collaborators = collaborators
  }

  /** Rejects only with AbortError, once `signal` aborts. Notes the address of the peer. */
  async check(peer: Peer, proxy: NetAddress | undefined, signal: AbortSignal): Promise<CheckOutcome> {
    if (this.#collaborators.isBlacklisted(peer)) return { kind: 'bad', reason: 'blacklisted' }
    const proxied = peer.isOnion || this.#options.forceProxy
    if (proxied && proxy === undefined) return { kind: 'later', reason: 'no proxy' }
    let outcome: CheckOutcome = { kind: 'failed', reason: 'no door' }
    for (const door of peer.takeDoors()) {
      outcome = await this.#through(peer, door, proxied ? proxy : undefined, signal)
      if (outcome.kind === 'good' || outcome.kind === 'bad') return outcome
      this.#collaborators.log.debug({ peer: peer.host, ...door, reason: outcome.reason }, 'peer not reached')
    }
    return outcome
  }

  async #through(
    peer: Peer,
    door: PeerDoor,
    proxy: NetAddress | undefined,
    signal: AbortSignal,
  ): Promise<CheckOutcome> {
    try {
      const timeout = peer.isOnion ? PEER_TIMEOUT.tor : PEER_TIMEOUT.direct
      const session = await this.#dial(peer, door, { proxy, timeout }, signal)
      if (proxy === undefined) peer.address = canonicalAddress(session.remote.host)
      return await this.#over(session, peer, signal)
    } catch (error) {
      if (signal.aborted) throw error
      if (error instanceof DialError && error.stage === 'connect' && proxy !== undefined) {
        this.#collaborators.proxyLost(proxy)
        return { kind: 'later', reason: error.message }
      }
      return this.#outcomeOf(error)
    }
  }

  #dial(
    { host, key }: Peer,
    door: PeerDoor,
    { proxy, timeout }: { readonly proxy: NetAddress | undefined; readonly timeout: number },
    signal: AbortSignal,
  ): Promise<ServerSession> {
    const { network, conversations, sessions: keeper, clock } = this.#collaborators
    const tls = door.kind === 'ssl' ? 'any' : 'none'
    return openSession(
      {
        target: { host, port: door.port, tls, timeout, ...(proxy === undefined ? {} : { proxy }) },
        name: `${key} ${door.kind} ${door.port}`,
        port: { requestTimeout: timeout, leastTimeout: LEAST_TIMEOUT, maxBadMessages: MAX_BAD_MESSAGES },
      },
      { keeper, dial: network.dial, conversations, clock },
      signal,
    )
  }

  async #over(session: ServerSession, peer: Peer, signal: AbortSignal): Promise<CheckOutcome> {
    try {
      this.#objectTo(peer)
      const findings = await verifyPeer(
        session,
        this.#collaborators.chain,
        { ...this.#options, host: peer.host },
        { signal },
      )
      await this.#announce(session, peer, findings, signal)
      return { kind: 'good', findings }
    } finally {
      await session.close('client closed')
    }
  }

  #objectTo(peer: Peer): void {
    const { crowdFault, isBlacklisted } = this.#collaborators
    const objection = isBlacklisted(peer) ? 'blacklisted' : crowdFault(peer)
    if (objection !== undefined) throw new BadPeerError(objection)
  }

  /** That it does not want to hear of us does not make it a bad server. */
  async #announce(session: ServerSession, peer: Peer, findings: Findings, signal: AbortSignal): Promise<void> {
    const own = this.#toAnnounce(findings)
    if (own === undefined) return
    const { log } = this.#collaborators
    try {
      const accepted = await session.request('server.add_peer', [own], { signal })
      log.info({ peer: peer.host, accepted }, 'announced ourselves')
    } catch (error) {
      if (signal.aborted || !(error instanceof ConversationError || error instanceof RemoteError)) throw error
      log.debug({ peer: peer.host, reason: error.message }, 'not announced')
    }
  }

  /** Undefined if we are not to be found by others, or if it knows us, with the right ports. */
  #toAnnounce(findings: Findings): Readonly<Record<string, unknown>> | undefined {
    if (!this.#options.announce) return undefined
    const raw = this.#collaborators.features()
    const own = readFeatures(raw)
    const host = own === undefined ? undefined : clearnetHost(own)
    if (own === undefined || host === undefined) return undefined
    if (!this.#options.permitPrivate && !isPublicHost(host)) return undefined
    const { ssl, tcp } = portsOf(own, host)
    const known = findings.known.some((row) => {
      if (row.host.toLowerCase() !== host.toLowerCase()) return false
      const ports = portsOf(row.features, row.host)
      return ports.ssl === ssl && ports.tcp === tcp
    })
    return known ? undefined : raw
  }

  #outcomeOf(error: unknown): CheckOutcome {
    const reason = messageOf(error)
    if (error instanceof BadPeerError || error instanceof InvalidError) return { kind: 'bad', reason }
    if (error instanceof AbortedError) return { kind: error.reason === 'protocol breach' ? 'bad' : 'failed', reason }
    if (error instanceof ConversationError || error instanceof RemoteError) return { kind: 'failed', reason }
    if (error instanceof DialError) return { kind: error.stage === 'limit' ? 'later' : 'failed', reason }
    this.#collaborators.log.warn({ err: error }, 'a check of a peer failed by itself')
    return { kind: 'later', reason }
  }
}
