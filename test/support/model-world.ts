import type { Tx } from '../../src/chain/tx.ts'
import { toDisplayHex } from '../../src/lib/bytes.ts'
import { silentLogger } from '../../src/log.ts'
import { MomentHub, type MomentHubOptions } from '../../src/mempool/hub.ts'
import { Mempool } from '../../src/mempool/mempool.ts'
import { type ModelBlock, ModelNode, type ModelView, spentBy, touchedBy, txidsOf } from './model-node.ts'
import { ScriptedDaemon } from './scripted-daemon.ts'

/**
 * A model node, its mempool mirrored by the real one, and a hub that publishes both as the follower does: blocks with
 * what they touched, then what the node lists.
 */
export class ModelWorld {
  readonly node = new ModelNode()
  readonly daemon = new ScriptedDaemon(this.node)
  /** Every transaction that was ever in a published block, as a node has them that keeps stale blocks. By txid. */
  readonly mined = new Map<string, Tx>()
  readonly mempool = new Mempool({ batch: 3, inFlight: 2 }, { log: silentLogger() })
  readonly hub: MomentHub
  readonly #signal = new AbortController().signal
  #blocks: readonly ModelBlock[] = []
  #touched = new Set<string>()
  /** Waited for before something is looked up in a published view. */
  pace: () => Promise<void> = async () => {}
  /** The view that was published last. */
  view: ModelView | undefined

  constructor(options: MomentHubOptions) {
    this.hub = new MomentHub(options, { mempool: this.mempool })
    for (let i = 0; i < 3; i++) this.node.connect([])
    this.daemon.rawTransaction = (txid) => Promise.resolve(this.mined.get(txid)!.raw)
  }

  /** Publishes what the node has. `early`: new blocks are published before the node is asked for its mempool. */
  async sync(early = false): Promise<void> {
    const moved = await this.#follow()
    if (moved && early) this.#publish()
    const { touched, outcome } = await this.mempool.refresh(this.node.view(), this.daemon, this.#signal, (part) => {
      this.#touch(part)
      return 'continue'
    })
    if (outcome !== 'current') throw new Error('the model moved on')
    this.#touch(touched)
    if (moved && !early) this.#publish()
    else this.hub.renew({ newTip: false, touched: this.#take() })
  }

  #publish(): void {
    const view = this.node.view()
    const findTransaction = view.findTransaction.bind(view)
    const unspentOutputs = view.unspentOutputs.bind(view)
    const findSpender = view.findSpender.bind(view)
    const history = view.history.bind(view)
    const utxos = view.utxos.bind(view)
    view.findTransaction = (...asked) => this.pace().then(() => findTransaction(...asked))
    view.unspentOutputs = (...asked) => this.pace().then(() => unspentOutputs(...asked))
    view.findSpender = (...asked) => this.pace().then(() => findSpender(...asked))
    view.history = (...asked) => this.pace().then(() => history(...asked))
    const historyFrom = view.historyFrom.bind(view)
    const pace = (): Promise<void> => this.pace()
    view.historyFrom = async function* (...asked) {
      for await (const items of historyFrom(...asked)) {
        await pace()
        yield items
      }
    }
    view.utxos = (...asked) => this.pace().then(() => utxos(...asked))
    this.view = view
    this.hub.publish(view, { newTip: true, touched: this.#take() })
  }

  /** True if the chain is another one than before. */
  async #follow(): Promise<boolean> {
    const before = this.#blocks
    const now = [...this.node.blocks]
    let common = 0
    while (common < before.length && before[common] === now[common]) common++
    for (let height = before.length; height > common; height--) {
      this.#touch(touchedBy(before.slice(0, height), before[height - 1]!))
    }
    for (let height = common; height < now.length; height++) {
      const block = now[height]!
      for (const tx of block.txs) this.mined.set(toDisplayHex(tx.txid), tx)
      this.#touch(touchedBy(now.slice(0, height + 1), block))
      this.#touch(await this.mempool.applyBlock(txidsOf(block), spentBy(block)))
    }
    this.#blocks = now
    return common < before.length || common < now.length
  }

  #touch(hashXs: Iterable<string>): void {
    for (const hashX of hashXs) this.#touched.add(hashX)
  }

  #take(): Set<string> {
    const touched = this.#touched
    this.#touched = new Set()
    return touched
  }
}
