import { setImmediate as breathe } from 'node:timers/promises'
import { InvariantError, StorageError } from '../errors.ts'
import { toDisplayHex } from '../lib/bytes.ts'
import type { Clock } from '../lib/clock.ts'
import { type Block, checkBlock, checkBlockInContext, readBlock } from './block-check.ts'
import { ancestorAt, type BlockNode, type BlockTree, forkOf, medianTimePast } from './block-tree.ts'
import type { ChainStore } from './chain-store.ts'
import { connectBlock, disconnectBlock, reconnectBlock } from './coin-changes.ts'
import type { Snapshot } from './coin-snapshot.ts'
import { CoinSet } from './coins.ts'
import { BITS, MAX_FUTURE_SECONDS } from './params.ts'
import type { LockContext } from './tx-check.ts'

/** Told of every change of the chain, in this order; a step is a walk from one tip to another. */
export interface ChainListener {
  /** A block was put onto the chain; its coins are applied. */
  connected(node: BlockNode, block: Block): void
  /** The tip was taken off; its coins are taken back. */
  disconnected(node: BlockNode, block: Block): void
  /** A step is over; `walked` are the blocks that it put on. */
  settled(walked: readonly BlockNode[]): void
  /** The chain has a new tip that it will keep for now. */
  newTip(node: BlockNode): void
}

/** The active chain: which branch it is, what is unspent on it, and how it changes. Runs no scripts. */
export class ChainState {
  readonly coins = new CoinSet()
  readonly store: ChainStore
  readonly #clock: Clock
  readonly #listener: ChainListener
  readonly #active: BlockNode[]

  constructor(collaborators: { readonly store: ChainStore; readonly clock: Clock; readonly listener: ChainListener }) {
    this.store = collaborators.store
    this.#clock = collaborators.clock
    this.#listener = collaborators.listener
    this.#active = [this.tree.genesis]
  }

  get tree(): BlockTree {
    return this.store.tree
  }

  get tip(): BlockNode {
    return this.at(this.#active.length - 1) ?? this.tree.genesis
  }

  get height(): number {
    return this.#active.length - 1
  }

  /** The active chain's block at a height. */
  at(height: number): BlockNode | undefined {
    return this.#active[height]
  }

  isActive(node: BlockNode): boolean {
    return this.#active[node.height] === node
  }

  /** The place of a block on top of `parent`, as time locks see it. */
  contextAfter(parent: BlockNode): LockContext {
    return {
      height: parent.height + 1,
      medianTime: medianTimePast(parent),
      medianTimeAt: (height) =>
        medianTimePast(this.isActive(parent) ? (this.at(height) ?? parent) : ancestorAt(parent, height)),
    }
  }

  /**
   * Makes the coins of the stored chain again, from a snapshot and the blocks after it or from all blocks, telling `seen`
   * every block that is read; then goes on to the best chain known.
   */
  async load(
    seen: (node: BlockNode, block: Block) => void,
    signal: AbortSignal,
    snapshot: Snapshot | undefined,
  ): Promise<void> {
    const path: BlockNode[] = []
    for (let at = this.store.storedTip; at.parent !== undefined; at = at.parent) path.push(at)
    path.reverse()
    const end = snapshot === undefined ? -1 : path.findIndex(({ id }) => id === snapshot.tip)
    // Undo that was lost is made again from blocks, which takes the coins before each of them.
    const known = path.slice(0, end + 1).every(({ undo }) => undo !== undefined) ? end : -1
    if (known >= 0) {
      snapshot?.fill(this.coins)
      this.#active.push(...path.splice(0, known + 1))
    }
    for (const node of path) {
      if (node.height % 64 === 0) await breathe()
      signal.throwIfAborted()
      const block = this.readBlock(node)
      if (node.undo === undefined) this.#makeUndo(node, block)
      else reconnectBlock(this.coins, block, node.height)
      this.#active.push(node)
      seen(node, block)
    }
    this.#activate(this.tree.best())
  }

  /** The block of a node, read from disk. */
  readBlock(node: BlockNode): Block {
    return readBlock(this.store.blockSync(node))
  }

  /**
   * Takes a block in. Answers as BIP22 has it: null if it is now part of the active chain, 'inconclusive' if it is valid
   * as far as known but on another branch, 'duplicate' if it is known, else Core's reason to refuse it. Throws ParseError.
   */
  submit(raw: Uint8Array): string | null {
    const block = readBlock(raw)
    const reject = checkBlock(block)
    if (reject !== undefined) return reject.reason
    const known = this.tree.get(toDisplayHex(block.hash))
    if (known !== undefined) return known.condemned ? 'duplicate-invalid' : 'duplicate'
    const parent = this.tree.get(toDisplayHex(block.header.prevHash))
    if (parent === undefined) return 'prev-blk-not-found'
    if (parent.condemned) return 'bad-prevblk'
    const reason = this.#checkPlace(block, parent)
    if (reason !== undefined) return reason
    const node = this.store.addBlock(block.raw)
    if (node.work > this.tip.work) this.#activate(node, block)
    if (node.failed !== undefined) return node.failed
    return this.isActive(node) ? null : 'inconclusive'
  }

  /** Takes a block and all that build on it out of consideration, and goes to the best chain without them. */
  invalidate(node: BlockNode): void {
    if (node.parent === undefined) throw new InvariantError('genesis cannot be taken out')
    this.store.mark(node, 'invalid')
    while (this.isActive(node)) {
      this.#disconnectTip()
      this.store.setTip(this.tip)
      this.#listener.settled([])
    }
    this.#activate(this.tree.best())
  }

  /** Takes back invalidations of a block, of those before it and of those that build on it. */
  reconsider(node: BlockNode): void {
    for (const each of this.tree.nodes()) {
      if (each.failed === undefined) continue
      const related = ancestorAt(each, node.height) === node || ancestorAt(node, each.height) === each
      if (related) this.store.mark(each, undefined)
    }
    this.#activate(this.tree.best())
  }

  /** Undo is derived, so it is made again where it was lost. */
  #makeUndo(node: BlockNode, block: Block): void {
    const result = connectBlock(this.coins, block, this.contextAfter(this.tip))
    if ('reason' in result) throw new StorageError('corrupt', `stored block ${node.id} does not fit: ${result.reason}`)
    this.store.addUndo(node, result)
  }

  #checkPlace(block: Block, parent: BlockNode): string | undefined {
    const { header } = block
    const medianTime = medianTimePast(parent)
    if (header.bits !== BITS) return 'bad-diffbits'
    if (header.time <= medianTime) return 'time-too-old'
    if (header.time > this.#clock.now() / 1000 + MAX_FUTURE_SECONDS) return 'time-too-new'
    if (header.version < 4) return `bad-version(0x${(header.version >>> 0).toString(16).padStart(8, '0')})`
    return checkBlockInContext(block, parent.height + 1, medianTime)?.reason
  }

  /** Goes to `target`, or to what is best once a block on the way is refused. `newest` is the target's block, if at hand. */
  #activate(target: BlockNode, newest?: Block): void {
    let goal = target
    while (goal !== this.tip) {
      const before = this.tip
      do {
        if (!this.#step(goal, newest)) goal = this.tree.best()
      } while (goal !== this.tip && this.tip.work < before.work)
      if (this.tip === before) continue
      this.store.setTip(this.tip)
      if (forkOf(before, this.tip) !== this.tip) this.#listener.newTip(this.tip)
    }
  }

  /** Goes towards `goal` until there is more work than before, as Core does at a time. False if a block is refused. */
  #step(goal: BlockNode, newest: Block | undefined): boolean {
    const start = this.tip
    const fork = forkOf(start, goal)
    while (this.tip !== fork) this.#disconnectTip()
    const path: BlockNode[] = []
    for (let at = goal; at !== fork && at.parent !== undefined; at = at.parent) path.push(at)
    const walked: BlockNode[] = []
    let fits = true
    for (let node = path.pop(); fits && node !== undefined && this.tip.work <= start.work; node = path.pop()) {
      const block = newest !== undefined && toDisplayHex(newest.hash) === node.id ? newest : this.readBlock(node)
      fits = this.#connect(node, block)
      if (fits) walked.push(node)
    }
    this.#listener.settled(walked)
    return fits
  }

  #connect(node: BlockNode, block: Block): boolean {
    const result = connectBlock(this.coins, block, this.contextAfter(this.tip))
    if ('reason' in result) {
      this.store.mark(node, result.reason)
      return false
    }
    this.store.addUndo(node, result)
    this.#active.push(node)
    this.#listener.connected(node, block)
    return true
  }

  #disconnectTip(): void {
    const node = this.tip
    const undo = this.store.undoSync(node)
    if (undo === undefined) throw new InvariantError('a block of the chain has no undo')
    const block = this.readBlock(node)
    disconnectBlock(this.coins, block, undo)
    this.#active.pop()
    this.#listener.disconnected(node, block)
  }
}
