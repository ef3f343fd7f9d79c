import { ChainError } from '../errors.ts'
import { equalBytes, toDisplayHex } from '../lib/bytes.ts'
import { UNDO, type UndoRow } from './layout.ts'
import type { RowSink } from './row-order.ts'
import type { Store, StoreReader } from './store.ts'
import type { Tip } from './view.ts'

/** What one flush writes: blocks up to `tip`, of which all can be taken back, or none. */
export interface FlushedBlocks {
  readonly tip: Tip
  readonly revocable: boolean
}

/** Keeps what takes blocks back for as many blocks as the reorg limit says. */
export class UndoKeeper {
  readonly #store: StoreReader
  readonly #reorgLimit: number
  /** Lowest height that may still have a row. */
  #oldest: number
  /** Lowest height that can be taken back: below are blocks for which nothing was kept, written or not. */
  #lowest: number

  private constructor(store: StoreReader, reorgLimit: number, oldest: number) {
    this.#store = store
    this.#reorgLimit = reorgLimit
    this.#oldest = oldest
    this.#lowest = oldest
  }

  /** `nextHeight`: height of the block that would come after the tip. */
  static async open(store: Store, reorgLimit: number, nextHeight: number): Promise<UndoKeeper> {
    const [first] = await store.rows({ ...UNDO.range(), limit: 1 })
    return new UndoKeeper(store, reorgLimit, first === undefined ? nextHeight : UNDO.readKey(first[0]).height)
  }

  /** Notes that nothing is kept for the block at `height`: heights up to it have none, whatever rows are left below. */
  skip(height: number): void {
    this.#lowest = height + 1
  }

  /** Prunes what is not needed any more once these blocks are written. Call written() once they are. */
  stage(sink: RowSink, blocks: FlushedBlocks): void {
    const oldest = this.#oldestAfter(blocks)
    for (let height = this.#oldest; height < oldest; height++) sink.del(UNDO.keyBytes({ height }))
  }

  written(blocks: FlushedBlocks): void {
    this.#oldest = Math.max(this.#oldest, this.#oldestAfter(blocks))
    this.#lowest = Math.max(this.#lowest, this.#oldest)
  }

  /** The lowest height that can be gone back to: nothing is kept that leads further. */
  get deepestFork(): number {
    return this.#lowest - 1
  }

  /** True if the block at `height` is above those that are pruned once `tip` is written. */
  keeps(height: number, tip: Tip): boolean {
    return height >= this.#oldestBelow(tip)
  }

  /** What takes the tip back. Throws ChainError if it was not kept. */
  read(tip: Tip): UndoRow {
    const bytes = this.#store.getSync(UNDO.keyBytes({ height: tip.height }))
    if (bytes === undefined) {
      const limit = `only ${this.#reorgLimit} blocks are kept`
      throw new ChainError(`block ${tip.height} cannot be taken back: there is no undo row for it (${limit})`)
    }
    const row = UNDO.readValue(bytes)
    if (!equalBytes(row.hash, tip.hash)) {
      throw new ChainError(`the undo row of height ${tip.height} is for another block, ${toDisplayHex(row.hash)}`)
    }
    return row
  }

  /** Rows below blocks that have none lead nowhere: and open() goes by the lowest that there is. */
  #oldestAfter({ tip, revocable }: FlushedBlocks): number {
    return revocable ? this.#oldestBelow(tip) : tip.height + 1
  }

  #oldestBelow(tip: Tip): number {
    return Math.max(0, tip.height - this.#reorgLimit + 1)
  }
}
