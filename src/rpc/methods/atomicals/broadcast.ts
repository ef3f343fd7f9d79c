import { z } from 'zod'
import { parseWholeTx, type Tx } from '../../../chain/tx.ts'
import { ParseError } from '../../../errors.ts'
import { fromHex } from '../../../lib/bytes.ts'
import { defineMethod, type RpcContext, type RpcMethod } from '../../method.ts'
import { Hash, HexTx } from '../../schemas.ts'
import { broadcastCost, packageMethod, sendPackage, sendTransaction } from '../broadcast.ts'
import { badRequest } from './answers.ts'
import type { AtomicalsKit } from './kit.ts'
import { EXAMPLE_TX, EXAMPLE_TXID } from './results.ts'
import { attempt, attemptInTurn, requireNothingBurnt, requireNothingBurntInTurn } from './trying.ts'

/** Transactions of a package: bitcoind takes no more, and says so too. */
const MOST_IN_PACKAGE = 25

/** The transaction, or undefined for bytes that are none: the node has words for those that wallets know. */
function readable(raw: string): Tx | undefined {
  try {
    return parseWholeTx(fromHex(raw))
  } catch (error) {
    if (error instanceof ParseError) return undefined
    throw error
  }
}

function broadcast(kit: AtomicalsKit): RpcMethod {
  return defineMethod({
    name: 'blockchain.transaction.broadcast',
    summary:
      "Gives a transaction to the network. A refusal is code 1 with bitcoind's words in the message. With Atomicals " +
      'switched on, a transaction that would burn tokens is refused with 800422 and the node never sees it; what it ' +
      'spends of the mempool counts.',
    params: z.object({ raw_tx: HexTx }),
    result: Hash,
    cost: ({ raw_tx: raw }) => broadcastCost(raw),
    since: [1, 0, 0],
    example: { params: [EXAMPLE_TX], result: EXAMPLE_TXID },
    handler: async (ctx: RpcContext, { raw_tx: raw }) => {
      const tx = readable(raw)
      if (tx !== undefined) requireNothingBurnt((await attempt(kit.answers(ctx), tx)).judged)
      return sendTransaction(ctx, raw)
    },
  })
}

const broadcastForce = defineMethod({
  name: 'blockchain.transaction.broadcast_force',
  summary: 'Gives a transaction to the network whatever it does to tokens.',
  params: z.object({ raw_tx: HexTx }),
  result: Hash,
  cost: ({ raw_tx: raw }) => broadcastCost(raw),
  since: [1, 0, 0],
  example: { params: [EXAMPLE_TX], result: EXAMPLE_TXID },
  handler: (ctx: RpcContext, { raw_tx: raw }) => sendTransaction(ctx, raw),
})

function broadcastPackage(kit: AtomicalsKit): RpcMethod {
  return defineMethod({
    ...packageMethod,
    name: 'blockchain.transaction.broadcast_package',
    summary:
      "Gives a child with its parents to the network; verbose: bitcoind's own answer. With Atomicals switched on, a " +
      'package with a transaction that would burn tokens is refused with 800422 and the node never sees it; what the ' +
      'transactions spend of each other and of the mempool counts.',
    handler: async (ctx, { raw_txs: raws, verbose }) => {
      if (raws.length > MOST_IN_PACKAGE) throw badRequest(`a package has ${MOST_IN_PACKAGE} transactions at most`)
      const txs = raws.map(readable).filter((tx) => tx !== undefined)
      // The node refuses all of it where one cannot be read.
      if (txs.length === raws.length) requireNothingBurntInTurn(await attemptInTurn(kit.answers(ctx), txs))
      return sendPackage(ctx, { raw_txs: raws, verbose })
    },
  })
}

const broadcastPackageForce = defineMethod({
  ...packageMethod,
  name: 'blockchain.transaction.broadcast_package_force',
  summary: "Gives a child with its parents to the network whatever they do to tokens; verbose: bitcoind's own answer.",
  handler: sendPackage,
})

/** Sending with and without a look at what would be burnt. */
export function broadcastMethods(kit: AtomicalsKit): readonly RpcMethod[] {
  return [broadcast(kit), broadcastForce, broadcastPackage(kit), broadcastPackageForce]
}
