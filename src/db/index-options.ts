import type { Clock } from '../lib/clock.ts'
import type { BlockDelta } from './block-delta.ts'
import type { Disk } from './disk.ts'
import type { Indexer } from './indexer.ts'
import type { SpentOutputs } from './spent.ts'
import type { OpenStore } from './store.ts'
import type { Tip } from './view.ts'

export interface IndexOptions {
  readonly directory: string
  readonly coin: string
  readonly net: string
  /** 32 bytes, internal order: block 0 has to have it. */
  readonly genesisHash: Uint8Array
  /** Blocks that can be taken back. */
  readonly reorgLimit: number
  /** Bytes of LevelDB's cache. */
  readonly cacheBytes: number
  /** Where a table of LevelDB ends and the next begins; see StoreOptions. */
  readonly tableBytes?: number
  /** Bytes of memory for pages of the txid file; none if it is not given. */
  readonly txidCacheBytes?: number
  /** Bytes of memory that finished blocks may take, those that a flush is writing and what it makes of them included. */
  readonly pendingBytes: number
  /** Settings that decide what rows mean: a database made with others is refused. */
  readonly settings?: Readonly<Record<string, string>>
}

export interface IndexCollaborators {
  /** What the coin adds to the indexes that every coin has. */
  readonly indexers?: readonly Indexer[]
  readonly openStore?: OpenStore
  readonly disk?: Disk
  readonly clock?: Clock
}

/** What is known of a block besides its bytes, where the node tells what it spends. */
export interface KnownBlock {
  readonly spent: SpentOutputs
  /** blockDelta of the block and what it spends. */
  readonly delta: BlockDelta
}

/** What one block changed. */
export interface BlockChange {
  /** The tip before. */
  readonly from: Tip
  /** The tip now. */
  readonly to: Tip
  /** hashXs (one character a byte) whose answers may have changed, and what indexers name besides; some more than once. */
  readonly touched: Iterable<string>
}
