import type { Daemon } from '../../src/daemon/daemon.ts'
import type { ChainView } from '../../src/db/view.ts'
import { toDisplayHex } from '../../src/lib/bytes.ts'
import type { ChainListener, ChainSync } from '../../src/sync/follower.ts'
import { type ModelBlock, ModelNode, type ModelView, spentBy, touchedBy, txidsOf } from './model-node.ts'

/** An index that copies the blocks of a model node, one by one, and lets a test step in between them. */
export class ModelIndex implements ChainSync {
  readonly #node: ModelNode
  readonly #daemon: Daemon
  #blocks: ModelBlock[]
  /** Views handed out, in order. */
  readonly views: ModelView[] = []
  /** Waited for at the end of each catch-up. */
  settle: () => Promise<void> = () => Promise.resolve()
  /** Blocks that it was told to expect. */
  readonly expected: string[] = []
  /** Times that it was told to write what it has. */
  persisted = 0
  /** Runs before each block is applied. */
  before: ((height: number) => void) | undefined

  constructor(node: ModelNode, daemon: Daemon) {
    this.#node = node
    this.#daemon = daemon
    this.#blocks = node.blocks.slice(0, 1)
  }

  get height(): number {
    return this.#blocks.length - 1
  }

  async catchUp(listener: ChainListener, signal: AbortSignal): Promise<void> {
    await this.#daemon.chainInfo(signal)
    while (this.#blocks.at(-1) !== this.#node.blocks[this.height]) {
      const block = this.#blocks.at(-1)!
      listener.rolledBack({ touched: touchedBy(this.#blocks, block) })
      this.#blocks = this.#blocks.slice(0, -1)
    }
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      this.before?.(this.height + 1)
      signal.throwIfAborted()
      this.#blocks = [...this.#blocks, next]
      await listener.applied({
        txids: txidsOf(next),
        spentOutpoints: spentBy(next),
        touched: touchedBy(this.#blocks, next),
        isLast: this.#next() === undefined,
      })
    }
    await this.settle()
  }

  expect(hash: string): void {
    this.expected.push(hash)
  }

  persist(_reordered: () => void): Promise<void> {
    this.persisted++
    return Promise.resolve()
  }

  stop(): Promise<void> {
    return Promise.resolve()
  }

  view(): ChainView {
    const model = new ModelNode()
    model.blocks = this.#blocks
    const view = model.view()
    this.views.push(view)
    return view
  }

  /** Tips of the views that nobody has released yet. */
  heldViews(): string[] {
    return this.views.filter(({ released }) => released === 0).map(({ tip }) => toDisplayHex(tip.hash))
  }

  #next(): ModelBlock | undefined {
    return this.#node.blocks[this.height + 1]
  }
}
