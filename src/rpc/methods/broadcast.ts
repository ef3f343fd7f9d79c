import { z } from 'zod'
import type { Daemon, PackageResult } from '../../daemon/daemon.ts'
import { DaemonError, ERROR_CODES, RefusedByNode, RpcError } from '../../errors.ts'
import { defineMethod, type RpcContext, type RpcMethod } from '../method.ts'
import { Bool, Hash, HexTx, HexTxs } from '../schemas.ts'
import { V1_6, V1_7 } from '../versions.ts'
import { EXAMPLE_TX, EXAMPLE_TXID } from './transaction.ts'

/** Characters of hex for one unit of cost, as of bytes of bandwidth. */
const CHARACTERS_PER_COST = 5000
const BROADCAST_COST = 0.25
const sizeCost = (texts: readonly string[]): number =>
  BROADCAST_COST + texts.reduce((sum, text) => sum + text.length, 0) / CHARACTERS_PER_COST

/** Gives a transaction to the node, for the client. Throws RefusedByNode. */
export async function sendTransaction({ daemon, signal, client }: RpcContext, raw: string): Promise<string> {
  const txid = await relayed('the transaction', `\n[${raw}]`, () => daemon.broadcast(raw, signal))
  client.sentTransactions(1)
  return txid
}

/** Of a transaction that a client gives. */
export const broadcastCost = (raw: string): number => sizeCost([raw])

/** Wallets look for bitcoind's own words in the message of a refusal. */
async function relayed<T>(what: string, after: string, relay: () => Promise<T>): Promise<T> {
  try {
    return await relay()
  } catch (error) {
    if (!(error instanceof DaemonError)) throw error
    throw new RefusedByNode(`${what} was rejected by network rules.\n\n${error.message}${after}`, { cause: error })
  }
}

const broadcast = defineMethod({
  name: 'blockchain.transaction.broadcast',
  summary: "Gives a transaction to the network. A refusal is code 1 with bitcoind's words in the message.",
  params: z.object({ raw_tx: HexTx }),
  result: Hash,
  cost: ({ raw_tx: raw }) => broadcastCost(raw),
  since: [1, 0, 0],
  example: { params: [EXAMPLE_TX], result: EXAMPLE_TXID },
  handler: (ctx, { raw_tx: raw }) => sendTransaction(ctx, raw),
})

/** bitcoind's codes for a method that it does not have, and for one that it has for regtest alone. */
const NO_SUCH_METHOD: ReadonlySet<number> = new Set([-32601, -1])

/** Throws RpcError, not what bitcoind said, where it takes no packages at all: nothing is wrong with this one then. */
async function submit(daemon: Daemon, raws: readonly string[], signal: AbortSignal): Promise<PackageResult> {
  try {
    return await daemon.broadcastPackage(raws, signal)
  } catch (error) {
    if (!(error instanceof DaemonError && NO_SUCH_METHOD.has(error.daemonCode))) throw error
    const said = `bitcoind takes no packages (submitpackage, Bitcoin Core 26): ${error.message}`
    throw new RpcError(ERROR_CODES.daemonError.code, `daemon error: ${said}`, { cause: error })
  }
}

/** Gives a child with its parents to the node, for the client. Throws RefusedByNode. */
export async function sendPackage(
  { daemon, signal, client }: RpcContext,
  { raw_txs: raws, verbose = false }: RawPackage,
) {
  const result = await relayed('the tx package', '.', () => submit(daemon, raws, signal))
  if (result.packageMessage === 'success') client.sentTransactions(raws.length)
  return verbose ? result.raw : summaryOf(result)
}

interface RawPackage {
  readonly raw_txs: readonly string[]
  readonly verbose?: boolean | undefined
}

/** All but name, summary and handler of methods that send packages. */
export const packageMethod = {
  params: z.object({ raw_txs: HexTxs, verbose: Bool("bitcoind's own answer.").optional() }),
  result: z.union([
    z.object({
      success: z.boolean(),
      errors: z.array(z.object({ txid: Hash, error: z.string() })).optional(),
    }),
    z.unknown().meta({ description: "bitcoind's answer to submitpackage." }),
  ]),
  cost: ({ raw_txs: raws }: RawPackage) => sizeCost(raws),
  since: V1_6,
  example: { params: [[EXAMPLE_TX, EXAMPLE_TX]], result: { success: true } },
} as const

const broadcastPackage = defineMethod({
  ...packageMethod,
  name: 'blockchain.transaction.broadcast_package',
  summary: "Gives a child with its parents to the network; verbose: bitcoind's own answer.",
  handler: sendPackage,
})

function summaryOf({ packageMessage, errors }: PackageResult): {
  success: boolean
  errors?: { txid: string; error: string }[]
} {
  const success = packageMessage === 'success'
  return errors.length === 0 ? { success } : { success, errors: [...errors] }
}

const testMempoolAccept = defineMethod({
  name: 'blockchain.transaction.testmempoolaccept',
  summary: 'Whether the mempool would take these transactions, and why not.',
  params: z.object({ raw_txs: HexTxs }),
  result: z.array(z.object({ txid: Hash, wtxid: Hash, allowed: z.boolean(), reason: z.string().optional() })),
  cost: ({ raw_txs: raws }) => sizeCost(raws),
  since: V1_7,
  example: {
    params: [[EXAMPLE_TX]],
    result: [{ txid: EXAMPLE_TXID, wtxid: EXAMPLE_TXID, allowed: false, reason: 'min relay fee not met' }],
  },
  handler: async ({ daemon, signal }, { raw_txs: raws }) => {
    const results = await daemon.testMempoolAccept(raws, signal)
    return results.map(({ txid, wtxid, allowed, reason }) =>
      reason === undefined ? { txid, wtxid, allowed } : { txid, wtxid, allowed, reason },
    )
  },
})

/** Methods that give transactions to the node. */
export const broadcastMethods: readonly RpcMethod[] = [broadcast, broadcastPackage, testMempoolAccept]
