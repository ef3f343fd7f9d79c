import pLimit from 'p-limit'
import type { ParsedBlock } from '../chain/block.ts'
import { ChainError, InvariantError, invariant } from '../errors.ts'
import { equalBytes, toDisplayHex } from '../lib/bytes.ts'
import type { Clock } from '../lib/clock.ts'
import { FLUSH_SECONDS, Histogram } from '../metrics.ts'
import { blockDelta, EMPTY_DELTA } from './block-delta.ts'
import { type BlockGround, CoinIndexes, touchedBy } from './coin-indexes.ts'
import { storageErrorOf } from './disk.ts'
import { dumpFiles, dumpRows } from './dump.ts'
import { FileGaps } from './file-gaps.ts'
import type { IndexFiles } from './files.ts'
import type { FlushWriter } from './flush-writer.ts'
import { HeaderProofs } from './header-proofs.ts'
import type { HeaderTable } from './header-table.ts'
import { HistoryGathering } from './history-gathering.ts'
import type { BlockChange, IndexCollaborators, IndexOptions, KnownBlock } from './index-options.ts'
import { type IndexParts, openParts } from './index-parts.ts'
import { IndexView } from './index-view.ts'
import type { Layer } from './layer.ts'
import { STATE, type StateRow, UTXOS } from './layout.ts'
import { type DatabaseIdentity, freshState } from './migrations.ts'
import { listOutputs } from './output-list.ts'
import { PastLayers } from './past-rows.ts'
import { PendingRows } from './pending.ts'
import { NOTHING_SPENT } from './spent.ts'
import { lookUpSpent } from './spent-lookup.ts'
import { type Store, slicesOf } from './store.ts'
import { StoreBase } from './store-base.ts'
import { takeBack } from './take-back.ts'
import type { UndoKeeper } from './undo.ts'
import { LayerPool, UnflushedBlocks } from './unflushed.ts'
import type { OutputSource, Tip } from './view.ts'
import { WriteGate } from './write-gate.ts'

/**
 * Share of the memory of finished blocks at which they are written. The blocks that come meanwhile take as much again, and
 * the rows made of them, which LevelDB holds up to three times (batch, and two tables in memory), about twice as much.
 */
const LAYER_SHARE = 1 / 5
/**
 * The index on disk: advances and goes back block by block, and gives out views. advance(), rollBack() and flush() are
 * called one after the other, each once the one before has settled; what startFlush() began goes on meanwhile. Views may
 * be taken at any time.
 */
export class IndexDatabase {
  readonly #options: IndexOptions
  readonly #coinIndexes: CoinIndexes
  readonly #identity: DatabaseIdentity
  readonly #store: Store
  readonly #writer: FlushWriter
  readonly #files: IndexFiles
  readonly #headers: HeaderTable
  readonly #proofs: HeaderProofs
  readonly #undo: UndoKeeper
  readonly #layers = new LayerPool()
  readonly #past = new PastLayers()
  readonly #clock: Clock
  /** Seconds from the beginning of a flush to its end. */
  readonly flushSeconds = new Histogram(FLUSH_SECONDS)
  /** The store below the blocks that are not on disk, whatever a flush is doing at the moment. */
  readonly #base: StoreBase
  /** Blocks that a flush is writing, and its end. */
  #flushing: { readonly blocks: UnflushedBlocks; readonly done: Promise<void> } | undefined
  /** Blocks above those. */
  #unflushed: UnflushedBlocks
  #tip: Tip
  #flushedHeight: number
  #listsOutputs: boolean
  readonly #gaps: FileGaps
  /** Blocks too deep to be taken back were written: many of them, then, whose outputs came and went. */
  #untidy = false
  #views = 0
  readonly #gate = new WriteGate()
  /** Lets one after the other change what is in the store: batches that are made of what they have read there. */
  readonly #inTurn = pLimit(1)
  readonly #gathering: HistoryGathering
  /** What warm() began; never rejects. */
  #warming: Promise<unknown> = Promise.resolve()
  readonly #closing = new AbortController()

  private constructor(options: IndexOptions, parts: IndexParts) {
    this.#options = options
    this.#coinIndexes = new CoinIndexes(parts.indexers, parts.store)
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
    this.#gaps = new FileGaps(options.directory, parts)
    this.#unflushed = this.#noBlocks(false)
    this.#base = new StoreBase(parts.store)
    const { store, writer } = parts
    this.#gathering = new HistoryGathering({ store, writer, base: this.#base, gate: this.#gate, inTurn: this.#inTurn })
  }

  /**
   * Opens the index in a directory, or makes one. Throws StorageError: 'locked', 'foreign' (something else is there),
   * 'version', 'network', 'settings', 'corrupt', 'io'.
   */
  static async open(options: IndexOptions, collaborators: IndexCollaborators = {}): Promise<IndexDatabase> {
    return new IndexDatabase(options, await openParts(options, collaborators))
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
    return this.#gaps.first
  }

  /** Puts the rows of the block that is lacking back into the files. Throws ChainError for another block. */
  restore(block: ParsedBlock): Promise<void> {
    return this.#gate.exclusively(() => this.#gaps.fill(block, (write) => this.#gate.durably(write)))
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
    this.#warming = this.#coinIndexes.warm(this.#closing.signal, (error) => this.#gate.fail(error))
  }

  /** Bytes of memory that finished blocks take that are not on disk, about. */
  get pendingBytes(): number {
    return this.#unflushed.bytes + (this.#flushing?.blocks.bytes ?? 0)
  }

  /** Bytes of memory that rows of earlier heights take, which somebody has asked for since the last block, about. */
  get pastBytes(): number {
    return this.#past.bytes
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
    invariant(!this.#gate.closed, 'a view is asked of a database that was closed')
    this.#gaps.check()
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
    return this.#gate.exclusively(async () => {
      this.#gaps.check()
      const base = this.#tip
      const height = base.height + 1
      this.#checkFits(block, height)
      const revocable = height > nodeHeight - this.#options.reorgLimit
      const found = height === 0 ? { spent: NOTHING_SPENT, delta: EMPTY_DELTA } : await this.#find(block, known)
      const { finished, delta, touched } = await this.#coinIndexes.apply(
        { block, height, ...found },
        this.#ground(),
        revocable,
      )
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
      this.#past.forget()
      // Only near the tip is it asked at once.
      if (revocable) await this.#unflushed.layer.makeReady()
      return { from: base, to: tip, touched: touchedBy(delta, [touched, this.#coinIndexes.touchedBy(finished.redo)]) }
    })
  }

  /** Takes the tip back, on disk at once. Throws ChainError if that was not kept. */
  rollBack(): Promise<BlockChange> {
    return this.#gate.exclusively(async () => {
      this.#gaps.check()
      await this.#flush()
      const from = this.#tip
      if (from.height < 0) throw new ChainError('there is no block to take back')
      const undo = this.#undo.read(from)
      const to: Tip = { height: from.height - 1, hash: undo.baseHash, txCount: undo.baseTxCount }
      const counts = {
        txCount: from.txCount - to.txCount,
        inputCount: this.#inputCount(from.height) - undo.baseInputCount,
      }
      const lost = await this.#files.lastRows(counts)
      const [txids, listsOutputs] = [lost.txids, this.#listsOutputs]
      const block = { height: from.height, txids, firstTxNum: to.txCount, listsOutputs, undo }
      const touched = await this.#inTurn(async () => {
        const batch = this.#store.batch()
        const scripts = await takeBack(block, this.#store, batch, this.#coinIndexes)
        batch.put(STATE.keyBytes({}), STATE.valueBytes(this.#stateAt(to, undo.baseInputCount)))
        await this.#gate.durably(() => batch.write())
        // From here on nothing waits: a view sees all of it or nothing.
        this.#files.cut(lost)
        this.#proofs.cut(to.height + 1)
        this.#headers.cut(to.height + 1)
        this.#tip = to
        this.#past.forget()
        this.#unflushed = this.#noBlocks(true)
        this.#flushedHeight = to.height
        this.#base.move()
        return scripts
      })
      return { from, to, touched }
    })
  }

  /**
   * Begins to write finished blocks if they take enough of the memory that they may, and returns: blocks that come next
   * are taken meanwhile. Waits for the flush before, if that is still under way. True if it began one.
   */
  async flushIfDue(): Promise<boolean> {
    if (this.#unflushed.bytes < this.#options.pendingBytes * LAYER_SHARE) return false
    await this.#gate.exclusively(() => this.#beginFlush())
    return true
  }

  /** Writes all finished blocks; settles once they are on disk. */
  flush(): Promise<void> {
    return this.#gate.exclusively(() => this.#flush())
  }

  /** Makes unspent outputs possible to look up, from which on they stay so: one pass over all of them. */
  listOutputs(signal?: AbortSignal): Promise<void> {
    return this.#gate.exclusively(() => this.#listOutputs(signal))
  }

  /**
   * Puts the histories that blocks too deep to be taken back have left in many rows under one key each, where one look
   * finds them, and gives back the disk that those rows took. Other calls go on meanwhile. `renew`: is called when a part is
   * done, and had better replace views that are kept for long, since the disk waits for them. Gives the share that is done,
   * again and again; ends early, and without an error, if `signal` aborts. Throws StorageError, after which nothing is
   * written any more.
   */
  gatherHistories(renew: () => void, signal: AbortSignal): AsyncGenerator<number> {
    return this.#gathering.run(renew, signal)
  }

  /**
   * Gives back the disk that outputs which came and went still take; for after a long catch-up, and as soon as all views
   * that were taken before the last write are released. Other calls go on meanwhile. Settles early, and without an error,
   * if `signal` aborts.
   */
  async tidy(signal: AbortSignal): Promise<void> {
    if (!this.#untidy) return
    this.#untidy = false
    for (const range of await slicesOf(this.#store, UTXOS.range())) {
      if (!(await this.#base.isAlone(signal)) || this.#gate.closed) return
      await this.#store.compact(range)
    }
  }

  /** Every row by its meaning, as lines of text in order; for tests and for comparing databases. Flushes. */
  async *canonicalDump(): AsyncGenerator<string> {
    await this.flush()
    const view = this.acquireView()
    const files = this.#files.reader()
    const snapshot = this.#base.retain()
    try {
      yield* dumpRows(snapshot.reader, snapshot.isGathered)
      yield* dumpFiles(files, this.#headers.list(), view.tip.height)
    } finally {
      snapshot.release()
      files.close()
      view.release()
    }
  }

  /** Waits for the write under way, writes what is finished and closes. Views should have been released before. */
  async close(): Promise<void> {
    if (this.#gate.closed) return
    this.#closing.abort()
    await Promise.allSettled([this.#gate.writing, this.#flushing?.done, this.#warming])
    try {
      if (this.#gate.failure === undefined) await this.flush()
    } finally {
      this.#gate.close()
      await this.#inTurn(() => this.#closeFiles())
    }
  }

  /** Closes what is open; of several failures the first is thrown. */
  async #closeFiles(): Promise<void> {
    const closings = await this.#base.close()
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

  #ground(): BlockGround {
    const [base, rows] = [this.#tip, this.#unflushed.rows]
    return { base, rows, headers: this.#headers.list(), layers: () => this.#unflushedLayers() }
  }

  /** Layers that are not on disk, the latest first. */
  #unflushedLayers(): readonly Layer[] {
    const layers = [this.#unflushed.layer]
    if (this.#flushing !== undefined) layers.push(this.#flushing.blocks.layer)
    return layers
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
    if (this.#gate.failure !== undefined) throw this.#gate.failure
  }

  /** Waits for the flush under way, and begins the next one if there is anything to write. */
  async #beginFlush(): Promise<void> {
    await this.#flushing?.done
    if (this.#gate.failure !== undefined) throw this.#gate.failure
    const blocks = this.#unflushed
    if (blocks.count === 0) return
    this.#unflushed = this.#noBlocks(blocks.revocable, blocks.rows)
    // Never rejects: the gate is where its failure is kept, since nobody need be waiting.
    const done = this.#inTurn(() => this.#write(blocks)).catch((error: unknown) => this.#gate.fail(error))
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
    // Where there are many blocks it takes less to gather what they leave than to look for each script.
    if (!layer.perBlock) this.#gathering.startOver()
    const job = {
      layer: layer.data(),
      listsOutputs: this.#listsOutputs,
      gatheredBelow: this.#gathering.below,
      rows: rows.bytes,
    }
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
    this.#base.move()
    this.#layers.giveBack(layer)
    this.flushSeconds.observe((this.#clock.monotonic() - begun) / 1000)
  }

  /** An empty beginning of what the next flush will write. */
  #noBlocks(revocable: boolean, below?: PendingRows): UnflushedBlocks {
    const layer = this.#layers.take()
    layer.begin({ firstTxNum: this.#tip.txCount, perBlock: revocable, listsOutputs: this.#listsOutputs })
    return new UnflushedBlocks(layer, new PendingRows(this.#coinIndexes.spaces, this.#store, below), this.#tip)
  }

  async #listOutputs(signal?: AbortSignal): Promise<void> {
    if (this.#listsOutputs) return
    await this.#flush()
    await this.#gate.durably(() => listOutputs(this.#store, signal))
    this.#listsOutputs = true
    const batch = this.#store.batch()
    batch.put(STATE.keyBytes({}), STATE.valueBytes(this.#stateAt(this.#tip, this.#inputCount(this.#tip.height))))
    await this.#gate.durably(() => batch.write())
    this.#unflushed = this.#noBlocks(this.#unflushed.revocable)
    this.#base.move()
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
}

function noSource(): never {
  throw new InvariantError('the index does not list outputs, and nobody was named to ask for them')
}
