import { txidAt } from '../chain/block.ts'
import type { BlockContext, Indexer } from '../db/indexer.ts'
import type { StoreReader } from '../db/store.ts'
import { invariant } from '../errors.ts'
import { fromLatin1, readUint32LE } from '../lib/bytes.ts'
import { atomicalsBlockHash } from './block-hash.ts'
import { BlockRun } from './block-run.ts'
import type { AtomicalsHeights } from './constants.ts'
import { PlaceFilter } from './filter.ts'
import { ID_SIZE } from './ids.ts'
import { ATOMICALS_SPACES, BLOCKS, HOLDERS } from './layout.ts'
import { Ledger } from './ledger.ts'
import { ParentMemory } from './parent-memory.ts'
import { touchedNames } from './touched.ts'

export interface AtomicalsIndexerOptions {
  readonly heights: AtomicalsHeights
  /** Bits of the filter of outputs; a power of two. */
  readonly filterBits?: number
}

const TXID_SIZE = 32
/** 16 MB: 16 bits each for eight million outputs. */
const FILTER_BITS = 1 << 27

/**
 * The Atomicals index. One instance serves one database: it remembers which outputs carry something. Besides its
 * rows it lists every transaction of an atomical in the ordinary history, under the first bytes of sha256d of its id.
 */
export class AtomicalsIndexer implements Indexer {
  readonly name = 'atomicals'
  readonly spaces = ATOMICALS_SPACES
  readonly wantsGenesis = false
  readonly #heights: AtomicalsHeights
  readonly #filterBits: number
  readonly #parents = new ParentMemory()
  /** Has every unspent output of the database that something sits at, and spent ones; undefined until that is so. */
  #filter: PlaceFilter | undefined
  /** Filters that are being filled. */
  readonly #filling = new Set<PlaceFilter>()

  constructor(options: AtomicalsIndexerOptions) {
    this.#heights = options.heights
    this.#filterBits = options.filterBits ?? FILTER_BITS
  }

  async apply(context: BlockContext): Promise<void> {
    const { height, overlay, block } = context
    if (height < this.#heights.start) return
    const isFirst = height === this.#heights.start
    if (isFirst) this.#filter = new PlaceFilter(this.#filterBits)
    const before = isFirst ? undefined : overlay.get(BLOCKS, { height: height - 1 })
    invariant(before !== undefined || isFirst, 'the Atomicals index has a gap')
    this.#parents.begin(overlay.base.hash)
    const ledger = new Ledger({ count: before?.count ?? 0 }, { overlay, parents: this.#parents })
    const run = new BlockRun(this.#heights, context, ledger)
    const positions = await run.apply(this.#filter)
    const txids = positions.map((position) => txidAt(block, position))
    const hash = atomicalsBlockHash(block.hash, before?.hash, txids)
    overlay.insert(BLOCKS, { height }, { hash, count: ledger.count, firstTxNum: context.firstTxNum, positions })
    this.#parents.end(block.hash)
    for (const filter of [this.#filter, ...this.#filling]) {
      for (const { txid, vout } of ledger.carriers.values()) filter?.add(txid, vout)
    }
  }

  /** False of an outpoint (36 bytes) that nothing sits at in any view of the database. */
  mayCarry(outpoint: Uint8Array): boolean {
    return this.#filter?.mayHave(outpoint, 0) !== false
  }

  /** Names whose candidates have changed. */
  touchedBy(rowKeys: Iterable<string>): Iterable<string> {
    return touchedNames(rowKeys)
  }

  /** What sits at outputs again that the block had spent. */
  restores(rowKeys: Iterable<string>): void {
    for (const key of rowKeys) {
      if (key.charCodeAt(0) !== HOLDERS.prefix) continue
      const outpoint = fromLatin1(key.slice(-ID_SIZE))
      for (const filter of [this.#filter, ...this.#filling]) filter?.add(outpoint, readUint32LE(outpoint, TXID_SIZE))
    }
  }

  /**
   * Fills the filter from the database that this indexer serves, so that most outputs need not be looked up; until it is
   * done, and without it, all that a block spends are. `reader` is the store as it is now, before the next block. Only
   * unspent outputs are read: those that a reorganisation brings back are told to restores().
   */
  async warm(reader: StoreReader, signal?: AbortSignal): Promise<void> {
    const filter = new PlaceFilter(this.#filterBits)
    this.#filling.add(filter)
    try {
      for await (const keys of reader.scanKeys(HOLDERS.range())) {
        signal?.throwIfAborted()
        for (const key of keys) {
          const outpoint = key.subarray(-ID_SIZE)
          filter.add(outpoint, readUint32LE(outpoint, TXID_SIZE))
        }
      }
      this.#filter = filter
    } finally {
      this.#filling.delete(filter)
    }
  }
}
