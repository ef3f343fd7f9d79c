import { toLatin1 } from '../lib/bytes.ts'
import { coinAt, deltaOf, hashXAt, keyBytes, type MempoolEntry, outpointOf, placesOf, prevoutAt } from './entry.ts'
import type { CompactHistogram } from './fee-histogram.ts'
import { type GraphReader, heightIn } from './graph.ts'
import type { KeptList } from './kept.ts'
import type { MempoolItem, MempoolOutput, MempoolSpender, MempoolUtxo, MempoolView } from './moment.ts'

/** `mempool.recent` (protocol 1.7) tells of the last ten. */
export const RECENT_KEPT = 10

export interface SnapshotFacts {
  readonly complete: boolean
  readonly regained: boolean
  readonly whole: boolean
  readonly histogram: CompactHistogram
  /** Newest first. */
  readonly recent: readonly MempoolEntry[]
  readonly kept: KeptList
}

/** The mempool as it was when the snapshot was taken. Costs nothing to take; later changes keep what it has to know. */
export class MempoolSnapshot implements MempoolView {
  readonly complete: boolean
  readonly regained: boolean
  readonly whole: boolean
  readonly size: number
  readonly kept: KeptList
  readonly #graph: GraphReader
  readonly #histogram: CompactHistogram
  readonly #recent: readonly MempoolEntry[]

  constructor(facts: SnapshotFacts, graph: GraphReader) {
    this.complete = facts.complete
    this.regained = facts.regained
    this.whole = facts.whole
    this.size = graph.size
    this.kept = facts.kept
    this.#graph = graph
    this.#histogram = facts.histogram
    this.#recent = facts.recent
  }

  has(txid: string): boolean {
    return this.#graph.get(txid) !== undefined
  }

  orderOf(txid: string): number | undefined {
    return this.#graph.get(txid)?.order
  }

  /** How many items a script (11 characters) has, without making them. */
  countOf(key: string): number {
    return this.#graph.countTouching(key)
  }

  /** True if there is anything to say of a script (11 characters). */
  touches(key: string): boolean {
    return this.#graph.countTouching(key) > 0
  }

  items(hashX: Uint8Array): readonly MempoolItem[] {
    return this.itemsOf(toLatin1(hashX))
  }

  itemsOf(key: string): readonly MempoolItem[] {
    const items: MempoolItem[] = []
    for (const entry of this.#graph.touching(key)) items.push(this.#item(entry))
    return items.sort((a, b) => b.height - a.height || compareTxids(a, b))
  }

  utxos(hashX: Uint8Array): readonly MempoolUtxo[] {
    const key = toLatin1(hashX)
    const utxos: MempoolUtxo[] = []
    for (const entry of this.#graph.touching(key)) {
      for (const vout of placesOf(entry.outputHashXs, key)) {
        const coin = coinAt(entry, vout)
        if (coin === undefined || this.#graph.spenderOf(outpointOf(entry.txid, vout)) !== undefined) continue
        utxos.push({ txid: entry.txid, vout, value: BigInt(coin.value) })
      }
    }
    return utxos.sort((a, b) => compareTxids(a, b) || a.vout - b.vout)
  }

  /** Outpoints (36 bytes) of a script (11 characters) that the mempool spends. */
  spentOf(key: string): Uint8Array[] {
    const spent: Uint8Array[] = []
    for (const { prevouts, inputHashXs } of this.#graph.touching(key)) {
      for (const i of placesOf(inputHashXs, key)) spent.push(keyBytes(prevoutAt(prevouts, i)))
    }
    return spent
  }

  isSpent(outpoint: Uint8Array): boolean {
    return this.#graph.spenderOf(toLatin1(outpoint)) !== undefined
  }

  spenderOf(outpoint: Uint8Array): MempoolSpender | undefined {
    const key = toLatin1(outpoint)
    const entry = this.#graph.spenderOf(key)
    if (entry === undefined) return undefined
    const input = entry.inputValues.findIndex((_, i) => prevoutAt(entry.prevouts, i) === key)
    const { txid, height, fee } = this.#item(entry)
    return { txid, height, fee, hashX: keyBytes(hashXAt(entry.inputHashXs, input)) }
  }

  output(txid: string, vout: number): MempoolOutput | undefined {
    const entry = this.#graph.get(txid)
    if (entry === undefined || vout >= entry.outputValues.length) return undefined
    const coin = coinAt(entry, vout)
    return { height: heightIn(this.#graph, entry), hashX: coin === undefined ? undefined : keyBytes(coin.hashX) }
  }

  balanceDelta(hashX: Uint8Array): bigint {
    const key = toLatin1(hashX)
    let delta = 0
    for (const entry of this.#graph.touching(key)) delta += deltaOf(entry, key)
    return BigInt(delta)
  }

  feeHistogram(): CompactHistogram {
    return this.#histogram
  }

  /** At most RECENT_KEPT are known. */
  recent(count: number): readonly { readonly txid: string; readonly fee: bigint; readonly vsize: number }[] {
    return this.#recent.slice(0, count).map(({ txid, fee, vsize }) => ({ txid, fee: BigInt(fee), vsize }))
  }

  #item(entry: MempoolEntry): MempoolItem {
    return { txid: entry.txid, height: heightIn(this.#graph, entry), fee: BigInt(entry.fee) }
  }
}

function compareTxids(a: { readonly txid: string }, b: { readonly txid: string }): number {
  return a.txid < b.txid ? -1 : a.txid > b.txid ? 1 : 0
}
