import type { ParsedBlock } from '../chain/block.ts'
import type { HeaderList } from './header-table.ts'
import type { AnyKeySpace } from './layout.ts'
import type { BlockOverlay } from './overlay.ts'
import type { SpentTexts } from './spent-texts.ts'
import type { StoreReader } from './store.ts'

/** A block on its way into the index, and what is known of it. */
export interface BlockContext {
  readonly height: number
  readonly block: ParsedBlock
  /** Number of the block's first transaction. */
  readonly firstTxNum: number
  /** The chain below the block. */
  readonly headers: HeaderList
  readonly overlay: BlockOverlay
  /** What the block's inputs spend. */
  readonly spent: SpentTexts
  /**
   * Number of the transaction that made the output that an input spends, as it was before this block: undefined for
   * inputs of the coinbase and for outputs of the block itself.
   */
  fundedBy(input: number): number | undefined
  /**
   * Puts a transaction of this block into the history of a hashX (one character a byte) that it neither pays nor spends
   * from.
   */
  list(hashX: string, txNum: number): void
  /** hashXs (one character a byte) whose answers this block may change besides those that it pays to or spends from. */
  readonly touched: Set<string>
}

/**
 * One index that a coin adds to those that every coin has (which are written without overlays: see layer.ts). It has no
 * way to take a block back and needs none: the overlay records it.
 *
 * The transaction of genesis cannot be spent and is in no index, as in ElectrumX: block 0 is given to indexers that say
 * so, and counts no transactions.
 */
export interface Indexer {
  readonly name: string
  /** The rows that it writes, and nobody else. */
  readonly spaces: readonly AnyKeySpace[]
  readonly wantsGenesis: boolean
  /** Writes what the block changes. Throws ChainError for a block that cannot stand on what is there. */
  apply(context: BlockContext): void | Promise<void>
  /**
   * What the rows with these keys (one character a byte) stand for in MomentChange.touched besides hashXs; asked for
   * blocks that come and for blocks that are taken back.
   */
  touchedBy?(rowKeys: Iterable<string>): Iterable<string>
  /**
   * Told of the rows (keys, one character a byte) that a block which is taken back had changed or taken away, before they
   * are there again.
   */
  restores?(rowKeys: Iterable<string>): void
  /**
   * Reads what makes apply() faster, while blocks may go on coming; apply() does without it until it has settled.
   * `reader` is the store as it is before the next block. Rejects with the signal's reason.
   */
  warm?(reader: StoreReader, signal: AbortSignal): Promise<void>
}
