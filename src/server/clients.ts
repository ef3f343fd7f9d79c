import { randomBytes } from 'node:crypto'
import { clientRegistry } from '../coins/client-registry.ts'
import type { Coin } from '../coins/coin.ts'
import type { Settings } from '../config/settings.ts'
import type { Daemon } from '../daemon/daemon.ts'
import { atomicalsHeights } from '../index-opening.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../log.ts'
import type { MomentSource } from '../mempool/moment.ts'
import type { CacheTallies } from '../metrics.ts'
import { Envelope } from '../rpc/envelope.ts'
import type { RpcMethod, ServerInfo } from '../rpc/method.ts'
import { atomicalsMethods } from '../rpc/methods/atomicals/table.ts'
import { DEFAULT_NOTIFIER, Notifier } from '../session/notifier.ts'
import { SharedSession } from '../session/shared.ts'
import { Subscriptions } from '../session/subscriptions.ts'
import { answerMemory, maxSubscriptions, sessionOptions } from './options.ts'

export interface ClientsCollaborators {
  readonly daemon: Daemon
  readonly moments: MomentSource
  readonly server: ServerInfo
  readonly caches: CacheTallies
  readonly clock: Clock
  readonly log: Logger
}

/** What all clients use together: the methods of the coin, the envelope around them, and who is told what. */
export function sharedSession(
  { settings, coin }: { readonly settings: Settings; readonly coin: Coin },
  { daemon, moments, server, caches, clock, log }: ClientsCollaborators,
): SharedSession {
  const requestId = requestIds()
  const { maxSend, maxBatch } = settings
  const registry = clientRegistry(
    { ...coin, methods: [...methodsOfAtomicals(settings, coin), ...(coin.methods ?? [])] },
    { maxSend, ...answerMemory(settings) },
    { clock, log, caches },
  )
  const envelope = new Envelope({ maxSend, maxBatch }, { registry, log, requestId })
  const subscriptions = new Subscriptions({
    maxPerSession: settings.maxSubscriptionsPerSession,
    maxTotal: maxSubscriptions(settings),
  })
  const notifier = new Notifier(DEFAULT_NOTIFIER, { moments, subscriptions, daemon, clock, log })
  const parts = { registry, envelope, moments, daemon, server, subscriptions, notifier, clock, log, requestId }
  return new SharedSession(sessionOptions(settings), parts)
}

/** The methods of Atomicals, where there is such an index. */
function methodsOfAtomicals(settings: Settings, coin: Coin): readonly RpcMethod[] {
  const heights = atomicalsHeights({ settings, coin })
  if (heights === undefined) return []
  return atomicalsMethods({
    coin: referenceName(coin),
    network: coin.net,
    addresses: coin.addressVersions,
    heights,
    shape: settings.atomicalsShape,
  })
}

/** What the reference calls a coin on a network: Bitcoin, BitcoinTestnet, BitcoinRegtest. */
function referenceName({ name, net }: Coin): string {
  return net === 'mainnet' ? name : `${name}${net[0]?.toUpperCase() ?? ''}${net.slice(1)}`
}

/** Short texts that never repeat: a random beginning for the process, then a count. */
function requestIds(): () => string {
  const prefix = randomBytes(3).toString('hex')
  let count = 0
  return () => `${prefix}-${(count++).toString(36)}`
}
