import { type Clock, systemClock } from '../../lib/clock.ts'
import { CacheTallies } from '../../metrics.ts'
import { BlockProofs } from '../block-proofs.ts'
import type { RpcMethod } from '../method.ts'
import { broadcastMethods } from './broadcast.ts'
import { type HeaderPresenter, headerMethods } from './headers.ts'
import { mempoolMethods } from './mempool.ts'
import { outpointMethods } from './outpoint.ts'
import { scripthashMethods, scriptpubkeyMethods } from './scripthash.ts'
import { serverMethods } from './server.ts'
import { transactionMethods } from './transaction.ts'

export interface ElectrumMethodsOptions {
  /** Bytes of the largest answer: no padding longer than that is made. Default: ElectrumX's MAX_SEND. */
  readonly maxSend?: number
  /** Bytes of block ids and merkle nodes kept for proofs. Default: 64 MiB, some 300 full blocks. */
  readonly proofCacheBytes?: number
  /** Bytes of answers kept: half for long rows of headers, half for confirmed transactions. Default: 32 MiB. */
  readonly answerCacheBytes?: number
}

export interface ElectrumMethodsCollaborators {
  readonly clock?: Clock
  /** Where caches count what they had and what not. */
  readonly caches?: CacheTallies
  /** How the coin shows headers; as they are unless it says otherwise. */
  readonly presentHeader?: HeaderPresenter
}

/** The Electrum protocol, every version of it: the rows that do not depend on what else is indexed. */
export function electrumMethods(
  { maxSend = 8_100_000, proofCacheBytes = 64 * 2 ** 20, answerCacheBytes = 32 * 2 ** 20 }: ElectrumMethodsOptions = {},
  { clock = systemClock, caches = new CacheTallies(), presentHeader = (raw) => raw }: ElectrumMethodsCollaborators = {},
): readonly RpcMethod[] {
  const cacheBytes = Math.floor(answerCacheBytes / 2)
  const proofs = new BlockProofs({ maxBytes: proofCacheBytes }, caches)
  return [
    ...serverMethods({ longestPong: maxSend }),
    ...headerMethods({ presentHeader, cacheBytes, tally: caches.of('headers') }),
    ...scripthashMethods,
    ...scriptpubkeyMethods,
    ...outpointMethods,
    ...transactionMethods({ proofs, cacheBytes, tally: caches.of('transactions') }),
    ...broadcastMethods,
    ...mempoolMethods({ clock, tally: caches.of('node facts') }),
  ]
}

/** Methods of Electrum with those that a coin or an index adds; rows of a name that is added are left out. */
export function withMethods(electrum: readonly RpcMethod[], added: readonly RpcMethod[]): readonly RpcMethod[] {
  const replaced = new Set(added.map(({ name }) => name))
  return [...electrum.filter(({ name }) => !replaced.has(name)), ...added]
}
