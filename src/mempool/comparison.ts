import { setImmediate as nextTurn } from 'node:timers/promises'
import { throwIfAborted } from '../lib/abort.ts'
import type { MempoolGraph } from './graph.ts'
import type { Orphans } from './orphans.ts'

/** Ids of a list that are looked at before others get a turn. */
const COMPARED_AT_ONCE = 10_000

/** What is here of the node's mempool: in the graph, waiting for a parent, or fetched and not to be read. */
export interface Known {
  readonly graph: MempoolGraph
  readonly orphans: Orphans
  readonly unreadable: Set<string>
}

/** Known, and not to be fetched again, though it is not in the mempool. */
export function isWaiting({ orphans, unreadable }: Known, txid: string): boolean {
  return orphans.has(txid) || unreadable.has(txid)
}

/**
 * What the node's list (ids as displayed) says to have left the mempool, and what is to be fetched. Forgets what waits or
 * cannot be read and is not listed any more. Lets others have a turn now and then: a list can have some hundred thousand
 * ids. Rejects with AbortError when `signal` aborts.
 */
export async function compareWithList(
  txids: readonly string[],
  known: Known,
  signal: AbortSignal,
): Promise<{ gone: string[]; fresh: string[] }> {
  const { graph, orphans, unreadable } = known
  const fresh: string[] = []
  let found = 0
  for (const [i, txid] of txids.entries()) {
    if (i % COMPARED_AT_ONCE === COMPARED_AT_ONCE - 1) await nextTurn()
    if (graph.has(txid)) found += 1
    else if (!isWaiting(known, txid)) fresh.push(txid)
  }
  throwIfAborted(signal)
  // The node names each id once, so if all of ours are among them none is gone.
  const isWhole = found === graph.size && orphans.size === 0 && unreadable.size === 0
  return { gone: isWhole ? [] : await goneFrom(txids, known, signal), fresh }
}

/** The transactions that are not listed any more. Of those that are here without being in the mempool nothing is left. */
async function goneFrom(
  txids: readonly string[],
  { graph, orphans, unreadable }: Known,
  signal: AbortSignal,
): Promise<string[]> {
  const listed = new Set<string>()
  for (const [i, txid] of txids.entries()) {
    if (i % COMPARED_AT_ONCE === COMPARED_AT_ONCE - 1) await nextTurn()
    listed.add(txid)
  }
  const gone: string[] = []
  let looked = 0
  for (const txid of graph.txids()) {
    if (++looked % COMPARED_AT_ONCE === 0) await nextTurn()
    if (!listed.has(txid)) gone.push(txid)
  }
  throwIfAborted(signal)
  for (const txid of orphans.txids()) if (!listed.has(txid)) orphans.delete(txid)
  for (const txid of unreadable) if (!listed.has(txid)) unreadable.delete(txid)
  return gone
}
