import type { HistoryItem } from '../db/view.ts'
import { RunningSha256, sha256Hex } from '../lib/hash.ts'
import type { LongText } from '../lib/long-text.ts'
import { HistoryList } from './history-list.ts'
import type { MempoolItem, StatusOfHistory } from './moment.ts'

/** Transactions from which on the state of the hash is kept; to hash fewer anew costs about as little. */
export const KEEP_STATE = 32

/** What readers made of a confirmed history, set by the first who makes it and the same for everybody. */
export interface HistoryMemo {
  /** Its entries as JSON, without what stands around a list. */
  text: string | LongText | undefined
}

/** The confirmed history of a script up to one block: all of it, or of a very long one what further ones go on from. */
export class ConfirmedHistory {
  static readonly EMPTY = new ConfirmedHistory({ count: 0, last: -1, complete: 0 }, HistoryList.of([]), undefined)
  /** Transactions. */
  readonly count: number
  /** Number of the last one; -1 if there is none. */
  readonly last: number
  /** All transactions of the script with numbers below this are in it. */
  readonly complete: number
  /** Undefined where there are too many to keep. */
  readonly list: HistoryList | undefined
  readonly memo: HistoryMemo = { text: undefined }
  /** Of the hash over all of them. */
  #state: RunningSha256 | undefined
  #status: StatusOfHistory | undefined

  private constructor(
    extent: { readonly count: number; readonly last: number; readonly complete: number },
    list: HistoryList | undefined,
    state: RunningSha256 | undefined,
  ) {
    this.count = extent.count
    this.last = extent.last
    this.complete = extent.complete
    this.list = list
    this.#state = state
  }

  /** With the transactions that come next; below number `complete` there are no others. */
  with(items: readonly HistoryItem[], complete: number): ConfirmedHistory {
    const extent = { count: this.count + items.length, last: items.at(-1)?.txNum ?? this.last, complete }
    const list = this.list?.with(items)
    if (items.length === 0 || this.#state === undefined) return new ConfirmedHistory(extent, list, this.#state)
    const text = list === undefined ? HistoryList.of(items).statusText() : list.statusText(this.count)
    return new ConfirmedHistory(extent, list, this.#state.with(text))
  }

  /** The same without the list: its status can be told, and that of what it becomes. */
  withoutList(): ConfirmedHistory {
    return new ConfirmedHistory(this, undefined, this.hashed())
  }

  /** The state of the hash over all of it, from now on kept. */
  hashed(): RunningSha256 {
    this.#state ??= RunningSha256.EMPTY.with(this.list?.statusText() ?? new Uint8Array(0))
    return this.#state
  }

  /** A hash over `txid:height:` of everything, confirmed first. */
  status(mempool: readonly MempoolItem[]): StatusOfHistory {
    if (mempool.length > 0) return this.#hash(mempool)
    this.#status ??= this.#hash(mempool)
    return this.#status
  }

  #hash(mempool: readonly MempoolItem[]): StatusOfHistory {
    const confirmed = this.count
    if (confirmed + mempool.length === 0) return { status: null, characters: 0, confirmed }
    let unconfirmed = ''
    for (const { txid, height } of mempool) unconfirmed += `${txid}:${height}:`
    const behind = Buffer.from(unconfirmed, 'latin1')
    if (this.list !== undefined && confirmed < KEEP_STATE) {
      const own = this.list.statusText()
      const text = behind.length === 0 ? own : Buffer.concat([own, behind])
      return { status: sha256Hex(text), characters: text.length, confirmed }
    }
    const all = behind.length === 0 ? this.hashed() : this.hashed().with(behind)
    return { status: all.hex(), characters: all.length, confirmed }
  }
}
