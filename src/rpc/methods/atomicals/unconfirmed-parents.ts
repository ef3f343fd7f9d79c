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
/** Blocks that a reorganisation may take back which the index has not heard of: those of the tip and so many below. */
const RECENT_BLOCKS = 10

/** What is asked of the context of a request. */
export type ParentsContext = Pick<RpcContext, 'moment' | 'daemon' | 'signal' | 'charge'>

/**
 * The transactions that `txs` stand on and that the index does not have, parents before children, without `txs`
 * themselves. They are asked of the node, which has a transaction before our mempool does. Those that the node does not
 * know are left out: it will not take what stands on them. Throws RpcError 1 if they are more than 100, and -102 if the
 * node has one in a block that the index has not reached, or one of the last blocks of the index, from which something
 * is spent, is none of the node's any more: what sits at its outputs nobody knows here, and tokens must not be taken for
 * plain coins.
 */
export async function unconfirmedParents(ctx: ParentsContext, txs: readonly Tx[]): Promise<Tx[]> {
  const found = new Map<string, Tx>()
  const own = new Set(txs.map(({ txid }) => toDisplayHex(txid)))
  const asked = new Set<string>()
  const seen: Seen = { own, asked, recent: false }
  for (let level: Level = { txs, fromBlock: new Set() }; level.txs.length > 0; ) {
    const unknown = await unknownParents(ctx, level.txs, seen)
    if (asked.size > MAX_PARENTS) {
      const { code } = ERROR_CODES.badRequest
      throw new RpcError(code, `stands on more than ${MAX_PARENTS} transactions that are not confirmed`)
    }
    level = unknown.length === 0 ? NOTHING : await fromNode(ctx, unknown, level)
    for (const parent of level.txs) found.set(toDisplayHex(parent.txid), parent)
  }
  if (seen.recent) await requireOwnBranch(ctx)
  return inOrder(txs, found)
}

/** Transactions that were found together; `fromBlock`: those of them that are in the node's best block. */
interface Level {
  readonly txs: readonly Tx[]
  readonly fromBlock: ReadonlySet<Tx>
}

const NOTHING: Level = { txs: [], fromBlock: new Set() }

interface Seen {
  readonly own: ReadonlySet<string>
  readonly asked: Set<string>
  /** Something is spent that the last blocks of the index made. */
  recent: boolean
}

/** Ids, as displayed, of what transactions spend from that is neither confirmed, their own, nor was asked for before. */
async function unknownParents(ctx: ParentsContext, txs: readonly Tx[], seen: Seen): Promise<string[]> {
  const { own, asked } = seen
  const ids = new Set(txs.flatMap(({ inputs }) => inputs.map(({ prevTxid }) => toDisplayHex(prevTxid))))
  const unknown: string[] = []
  for (const id of ids) {
    if (own.has(id) || asked.has(id)) continue
    ctx.signal.throwIfAborted()
    ctx.charge(LOOKUP_COST)
    const place: TxPosition | undefined = await ctx.moment.view.findTransaction(fromDisplayHex(id))
    if (place !== undefined) {
      if (place.height >= ctx.moment.tip.height - RECENT_BLOCKS) seen.recent = true
      continue
    }
    asked.add(id)
    unknown.push(id)
    // One more than may be says enough.
    if (asked.size > MAX_PARENTS) break
  }
  return unknown
}

async function fromNode(ctx: ParentsContext, ids: readonly string[], children: Level): Promise<Level> {
  const { daemon, signal, moment } = ctx
  ctx.charge(NODE_COST)
  const raws = await daemon.mempoolTransactions(ids, signal)
  const txs = raws.filter((raw) => raw !== undefined).map((raw) => parseWholeTx(raw))
  const missing = ids.filter((_, i) => raws[i] === undefined)
  if (missing.length === 0) return { txs, fromBlock: new Set() }
  // A block that the node has and we have not: what it confirmed has left the mempool.
  const { bestBlockHash } = await daemon.chainInfo(signal)
  if (bestBlockHash === toDisplayHex(moment.tip.hash)) return { txs, fromBlock: new Set() }
  const mined: Tx[] = []
  const nowhere: string[] = []
  for (const id of missing) {
    ctx.charge(NODE_COST)
    const raw = await fromBlock(ctx, id, bestBlockHash)
    if (raw === undefined) nowhere.push(id)
    else mined.push(parseWholeTx(raw))
  }
  if (nowhere.length > 0) await requireUnknown(ctx, nowhere, children)
  return { txs: [...txs, ...mined], fromBlock: new Set(mined) }
}

/**
 * Throws RpcError -102 if the node knows one of these ids, which are neither in the index, the mempool nor the node's
 * best block: it is in a block before that one.
 */
async function requireUnknown(ctx: ParentsContext, ids: readonly string[], { txs, fromBlock }: Level): Promise<void> {
  const spent = new Map<string, { readonly txid: string; readonly vout: number }>()
  const left = new Set(ids)
  for (const tx of txs) {
    for (const { prevTxid, prevIndex } of tx.inputs) {
      const txid = toDisplayHex(prevTxid)
      if (!left.has(txid)) continue
      // What the best block spends the node had, and has no longer among what is unspent.
      if (fromBlock.has(tx)) throw behind()
      // One is enough: the node refuses a transaction of which it lacks any.
      spent.set(txid, { txid, vout: prevIndex })
    }
  }
  ctx.charge(NODE_COST)
  const outputs = await ctx.daemon.unspentOutputs([...spent.values()], ctx.signal)
  if (outputs.some((output) => output !== undefined)) throw behind()
}

/**
 * Throws RpcError -102 if the node's chain has another block at the height of our tip, or none: what was plain in ours
 * may be coloured in its own, where the mint that took the last place is gone.
 */
async function requireOwnBranch(ctx: ParentsContext): Promise<void> {
  const { daemon, signal, moment } = ctx
  const { height, hash } = moment.tip
  const own = toDisplayHex(hash)
  ctx.charge(NODE_COST)
  const { bestBlockHash } = await daemon.chainInfo(signal)
  if (bestBlockHash === own) return
  ctx.charge(NODE_COST)
  const [there] = await daemon.blockHashes(height, 1, signal)
  if (there === own) return
  throw new RpcError(ERROR_CODES.busy.code, 'the node has left the last blocks of the index for others: ask again')
}

function behind(): RpcError {
  return new RpcError(
    ERROR_CODES.busy.code,
    'the index is behind the node, which has what the transaction spends in a block that is not indexed yet: ask again',
  )
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
