import { invariant } from '../errors.ts'
import { forEachHashX, type MempoolEntry, outpointsOf, prevoutAt, txidOf } from './entry.ts'
import { type MapReader, VersionedMap } from './versioned-map.ts'

/** Most scripts are touched by one transaction: that one stands for itself, without a set around it. */
type Touching = MempoolEntry | Set<MempoolEntry>

/** Unconfirmed transactions and how they hang together, at one instant. Keys are Latin-1, a character a byte. */
export interface GraphReader {
  readonly size: number
  /** `txid` as displayed. */
  get(txid: string): MempoolEntry | undefined
  /** Who spends an outpoint (36 bytes). */
  spenderOf(outpoint: string): MempoolEntry | undefined
  /** Who pays to or spends from a script (11 bytes), in no order. */
  touching(hashX: string): Iterable<MempoolEntry>
  /** How many those are. */
  countTouching(hashX: string): number
}

/** The mempool's transactions, with the indexes that questions need; each change is one step for all of them. */
export class MempoolGraph implements GraphReader {
  readonly #txs = new VersionedMap<MempoolEntry>()
  readonly #spenders = new VersionedMap<MempoolEntry>()
  readonly #scripts = new VersionedMap<Touching>()
  readonly #now = new Reader(this.#txs, this.#spenders, this.#scripts)

  get size(): number {
    return this.#txs.size
  }

  get(txid: string): MempoolEntry | undefined {
    return this.#txs.get(txid)
  }

  has(txid: string): boolean {
    return this.#txs.has(txid)
  }

  txids(): MapIterator<string> {
    return this.#txs.keys()
  }

  spenderOf(outpoint: string): MempoolEntry | undefined {
    return this.#spenders.get(outpoint)
  }

  touching(hashX: string): Iterable<MempoolEntry> {
    return this.#now.touching(hashX)
  }

  countTouching(hashX: string): number {
    return this.#now.countTouching(hashX)
  }

  /** Throws InvariantError if it is there, or spends what another one spends. */
  add(entry: MempoolEntry): void {
    invariant(!this.#txs.has(entry.txid), `${entry.txid} is in the mempool already`)
    this.#txs.set(entry.txid, entry)
    for (let i = 0; i < entry.inputValues.length; i++) {
      const prevout = prevoutAt(entry.prevouts, i)
      invariant(!this.#spenders.has(prevout), `${entry.txid} spends what is spent in the mempool`)
      this.#spenders.set(prevout, entry)
    }
    forEachHashX(entry, (hashX) => this.#attach(hashX, entry))
  }

  /** Takes out one transaction and leaves its dependents. */
  remove(entry: MempoolEntry): void {
    invariant(this.#txs.get(entry.txid) === entry, `${entry.txid} is not in the mempool`)
    this.#txs.delete(entry.txid)
    for (let i = 0; i < entry.inputValues.length; i++) this.#spenders.delete(prevoutAt(entry.prevouts, i))
    forEachHashX(entry, (hashX) => this.#detach(hashX, entry))
  }

  /** Those that spend an output of `entry`, each once. */
  children(entry: MempoolEntry): Set<MempoolEntry> {
    const children = new Set<MempoolEntry>()
    for (const outpoint of outpointsOf(entry.txid, entry.outputValues.length)) {
      const spender = this.#spenders.get(outpoint)
      if (spender !== undefined) children.add(spender)
    }
    return children
  }

  /** `entry` and all that depend on it, parents first found. */
  descendants(entry: MempoolEntry): Set<MempoolEntry> {
    const found = new Set([entry])
    // A set visits what is added to it while it is walked.
    for (const member of found) for (const child of this.children(member)) found.add(child)
    return found
  }

  /** Reads on as the graph is now, whatever changes later. */
  freeze(): GraphReader {
    return new Reader(this.#txs.freeze(), this.#spenders.freeze(), this.#scripts.freeze())
  }

  #attach(hashX: string, entry: MempoolEntry): void {
    const touching = this.#scripts.get(hashX)
    if (touching === undefined) this.#scripts.set(hashX, entry)
    else if (isSet(touching)) this.#ownSet(hashX, touching).add(entry)
    else if (touching !== entry) this.#scripts.set(hashX, new Set([touching, entry]))
  }

  #detach(hashX: string, entry: MempoolEntry): void {
    const touching = this.#scripts.get(hashX)
    if (touching === undefined) return
    if (!isSet(touching)) {
      if (touching === entry) this.#scripts.delete(hashX)
      return
    }
    const left = this.#ownSet(hashX, touching)
    left.delete(entry)
    const [last] = left
    if (left.size === 1 && last !== undefined) this.#scripts.set(hashX, last)
  }

  /** The set itself, or a copy in its place if a frozen version reads it. */
  #ownSet(hashX: string, touching: Set<MempoolEntry>): Set<MempoolEntry> {
    if (this.#scripts.isOwn(hashX)) return touching
    const copy = new Set(touching)
    this.#scripts.set(hashX, copy)
    return copy
  }
}

/** 0, or -1 if it spends an output of a transaction that is unconfirmed itself. */
export function heightIn(graph: GraphReader, entry: MempoolEntry): 0 | -1 {
  for (let i = 0; i < entry.inputValues.length; i++) {
    if (graph.get(txidOf(prevoutAt(entry.prevouts, i))) !== undefined) return -1
  }
  return 0
}

class Reader implements GraphReader {
  readonly #txs: MapReader<MempoolEntry>
  readonly #spenders: MapReader<MempoolEntry>
  readonly #scripts: MapReader<Touching>

  constructor(txs: MapReader<MempoolEntry>, spenders: MapReader<MempoolEntry>, scripts: MapReader<Touching>) {
    this.#txs = txs
    this.#spenders = spenders
    this.#scripts = scripts
  }

  get size(): number {
    return this.#txs.size
  }

  get(txid: string): MempoolEntry | undefined {
    return this.#txs.get(txid)
  }

  spenderOf(outpoint: string): MempoolEntry | undefined {
    return this.#spenders.get(outpoint)
  }

  touching(hashX: string): Iterable<MempoolEntry> {
    const touching = this.#scripts.get(hashX)
    if (touching === undefined) return []
    return isSet(touching) ? touching : [touching]
  }

  countTouching(hashX: string): number {
    const touching = this.#scripts.get(hashX)
    if (touching === undefined) return 0
    return isSet(touching) ? touching.size : 1
  }
}

function isSet(touching: Touching): touching is Set<MempoolEntry> {
  return touching instanceof Set
}
