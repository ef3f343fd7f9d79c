import type { KeySpace } from './layout.ts'
import type { UtxoList } from './utxo-list.ts'

/** The best indexed block. `hash` in internal byte order; `txCount` counts all transactions up to and with it. */
export interface Tip {
  readonly height: number
  readonly hash: Uint8Array
  readonly txCount: number
}

/** A confirmed transaction of a script's history. `txid` in internal byte order. */
export interface HistoryItem {
  readonly txNum: number
  readonly height: number
  readonly txid: Uint8Array
}

/** A confirmed unspent output. `value` in satoshis. */
export interface Utxo {
  readonly txid: Uint8Array
  readonly vout: number
  readonly txNum: number
  readonly height: number
  readonly value: bigint
}

/** Unspent outputs together. `value` in satoshis. */
export interface OutputSum {
  readonly value: bigint
  readonly outputs: number
}

/** Where a transaction stands in the chain; `position` counts inside its block. */
export interface TxPosition {
  readonly txNum: number
  readonly height: number
  readonly position: number
}

/** What an outpoint pays: the hashX of its script and its satoshis. */
export interface OutputInfo {
  readonly hashX: Uint8Array
  readonly value: bigint
}

/** Siblings from the leaf up, and the root they lead to; all in internal byte order. */
export interface MerkleProof {
  readonly branch: readonly Uint8Array[]
  readonly root: Uint8Array
}

/** A row of an index that a coin adds. */
export interface RowOf<K, V> {
  readonly key: K
  readonly value: V
}

/** Which rows of a range are read. */
export interface PageOptions {
  /** Only rows beyond this key (without the prefix), in the direction that is read. */
  readonly beyond?: Uint8Array | undefined
  /** From the last key to the first. */
  readonly reverse?: boolean
  readonly limit: number
}

/** Rows of the indexes that a coin adds. */
export interface CoinRows {
  /** A row of an index that the coin adds, read at once: from memory, or by one look into the database. */
  row<K, V>(space: KeySpace<K, V>, key: K): V | undefined
  /** Rows of an index that the coin adds, whose keys go on with `start` (without the prefix), in the order of keys. */
  rows<K, V>(space: KeySpace<K, V>, start: Uint8Array): Promise<readonly RowOf<K, V>[]>
  /** The first or last so many of them. */
  page<K, V>(space: KeySpace<K, V>, start: Uint8Array, options: PageOptions): Promise<readonly RowOf<K, V>[]>
}

/** The same as they were at an earlier height. */
export interface PastRows extends CoinRows {
  /** Rows that were there at that height and have changed since, or are gone. */
  changed<K, V>(space: KeySpace<K, V>): Iterable<RowOf<K, V>>
}

/**
 * The index at one tip: every read a query can make. It stays what it was while blocks come and go; whoever has one
 * calls release() when done, once. Heights above the tip and unknown ids give undefined or shorter lists, never errors.
 */
export interface ChainView extends CoinRows {
  readonly tip: Tip

  /** The 80 bytes of a header (the whole header of coins that have longer ones). */
  header(height: number): Uint8Array | undefined
  /** Headers `start` and on, one after the other; fewer where the chain ends. */
  headers(start: number, count: number): { readonly count: number; readonly bytes: Uint8Array }
  /** Proof that the header at `height` is under the root over the headers 0 to `checkpoint`. */
  headerProof(height: number, checkpoint: number): Promise<MerkleProof>

  /** Ids of a block's transactions, 32 bytes each, in block order; undefined above the tip. */
  blockTxids(height: number): Promise<Uint8Array | undefined>
  /** Where a transaction is; the later place of the two coinbases that exist twice (BIP30). */
  findTransaction(txid: Uint8Array): Promise<TxPosition | undefined>

  /**
   * Transactions that pay to or spend from a script, in chain order. Reads at most `limit` + 1 of them, so that a
   * caller sees that there are more.
   */
  history(hashX: Uint8Array, limit: number): Promise<readonly HistoryItem[]>
  /** Those with numbers from `from` on, however many, some at a time. */
  historyFrom(hashX: Uint8Array, from: number): AsyncIterable<readonly HistoryItem[]>
  /** The same at once, where all of them are in memory; undefined where the disk would have to be asked. */
  recentHistory(hashX: Uint8Array, from: number): readonly HistoryItem[] | undefined
  /**
   * Unspent outputs in chain order, then by output index. If there are more than `limit`, only so many are read as it
   * takes to see that, and which of them is not said.
   */
  utxos(hashX: Uint8Array, limit?: number): Promise<readonly Utxo[]>
  /** The same in little memory, with turns for others where they are many; undefined if there are more than `limit`. */
  unspent(hashX: Uint8Array, limit: number): Promise<UtxoList | undefined>
  /** What the unspent outputs are worth together, however many. */
  balance(hashX: Uint8Array): Promise<OutputSum>
  /**
   * The transaction that spends an outpoint (36 bytes) of the script `hashX`, or undefined if none does at this tip: the
   * first after transaction number `fundedBy` (the one that made the output) whose inputs have the outpoint's tag of eight
   * bytes. Outpoints with the same tag can be made on purpose, so whoever must be certain reads the transaction, and asks
   * again from its number on if it was another outpoint. All that the script has done until then is looked through:
   * `looked` hears of every few transactions, and ends the search by throwing.
   */
  findSpender(
    hashX: Uint8Array,
    outpoint: Uint8Array,
    fundedBy: number,
    looked?: (transactions: number) => void,
  ): Promise<HistoryItem | undefined>
  /**
   * What outpoints (36 bytes: txid internal, index LE) pay that are unspent at this tip, in the order asked. Where the
   * index does not list outputs the node is asked, which can fail as the daemon's calls do, and says nothing (undefined)
   * while it is at another tip.
   */
  unspentOutputs(outpoints: readonly Uint8Array[], signal?: AbortSignal): Promise<readonly (OutputInfo | undefined)[]>

  /** The lowest height that rowsAt() can go back to: as far as blocks can be taken back. */
  readonly lowestPast: number
  /**
   * Rows of the indexes that the coin adds as they were when the block at `height` was the tip; to be used while the view
   * is open. Rejects with RangeError for a height that is not from lowestPast to the tip, with RpcError 10001 if too many
   * rows have changed since, and with AbortError once `signal` aborts.
   */
  rowsAt(height: number, signal?: AbortSignal): Promise<PastRows>

  release(): void
}

/** Where unspent outputs are asked for that the index does not list: undefined for what is spent, or not known, at `tip`. */
export type OutputSource = (
  outpoints: readonly Uint8Array[],
  tip: Tip,
  signal: AbortSignal | undefined,
) => Promise<readonly (OutputInfo | undefined)[]>
