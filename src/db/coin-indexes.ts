import type { ParsedBlock } from '../chain/block.ts'
import { HASHX_SIZE } from '../chain/script.ts'
import { toLatin1 } from '../lib/bytes.ts'
import { type BlockDelta, type ListedTx, PLACE_SIZE, withListed, writePlace } from './block-delta.ts'
import type { HeaderList } from './header-table.ts'
import type { BlockContext, Indexer } from './indexer.ts'
import { RowWriter, readUnspent } from './keys.ts'
import type { Layer } from './layer.ts'
import type { AnyKeySpace } from './layout.ts'
import { BlockOverlay, type FinishedBlock } from './overlay.ts'
import type { PendingRows } from './pending.ts'
import type { SpentOutputs } from './spent.ts'
import { SpentTexts } from './spent-texts.ts'
import type { Store } from './store.ts'
import type { Tip } from './view.ts'

/** A block, and what it spends. */
export interface BlockParts {
  readonly block: ParsedBlock
  readonly height: number
  readonly spent: SpentOutputs
  readonly delta: BlockDelta
}

/** Where a block is applied: on top of what. */
export interface BlockGround {
  readonly base: Tip
  readonly headers: HeaderList
  /** Rows of blocks that are not on disk. */
  readonly rows: PendingRows
  /** Blocks that are not on disk, the latest first. */
  layers(): readonly Layer[]
}

/** A block and what the indexes of the coin have made of it. */
export interface IndexedBlock {
  readonly finished: FinishedBlock
  readonly delta: BlockDelta
  readonly touched: ReadonlySet<string>
}

/** What a coin adds to the indexes that every coin has, as the index asks for it: nothing, where there are no indexers. */
export class CoinIndexes {
  readonly spaces: readonly AnyKeySpace[]
  readonly #indexers: readonly Indexer[]
  readonly #store: Store
  readonly #keys = new RowWriter()

  constructor(indexers: readonly Indexer[], store: Store) {
    this.#indexers = indexers
    this.#store = store
    this.spaces = indexers.flatMap((indexer) => indexer.spaces)
  }

  /** Lets all of them read what makes them faster. Never rejects: `fail` hears of each fault, but of none after an abort. */
  async warm(signal: AbortSignal, fail: (error: unknown) => void): Promise<void> {
    const warming = this.#indexers.map(async (indexer) => {
      try {
        await indexer.warm?.(this.#store, signal)
      } catch (error) {
        if (!signal.aborted) fail(error)
      }
    })
    await Promise.all(warming)
  }

  /** Applies a block. `revocable`: what takes its rows back is recorded. */
  async apply(parts: BlockParts, ground: BlockGround, revocable: boolean): Promise<IndexedBlock> {
    const { block, height, spent, delta } = parts
    const touched = new Set<string>()
    if (this.#indexers.length === 0) return { finished: { redo: [], undo: revocable ? [] : undefined }, delta, touched }
    const { base, headers, rows } = ground
    const overlay = new BlockOverlay({ base, recordsUndo: revocable, spaces: this.spaces }, rows)
    const firstTxNum = base.txCount
    const listed: ListedTx[] = []
    const context: BlockContext = {
      height,
      block,
      firstTxNum,
      headers,
      overlay,
      touched,
      spent: new SpentTexts(block, spent),
      fundedBy: (input) => this.#fundedBy(parts, ground.layers(), input),
      list: (hashX, txNum) => void listed.push({ hashX, tx: txNum - firstTxNum }),
    }
    for (const indexer of this.#indexers) {
      if (height > 0 || indexer.wantsGenesis) await indexer.apply(context)
    }
    return { finished: overlay.finish(), delta: withListed(delta, listed), touched }
  }

  /** What the indexers say of rows that are written or taken back. */
  *touchedBy(rows: readonly { readonly key: string }[]): Generator<string> {
    for (const indexer of this.#indexers) yield* indexer.touchedBy?.(keysOf(rows)) ?? []
  }

  /** Tells them of what a block that is taken back had changed or taken away. */
  restores(rows: readonly { readonly key: string; readonly value: string | undefined }[]): void {
    const restored = rows.filter(({ value }) => value !== undefined)
    for (const indexer of this.#indexers) indexer.restores?.(keysOf(restored))
  }

  #fundedBy({ block, spent }: BlockParts, layers: readonly Layer[], input: number): number | undefined {
    const first = block.inputStart[1] ?? 0
    if (input < first || input >= block.inputCount) return undefined
    const offset = block.inputOffsets[input] ?? 0
    // By the id and not by the script: a script may be paid thousands of times in one flush.
    const txid = block.raw.subarray(offset, offset + 32)
    for (const layer of layers) {
      const txNum = layer.findTx(txid, layer.txCount)
      if (txNum !== undefined) return txNum
    }
    const place = new Uint8Array(PLACE_SIZE)
    writePlace(place, 0, block.raw, offset)
    const hashX = spent.hashXs.subarray(input * HASHX_SIZE, (input + 1) * HASHX_SIZE)
    const key = this.#keys.placeKey(hashX, place)
    const value = this.#store.getSync(key)
    return value === undefined ? undefined : readUnspent(key, value).txNum
  }
}

/** hashXs that a block pays to or spends from, and those that indexers have named. */
export function* touchedBy({ touches }: BlockDelta, named: readonly Iterable<string>[]): Generator<string> {
  // Cut out of one text: a call for each of twenty thousand scripts takes longer.
  const all = toLatin1(touches.hashXs)
  for (let at = 0; at < all.length; at += HASHX_SIZE) yield all.slice(at, at + HASHX_SIZE)
  for (const names of named) yield* names
}

function* keysOf(rows: readonly { readonly key: string }[]): Generator<string> {
  for (const { key } of rows) yield key
}
