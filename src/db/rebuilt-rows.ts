import type { ParsedBlock } from '../chain/block.ts'
import { fromLatin1 } from '../lib/bytes.ts'
import type { ListedTx } from './block-delta.ts'
import type { HeaderList } from './header-table.ts'
import type { Indexer } from './indexer.ts'
import { BlockOverlay } from './overlay.ts'
import { PendingRows } from './pending.ts'
import type { SpentTexts } from './spent-texts.ts'
import type { Row, Store } from './store.ts'
import type { Tip } from './view.ts'

/** Bytes of rows that wait for a write. */
const PENDING_BYTES = 32 << 20

export interface RebuiltBlock {
  readonly block: ParsedBlock
  /** The block below. */
  readonly base: Tip
  /** The chain below. */
  readonly headers: HeaderList
  readonly spent: SpentTexts
  /** As in BlockContext. */
  readonly fundedBy: (input: number) => number | undefined
}

/**
 * What the indexers of a coin make of blocks that are given one by one, in a store of their own and without the indexes
 * that every coin has: what a finished index is held against.
 */
export class RebuiltRows {
  readonly #indexers: readonly Indexer[]
  readonly #store: Store
  #pending: PendingRows

  /** `store`: an empty one, closed by close(). */
  constructor(indexers: readonly Indexer[], store: Store) {
    this.#indexers = indexers
    this.#store = store
    this.#pending = this.#nothing()
  }

  /** Applies the next block. Transactions that indexers have put into histories of scripts they do not touch. */
  async apply({ block, base, headers, spent, fundedBy }: RebuiltBlock): Promise<readonly ListedTx[]> {
    const spaces = this.#indexers.flatMap((indexer) => indexer.spaces)
    const overlay = new BlockOverlay({ base, recordsUndo: false, spaces }, this.#pending)
    const listed: ListedTx[] = []
    const height = base.height + 1
    const firstTxNum = base.txCount
    for (const indexer of this.#indexers) {
      if (height === 0 && !indexer.wantsGenesis) continue
      const list = (hashX: string, txNum: number): void => void listed.push({ hashX, tx: txNum - firstTxNum })
      const touched = new Set<string>()
      await indexer.apply({ height, block, firstTxNum, headers, overlay, spent, fundedBy, list, touched })
    }
    this.#pending.add(overlay.finish())
    if (this.#pending.bytes > PENDING_BYTES) await this.#write()
    return listed
  }

  /** All rows, by key. */
  async *rows(): AsyncGenerator<readonly Row[]> {
    await this.#write()
    yield* this.#store.scan({ gte: new Uint8Array(0), lt: new Uint8Array(64).fill(0xff) })
  }

  close(): Promise<void> {
    return this.#store.close()
  }

  async #write(): Promise<void> {
    const batch = this.#store.batch()
    for (const { key, value } of this.#pending.writes()) {
      if (value === undefined) batch.del(fromLatin1(key))
      else batch.put(fromLatin1(key), fromLatin1(value))
    }
    await batch.write()
    this.#pending = this.#nothing()
  }

  #nothing(): PendingRows {
    return new PendingRows(
      this.#indexers.flatMap((indexer) => indexer.spaces),
      this.#store,
    )
  }
}
