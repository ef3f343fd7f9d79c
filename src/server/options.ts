import { getHeapStatistics } from 'node:v8'
import type { Coin } from '../coins/coin.ts'
import type { Settings } from '../config/settings.ts'
import type { BitcoindOptions } from '../daemon/bitcoind-options.ts'
import type { IndexMemory } from '../index-opening.ts'
import type { MomentHubOptions } from '../mempool/hub.ts'
import { type AdminOptions, DEFAULT_ADMIN } from '../session/admin.ts'
import type { SharedOptions } from '../session/shared.ts'
import type { ConnectionLimits } from '../session/transports/connection.ts'

export const SECOND = 1000
const MIB = 1024 * 1024
/** Bytes of a history item as JSON, and of what stands around the list: ElectrumX's arithmetic of the history limit. */
const HISTORY_ITEM_BYTES = 99
const HISTORY_FRAME_BYTES = 100
/**
 * Shares of CACHE_MB. Blocks wait for a flush while catching up, when nobody asks anything; the caches of answers fill
 * at the tip, where a block is flushed at once: so these two use the same half. `blocks`: where transactions are in blocks.
 */
const SHARE = {
  pendingBlocks: 1 / 2,
  database: 1 / 8,
  txids: 1 / 16,
  scripts: 1 / 4,
  proofs: 1 / 4,
  answers: 1 / 8,
  blocks: 1 / 16,
} as const

function bytesFor(part: keyof typeof SHARE, { cacheMb }: Settings): number {
  return cacheMb * MIB * SHARE[part]
}

/** Memory of the index. */
export function indexMemory(settings: Settings): IndexMemory {
  return {
    cacheBytes: bytesFor('database', settings),
    txidCacheBytes: bytesFor('txids', settings),
    pendingBytes: bytesFor('pendingBlocks', settings),
  }
}

/** What is kept of blocks and transactions to answer clients from. */
export function answerMemory(settings: Settings): {
  readonly proofCacheBytes: number
  readonly answerCacheBytes: number
} {
  return { proofCacheBytes: bytesFor('proofs', settings), answerCacheBytes: bytesFor('answers', settings) }
}

export function hubOptions(settings: Settings): MomentHubOptions {
  return {
    historyLimit: Math.floor((settings.maxSend - HISTORY_FRAME_BYTES) / HISTORY_ITEM_BYTES),
    scriptCacheBytes: bytesFor('scripts', settings),
  }
}

/** Where the node of our own is, if there is one. */
export interface OwnNode {
  readonly url: string
  readonly cookieFile: string
  readonly zmqEndpoint: string
}

/** `node`: asked instead of the nodes that the settings name. */
export function daemonOptions(settings: Settings, coin: Coin, node: OwnNode | undefined): BitcoindOptions {
  const { daemonUrls = [], daemonCookieFile, daemonZmq } = settings
  const place =
    node === undefined
      ? { urls: daemonUrls, cookieFile: daemonCookieFile, zmq: daemonZmq, defaultPort: coin.rpcPort }
      : { urls: [node.url], cookieFile: node.cookieFile, zmq: node.zmqEndpoint }
  return { ...place, blockCacheBytes: bytesFor('blocks', settings) }
}

export function sessionOptions(settings: Settings): SharedOptions {
  return {
    requestTimeout: settings.requestTimeout * SECOND,
    handshakeTimeout: settings.handshakeTimeout * SECOND,
    notifyTimeout: settings.notifyTimeout * SECOND,
    maxPipelined: settings.maxPipelined,
    costs: {
      softLimit: settings.costSoftLimit,
      hardLimit: settings.costHardLimit,
      bandwidthUnit: settings.bandwidthUnitCost,
      requestSleep: settings.requestSleep,
      initialConcurrent: settings.initialConcurrent,
    },
    anonymous: settings.anonLogs,
    ...(settings.dropClient === undefined ? {} : { dropClient: settings.dropClient }),
  }
}

export function connectionLimits(settings: Settings): ConnectionLimits {
  return {
    maxReceive: settings.maxRecv,
    highMark: MIB,
    // A few of the largest answers may wait for a reader before it counts as slow.
    maxUnsent: settings.maxUnsent ?? 4 * settings.maxSend,
    sendTimeout: settings.sendTimeout * SECOND,
    handshakeTimeout: settings.handshakeTimeout * SECOND,
    closeTimeout: 2000,
  }
}

/** Bytes of the heap's limit for one subscription: more than twice what the largest takes, that of an outpoint (measured). */
const HEAP_OF_SUBSCRIPTION = 4096
const MOST_SUBSCRIPTIONS = 10_000_000

/** Subscriptions of all sessions; 0 for any number. They never take half of a heap of `heapLimit` bytes by default. */
export function maxSubscriptions(settings: Settings, heapLimit = getHeapStatistics().heap_size_limit): number {
  return settings.maxSubscriptions ?? Math.min(MOST_SUBSCRIPTIONS, Math.floor(heapLimit / HEAP_OF_SUBSCRIPTION))
}

export function adminOptions(settings: Settings): AdminOptions {
  const place = settings.services.find(({ kind }) => kind === 'rpc')
  return {
    ...DEFAULT_ADMIN,
    host: place?.host ?? DEFAULT_ADMIN.host,
    port: place?.port ?? DEFAULT_ADMIN.port,
    connection: connectionLimits(settings),
    anonymous: settings.anonLogs,
  }
}
