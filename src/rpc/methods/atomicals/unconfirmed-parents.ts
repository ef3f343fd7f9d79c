import type { Tx } from '../../../chain/tx.ts'
import { parseWholeTx } from '../../../chain/tx.ts'
import type { TxPosition } from '../../../db/view.ts'
import { DaemonError, ERROR_CODES, RpcError } from '../../../errors.ts'
import { fromDisplayHex, toDisplayHex } from '../../../lib/bytes.ts'
import type { RpcContext } from '../../method.ts'
import { NODE_COST } from './detail.ts'

/** Transactions that one stands on and that are not confirmed: bitcoind allows 64 in a cluster. */
const MAX_PARENTS = 100
/** Cost of a transaction that is looked for in the index. */
const LOOKUP_COST = 0.002

/** What is asked of the context of a request. */
export type ParentsContext = Pick<RpcContext, 'moment' | 'daemon' | 'signal' | 'charge'>

/**
 * The transactions that `txs` stand on and that the index does not have, parents before children, without `txs`
 * themselves. They are asked of the node, which has a transaction before our mempool does. Those that the node does not
 * know are left out: it will not take what stands on them. Throws RpcError 1 if they are more than 100.
 */
export async function unconfirmedParents(ctx: ParentsContext, txs: readonly Tx[]): Promise<Tx[]> {
  const found = new Map<string, Tx>()
  const own = new Set(txs.map(({ txid }) => toDisplayHex(txid)))
  const asked = new Set<string>()
  for (let level = txs; level.length > 0; ) {
    const unknown = await unknownParents(ctx, level, { own, asked })
    if (asked.size > MAX_PARENTS) {
      const { code } = ERROR_CODES.badRequest
      throw new RpcError(code, `stands on more than ${MAX_PARENTS} transactions that are not confirmed`)
    }
    level = unknown.length === 0 ? [] : await fromNode(ctx, unknown)
    for (const parent of level) found.set(toDisplayHex(parent.txid), parent)
  }
  return inOrder(txs, found)
}

interface Seen {
  readonly own: ReadonlySet<string>
  readonly asked: Set<string>
}

/** Ids, as displayed, of what transactions spend from that is neither confirmed, their own, nor was asked for before. */
async function unknownParents(ctx: ParentsContext, txs: readonly Tx[], { own, asked }: Seen): Promise<string[]> {
  const ids = new Set(txs.flatMap(({ inputs }) => inputs.map(({ prevTxid }) => toDisplayHex(prevTxid))))
  const unknown: string[] = []
  for (const id of ids) {
    if (own.has(id) || asked.has(id)) continue
    ctx.signal.throwIfAborted()
    ctx.charge(LOOKUP_COST)
    const place: TxPosition | undefined = await ctx.moment.view.findTransaction(fromDisplayHex(id))
    if (place !== undefined) continue
    asked.add(id)
    unknown.push(id)
    // One more than may be says enough.
    if (asked.size > MAX_PARENTS) break
  }
  return unknown
}

async function fromNode(ctx: ParentsContext, ids: readonly string[]): Promise<Tx[]> {
  const { daemon, signal, moment } = ctx
  ctx.charge(NODE_COST)
  const raws = await daemon.mempoolTransactions(ids, signal)
  const missing = ids.filter((_, i) => raws[i] === undefined)
  if (missing.length > 0) {
    // A block that the node has and we have not: what it confirmed has left the mempool.
    const { bestBlockHash } = await daemon.chainInfo(signal)
    if (bestBlockHash !== toDisplayHex(moment.tip.hash)) {
      for (const id of missing) {
        ctx.charge(NODE_COST)
        raws.push(await fromBlock(ctx, id, bestBlockHash))
      }
    }
  }
  return raws.filter((raw) => raw !== undefined).map((raw) => parseWholeTx(raw))
}

async function fromBlock({ daemon, signal }: ParentsContext, id: string, block: string) {
  try {
    return await daemon.rawTransaction(id, block, signal)
  } catch (error) {
    if (error instanceof DaemonError) return undefined
    throw error
  }
}

/** Parents before children. */
function inOrder(txs: readonly Tx[], found: ReadonlyMap<string, Tx>): Tx[] {
  const ordered = new Set<Tx>()
  const visit = (child: Tx): void => {
    for (const { prevTxid } of child.inputs) {
      const parent = found.get(toDisplayHex(prevTxid))
      if (parent === undefined || ordered.has(parent)) continue
      visit(parent)
      ordered.add(parent)
    }
  }
  for (const tx of txs) visit(tx)
  return [...ordered]
}
