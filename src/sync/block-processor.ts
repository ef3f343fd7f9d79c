import { setImmediate as turn } from 'node:timers/promises'
import { outpointAt, type ParsedBlock } from '../chain/block.ts'
import { hashXOf } from '../chain/script.ts'
import type { Daemon } from '../daemon/daemon.ts'
import type { IndexDatabase } from '../db/index-db.ts'
import type { ChainView, OutputSource } from '../db/view.ts'
import { DaemonError, DaemonUnavailableError } from '../errors.ts'
import { throwIfAborted } from '../lib/abort.ts'
import { equalBytes, readUint32LE, toDisplayHex } from '../lib/bytes.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../log.ts'
import type { ChainListener, ChainSync } from './follower.ts'
import { type BlockParser, type FetchedBlock, type ReadBlock, readBlock } from './parse.ts'
import { ParseThread } from './parse-thread.ts'
import { Practice } from './practice.ts'
import { PREFETCH_DEFAULTS, type PrefetchOptions, prefetchBlocks } from './prefetcher.ts'
import type { SyncPosition } from './progress.ts'
import { ReadAhead } from './read-ahead.ts'
import { findFork } from './reorg.ts'

/** Hears where a catch-up stands after every block. */
export interface CatchUpObserver {
  update(position: SyncPosition): void
  /** The catch-up has ended, one way or the other. */
  finish(): void
}

export interface BlockProcessorCollaborators {
  readonly db: IndexDatabase
  readonly daemon: Daemon
  readonly clock: Clock
  readonly log: Logger
  readonly progress?: CatchUpObserver
  readonly parse?: BlockParser
}

/** Blocks that make a catch-up worth no log line for each of them. */
const MANY_BLOCKS = 10
/** Blocks after which the parsing thread is as fast as it gets, with practice: code that never ran takes three times as long (measured, bench:tip). */
const WARM_BLOCKS = 8

/** Bytes of a block that takes longer to parse than to send to a thread and back. */
const WORTH_A_THREAD = 10_000

/** Between two lines on how far histories are gathered: for hundreds of millions of scripts it takes hours. */
const TOLD_EVERY_MS = 60_000

/** Scripts that a block touched, counted between two turns. */
const TOUCHED_AT_ONCE = 2000

/** Brings the index to the tip of the node: back to the fork where there is one, then on, block by block. */
export class BlockProcessor implements ChainSync {
  readonly #options: PrefetchOptions
  readonly #db: IndexDatabase
  readonly #daemon: Daemon
  readonly #clock: Clock
  readonly #log: Logger
  readonly #progress: CatchUpObserver | undefined
  readonly #parse: BlockParser
  readonly #usesThread: boolean
  readonly #ahead: ReadAhead
  readonly #practice: Practice
  readonly #stopping = new AbortController()
  #thread: ParseThread | undefined
  #tidying: Promise<void> | undefined
  /** Blocks applied so far. */
  #applied = 0
  #reorgs = 0
  #blocksRolledBack = 0

  constructor(options: Partial<PrefetchOptions>, collaborators: BlockProcessorCollaborators) {
    this.#options = { ...PREFETCH_DEFAULTS, ...options }
    this.#db = collaborators.db
    this.#daemon = collaborators.daemon
    this.#clock = collaborators.clock
    this.#log = collaborators.log
    this.#progress = collaborators.progress
    this.#usesThread = collaborators.parse === undefined && ParseThread.available
    this.#parse = collaborators.parse ?? (this.#usesThread ? (fetched) => this.#parseAside(fetched) : readBlock)
    this.#ahead = new ReadAhead({ daemon: this.#daemon, parse: this.#parse })
    this.#practice = new Practice({ daemon: this.#daemon, parse: this.#parse, log: this.#log })
  }

  /** Reorganisations followed, and blocks that they took back. */
  get rolledBack(): { readonly reorgs: number; readonly blocks: number } {
    return { reorgs: this.#reorgs, blocks: this.#blocksRolledBack }
  }

  expect(hash: string): void {
    void this.#practice.end()
    if (!this.#stopping.signal.aborted) this.#ahead.begin(hash)
  }

  /** The index as it is now; release() it. */
  view(): ChainView {
    return this.#db.acquireView(this.#outputs)
  }

  /** Throws StorageError, or ChainError for what cannot be right. */
  async persist(reordered: () => void = () => {}): Promise<void> {
    await this.#db.flush()
    this.#tidying ??= this.#tidy(reordered)
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#ahead.drop()
    await this.#practice.end()
    await this.#tidying
    await this.#thread?.close()
  }

  /** After a long catch-up; beside everything else. */
  async #tidy(reordered: () => void): Promise<void> {
    try {
      await this.#gatherHistories(reordered)
      await this.#db.tidy(this.#stopping.signal)
    } catch (error) {
      // Nothing depends on it; whatever is wrong with the disk is found by the next write.
      this.#log.warn({ err: error }, 'the index could not be put in order after the catch-up')
    }
    this.#tidying = undefined
  }

  async #gatherHistories(reordered: () => void): Promise<void> {
    const begun = this.#clock.monotonic()
    let told = begun
    let share: number | undefined
    for await (share of this.#db.gatherHistories(reordered, this.#stopping.signal)) {
      if (this.#clock.monotonic() - told < TOLD_EVERY_MS) continue
      told = this.#clock.monotonic()
      this.#log.info({ percent: Math.floor(share * 100) }, 'gathering histories')
    }
    if (share === undefined || this.#stopping.signal.aborted) return
    this.#log.info({ ms: Math.round(this.#clock.monotonic() - begun) }, 'histories gathered')
  }

  /**
   * Settles once the index has the node's best block; persist() brings it to disk. Throws DaemonUnavailableError or
   * DaemonError (ask again later: what was applied stays), ChainError (the node's chain cannot be followed),
   * StorageError, AbortError. One at a time.
   */
  async catchUp(listener: ChainListener, signal: AbortSignal): Promise<void> {
    // Here rather than when the first block has come: a thread takes its time to start.
    if (this.#usesThread) this.#onThread()
    try {
      await this.#completeFiles(signal)
      while (!(await this.#isAtTip(listener, signal)));
      if (this.#usesThread) this.#practice.begin(this.#latestHashes(WARM_BLOCKS - this.#applied))
    } catch (error) {
      // What is done need not be done again.
      if (error instanceof DaemonUnavailableError || error instanceof DaemonError) await this.#db.flush()
      throw error
    } finally {
      this.#progress?.finish()
    }
  }

  /** Hashes, as displayed, of so many blocks below the tip and of the tip, or of as many as there are. */
  *#latestHashes(count: number): Generator<string> {
    const { height: tip } = this.#db.tip
    for (let height = Math.max(1, tip - count + 1); height <= tip; height++) {
      const hash = this.#db.blockHash(height)
      if (hash !== undefined) yield toDisplayHex(hash)
    }
  }

  /** Gives the index those rows of its files again that something has cut off: they follow from the blocks. */
  async #completeFiles(signal: AbortSignal): Promise<void> {
    let { lacking } = this.#db
    if (lacking === undefined) return
    const { height: tip } = this.#db.tip
    this.#log.warn({ height: lacking.height, tip }, 'files of the index are too short, their rows are made anew')
    while (lacking !== undefined) {
      throwIfAborted(signal)
      const hash = toDisplayHex(lacking.hash)
      const raw = await this.#daemon.rawBlock(hash, signal)
      const { block } = await this.#parse({ hash, raw, spent: undefined })
      await this.#db.restore(block)
      lacking = this.#db.lacking
    }
  }

  /** One round: back to the fork, on to where the node was when the round began. True if there was nothing to do. */
  async #isAtTip(listener: ChainListener, signal: AbortSignal): Promise<boolean> {
    throwIfAborted(signal)
    const { turn } = this.#daemon
    const nodeHeight = await this.#daemon.height(signal)
    // Of several nodes another one may have what this one lacks.
    if (nodeHeight < this.#db.tip.height && (await this.#daemon.preferBest(signal))) return false
    const fork = await findFork(this.#db, this.#daemon, nodeHeight, signal)
    // Nothing is taken back because of the answers of two nodes.
    if (this.#daemon.turn !== turn) return false
    if (fork === this.#db.tip.height && fork === nodeHeight) return true
    if (fork < this.#db.tip.height) await this.#rollBackTo(fork, listener, signal)
    await this.#advanceTo(nodeHeight, listener, signal)
    if (this.#db.tip.height === fork && fork < nodeHeight) {
      // Asking at once again could go on for ever; whoever called waits a little first.
      throw new DaemonUnavailableError(
        `the node is at height ${nodeHeight} and gives no block that goes on from ${fork}`,
      )
    }
    return false
  }

  async #rollBackTo(fork: number, listener: ChainListener, signal: AbortSignal): Promise<void> {
    const { height, hash } = this.#db.tip
    this.#log.warn({ height, hash: toDisplayHex(hash), fork, depth: height - fork }, 'reorganisation')
    this.#reorgs++
    while (this.#db.tip.height > fork) {
      throwIfAborted(signal)
      listener.rolledBack(await this.#db.rollBack())
      this.#blocksRolledBack++
    }
  }

  async #advanceTo(target: number, listener: ChainListener, signal: AbortSignal): Promise<void> {
    void this.#practice.end()
    const range = { start: this.#db.tip.height + 1, end: target }
    const level = range.end - range.start < MANY_BLOCKS ? 'info' : 'debug'
    const collaborators = { daemon: this.#daemon, parse: this.#parse, ahead: this.#ahead }
    if (!this.#daemon.abilities.spentTxOuts) await this.#listOutputs(signal)
    for await (const read of prefetchBlocks(range, this.#options, collaborators, signal)) {
      // The node has changed to another branch since it was asked: the next round finds the fork.
      if (this.#db.tip.height >= 0 && !equalBytes(read.block.prevHash, this.#db.tip.hash)) return
      throwIfAborted(signal)
      await this.#apply(read, target, listener, level)
    }
  }

  async #apply({ block, known }: ReadBlock, target: number, listener: ChainListener, level: 'info' | 'debug') {
    const begun = this.#clock.monotonic()
    const { to, touched } = await this.#db.advance(block, target, known)
    this.#applied++
    // Those who ask are answered from the view before, until the listener publishes this one.
    const scripts = target - to.height < MANY_BLOCKS ? await collected(touched) : touched
    const isLast = to.height >= target
    await listener.applied({ txids: block.txids, spentOutpoints: spentOutpoints(block), touched: scripts, isLast })
    await this.#db.flushIfDue()
    const { height, txCount } = to
    this.#progress?.update({ height, txCount, target })
    const ms = Math.round(this.#clock.monotonic() - begun)
    this.#log[level]({ height, hash: toDisplayHex(to.hash), txs: block.txCount, ms }, 'block indexed')
  }

  /** Where the node does not tell what blocks spend, it is looked up: in a list that has to be there. */
  async #listOutputs(signal: AbortSignal): Promise<void> {
    if (this.#db.listsOutputs) return
    this.#log.info(
      'the node has no REST spenttxouts (Bitcoin Core 30, rest=1): what blocks spend is looked up in the index, which ' +
        'takes longer and more disk',
    )
    await this.#db.listOutputs(signal)
  }

  #parseAside(fetched: FetchedBlock): ReadBlock | Promise<ReadBlock> {
    return fetched.raw.length < WORTH_A_THREAD ? readBlock(fetched) : this.#onThread().parse(fetched)
  }

  #onThread(): ParseThread {
    this.#thread ??= new ParseThread()
    return this.#thread
  }

  /** Asks the node what the index does not list; what it says of another tip than the view's is no answer. */
  readonly #outputs: OutputSource = async (outpoints, tip, signal) => {
    const asked = outpoints.map((outpoint) => ({
      txid: toDisplayHex(outpoint.subarray(0, 32)),
      vout: readUint32LE(outpoint, 32),
    }))
    const found = await this.#daemon.unspentOutputs(asked, signal)
    const hash = toDisplayHex(tip.hash)
    return found.map((output) =>
      output?.bestBlock === hash ? { hashX: hashXOf(output.script), value: output.value } : undefined,
    )
  }
}

/** Outpoints that a block spends, 36 bytes each; the coinbase spends none. */
function* spentOutpoints(block: ParsedBlock): Generator<Uint8Array> {
  for (let input = block.inputStart[1] ?? 0; input < block.inputCount; input++) yield outpointAt(block, input)
}

/** All of them, with turns for others between: a full block touches some twenty thousand scripts. */
async function collected(scripts: Iterable<string>): Promise<ReadonlySet<string>> {
  const all = new Set<string>()
  let count = 0
  for (const script of scripts) {
    all.add(script)
    count += 1
    if (count % TOUCHED_AT_ONCE === 0) await turn()
  }
  await turn()
  return all
}
