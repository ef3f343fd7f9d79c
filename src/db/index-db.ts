import { join } from 'node:path'
import type { ParsedBlock } from '../chain/block.ts'
import { ChainError, InvariantError, invariant, StorageError } from '../errors.ts'
import { equalBytes, toDisplayHex } from '../lib/bytes.ts'
import { type Disk, realDisk, storageErrorOf } from './disk.ts'
import { dumpRows } from './dump.ts'
import { FlatFile } from './flat-file.ts'
import { flush, flushIsDue, stageWrites } from './flush.ts'
import { HeaderProofs } from './header-proofs.ts'
import type { HeaderTable } from './header-table.ts'
import { IndexView } from './index-view.ts'
import type { Indexer } from './indexer.ts'
import { headersIndexer } from './indexers/headers.ts'
import { historyIndexer } from './indexers/history.ts'
import { txsIndexer } from './indexers/txs.ts'
import { utxosIndexer } from './indexers/utxos.ts'
import { hashXOfKey, isHistoryKey } from './keys.ts'
import { STATE, type StateRow, UNDO } from './layout.ts'
import { openLevelStore } from './level-store.ts'
import { loadHeaders, loadState, prepareDirectory } from './load.ts'
import { type DatabaseIdentity, freshState } from './migrations.ts'
import { BlockOverlay } from './overlay.ts'
import { PendingBlocks } from './pending.ts'
import { SharedSnapshot } from './shared-snapshot.ts'
import { lookUpSpent, NOTHING_SPENT, type SpentSource } from './spent.ts'
import type { OpenStore, Store } from './store.ts'
import { UndoKeeper } from './undo.ts'
import type { ChainView, Tip } from './view.ts'

/** The indexes that every coin has, in the order in which they see a block. */
export const BASE_INDEXERS: readonly Indexer[] = [headersIndexer, txsIndexer, utxosIndexer, historyIndexer]

const TXID_SIZE = 32

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
  /** Bytes of memory that finished blocks may take before they are written while catching up. */
  readonly pendingBytes: number
  /** Settings that decide what rows mean: a database made with others is refused. */
  readonly settings?: Readonly<Record<string, string>>
}

export interface IndexCollaborators {
  /** BASE_INDEXERS, and what the coin adds after them. */
  readonly indexers?: readonly Indexer[]
  readonly openStore?: OpenStore
  readonly disk?: Disk
  readonly spentSource?: SpentSource
}

/** What one block changed. */
export interface BlockChange {
  /** The tip before. */
  readonly from: Tip
  /** The tip now. */
  readonly to: Tip
  /** hashXs (one character a byte) whose answers may have changed. */
  readonly touched: ReadonlySet<string>
}

/**
 * The index on disk: advances and goes back block by block, and gives out views. One writer: advance(), rollBack() and
 * flush() are called one after the other, each once the one before has settled. Views may be taken at any time.
 */
export class IndexDatabase {
  readonly #options: IndexOptions
  readonly #indexers: readonly Indexer[]
  readonly #spentSource: SpentSource
  readonly #identity: DatabaseIdentity
  readonly #store: Store
  readonly #txids: FlatFile
  readonly #headers: HeaderTable
  readonly #proofs: HeaderProofs
  readonly #undo: UndoKeeper
  readonly #pending: PendingBlocks
  /** The store below the pending blocks, whatever a flush is doing at the moment. */
  #base: SharedSnapshot
  #tip: Tip
  #flushedHeight: number
  #views = 0
  #closings = new Set<Promise<void>>()
  #writing: Promise<unknown> | undefined
  /** Why nothing can be written any more. */
  #failure: unknown
  #closed = false

  private constructor(
    options: IndexOptions,
    parts: {
      readonly indexers: readonly Indexer[]
      readonly spentSource: SpentSource
      readonly identity: DatabaseIdentity
      readonly store: Store
      readonly txids: FlatFile
      readonly headers: HeaderTable
      readonly undo: UndoKeeper
      readonly tip: Tip
    },
  ) {
    this.#options = options
    this.#indexers = parts.indexers
    this.#spentSource = parts.spentSource
    this.#identity = parts.identity
    this.#store = parts.store
    this.#txids = parts.txids
    this.#headers = parts.headers
    this.#proofs = new HeaderProofs(parts.headers)
    this.#undo = parts.undo
    this.#pending = new PendingBlocks(
      parts.indexers.flatMap((indexer) => indexer.spaces),
      parts.store,
    )
    this.#tip = parts.tip
    this.#flushedHeight = parts.tip.height
    this.#base = this.#takeSnapshot()
  }

  /**
   * Opens the index in a directory, or makes one. Throws StorageError: 'locked', 'foreign' (something else is there),
   * 'version', 'network', 'settings', 'corrupt', 'io'.
   */
  static async open(options: IndexOptions, collaborators: IndexCollaborators = {}): Promise<IndexDatabase> {
    const disk = collaborators.disk ?? realDisk
    const indexers = collaborators.indexers ?? BASE_INDEXERS
    const identity: DatabaseIdentity = {
      coin: options.coin,
      net: options.net,
      genesisHash: options.genesisHash,
      indexers: indexers.map((indexer) => indexer.name),
      settings: options.settings ?? {},
    }
    await prepareDirectory(options.directory)
    const openStore = collaborators.openStore ?? openLevelStore
    const store = await openStore(join(options.directory, 'index'), { cacheBytes: options.cacheBytes }, disk)
    let txids: FlatFile | undefined
    try {
      const state = await loadState(store, identity, options.directory)
      txids = await FlatFile.open(join(options.directory, 'txids'), TXID_SIZE, state.txCount, disk)
      const headers = await loadHeaders(store, state)
      const undo = await UndoKeeper.open(store, options.reorgLimit, state.blocks)
      const tip = { height: state.blocks - 1, hash: state.tipHash, txCount: state.txCount }
      const spentSource = collaborators.spentSource ?? lookUpSpent
      return new IndexDatabase(options, { indexers, spentSource, identity, store, txids, headers, undo, tip })
    } catch (error) {
      await txids?.close()
      await store.close()
      throw error
    }
  }

  /** The last block that was advanced to, whether or not it is flushed; height -1 if there is none. */
  get tip(): Tip {
    return this.#tip
  }

  /** Height of the last block that is on disk. */
  get flushedHeight(): number {
    return this.#flushedHeight
  }

  /** The lowest height that rollBack() can lead to: the reorg limit below the tip, or higher where less was kept. */
  get deepestFork(): number {
    return Math.max(this.#tip.height - this.#options.reorgLimit, this.#undo.deepestFork(this.#pending.blocks))
  }

  /** Views that were not yet released. */
  get outstandingViews(): number {
    return this.#views
  }

  /** Bytes of memory that finished blocks take that are not on disk, about. */
  get pendingBytes(): number {
    return this.#pending.bytes
  }

  /** Approximate bytes of the index on disk, ids of transactions among them. */
  async size(): Promise<number> {
    return (await this.#store.size()) + this.#txids.count * TXID_SIZE
  }

  /** Hash (internal order) of the indexed block at `height`. */
  blockHash(height: number): Uint8Array | undefined {
    if (height === this.#tip.height) return this.#tip.hash
    const list = this.#headers.list()
    return height >= 0 && height < list.count ? list.hashes(height, 1) : undefined
  }

  /** The index as it is now; release() it. */
  acquireView(): ChainView {
    invariant(!this.#closed, 'a view is asked of a database that was closed')
    this.#views += 1
    const parts = {
      tip: this.#tip,
      snapshot: this.#base.retain(),
      pending: this.#pending.layer(),
      headers: this.#headers.list(),
      txids: this.#txids.reader(),
      proofs: this.#proofs,
    }
    return new IndexView(parts, () => {
      this.#views -= 1
    })
  }

  /**
   * Applies the next block; flush() brings it to disk. `nodeHeight`: the best height known, below which by the reorg
   * limit blocks need not be taken back. Throws ChainError, with nothing changed, for a block that does not fit.
   */
  advance(block: ParsedBlock, nodeHeight: number): Promise<BlockChange> {
    return this.#exclusively(async () => {
      const from = this.#tip
      const height = from.height + 1
      this.#checkFits(block, height)
      const overlay = new BlockOverlay(
        {
          base: from,
          recordsUndo: height > nodeHeight - this.#options.reorgLimit,
          spaces: this.#indexers.flatMap((indexer) => indexer.spaces),
        },
        this.#pending,
      )
      const touched = await this.#apply(block, height, overlay)
      const finished = overlay.finish(height, block.hash)
      this.#txids.append(finished.txids)
      this.#headers.append(block.header, finished.tip.txCount)
      this.#pending.add(finished)
      this.#tip = finished.tip
      return { from, to: finished.tip, touched }
    })
  }

  /** Takes the tip back, on disk at once. Throws ChainError if that was not kept. */
  rollBack(): Promise<BlockChange> {
    return this.#exclusively(async () => {
      await this.#flush()
      const from = this.#tip
      if (from.height < 0) throw new ChainError('there is no block to take back')
      const row = this.#undo.read(from)
      const to: Tip = { height: from.height - 1, hash: row.baseHash, txCount: row.baseTxCount }
      const touched = new Set<string>()
      for (const { key } of row.writes) if (isHistoryKey(key)) touched.add(hashXOfKey(key))
      const batch = this.#store.batch()
      await stageWrites(batch, row.writes)
      batch.del(UNDO.keyBytes({ height: from.height }))
      batch.put(STATE.keyBytes({}), STATE.valueBytes(this.#stateAt(to)))
      const lost = await this.#txids.lastRows(from.txCount - to.txCount)
      await this.#durably(() => batch.write())
      // From here on nothing waits: a view sees all of it or nothing.
      this.#txids.cut(lost)
      this.#proofs.cut(to.height + 1)
      this.#headers.cut(to.height + 1)
      this.#tip = to
      this.#moveBase()
      return { from, to, touched }
    })
  }

  /** Writes finished blocks if it is time to: always `atTip`, else when they take too much memory. */
  async flushIfDue(atTip: boolean): Promise<boolean> {
    if (!flushIsDue(this.#pending, { maxBytes: this.#options.pendingBytes, atTip })) return false
    await this.flush()
    return true
  }

  /** Writes all finished blocks in one batch. */
  flush(): Promise<void> {
    return this.#exclusively(() => this.#flush())
  }

  /** Every row by its meaning, as lines of text in order; for tests and for comparing databases. Flushes. */
  async *canonicalDump(): AsyncGenerator<string> {
    await this.flush()
    const view = this.acquireView()
    const snapshot = this.#base.retain()
    try {
      yield* dumpRows(snapshot.reader)
      for (let height = 0; height <= view.tip.height; height++) {
        const ids = (await view.blockTxids(height)) ?? new Uint8Array(0)
        yield `txids ${height} ${toDisplayHex(ids)}`
      }
    } finally {
      snapshot.release()
      view.release()
    }
  }

  /** Waits for the write under way, writes what is finished and closes. Views should have been released before. */
  async close(): Promise<void> {
    if (this.#closed) return
    await Promise.allSettled([this.#writing])
    try {
      if (this.#failure === undefined) await this.flush()
    } finally {
      this.#closed = true
      this.#base.release()
      await this.#closeFiles()
    }
  }

  /** Closes what is open; of several failures the first is thrown. */
  async #closeFiles(): Promise<void> {
    const closings = await Promise.allSettled(this.#closings)
    closings.push(...(await Promise.allSettled([this.#txids.close()])))
    closings.push(...(await Promise.allSettled([this.#store.close()])))
    for (const closing of closings) if (closing.status === 'rejected') throw storageErrorOf(closing.reason, 'close')
  }

  async #apply(block: ParsedBlock, height: number, overlay: BlockOverlay): Promise<Set<string>> {
    const touched = new Set<string>()
    const genesis = height === 0
    const spent = genesis ? NOTHING_SPENT : await this.#spentSource(block, overlay)
    const context = { height, block, firstTxNum: overlay.base.txCount, overlay, spent, touched }
    for (const indexer of this.#indexers) {
      if (!genesis || indexer.wantsGenesis) await indexer.apply(context)
    }
    return touched
  }

  #checkFits(block: ParsedBlock, height: number): void {
    if (height === 0) {
      if (equalBytes(block.hash, this.#options.genesisHash)) return
      throw new ChainError(`genesis is ${toDisplayHex(block.hash)}, not that of ${this.#options.net}`)
    }
    if (!equalBytes(block.prevHash, this.#tip.hash)) {
      throw new ChainError(`block ${toDisplayHex(block.hash)} does not stand on ${toDisplayHex(this.#tip.hash)}`)
    }
  }

  async #flush(): Promise<void> {
    if (this.#pending.blocks.length === 0) return
    const to = { store: this.#store, txids: this.#txids, undo: this.#undo }
    await this.#durably(() => flush(this.#pending, this.#stateAt(this.#tip), to))
    this.#pending.clear()
    this.#flushedHeight = this.#tip.height
    this.#moveBase()
  }

  #stateAt(tip: Tip): StateRow {
    return { ...freshState(this.#identity), blocks: tip.height + 1, tipHash: tip.hash, txCount: tip.txCount }
  }

  /** Views from now on stand on the store as it is now. */
  #moveBase(): void {
    const before = this.#base
    this.#base = this.#takeSnapshot()
    this.#flushedHeight = this.#tip.height
    before.release()
  }

  #takeSnapshot(): SharedSnapshot {
    return new SharedSnapshot(this.#store.snapshot(), (closed) => {
      this.#closings.add(closed)
      // One that fails stays, and close() throws what it failed with.
      closed.then(
        () => this.#closings.delete(closed),
        () => this.#closings.size,
      )
    })
  }

  /** Runs what must not fail: afterwards nobody knows what is on disk, so nothing more is written. */
  async #durably(write: () => Promise<void>): Promise<void> {
    try {
      await write()
    } catch (error) {
      this.#failure = error
      throw error
    }
  }

  async #exclusively<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed) throw new InvariantError('write to a database that was closed')
    if (this.#failure !== undefined) {
      throw new StorageError('io', 'nothing is written any more since a write failed', { cause: this.#failure })
    }
    if (this.#writing !== undefined) throw new InvariantError('two writers at a time')
    const running = work()
    this.#writing = running
    try {
      return await running
    } finally {
      this.#writing = undefined
    }
  }
}
