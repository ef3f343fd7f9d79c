import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import type { Coin } from './coins/coin.ts'
import type { Settings } from './config/settings.ts'
import { OPERATOR_KINDS, type ServiceUrl } from './config/values.ts'
import type { Clock } from './lib/clock.ts'
import type { Logger } from './log.ts'
import type { MomentSource } from './mempool/moment.ts'
import type { ServerInfo } from './rpc/method.ts'
import { featuresOf } from './rpc/methods/server.ts'
import type { SessionCounter } from './session/counter.ts'
import type { ServerKeeper } from './session/handle.ts'
import { Dialler } from './session/outbound/dial.ts'
import { PeerManager } from './session/peers/manager.ts'
import { dialledNetwork } from './session/peers/network.ts'
import type { PeerChain } from './session/peers/verify.ts'
import type { ConnectionLimits } from './session/transports/connection.ts'
import { SOFTWARE } from './version.ts'

/** Connections to other servers that may be in the making, and that may be open, at the same time. */
export const OUTBOUND_LIMITS = { pending: 16, active: 32 } as const

/** What is asked of other servers is the same in all these versions. */
const PEER_PROTOCOL = ['1.4', '1.7'] as const
const DIAL_TIMEOUT = 30_000
/** Nothing that is still to be written to another server is worth waiting for at shutdown. */
const CLOSE_TIMEOUT = 500

export interface PeersOptions {
  readonly settings: Pick<
    Settings,
    'peerDiscovery' | 'peerAnnounce' | 'forceProxy' | 'torProxyHost' | 'torProxyPort' | 'blacklistUrl' | 'services'
  >
  readonly coin: Coin
  readonly connection: ConnectionLimits
}

export interface PeersCollaborators {
  readonly log: Logger
  readonly clock: Clock
  /** Its outbound limits hold for all that is dialled here. */
  readonly counter: SessionCounter
  readonly sessions: ServerKeeper
  readonly moments: MomentSource
  readonly info: ServerInfo
}

/** The search for other servers as the settings want it. To be started once there is a moment to compare chains with. */
export function buildPeers({ settings, coin, connection }: PeersOptions, around: PeersCollaborators): PeerManager {
  const { log, clock, counter, sessions, moments, info } = around
  // A chain of one's own has its servers in a network of one's own. On all others strangers could send us there.
  const permitPrivate = coin.net === 'regtest'
  const localAddress = dialFrom(settings.services, permitPrivate)
  const dialler = new Dialler(
    {
      timeout: DIAL_TIMEOUT,
      limits: { ...connection, closeTimeout: CLOSE_TIMEOUT },
      permitPrivate,
      ...(localAddress === undefined ? {} : { localAddress }),
    },
    { clock, counter },
  )
  const { torProxyHost: host, torProxyPort: port, blacklistUrl } = settings
  return new PeerManager(
    {
      discovery: settings.peerDiscovery,
      announce: settings.peerAnnounce,
      genesisHash: coin.genesisHash,
      software: SOFTWARE,
      protocol: PEER_PROTOCOL,
      bootstrap: coin.peers,
      proxy: { host, ...(port === undefined ? {} : { port }) },
      forceProxy: settings.forceProxy,
      permitPrivate,
      ...(blacklistUrl === undefined ? {} : { blacklistUrl }),
    },
    {
      log,
      clock,
      network: dialledNetwork(dialler, clock),
      sessions,
      chain: chainOf(moments),
      features: () => featuresOf(info, info.protocolMin),
    },
  )
}

/** What clients are told of the chain is what other servers are held against. */
function chainOf(moments: MomentSource): PeerChain {
  return {
    tip: () => moments.with(({ tip }) => Promise.resolve(tip.height)),
    headerAt: (height) =>
      moments.with(({ view }) => {
        const header = view.header(height)
        return header === undefined
          ? Promise.reject(new Error(`no header at height ${height} any more`))
          : Promise.resolve(header)
      }),
  }
}

/**
 * The address that we listen at, if it is a certain one: a machine may have several, and others believe a request to be
 * listed only if it comes from the one that is listed. A loopback address leads to nobody else.
 */
function dialFrom(services: readonly ServiceUrl[], permitLoopback: boolean): string | undefined {
  return services.find(({ kind, host }) => {
    if (OPERATOR_KINDS.has(kind) || isIP(host) === 0) return false
    const range = ipaddr.process(host).range()
    return range !== 'unspecified' && (range !== 'loopback' || permitLoopback)
  })?.host
}
