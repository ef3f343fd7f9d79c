import { setImmediate as nextTurn } from 'node:timers/promises'
import { toLatin1 } from '../lib/bytes.ts'
import { undoRows } from './base-undo.ts'
import type { CoinIndexes } from './coin-indexes.ts'
import { cutHeads } from './gather.ts'
import { HEADERS, UNDO, type UndoRow } from './layout.ts'
import type { StoreBatch, StoreReader } from './store.ts'

/** Rows between two turns. */
const SCRIPTS_PER_TURN = 1000

/** A block that is to be taken back. */
export interface TakenBlock {
  readonly height: number
  /** Ids of its transactions, 32 bytes each, internal order. */
  readonly txids: Uint8Array
  readonly firstTxNum: number
  readonly listsOutputs: boolean
  readonly undo: UndoRow
}

/**
 * Puts all into a batch that takes a block back, but for the state of the index, and tells the coin's indexes. Gives the
 * touched hashXs (Latin-1).
 */
export async function takeBack(
  block: TakenBlock,
  store: StoreReader,
  batch: StoreBatch,
  coinIndexes: CoinIndexes,
): Promise<Set<string>> {
  const { height, undo } = block
  const touched = new Set<string>()
  for (const hashX of undoRows(undo.base, block, batch)) {
    touched.add(toLatin1(hashX))
    if (touched.size % SCRIPTS_PER_TURN === 0) await nextTurn()
  }
  await cutHeads(touched, block.firstTxNum, store, batch)
  for (const { key, value } of undo.writes) {
    if (value === undefined) batch.del(Buffer.from(key, 'latin1'))
    else batch.put(Buffer.from(key, 'latin1'), Buffer.from(value, 'latin1'))
  }
  for (const name of coinIndexes.touchedBy(undo.writes)) touched.add(name)
  coinIndexes.restores(undo.writes)
  batch.del(HEADERS.keyBytes({ height }))
  batch.del(UNDO.keyBytes({ height }))
  return touched
}
