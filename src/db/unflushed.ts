import { setImmediate as nextTurn } from 'node:timers/promises'
import type { ParsedBlock } from '../chain/block.ts'
import { baseUndo } from './base-undo.ts'
import type { BlockDelta } from './block-delta.ts'
import { Layer } from './layer.ts'
import { HEADERS, type RowWrite, UNDO } from './layout.ts'
import { PackedRows } from './packed-rows.ts'
import type { UndoneBlock } from './past-rows.ts'
import type { PendingRows } from './pending.ts'
import type { StoreReader } from './store.ts'
import type { UndoKeeper } from './undo.ts'
import type { Tip } from './view.ts'

/** A finished block that is not on disk and can be taken back. */
interface RevocableBlock {
  readonly tip: Tip
  readonly base: Tip
  readonly baseInputCount: number
  readonly delta: BlockDelta
  readonly txids: Uint8Array
  /** Its first transaction in the layer. */
  readonly start: number
  /** What takes back the rows of the indexes that the coin adds. */
  readonly writes: readonly RowWrite[]
}

/** A block as it is added. `undo` undefined for one that is too deep to be ever taken back. */
export interface AddedBlock {
  readonly block: ParsedBlock
  readonly delta: BlockDelta
  readonly tip: Tip
  readonly base: Tip
  readonly inputCount: number
  readonly undo: readonly RowWrite[] | undefined
}

const WRITES_PER_TURN = 4000

/**
 * Finished blocks that the next flush writes: all of them can be taken back, or none of them can. Blocks are added until
 * the flush begins.
 */
export class UnflushedBlocks {
  readonly layer: Layer
  /** What the indexes of the coin have written. */
  readonly rows: PendingRows
  readonly #headers = new PackedRows()
  readonly #revocable: RevocableBlock[] = []
  /** Bytes that wait to be written to the files. */
  #fileBytes = 0
  #tip: Tip

  constructor(layer: Layer, rows: PendingRows, base: Tip) {
    this.layer = layer
    this.rows = rows
    this.#tip = base
  }

  /** True if all of them can be taken back, false if none can. */
  get revocable(): boolean {
    return this.layer.perBlock
  }

  /** The last block's; the base's while there is none. */
  get tip(): Tip {
    return this.#tip
  }

  get count(): number {
    return this.layer.blocks
  }

  /** Bytes of memory that the blocks take, about. */
  get bytes(): number {
    return this.count === 0 ? 0 : this.layer.bytes + this.rows.bytes + this.#fileBytes
  }

  /** What takes the blocks back that can be. */
  undone(): readonly UndoneBlock[] {
    return this.#revocable.map(({ tip, writes }) => ({ height: tip.height, writes }))
  }

  add({ block, delta, tip, base, inputCount, undo }: AddedBlock): void {
    const start = this.layer.txCount
    const txids = delta.txCount === 0 ? new Uint8Array(0) : block.txids
    this.layer.append(delta, txids)
    this.#fileBytes += txids.length + delta.inputStarts.byteLength + delta.inputTags.length
    const row = { txCount: tip.txCount, inputCount, header: block.header }
    this.#headers.put(HEADERS.keyBytes({ height: tip.height }), HEADERS.valueBytes(row))
    if (undo !== undefined) {
      const baseInputCount = inputCount - delta.inputCount
      this.#revocable.push({ tip, base, baseInputCount, delta, txids, start, writes: undo })
    }
    this.#tip = tip
  }

  /**
   * Every row of the flush but those of the layer and the state row. `below`: the store as it is before the flush. Throws
   * ChainError if a block spends what is nowhere.
   */
  async packRows(below: StoreReader, keeper: UndoKeeper): Promise<PackedRows> {
    const rows = this.#headers
    let count = 0
    for (const write of this.rows.writes()) {
      rows.write(write)
      count += 1
      if (count % WRITES_PER_TURN === 0) await nextTurn()
    }
    for (const block of this.#revocable) {
      const { tip, base, baseInputCount, delta, start, txids, writes } = block
      if (!keeper.keeps(tip.height, this.#tip)) continue
      const place = { layer: this.layer, start, txids }
      const undo = await baseUndo(delta, tip.height, place, below)
      const { hash } = tip
      const row = { hash, baseHash: base.hash, baseTxCount: base.txCount, baseInputCount, base: undo, writes }
      rows.put(UNDO.keyBytes({ height: tip.height }), UNDO.valueBytes(row))
    }
    keeper.stage(rows, this)
    return rows
  }
}

/** Layers to use again: their memory is large, and what was given back to the system is not always given back soon. */
export class LayerPool {
  #spare: Layer | undefined

  take(): Layer {
    const layer = this.#spare ?? new Layer()
    this.#spare = undefined
    return layer
  }

  /** Takes a layer whose blocks are on disk back, if no view reads from it any more. */
  giveBack(layer: Layer): void {
    if (layer.readers === 0) this.#spare ??= layer
  }
}
