import { ChainError } from '../errors.ts'
import { equalBytes, toDisplayHex } from '../lib/bytes.ts'
import { UNDO, type UndoRow } from './layout.ts'
import type { FinishedBlock } from './overlay.ts'
import type { Store, StoreBatch, StoreReader } from './store.ts'
import type { Tip } from './view.ts'

/** Keeps what takes blocks back for as many blocks as the reorg limit says. */
export class UndoKeeper {
  readonly #store: StoreReader
  readonly #reorgLimit: number
  /** Lowest height that may still have a row. */
  #oldest: number

  private constructor(store: StoreReader, reorgLimit: number, oldest: number) {
    this.#store = store
    this.#reorgLimit = reorgLimit
    this.#oldest = oldest
  }

  /** `nextHeight`: height of the block that would come after the tip. */
  static async open(store: Store, reorgLimit: number, nextHeight: number): Promise<UndoKeeper> {
    const [first] = await store.rows({ ...UNDO.range(), limit: 1 })
    return new UndoKeeper(store, reorgLimit, first === undefined ? nextHeight : UNDO.readKey(first[0]).height)
  }

  /** Puts the rows of new blocks into the batch that writes them, and prunes. Call written() once it is written. */
  stage(batch: StoreBatch, blocks: readonly FinishedBlock[], tip: Tip): void {
    const oldest = this.#oldestBelow(tip)
    for (let height = this.#oldest; height < oldest; height++) batch.del(UNDO.keyBytes({ height }))
    for (const { base, tip: own, undo } of blocks) {
      if (undo === undefined || own.height < oldest) continue
      const row = { hash: own.hash, baseHash: base.hash, baseTxCount: base.txCount, writes: undo }
      batch.put(UNDO.keyBytes({ height: own.height }), UNDO.valueBytes(row))
    }
  }

  written(blocks: readonly FinishedBlock[], tip: Tip): void {
    this.#oldest = Math.max(this.#oldestWith(blocks), this.#oldestBelow(tip))
  }

  /** The lowest height that could be gone back to if `blocks` were written: nothing is kept that leads further. */
  deepestFork(blocks: readonly FinishedBlock[]): number {
    return this.#oldestWith(blocks) - 1
  }

  /** Heights up to the last block without undo have none, whatever rows an earlier run left below. */
  #oldestWith(blocks: readonly FinishedBlock[]): number {
    return blocks.reduce((oldest, { tip, undo }) => (undo === undefined ? tip.height + 1 : oldest), this.#oldest)
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

  #oldestBelow(tip: Tip): number {
    return Math.max(0, tip.height - this.#reorgLimit + 1)
  }
}
