import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { ParsedBlock } from '../chain/block.ts'
import { HASHX_SIZE } from '../chain/script.ts'
import { ChainError, InvariantError, invariant, StorageError } from '../errors.ts'
import { equalBytes, toDisplayHex, toLatin1 } from '../lib/bytes.ts'
import { type Clock, systemClock } from '../lib/clock.ts'
import { FLUSH_SECONDS, Histogram } from '../metrics.ts'
import { undoRows } from './base-undo.ts'
import {
  type BlockDelta,
  blockDelta,
  EMPTY_DELTA,
  inputRows,
  type ListedTx,
  PLACE_SIZE,
  withListed,
  writePlace,
} from './block-delta.ts'
import { type Disk, realDisk, storageErrorOf } from './disk.ts'
import { dumpRows } from './dump.ts'
import { type FileCounts, IndexFiles } from './files.ts'
import { type FlushWriter, StoreWriter } from './flush-writer.ts'
import { HeaderProofs } from './header-proofs.ts'
import type { HeaderList, HeaderTable } from './header-table.ts'
import { IndexView } from './index-view.ts'
import type { BlockContext, Indexer } from './indexer.ts'
import { RowWriter, readUnspent } from './keys.ts'
import type { Layer } from './layer.ts'
import { HEADERS, STATE, type StateRow, UNDO, UTXOS } from './layout.ts'
import { openLevelStore } from './level-store.ts'
import { loadHeaders, loadState, prepareDirectory } from './load.ts'
import { type DatabaseIdentity, freshState } from './migrations.ts'
import { listOutputs } from './output-list.ts'
import { BlockOverlay, type FinishedBlock } from './overlay.ts'
import { PastLayers } from './past-rows.ts'
import { PendingRows } from './pending.ts'
import { SharedSnapshot } from './shared-snapshot.ts'
import { NOTHING_SPENT, type SpentOutputs } from './spent.ts'
import { lookUpSpent } from './spent-lookup.ts'
import { SpentTexts } from './spent-texts.ts'
import { type OpenStore, type Store, slicesOf } from './store.ts'
import { ThreadWriter } from './thread-writer.ts'
import { UndoKeeper } from './undo.ts'
import { LayerPool, UnflushedBlocks } from './unflushed.ts'
import type { OutputSource, Tip } from './view.ts'

/** The indexes that every coin has, as the state row names them. */
const BASE_INDEXES = ['headers', 'txs', 'utxos', 'history', 'spenders']
/**
 * Share of the memory of finished blocks at which they are written. The blocks that come meanwhile take as much again, and
 * the rows made of them, which LevelDB holds up to three times (batch, and two tables in memory), about twice as much.
 */
const LAYER_SHARE = 1 / 5
/** Blocks whose rows are put back into the files in one go. */
const RESTORED_AT_ONCE = 100
/** Rows of a rollback between two turns. */
const SCRIPTS_PER_TURN = 1000

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

interface BlockParts extends KnownBlock {
  readonly block: ParsedBlock
  readonly height: number
}

/** A block and what the indexes of the coin have made of it. */
interface IndexedBlock {
  readonly finished: FinishedBlock
  readonly delta: BlockDelta
  readonly touched: ReadonlySet<string>
}

interface Parts {
  readonly indexers: readonly Indexer[]
  readonly identity: DatabaseIdentity
  readonly store: Store
  readonly writer: FlushWriter
  readonly files: IndexFiles
  readonly headers: HeaderTable
  readonly undo: UndoKeeper
  readonly state: StateRow
  readonly clock: Clock
}

/**
 * The index on disk: advances and goes back block by block, and gives out views. advance(), rollBack() and flush() are
 * called one after the other, each once the one before has settled; what startFlush() began goes on meanwhile. Views may
 * be taken at any time.
 */
export class IndexDatabase {
  readonly #options: IndexOptions
  readonly #indexers: readonly Indexer[]
  readonly #identity: DatabaseIdentity
  readonly #store: Store
  readonly #writer: FlushWriter
  readonly #files: IndexFiles
  readonly #headers: HeaderTable
  readonly #proofs: HeaderProofs
  readonly #undo: UndoKeeper
  readonly #layers = new LayerPool()
  readonly #past = new PastLayers()
  readonly #rows = new RowWriter()
  readonly #clock: Clock
  /** Seconds from the beginning of a flush to its end. */
  readonly flushSeconds = new Histogram(FLUSH_SECONDS)
  /** The store below the blocks that are not on disk, whatever a flush is doing at the moment. */
  #base: SharedSnapshot
  /** Blocks that a flush is writing, and its end. */
  #flushing: { readonly blocks: UnflushedBlocks; readonly done: Promise<void> } | undefined
  /** Blocks above those. */
  #unflushed: UnflushedBlocks
  #tip: Tip
  #flushedHeight: number
  #listsOutputs: boolean
  /** The first block whose rows the files lack: see `lacking`. */
  #lacksFrom: number | undefined
  /** Blocks too deep to be taken back were written: many of them, then, whose outputs came and went. */
  #untidy = false
  #views = 0
  #closings = new Set<Promise<void>>()
  #writing: Promise<unknown> | undefined
  /** Why nothing can be written any more. */
  #failure: Error | undefined
  #closed = false
  /** What warm() began; never rejects. */
  #warming: Promise<unknown> = Promise.resolve()
  readonly #closing = new AbortController()

  private constructor(options: IndexOptions, parts: Parts) {
    this.#options = options
    this.#indexers = parts.indexers
    this.#identity = parts.identity
    this.#store = parts.store
    this.#writer = parts.writer
    this.#files = parts.files
    this.#headers = parts.headers
    this.#proofs = new HeaderProofs(parts.headers)
    this.#undo = parts.undo
    this.#clock = parts.clock
    const { blocks, tipHash, txCount, listsOutputs } = parts.state
    this.#tip = { height: blocks - 1, hash: tipHash, txCount }
    this.#flushedHeight = this.#tip.height
    this.#listsOutputs = listsOutputs === 1
    this.#lacksFrom = firstLacking(parts.headers.list(), parts.files.counts)
    if (this.#lacksFrom !== undefined) this.#files.shorten(this.#countsBelow(this.#lacksFrom))
    this.#unflushed = this.#noBlocks(false)
    this.#base = this.#takeSnapshot()
  }

  /**
   * Opens the index in a directory, or makes one. Throws StorageError: 'locked', 'foreign' (something else is there),
   * 'version', 'network', 'settings', 'corrupt', 'io'.
   */
  static async open(options: IndexOptions, collaborators: IndexCollaborators = {}): Promise<IndexDatabase> {
    const disk = collaborators.disk ?? realDisk
    const indexers = collaborators.indexers ?? []
    const identity: DatabaseIdentity = {
      coin: options.coin,
      net: options.net,
      genesisHash: options.genesisHash,
      indexers: [...BASE_INDEXES, ...indexers.map((indexer) => indexer.name)],
      settings: options.settings ?? {},
    }
    await prepareDirectory(options.directory)
    const directory = join(options.directory, 'index')
    // A thread needs a file to run that Node can read: where sources are run as they are, there is none.
    const threaded = collaborators.openStore === undefined && !import.meta.url.endsWith('.ts')
    const openStore = collaborators.openStore ?? openLevelStore
    const store = await openStore(directory, { cacheBytes: options.cacheBytes, shared: threaded }, disk)
    let files: IndexFiles | undefined
    let writer: FlushWriter | undefined
    try {
      const state = await loadState(store, identity, options.directory)
      files = await IndexFiles.open(options.directory, { ...state, cacheBytes: options.txidCacheBytes ?? 0 }, disk)
      const headers = await loadHeaders(store, state)
      const undo = await UndoKeeper.open(store, options.reorgLimit, state.blocks)
      writer = threaded ? await ThreadWriter.open(directory, disk) : new StoreWriter(store)
      const clock = collaborators.clock ?? systemClock
      return new IndexDatabase(options, { indexers, identity, store, writer, files, headers, undo, state, clock })
    } catch (error) {
      await files?.close()
      await writer?.close()
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
    return Math.max(this.#tip.height - this.#options.reorgLimit, this.#undo.deepestFork)
  }

  /**
   * The first of the blocks up to the tip whose rows the files lack, since something has made a file shorter than the
   * last batch counts on; its hash is in internal order. Until restore() was given all of them there is nothing to be
   * read, and no block is taken or taken back.
   */
  get lacking(): { readonly height: number; readonly hash: Uint8Array } | undefined {
    const height = this.#lacksFrom
    return height === undefined ? undefined : { height, hash: this.#headers.list().hashes(height, 1) }
  }

  /** Puts the rows of the block that is lacking back into the files. Throws ChainError for another block. */
  restore(block: ParsedBlock): Promise<void> {
    return this.#exclusively(async () => {
      const { lacking } = this
      if (lacking === undefined || !equalBytes(block.hash, lacking.hash)) {
        throw new ChainError(`block ${toDisplayHex(block.hash)} is not the one that the files lack`)
      }
      this.#files.append(inputRows(block), block.txids)
      const isLast = lacking.height === this.#tip.height
      if (isLast || lacking.height % RESTORED_AT_ONCE === 0) await this.#durably(() => this.#files.write())
      this.#lacksFrom = isLast ? undefined : lacking.height + 1
    })
  }

  /** Views that were not yet released. */
  get outstandingViews(): number {
    return this.#views
  }

  /**
   * Lets the indexers of the coin read what makes them faster, beside all else; for whoever goes on to advance(), once
   * and before the first block. A read that fails ends all writing, as a write that fails does.
   */
  warm(): void {
    const { signal } = this.#closing
    const warming = this.#indexers.map(async (indexer) => {
      try {
        await indexer.warm?.(this.#store, signal)
      } catch (error) {
        if (!signal.aborted) this.#failure ??= asError(error)
      }
    })
    this.#warming = Promise.all(warming)
  }

  /** Bytes of memory that finished blocks take that are not on disk, about. */
  get pendingBytes(): number {
    return this.#unflushed.bytes + (this.#flushing?.blocks.bytes ?? 0)
  }

  /** True if every unspent output can be looked up by its outpoint: blocks can then come without what they spend. */
  get listsOutputs(): boolean {
    return this.#listsOutputs
  }

  /** Approximate bytes of the index on disk. */
  async size(): Promise<number> {
    return (await this.#store.size()) + this.#files.size
  }

  /** Hash (internal order) of the indexed block at `height`. */
  blockHash(height: number): Uint8Array | undefined {
    if (height === this.#tip.height) return this.#tip.hash
    const list = this.#headers.list()
    return height >= 0 && height < list.count ? list.hashes(height, 1) : undefined
  }

  /** The index as it is now; release() it. `outputs`: who is asked for unspent outputs while the index does not list them. */
  acquireView(outputs: OutputSource = noSource): IndexView {
    invariant(!this.#closed, 'a view is asked of a database that was closed')
    this.#checkComplete()
    this.#views += 1
    const layers = [this.#flushing?.blocks, this.#unflushed].filter((blocks) => blocks !== undefined)
    const parts = {
      tip: this.#tip,
      snapshot: this.#base.retain(),
      layers: layers.filter(({ count }) => count > 0).map(({ layer }) => layer.mark()),
      rows: this.#unflushed.rows.layer(),
      undone: layers.flatMap((blocks) => blocks.undone()),
      past: this.#past,
      lowestPast: Math.max(0, this.deepestFork),
      headers: this.#headers.list(),
      files: this.#files.reader(),
      proofs: this.#proofs,
      outputs: this.#listsOutputs ? undefined : outputs,
    }
    return new IndexView(parts, () => {
      this.#views -= 1
    })
  }

  /**
   * Applies the next block; flush() brings it to disk. `nodeHeight`: the best height known, below which by the reorg
   * limit blocks need not be taken back. Without `known` what the block spends is looked up, for which outputs have to be
   * listed: a database that does not do so does it first. Throws ChainError, with nothing changed, for a block that does
   * not fit.
   */
  advance(block: ParsedBlock, nodeHeight: number, known?: KnownBlock): Promise<BlockChange> {
    return this.#exclusively(async () => {
      this.#checkComplete()
      const base = this.#tip
      const height = base.height + 1
      this.#checkFits(block, height)
      const revocable = height > nodeHeight - this.#options.reorgLimit
      const found = height === 0 ? { spent: NOTHING_SPENT, delta: EMPTY_DELTA } : await this.#find(block, known)
      const { finished, delta, touched } = await this.#applyIndexers({ block, height, ...found }, revocable)
      // Blocks that can be taken back are flushed apart from those that cannot.
      if (this.#unflushed.count > 0 && this.#unflushed.revocable !== revocable) await this.#beginFlush()
      if (this.#unflushed.count === 0 && this.#unflushed.revocable !== revocable) {
        // What a flush is still writing is not in the store yet: rows of it have to be found all the same.
        this.#unflushed = this.#noBlocks(revocable, this.#flushing?.blocks.rows)
      }
      const inputCount = this.#inputCount(base.height) + delta.inputCount
      const tip: Tip = { height, hash: block.hash, txCount: base.txCount + delta.txCount }
      this.#unflushed.rows.add(finished)
      this.#unflushed.add({ block, delta, tip, base, inputCount, undo: revocable ? (finished.undo ?? []) : undefined })
      if (!revocable) this.#undo.skip(height)
      this.#files.append(delta, height === 0 ? new Uint8Array(0) : block.txids)
      this.#headers.append(block.header, tip.txCount, inputCount)
      this.#tip = tip
      return { from: base, to: tip, touched: touchedBy(delta, [touched, this.#touchedRows(finished.redo)]) }
    })
  }

  /** Takes the tip back, on disk at once. Throws ChainError if that was not kept. */
  rollBack(): Promise<BlockChange> {
    return this.#exclusively(async () => {
      this.#checkComplete()
      await this.#flush()
      const from = this.#tip
      if (from.height < 0) throw new ChainError('there is no block to take back')
      const row = this.#undo.read(from)
      const to: Tip = { height: from.height - 1, hash: row.baseHash, txCount: row.baseTxCount }
      const counts = {
        txCount: from.txCount - to.txCount,
        inputCount: this.#inputCount(from.height) - row.baseInputCount,
      }
      const lost = await this.#files.lastRows(counts)
      const touched = new Set<string>()
      const batch = this.#store.batch()
      const block = { txids: lost.txids, firstTxNum: to.txCount, listsOutputs: this.#listsOutputs }
      for (const hashX of undoRows(row.base, block, batch)) {
        touched.add(toLatin1(hashX))
        if (touched.size % SCRIPTS_PER_TURN === 0) await nextTurn()
      }
      for (const { key, value } of row.writes) {
        if (value === undefined) batch.del(Buffer.from(key, 'latin1'))
        else batch.put(Buffer.from(key, 'latin1'), Buffer.from(value, 'latin1'))
      }
      for (const name of this.#touchedRows(row.writes)) touched.add(name)
      batch.del(HEADERS.keyBytes({ height: from.height }))
      batch.del(UNDO.keyBytes({ height: from.height }))
      batch.put(STATE.keyBytes({}), STATE.valueBytes(this.#stateAt(to, row.baseInputCount)))
      await this.#durably(() => batch.write())
      // From here on nothing waits: a view sees all of it or nothing.
      this.#files.cut(lost)
      this.#proofs.cut(to.height + 1)
      this.#headers.cut(to.height + 1)
      this.#tip = to
      this.#unflushed = this.#noBlocks(true)
      this.#flushedHeight = to.height
      this.#moveBase()
      return { from, to, touched }
    })
  }

  /**
   * Begins to write finished blocks if they take enough of the memory that they may, and returns: blocks that come next
   * are taken meanwhile. Waits for the flush before, if that is still under way. True if it began one.
   */
  async flushIfDue(): Promise<boolean> {
    if (this.#unflushed.bytes < this.#options.pendingBytes * LAYER_SHARE) return false
    await this.#exclusively(() => this.#beginFlush())
    return true
  }

  /** Writes all finished blocks; settles once they are on disk. */
  flush(): Promise<void> {
    return this.#exclusively(() => this.#flush())
  }

  /** Makes unspent outputs possible to look up, from which on they stay so: one pass over all of them. */
  listOutputs(signal?: AbortSignal): Promise<void> {
    return this.#exclusively(() => this.#listOutputs(signal))
  }

  /**
   * Gives back the disk that rows which came and went still take; for after a long catch-up. Other calls go on meanwhile.
   * Settles early, and without an error, if `signal` aborts.
   */
  async tidy(signal: AbortSignal): Promise<void> {
    if (!this.#untidy) return
    this.#untidy = false
    for (const range of await slicesOf(this.#store, UTXOS.range())) {
      if (signal.aborted || this.#closed) return
      await this.#store.compact(range)
    }
  }

  /** Every row by its meaning, as lines of text in order; for tests and for comparing databases. Flushes. */
  async *canonicalDump(): AsyncGenerator<string> {
    await this.flush()
    const view = this.acquireView()
    const files = this.#files.reader()
    const headers = this.#headers.list()
    const snapshot = this.#base.retain()
    try {
      yield* dumpRows(snapshot.reader)
      for (let height = 0; height <= view.tip.height; height++) {
        const [txs, inputs] = [headers.txCount(height - 1), headers.inputCount(height - 1)]
        const count = headers.txCount(height) - txs
        yield `txids ${height} ${toDisplayHex(await files.txids.rows(txs, count))}`
        yield `inputstarts ${height} ${toDisplayHex(await files.inputStarts.rows(txs, count))}`
        yield `inputs ${height} ${toDisplayHex(await files.inputTags.rows(inputs, headers.inputCount(height) - inputs))}`
      }
    } finally {
      snapshot.release()
      files.close()
      view.release()
    }
  }

  /** Waits for the write under way, writes what is finished and closes. Views should have been released before. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closing.abort()
    await Promise.allSettled([this.#writing, this.#flushing?.done, this.#warming])
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
    closings.push(...(await Promise.allSettled([this.#files.close(), this.#writer.close()])))
    closings.push(...(await Promise.allSettled([this.#store.close()])))
    for (const closing of closings) if (closing.status === 'rejected') throw storageErrorOf(closing.reason, 'close')
  }

  async #find(block: ParsedBlock, known: KnownBlock | undefined): Promise<KnownBlock> {
    if (known !== undefined) return known
    if (!this.#listsOutputs) await this.#listOutputs()
    const spent = await lookUpSpent(block, this.#unflushedLayers(), this.#store)
    return { spent, delta: blockDelta(block, spent) }
  }

  async #applyIndexers(parts: BlockParts, revocable: boolean): Promise<IndexedBlock> {
    const { block, height, spent, delta } = parts
    const touched = new Set<string>()
    if (this.#indexers.length === 0) return { finished: { redo: [], undo: revocable ? [] : undefined }, delta, touched }
    const spaces = this.#indexers.flatMap((indexer) => indexer.spaces)
    const overlay = new BlockOverlay({ base: this.#tip, recordsUndo: revocable, spaces }, this.#unflushed.rows)
    const firstTxNum = this.#tip.txCount
    const listed: ListedTx[] = []
    const context: BlockContext = {
      height,
      block,
      firstTxNum,
      headers: this.#headers.list(),
      overlay,
      touched,
      spent: new SpentTexts(block, spent),
      fundedBy: (input) => this.#fundedBy(parts, input),
      list: (hashX, txNum) => void listed.push({ hashX, tx: txNum - firstTxNum }),
    }
    for (const indexer of this.#indexers) {
      if (height > 0 || indexer.wantsGenesis) await indexer.apply(context)
    }
    return { finished: overlay.finish(), delta: withListed(delta, listed), touched }
  }

  /** What the indexers say of rows that are written or taken back. */
  *#touchedRows(rows: readonly { readonly key: string }[]): Generator<string> {
    for (const indexer of this.#indexers) yield* indexer.touchedBy?.(keysOf(rows)) ?? []
  }

  #fundedBy({ block, spent }: BlockParts, input: number): number | undefined {
    const first = block.inputStart[1] ?? 0
    if (input < first || input >= block.inputCount) return undefined
    const offset = block.inputOffsets[input] ?? 0
    // By the id and not by the script: a script may be paid thousands of times in one flush.
    const txid = block.raw.subarray(offset, offset + 32)
    for (const layer of this.#unflushedLayers()) {
      const txNum = layer.findTx(txid, layer.txCount)
      if (txNum !== undefined) return txNum
    }
    const place = new Uint8Array(PLACE_SIZE)
    writePlace(place, 0, block.raw, offset)
    const hashX = spent.hashXs.subarray(input * HASHX_SIZE, (input + 1) * HASHX_SIZE)
    const key = this.#rows.placeKey(hashX, place)
    const value = this.#store.getSync(key)
    return value === undefined ? undefined : readUnspent(key, value).txNum
  }

  /** Layers that are not on disk, the latest first. */
  #unflushedLayers(): readonly Layer[] {
    const layers = [this.#unflushed.layer]
    if (this.#flushing !== undefined) layers.push(this.#flushing.blocks.layer)
    return layers
  }

  #checkComplete(): void {
    if (this.#lacksFrom === undefined) return
    const what = `its files lack the rows of blocks ${this.#lacksFrom} to ${this.#tip.height}`
    throw new StorageError('corrupt', `${this.#options.directory}: ${what}; the server takes them from its node again`)
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
    await this.#beginFlush()
    await this.#flushing?.done
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Waits for the flush under way, and begins the next one if there is anything to write. */
  async #beginFlush(): Promise<void> {
    await this.#flushing?.done
    if (this.#failure !== undefined) throw this.#failure
    const blocks = this.#unflushed
    if (blocks.count === 0) return
    this.#unflushed = this.#noBlocks(blocks.revocable, blocks.rows)
    // Never rejects: #failure is where its failure is kept, since nobody need be waiting.
    const done = this.#write(blocks).catch((error: unknown) => {
      this.#failure ??= asError(error)
    })
    this.#flushing = { blocks, done }
  }

  /**
   * Writes blocks: their rows of the files until those are safe, then everything else in one batch that carries its own
   * tip. A crash anywhere leaves the last batch, and rows of files beyond it that are cut off at open.
   */
  async #write(blocks: UnflushedBlocks): Promise<void> {
    const { tip, layer } = blocks
    const begun = this.#clock.monotonic()
    const rows = await blocks.packRows(this.#base.reader, this.#undo)
    rows.put(STATE.keyBytes({}), STATE.valueBytes(this.#stateAt(tip, this.#inputCount(tip.height))))
    const job = { layer: layer.data(), listsOutputs: this.#listsOutputs, rows: rows.bytes }
    // A log that lost its end could take a rollback back, to rows that are no more there once others are in their place.
    if (this.#files.overwrites) await this.#store.settle()
    const [written, prepared] = await Promise.allSettled([this.#files.write(), this.#writer.prepare(job)])
    if (prepared.status === 'rejected') throw prepared.reason
    if (written.status === 'rejected') {
      await prepared.value.discard()
      throw written.reason
    }
    await prepared.value.write()
    // From here on nothing waits: a view sees all of it or nothing.
    this.#undo.written(blocks)
    if (!blocks.revocable) this.#untidy = true
    this.#flushing = undefined
    this.#unflushed.rows.standOnStore()
    this.#flushedHeight = tip.height
    this.#moveBase()
    this.#layers.giveBack(layer)
    this.flushSeconds.observe((this.#clock.monotonic() - begun) / 1000)
  }

  /** An empty beginning of what the next flush will write. */
  #noBlocks(revocable: boolean, below?: PendingRows): UnflushedBlocks {
    const layer = this.#layers.take()
    layer.begin({ firstTxNum: this.#tip.txCount, perBlock: revocable, listsOutputs: this.#listsOutputs })
    const spaces = this.#indexers.flatMap((indexer) => indexer.spaces)
    return new UnflushedBlocks(layer, new PendingRows(spaces, this.#store, below), this.#tip)
  }

  async #listOutputs(signal?: AbortSignal): Promise<void> {
    if (this.#listsOutputs) return
    await this.#flush()
    await this.#durably(() => listOutputs(this.#store, signal))
    this.#listsOutputs = true
    const batch = this.#store.batch()
    batch.put(STATE.keyBytes({}), STATE.valueBytes(this.#stateAt(this.#tip, this.#inputCount(this.#tip.height))))
    await this.#durably(() => batch.write())
    this.#unflushed = this.#noBlocks(this.#unflushed.revocable)
    this.#moveBase()
  }

  #countsBelow(height: number): FileCounts {
    return { txCount: this.#headers.list().txCount(height - 1), inputCount: this.#inputCount(height - 1) }
  }

  #inputCount(height: number): number {
    return this.#headers.list().inputCount(height)
  }

  #stateAt(tip: Tip, inputCount: number): StateRow {
    return {
      ...freshState(this.#identity),
      blocks: tip.height + 1,
      tipHash: tip.hash,
      txCount: tip.txCount,
      inputCount,
      listsOutputs: this.#listsOutputs ? 1 : 0,
    }
  }

  /** Views from now on stand on the store as it is now. */
  #moveBase(): void {
    const before = this.#base
    this.#base = this.#takeSnapshot()
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
      this.#failure = asError(error)
      throw error
    }
  }

  async #exclusively<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed) throw new InvariantError('write to a database that was closed')
    if (this.#failure !== undefined) {
      // Whoever comes after a flush that nobody waited for is the first to hear why: of a full disk, say.
      const { code, message } = storageErrorOf(this.#failure, 'a write failed')
      throw new StorageError(code, `nothing is written any more: ${message}`, { cause: this.#failure })
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

/** Height of the first block of which the files do not have all rows. */
function firstLacking(headers: HeaderList, { txCount, inputCount }: FileCounts): number | undefined {
  let whole = headers.count - 1
  while (whole >= 0 && (headers.txCount(whole) > txCount || headers.inputCount(whole) > inputCount)) whole--
  return whole === headers.count - 1 ? undefined : whole + 1
}

/** hashXs that a block pays to or spends from, and those that indexers have named. */
function* touchedBy({ touches }: BlockDelta, named: readonly Iterable<string>[]): Generator<string> {
  // Cut out of one text: a call for each of twenty thousand scripts takes longer.
  const all = toLatin1(touches.hashXs)
  for (let at = 0; at < all.length; at += HASHX_SIZE) yield all.slice(at, at + HASHX_SIZE)
  for (const names of named) yield* names
}

function* keysOf(rows: readonly { readonly key: string }[]): Generator<string> {
  for (const { key } of rows) yield key
}

function noSource(): never {
  throw new InvariantError('the index does not list outputs, and nobody was named to ask for them')
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new InvariantError(String(error))
}
