import { setImmediate as nextTurn } from 'node:timers/promises'
import type { FlatFile } from './flat-file.ts'
import { type RowWrite, STATE, type StateRow } from './layout.ts'
import type { PendingBlocks } from './pending.ts'
import { TextBytes } from './row-text.ts'
import type { Store, StoreBatch } from './store.ts'
import type { UndoKeeper } from './undo.ts'

/** Rows put into a batch before others get a turn: a few milliseconds. */
const ROWS_PER_TURN = 10_000

/** True if finished blocks have to be written: at the node's tip always, before it when they take too much memory. */
export function flushIsDue(
  pending: PendingBlocks,
  options: { readonly maxBytes: number; readonly atTip: boolean },
): boolean {
  return pending.blocks.length > 0 && (options.atTip || pending.bytes >= options.maxBytes)
}

/**
 * Writes all finished blocks: first their ids to the txid file, until they are safe there, then everything else in one
 * batch that carries its own tip. A crash anywhere leaves the last batch, and ids beyond it that are cut off at open.
 */
export async function flush(
  pending: PendingBlocks,
  state: StateRow,
  to: { readonly store: Store; readonly txids: FlatFile; readonly undo: UndoKeeper },
): Promise<void> {
  const last = pending.blocks.at(-1)
  if (last === undefined) return
  await to.txids.write()
  const batch = to.store.batch()
  try {
    await stageWrites(batch, pending.writes())
    to.undo.stage(batch, pending.blocks, last.tip)
    batch.put(STATE.keyBytes({}), STATE.valueBytes(state))
  } catch (error) {
    await batch.discard()
    throw error
  }
  await batch.write()
  to.undo.written(pending.blocks, last.tip)
}

/** Puts writes into a batch; others get a turn now and then. */
export async function stageWrites(batch: StoreBatch, writes: Iterable<RowWrite>): Promise<void> {
  const keys = new TextBytes()
  const values = new TextBytes()
  let rows = 0
  for (const { key, value } of writes) {
    if (value === undefined) batch.del(keys.bytes(key))
    else batch.put(keys.bytes(key), values.bytes(value))
    rows += 1
    if (rows % ROWS_PER_TURN === 0) await nextTurn()
  }
}
