import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseWholeTx, type Tx } from '../chain/tx.ts'
import { isAbort } from '../errors.ts'
import { copyOf, toDisplayHex } from '../lib/bytes.ts'
import type { Clock } from '../lib/clock.ts'
import { type Acceptance, Acceptor } from './acceptor.ts'
import type { Block } from './block-check.ts'
import { type BlockNode, medianTimePast } from './block-tree.ts'
import { ChainState } from './chain-state.ts'
import { ChainStore } from './chain-store.ts'
import { readSnapshot, writeSnapshot } from './coin-snapshot.ts'
import { FAUCET_SCRIPT, Faucet } from './faucet.ts'
import { Mempool } from './mempool.ts'
import { mineBlock, selectTransactions } from './miner.ts'
import type { Policy } from './policy.ts'
import { TxIndex } from './tx-index.ts'

/** What the node tells the world as it happens; hashes as displayed. */
export interface Publisher {
  blockConnected(hash: string): void
  blockDisconnected(hash: string): void
  newTip(hash: string): void
  txAdded(txid: string, sequence: bigint): void
  txRemoved(txid: string, sequence: bigint): void
}

export interface CoreOptions {
  readonly directory: string
  readonly policy: Policy
  /** Keep -txindex and -txospenderindex. */
  readonly txindex: boolean
}

/** Milliseconds that a wait without limit takes at most: what a timer can be set to. */
const LONGEST_WAIT = 0x7fff_ffff

/** Chain, mempool and what hangs on them, without any way to reach them from outside. All of it is synchronous. */
export class RegtestCore {
  readonly chain: ChainState
  readonly mempool: Mempool
  readonly acceptor: Acceptor
  readonly index: TxIndex | undefined
  readonly clock: Clock
  readonly faucet = new Faucet()
  readonly #store: ChainStore
  readonly #snapshotFile: string
  #loaded = false
  readonly #publisher: Publisher
  readonly #tipWaiters = new Set<() => void>()
  /** Transactions of blocks that were taken back in this step, those of the lowest block first. */
  #orphaned: Tx[] = []

  constructor(options: CoreOptions, collaborators: { readonly clock: Clock; readonly publisher: Publisher }) {
    this.clock = collaborators.clock
    this.#publisher = collaborators.publisher
    this.#store = new ChainStore(options.directory)
    this.#snapshotFile = join(options.directory, 'coins.snapshot')
    this.index = options.txindex ? new TxIndex(this.#store) : undefined
    this.mempool = new Mempool({
      added: ({ txid }, sequence) => this.#publisher.txAdded(txid, sequence),
      removed: ({ txid }, sequence) => this.#publisher.txRemoved(txid, sequence),
    })
    this.chain = new ChainState({
      store: this.#store,
      clock: this.clock,
      listener: {
        connected: (node, block) => this.#connected(node, block),
        disconnected: (node, block) => this.#disconnected(node, block),
        settled: (walked) => this.#settled(walked),
        newTip: (node) => this.#newTip(node),
      },
    })
    this.acceptor = new Acceptor(
      { policy: options.policy },
      { mempool: this.mempool, chain: this.chain, clock: this.clock },
    )
  }

  /** Reads the stored chain. */
  async load(signal: AbortSignal): Promise<void> {
    // As Core, which puts genesis onto a chain that is empty.
    if (this.chain.tree.size === 1) this.#publisher.blockConnected(this.chain.tip.id)
    // An index is made of blocks, so with one all of them are read.
    const snapshot = this.index === undefined ? readSnapshot(this.#snapshotFile) : undefined
    await this.chain.load((node, block) => this.#index(node, block), signal, snapshot)
    this.faucet.load(this.chain.coins)
    this.#loaded = true
  }

  /** Ends all waiting for a new tip. */
  wakeAll(): void {
    for (const wake of this.#tipWaiters) wake()
  }

  close(): void {
    this.wakeAll()
    if (this.#loaded) writeSnapshot(this.#snapshotFile, this.chain.tip.id, this.chain.coins)
    this.#store.close()
  }

  /** See ChainState.submit. */
  submitBlock(raw: Uint8Array): string | null {
    return this.chain.submit(raw)
  }

  /** Mines blocks with what the mempool has, to a script; returns their hashes as displayed. */
  mine(count: number, script: Uint8Array = FAUCET_SCRIPT): string[] {
    return Array.from({ length: count }, () => {
      const entries = selectTransactions(this.mempool)
      const fees = entries.reduce((sum, { fee }) => sum + fee, 0n)
      return this.mineWith(
        script,
        entries.map(({ tx }) => tx),
        fees,
      )
    })
  }

  /** Mines one block with these transactions and no other. Throws RangeError if it is refused. */
  mineWith(script: Uint8Array, txs: readonly Tx[], fees: bigint): string {
    const parent = this.chain.tip
    const time = Math.max(medianTimePast(parent) + 1, Math.floor(this.clock.now() / 1000))
    const raw = mineBlock({ parent, time, script, txs, fees, extra: this.chain.tree.size })
    const reason = this.submitBlock(raw)
    if (reason !== null) throw new RangeError(reason)
    return this.chain.tip.id
  }

  /** Builds an empty branch that replaces the last `depth` blocks, and is one longer; returns its hashes. */
  replaceTip(depth: number): string[] {
    const from = this.chain.at(this.chain.height - depth)
    if (from === undefined || depth < 1) throw new RangeError('the chain has not that many blocks')
    let parent = from
    return Array.from({ length: depth + 1 }, () => {
      const time = Math.max(medianTimePast(parent) + 1, Math.floor(this.clock.now() / 1000))
      const extra = this.chain.tree.size
      const raw = mineBlock({ parent, time, script: FAUCET_SCRIPT, txs: [], fees: 0n, extra })
      const reason = this.submitBlock(raw)
      const node = this.chain.tree.byArrival(extra)
      if ((reason !== null && reason !== 'inconclusive') || node === undefined) throw new RangeError(String(reason))
      parent = node
      return node.id
    })
  }

  /** Pays from the faucet into the mempool. Throws RangeError if there are not enough coins or the payment is refused. */
  send(script: Uint8Array, satoshis: bigint): string {
    const tx = this.faucet.pay(script, satoshis, this.mempool, this.chain.height + 1)
    const result = this.acceptor.accept(tx)
    if (result.kind === 'rejected') throw new RangeError(result.reject.reason)
    const txid = toDisplayHex(tx.txid)
    this.mempool.setUnbroadcast(txid)
    return txid
  }

  /** Takes a transaction in, or says why not. */
  accept(tx: Tx, maxRate?: bigint): Acceptance {
    return this.acceptor.accept(tx, { maxRate })
  }

  /** Settles once the chain's tip is another than `current`, or the node stops, or after `ms` (0 = no limit). */
  async waitForTip(current: string, ms: number): Promise<void> {
    if (this.chain.tip.id !== current) return
    const over = new AbortController()
    const wake = (): void => over.abort()
    this.#tipWaiters.add(wake)
    try {
      await delay(ms > 0 ? ms : LONGEST_WAIT, undefined, { signal: over.signal, ref: false })
    } catch (error) {
      if (!isAbort(error)) throw error
    } finally {
      this.#tipWaiters.delete(wake)
    }
  }

  #index(node: BlockNode, block: Block): void {
    this.index?.connected(node, block)
    this.faucet.connected(node.height, block)
  }

  #connected(node: BlockNode, block: Block): void {
    this.#index(node, block)
    for (const tx of block.txs) {
      const entry = this.mempool.get(toDisplayHex(tx.txid))
      if (entry !== undefined) this.mempool.remove([entry], 'block')
      if (tx.isCoinbase) continue
      for (const { prevTxid, prevIndex } of tx.inputs) {
        const rival = this.mempool.spenderOf(prevTxid, prevIndex)
        if (rival !== undefined) this.mempool.remove(this.mempool.withDescendants([rival]), 'stale')
      }
    }
    if (this.#orphaned.length === 0) return
    const ids = new Set(block.txs.map((tx) => toDisplayHex(tx.txid)))
    this.#orphaned = this.#orphaned.filter((tx) => !ids.has(toDisplayHex(tx.txid)))
  }

  #disconnected(node: BlockNode, block: Block): void {
    this.index?.disconnected(block)
    this.faucet.disconnected(block, this.chain.coins)
    this.#orphaned = [...block.txs, ...this.#orphaned]
    this.#publisher.blockDisconnected(node.id)
  }

  #settled(walked: readonly BlockNode[]): void {
    this.#refill()
    for (const node of walked) this.#publisher.blockConnected(node.id)
  }

  /** Gives the transactions of lost blocks back to the mempool, and drops what cannot be mined any more. */
  #refill(): void {
    if (this.#orphaned.length === 0) return
    for (const tx of this.#orphaned) {
      // A copy, so that the mempool does not keep the whole block alive.
      const result = tx.isCoinbase ? undefined : this.acceptor.accept(parseWholeTx(copyOf(tx.raw)), { fromBlock: true })
      if (result?.kind === 'accepted') continue
      const dependents = tx.outputs.map((_, index) => this.mempool.spenderOf(tx.txid, index))
      this.mempool.remove(this.mempool.withDescendants(dependents.filter((entry) => entry !== undefined)), 'stale')
    }
    this.#orphaned = []
    const stale = [...this.mempool.entries()].filter((entry) => !this.acceptor.isStillValid(entry))
    this.mempool.remove(this.mempool.withDescendants(stale), 'stale')
  }

  #newTip(node: BlockNode): void {
    this.#publisher.newTip(node.id)
    this.wakeAll()
  }
}
