import { z } from 'zod'

/** bitcoind's answers: only the fields we read, so that whatever else comes and goes between versions is no concern. */

/** RPC_IN_WARMUP */
export const WARMING_UP = -28
/** RPC_INVALID_ADDRESS_OR_KEY, which is what "no such block or transaction" comes as */
export const NOT_FOUND = -5
/** RPC_INVALID_PARAMETER, among others a height beyond the tip */
export const INVALID_PARAMETER = -8
/** RPC_MISC_ERROR, among others the usage text for a call with too many parameters */
export const MISC_ERROR = -1
/** RPC_METHOD_NOT_FOUND */
export const METHOD_NOT_FOUND = -32601

const HASH = /^[0-9a-f]{64}$/

export const RpcErrorReply = z.object({ code: z.int(), message: z.string() })

export const Hash = z.string().regex(HASH)
export const Height = z.int().nonnegative()
const FeeRate = z.number().nonnegative()

export const ChainInfoReply = z.object({
  chain: z.string(),
  blocks: Height,
  headers: Height,
  bestblockhash: Hash,
  initialblockdownload: z.boolean(),
  pruned: z.boolean(),
})

/** Of getblockchaininfo as well: big-endian hex. */
export const WorkReply = z.object({ chainwork: z.string().regex(HASH) })

export const ChainTipsReply = z.array(
  z.object({ height: Height, hash: Hash, branchlen: z.int().nonnegative(), status: z.string() }),
)

export const NetworkInfoReply = z.object({ version: z.int(), subversion: z.string(), relayfee: FeeRate })

/** `minrelaytxfee` and `loaded` are there since 0.19, `incrementalrelayfee` since 24. */
export const MempoolInfoReply = z.object({
  size: z.int().nonnegative(),
  loaded: z.boolean().optional(),
  mempoolminfee: FeeRate,
  minrelaytxfee: FeeRate.optional(),
  incrementalrelayfee: FeeRate.optional(),
})

/** A plain loop: the list has hundreds of thousands of ids, and zod would make an object of state for each. */
function isHashList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string' && HASH.test(item))
}

const HashList = z.custom<string[]>(isHashList, 'not a list of hashes')

/** With the sequence number where the node tells it (0.21), else the list alone. */
export const MempoolIdsReply = z.union([
  z.object({ txids: HashList, mempool_sequence: z.int().nonnegative() }),
  HashList.transform((txids) => ({ txids, mempool_sequence: undefined })),
])

/** Null for an output that is spent or was never there. `value` in BTC. */
export const TxOutReply = z
  .object({
    bestblock: Hash,
    value: z.number().nonnegative(),
    scriptPubKey: z.object({ hex: z.string().regex(/^(?:[0-9a-f]{2})*$/) }),
  })
  .nullable()

export const TransactionReply = z.object({ txid: Hash })

export const FeeEstimateReply = z.object({ feerate: z.number().optional() })

/**
 * `tx-results` has the wtxids as names; an `error` stands where a transaction was refused. Core 26 says nothing of the
 * package: there is a result only if all of it was taken.
 */
export const PackageReply = z.object({
  package_msg: z.string().default('success'),
  'tx-results': z.record(z.string(), z.object({ txid: Hash, error: z.string().optional() })),
})

/** `allowed` is absent where the package was refused before this transaction was looked at. */
export const AcceptReply = z.array(
  z.object({
    txid: Hash,
    wtxid: Hash,
    allowed: z.boolean().optional(),
    'reject-reason': z.string().optional(),
    'package-error': z.string().optional(),
  }),
)

/** By name of the index; those that are being built are there too. */
export const IndexInfoReply = z.record(z.string(), z.unknown())

export const ZmqNotificationsReply = z.array(z.object({ type: z.string(), address: z.string() }))
