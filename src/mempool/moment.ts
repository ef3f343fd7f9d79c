import type { UtxoList } from '../db/utxo-list.ts'
import type { ChainView, Tip } from '../db/view.ts'
import type { Awaitable } from '../lib/awaitable.ts'
import type { HistoryMemo } from './confirmed-history.ts'
import type { HistoryList } from './history-list.ts'
import type { KeptList } from './kept.ts'
import type { OutputTexts } from './output-texts.ts'

/** An unconfirmed transaction as clients are told of it. `txid` as displayed. */
export interface MempoolItem {
  readonly txid: string
  /** 0, or -1 if it spends an unconfirmed output. */
  readonly height: 0 | -1
  readonly fee: bigint
}

/** One that spends an output. */
export interface MempoolSpender extends MempoolItem {
  /** Of the script that the output pays, 11 bytes. */
  readonly hashX: Uint8Array
}

/** An unconfirmed output that nothing in the mempool spends. */
export interface MempoolUtxo {
  readonly txid: string
  readonly vout: number
  readonly value: bigint
}

/** An output that an unconfirmed transaction makes. */
export interface MempoolOutput {
  /** Of the transaction: 0, or -1 if it spends an unconfirmed output. */
  readonly height: 0 | -1
  /** 11 bytes; undefined for an output that no index keeps, because nothing can spend it. */
  readonly hashX: Uint8Array | undefined
}

/** The mempool at one instant. Lists are copies: nobody is surprised by a later change. */
export interface MempoolView {
  /** False until the first load is done; what is here is then only a part. */
  readonly complete: boolean
  /**
   * False after a reorganisation whose tip was published before the node's mempool was known: transactions of lost blocks
   * are not back yet, and which others matter was found out on the branch that is lost.
   */
  readonly regained: boolean
  /**
   * False while the node has transactions that are not here: before the first load is done, and where many have come at
   * once. What those that are here do to an index that the coin adds may depend on them.
   */
  readonly whole: boolean
  readonly size: number
  has(txid: string): boolean
  /** Transactions that matter to an index that the coin adds. */
  readonly kept: KeptList
  /** Place of a transaction (`txid` as displayed) in the order in which all came; undefined if it is not here. */
  orderOf(txid: string): number | undefined
  /** Items that touch a script in canonical order: height 0 before -1, then by txid as displayed. */
  items(hashX: Uint8Array): readonly MempoolItem[]
  /** Unspent outputs of a script made in the mempool. */
  utxos(hashX: Uint8Array): readonly MempoolUtxo[]
  /** True if a mempool transaction spends this outpoint (36 bytes). */
  isSpent(outpoint: Uint8Array): boolean
  /** The mempool transaction that spends this outpoint (36 bytes). */
  spenderOf(outpoint: Uint8Array): MempoolSpender | undefined
  /** Output `vout` of a mempool transaction (`txid` as displayed); undefined if there is no such output here. */
  output(txid: string, vout: number): MempoolOutput | undefined
  /** Satoshis that the mempool adds to a script, negative where it takes away. */
  balanceDelta(hashX: Uint8Array): bigint
  /** [sat/vB, vsize] in falling order of the rate, binned as ElectrumX bins. */
  feeHistogram(): readonly (readonly [number, number])[]
  /** The newest arrivals, newest first. */
  recent(count: number): readonly { readonly txid: string; readonly fee: bigint; readonly vsize: number }[]
}

export interface ScriptHistory {
  readonly confirmed: HistoryList
  readonly mempool: readonly MempoolItem[]
  /** Of the confirmed part. */
  readonly memo: HistoryMemo
}

/** What clients compare, of a script. */
export interface StatusOfHistory {
  /** Hex of SHA-256 in its own order, not reversed; null if there is no history (protocol-basics, "Status"). */
  readonly status: string | null
  /** Characters that were hashed: what a status costs. */
  readonly characters: number
  /** Confirmed transactions among what it is of. */
  readonly confirmed: number
}

export interface ScriptBalance {
  readonly confirmed: bigint
  /** A difference: may be negative. */
  readonly unconfirmed: bigint
  /** Outputs that the confirmed part is the sum of. */
  readonly outputs: number
}

export interface ScriptUnspent {
  /** Confirmed and not spent in the mempool. */
  readonly confirmed: UtxoList
  readonly mempool: readonly MempoolUtxo[]
  /** Of the confirmed part. */
  readonly texts: OutputTexts
}

/**
 * A view and the mempool that goes with it: what one request reads from. Both stay what they were when the moment was
 * published, so that several answers of one request never mix two instants. Histories above the limit throw RpcError
 * 10001, or reject with it; so do outputs with -32600 that are too many for an answer. Balance and status tell of any
 * number in little memory.
 */
export interface Moment {
  readonly tip: Tip
  readonly view: ChainView
  readonly mempool: MempoolView
  history(hashX: Uint8Array): Awaitable<ScriptHistory>
  balance(hashX: Uint8Array): Awaitable<ScriptBalance>
  unspent(hashX: Uint8Array): Awaitable<ScriptUnspent>
  /** Confirmed unspent outputs, whatever the mempool spends of them. */
  outputs(hashX: Uint8Array): Awaitable<UtxoList>
  /** SHA-256 over `txid:height:` of the whole history. Takes little memory, however long the history. */
  status(hashX: Uint8Array): Awaitable<StatusOfHistory>
}

/** What changed when a new moment was published. */
export interface MomentChange {
  /** The tip is another one: a new block, or the other side of a reorganisation. */
  readonly newTip: boolean
  /** hashXs (11 bytes, one character a byte) whose answers may have changed, and what indexers of the coin name besides. */
  readonly touched: ReadonlySet<string>
}

/** The same as listeners hear it. */
export interface MomentNews extends MomentChange {
  /**
   * Ids, as displayed, of transactions that came into the mempool, left it, or are confirmed or unconfirmed further than
   * before (0 and -1) since the last publication. What a block holds that was not in the mempool is not among them.
   */
  readonly stirred: ReadonlySet<string>
}

/** Where the current moment is had from and changes are heard of. */
export interface MomentSource {
  /** True once there is a moment to serve: the index has reached the node's tip at least once. */
  readonly ready: boolean
  /**
   * Runs `use` with the current moment and releases its view after it settled. Throws RpcError -102 while not ready.
   */
  with<T>(use: (moment: Moment) => Awaitable<T>): Promise<T>
  /** As with(), without a promise where what `use` gives is at hand: throws at once or rejects. */
  use<T>(use: (moment: Moment) => Awaitable<T>): Awaitable<T>
  /** Calls `listener` after every publication until `signal` aborts. Listeners must not throw. */
  listen(listener: (news: MomentNews) => void, signal: AbortSignal): void
}
