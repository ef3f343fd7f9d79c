import type { ParsedBlock } from '../chain/block.ts'
import type { AnyKeySpace } from './layout.ts'
import type { BlockOverlay } from './overlay.ts'
import type { SpentOutputs } from './spent.ts'

/** A block on its way into the index, and what the steps before have found out about it. */
export interface BlockContext {
  readonly height: number
  readonly block: ParsedBlock
  /** Number of the block's first transaction. */
  readonly firstTxNum: number
  readonly overlay: BlockOverlay
  /** Whose the outputs are that the block's inputs spend. */
  readonly spent: SpentOutputs
  /** hashXs (one character a byte) whose answers this block may change; indexers add to it. */
  readonly touched: Set<string>
}

/**
 * One index. It has no way to take a block back and needs none: the overlay records it.
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
}
