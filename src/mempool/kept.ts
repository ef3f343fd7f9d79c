import type { ChainView } from '../db/view.ts'

/** Which transactions matter to an index that a coin adds. What spends an output of one that does matters too. */
export interface Interest {
  /** By its bytes alone. */
  marks(raw: Uint8Array): boolean
  /** By what it spends: an outpoint (36 bytes) that is confirmed in `view`. */
  carries(view: ChainView, outpoint: Uint8Array): boolean
}

/** A transaction that is kept whole. */
export interface KeptTx {
  /** As displayed. */
  readonly txid: string
  /** Place in the order in which the mempool's transactions came. */
  readonly order: number
  /** Undefined where the node has to be asked for it: see KeptTxs. */
  readonly raw: Uint8Array | undefined
}

/** Those that are kept, at one instant. */
export class KeptList {
  static readonly EMPTY = new KeptList([])
  /** In the order in which they came. */
  readonly txs: readonly KeptTx[]
  #ids: ReadonlySet<string> | undefined

  constructor(txs: readonly KeptTx[]) {
    this.txs = txs
  }

  /** `txid` as displayed. */
  has(txid: string): boolean {
    this.#ids ??= new Set(this.txs.map((tx) => tx.txid))
    return this.#ids.has(txid)
  }
}

/**
 * The transactions of the mempool that matter to an index that a coin adds. Their bytes are kept up to a limit; further
 * ones, and those found to matter only later, are named without.
 */
export class KeptTxs {
  readonly #maxBytes: number
  readonly #txs = new Map<string, KeptTx>()
  #bytes = 0
  /** Of what is kept now; undefined once that has changed. */
  #list: KeptList | undefined = KeptList.EMPTY

  constructor(options: { readonly maxBytes: number }) {
    this.#maxBytes = options.maxBytes
  }

  get size(): number {
    return this.#txs.size
  }

  /** Bytes of the transactions that are kept. */
  get bytes(): number {
    return this.#bytes
  }

  has(txid: string): boolean {
    return this.#txs.has(txid)
  }

  /** The one that was there under the id stays. */
  add({ txid, order, raw }: KeptTx): void {
    if (this.#txs.has(txid)) return
    const fits = raw !== undefined && this.#bytes + raw.length <= this.#maxBytes
    // A copy: what was read may be a part of something larger.
    const own = fits ? Uint8Array.from(raw) : undefined
    this.#txs.set(txid, { txid, order, raw: own })
    this.#bytes += own?.length ?? 0
    this.#list = undefined
  }

  delete(txid: string): void {
    const tx = this.#txs.get(txid)
    if (tx === undefined) return
    this.#txs.delete(txid)
    this.#bytes -= tx.raw?.length ?? 0
    this.#list = undefined
  }

  /** The same object as long as nothing changes. */
  list(): KeptList {
    this.#list ??= new KeptList(Object.freeze([...this.#txs.values()]))
    return this.#list
  }
}
