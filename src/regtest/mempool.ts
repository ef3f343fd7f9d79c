import type { Tx } from '../chain/tx.ts'
import { invariant } from '../errors.ts'
import { compareBytes, toDisplayHex, toLatin1 } from '../lib/bytes.ts'
import { type Chunk, chunksOf } from './chunks.ts'
import type { Coin } from './coins.ts'

/** A transaction in the mempool, linked with those it spends and those that spend it. */
export interface MempoolEntry {
  readonly tx: Tx
  /** As displayed. */
  readonly txid: string
  /** As displayed. */
  readonly wtxid: string
  /** Satoshis. */
  readonly fee: bigint
  /** BIP141 weight, or more if there are many signature operations for it. */
  readonly weight: number
  /** Virtual bytes: a quarter of the weight. */
  readonly vsize: number
  /** Seconds since 1970 when it came. */
  readonly time: number
  /** Height of the chain when it came. */
  readonly height: number
  /** Counts the entries as they come. */
  readonly order: number
  readonly parents: Set<MempoolEntry>
  readonly children: Set<MempoolEntry>
}

export type NewEntry = Omit<MempoolEntry, 'order' | 'parents' | 'children'>

/** Why entries leave: a block has them, another transaction took their place, or they cannot be mined any more. */
export type RemovalReason = 'block' | 'replaced' | 'stale'

/** Told of transactions that come, and of those that leave for another reason than a block, with the sequence number. */
export interface MempoolListener {
  added(entry: MempoolEntry, sequence: bigint): void
  removed(entry: MempoolEntry, sequence: bigint): void
}

/** Height that coins of unconfirmed transactions have (Core's MEMPOOL_HEIGHT). */
export const MEMPOOL_HEIGHT = 0x7fff_ffff

/** The transactions that wait for a block. Who may come in is decided elsewhere; here they are kept and linked. */
export class Mempool {
  readonly #listener: MempoolListener
  readonly #entries = new Map<string, MempoolEntry>()
  readonly #wtxids = new Map<string, MempoolEntry>()
  readonly #spenders = new Map<string, MempoolEntry>()
  readonly #unbroadcast = new Set<string>()
  /** Chunks by any member, until its cluster changes. */
  readonly #chunks = new Map<MempoolEntry, Chunk<MempoolEntry>>()
  #sequence = 1n
  #order = 0
  #bytes = 0
  #fees = 0n

  constructor(listener: MempoolListener) {
    this.#listener = listener
  }

  get size(): number {
    return this.#entries.size
  }

  /** Virtual bytes of all. */
  get bytes(): number {
    return this.#bytes
  }

  get totalFee(): bigint {
    return this.#fees
  }

  /** The number that the next change will have. */
  get sequence(): bigint {
    return this.#sequence
  }

  get unbroadcastCount(): number {
    return this.#unbroadcast.size
  }

  get(txid: string): MempoolEntry | undefined {
    return this.#entries.get(txid)
  }

  getByWtxid(wtxid: string): MempoolEntry | undefined {
    return this.#wtxids.get(wtxid)
  }

  entries(): IterableIterator<MempoolEntry> {
    return this.#entries.values()
  }

  /** The transaction here that spends an output, if any. */
  spenderOf(prevTxid: Uint8Array, prevIndex: number): MempoolEntry | undefined {
    return this.#spenders.get(outpointText(prevTxid, prevIndex))
  }

  /** An output of a transaction here, as a coin. */
  coinOf(txid: Uint8Array, index: number): Coin | undefined {
    const output = this.#entries.get(toDisplayHex(txid))?.tx.outputs[index]
    return output && { ...output, height: MEMPOOL_HEIGHT, coinbase: false }
  }

  /** Entries that a transaction which is not here would have as parents. */
  parentsOf(tx: Tx): Set<MempoolEntry> {
    const parents = tx.inputs.map(({ prevTxid }) => this.#entries.get(toDisplayHex(prevTxid)))
    return new Set(parents.filter((parent) => parent !== undefined))
  }

  add(fresh: NewEntry): MempoolEntry {
    const order = this.#order++
    const entry: MempoolEntry = { ...fresh, order, parents: this.parentsOf(fresh.tx), children: new Set() }
    this.#entries.set(entry.txid, entry)
    this.#wtxids.set(entry.wtxid, entry)
    for (const { prevTxid, prevIndex } of entry.tx.inputs) this.#spenders.set(outpointText(prevTxid, prevIndex), entry)
    for (const parent of entry.parents) parent.children.add(entry)
    // After a block was taken back, children may be here before their parents.
    entry.tx.outputs.forEach((_, index) => {
      const child = this.#spenders.get(outpointText(entry.tx.txid, index))
      if (child === undefined) return
      entry.children.add(child)
      child.parents.add(entry)
    })
    this.#bytes += entry.vsize
    this.#fees += entry.fee
    this.#forgetChunks(entry)
    this.#listener.added(entry, this.#sequence++)
    return entry
  }

  /**
   * Takes entries out in the order in which Core does: those replaced by txid, others as they came. The sequence counts on
   * even if a block is the reason and nobody is told.
   */
  remove(entries: Iterable<MempoolEntry>, reason: RemovalReason): void {
    const sorted = [...entries].sort((a, b) =>
      reason === 'replaced' ? compareBytes(a.tx.txid, b.tx.txid) : a.order - b.order,
    )
    for (const entry of sorted) {
      if (this.#entries.get(entry.txid) !== entry) continue
      this.#forgetChunks(entry)
      this.#unlink(entry)
      const sequence = this.#sequence++
      if (reason !== 'block') this.#listener.removed(entry, sequence)
    }
  }

  /** Notes that a transaction came from our own user, or that it is on its way. */
  setUnbroadcast(txid: string): void {
    this.#unbroadcast.add(txid)
  }

  isUnbroadcast(entry: MempoolEntry): boolean {
    return this.#unbroadcast.has(entry.txid)
  }

  /** Everything an entry builds on, without itself. */
  ancestors(entry: MempoolEntry): Set<MempoolEntry> {
    return reach([entry], ({ parents }) => parents, entry)
  }

  /** Everything that builds on an entry, without itself. */
  descendants(entry: MempoolEntry): Set<MempoolEntry> {
    return reach([entry], ({ children }) => children, entry)
  }

  /** The entries and everything that builds on them. */
  withDescendants(entries: Iterable<MempoolEntry>): Set<MempoolEntry> {
    return reach(entries, ({ children }) => children)
  }

  /** The entries and everything that they build on. */
  withAncestors(entries: Iterable<MempoolEntry>): Set<MempoolEntry> {
    return reach(entries, ({ parents }) => parents)
  }

  /** The entries and all that hangs together with them. */
  clusterOf(entries: Iterable<MempoolEntry>): Set<MempoolEntry> {
    return reach(entries, ({ parents, children }) => [...parents, ...children])
  }

  /** The entries that would be mined together with one, because together they pay best. */
  chunkOf(entry: MempoolEntry): Chunk<MempoolEntry> {
    if (!this.#chunks.has(entry)) this.#chunk(entry)
    const chunk = this.#chunks.get(entry)
    invariant(chunk !== undefined, 'every entry is in a chunk of its cluster')
    return chunk
  }

  /** All chunks of an entry's cluster in the order in which they would be mined. */
  chunksOfCluster(entry: MempoolEntry): Iterable<Chunk<MempoolEntry>> {
    if (entry.parents.size === 0 && entry.children.size === 0) return [this.chunkOf(entry)]
    return this.#chunk(entry)
  }

  #chunk(entry: MempoolEntry): Chunk<MempoolEntry>[] {
    const chunks = chunksOf([...this.clusterOf([entry])])
    for (const chunk of chunks) for (const member of chunk.members) this.#chunks.set(member, chunk)
    return chunks
  }

  #unlink(entry: MempoolEntry): void {
    this.#entries.delete(entry.txid)
    this.#wtxids.delete(entry.wtxid)
    this.#unbroadcast.delete(entry.txid)
    for (const { prevTxid, prevIndex } of entry.tx.inputs) this.#spenders.delete(outpointText(prevTxid, prevIndex))
    for (const parent of entry.parents) parent.children.delete(entry)
    for (const child of entry.children) child.parents.delete(entry)
    this.#bytes -= entry.vsize
    this.#fees -= entry.fee
  }

  #forgetChunks(entry: MempoolEntry): void {
    if (this.#chunks.size === 0) return
    for (const member of this.clusterOf([entry])) this.#chunks.delete(member)
  }
}

function outpointText(txid: Uint8Array, index: number): string {
  return `${toLatin1(txid)}${index}`
}

function reach(
  from: Iterable<MempoolEntry>,
  next: (entry: MempoolEntry) => Iterable<MempoolEntry>,
  except?: MempoolEntry,
): Set<MempoolEntry> {
  const seen = new Set<MempoolEntry>(from)
  // A Set is walked in order of insertion, additions included.
  for (const entry of seen) for (const other of next(entry)) seen.add(other)
  if (except !== undefined) seen.delete(except)
  return seen
}
