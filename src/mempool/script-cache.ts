import { LRUCache } from 'lru-cache'
import type { HistoryItem, Utxo } from '../db/view.ts'
import type { LongText } from '../lib/long-text.ts'
import type { StatusOfHistory } from './status.ts'

/** What readers made of a confirmed history, set by the first who makes it and the same for everybody. */
export interface HistoryMemo {
  /** Its entries as JSON, without what stands around a list. */
  text: string | LongText | undefined
  /** Where nothing is unconfirmed. */
  status: StatusOfHistory | undefined
}

/** The confirmed history of a script, complete and frozen. */
export interface ConfirmedHistory {
  readonly items: readonly HistoryItem[]
  readonly memo: HistoryMemo
}

/** As HistoryMemo, of outputs. */
export interface OutputsMemo {
  text: string | LongText | undefined
}

/** The confirmed unspent outputs of a script, whatever the mempool spends of them; frozen. */
export interface ConfirmedOutputs {
  readonly utxos: readonly Utxo[]
  /** Satoshis of all of them. */
  readonly sum: bigint
  readonly memo: OutputsMemo
}

export interface ScriptCacheOptions {
  /** Bytes of all that is kept, as estimated; what was not used for longest goes first. 0 keeps nothing. */
  readonly maxBytes: number
}

/** Bytes of an item with its share of text, and of an entry without any: measured on the heap, rounded up. */
const HISTORY_ITEM_BYTES = 400
const OUTPUT_BYTES = 450
const ENTRY_BYTES = 500
/** One script gets at most this share of its half. */
const LARGEST_SHARE = 1 / 4
/** Scripts that are remembered as touched between two views; beyond that everything is forgotten with the next one. */
const MOST_TOUCHED = 200_000

/**
 * Confirmed histories and outputs of scripts, by hashX (11 characters). A view is known by its number: each new one has
 * the next. What was read from a view is good for it and for those after it, until one comes in which the script was
 * touched; never for one before it. Nothing else is asked of the caller than to read a view only under its own number.
 */
export class ScriptCache {
  readonly histories: KeptByScript<ConfirmedHistory>
  readonly outputs: KeptByScript<ConfirmedOutputs>
  #view = 0
  #touched = new Set<string>()
  #tooMany = false

  constructor({ maxBytes }: ScriptCacheOptions) {
    const current = (): number => this.#view
    this.histories = new KeptByScript(maxBytes / 2, current, ({ items }) => items.length * HISTORY_ITEM_BYTES)
    this.outputs = new KeptByScript(maxBytes / 2, current, ({ utxos }) => utxos.length * OUTPUT_BYTES)
  }

  /** Number of the newest view. */
  get view(): number {
    return this.#view
  }

  /** Bytes kept, as estimated. */
  get bytes(): number {
    return this.histories.bytes + this.outputs.bytes
  }

  /**
   * Scripts were touched while the view stayed. They count as touched with the next view too: whoever tells need not
   * know what of it is the mempool's and what is that of a block to come.
   */
  touch(hashXs: ReadonlySet<string>): void {
    if (this.#tooMany) return
    for (const hashX of hashXs) this.#touched.add(hashX)
    if (this.#touched.size <= MOST_TOUCHED) return
    this.#tooMany = true
    this.#touched = new Set()
  }

  /** A new view is there, in which these scripts, and those told of before, may be others. Gives its number. */
  advance(hashXs: ReadonlySet<string>): number {
    this.#view += 1
    if (this.#tooMany) {
      this.histories.clear()
      this.outputs.clear()
    } else {
      this.#drop(this.#touched)
      this.#drop(hashXs)
    }
    this.#touched = new Set()
    this.#tooMany = false
    return this.#view
  }

  #drop(hashXs: ReadonlySet<string>): void {
    if (this.bytes === 0) return
    for (const hashX of hashXs) {
      this.histories.delete(hashX)
      this.outputs.delete(hashX)
    }
  }
}

interface Kept<T> {
  readonly value: T
  /** Number of the view that it was read from. */
  readonly view: number
}

/** One kind of value. */
export class KeptByScript<T> {
  readonly #lru: LRUCache<string, Kept<T>> | undefined
  readonly #current: () => number
  readonly #sizeOf: (value: T) => number

  constructor(maxBytes: number, current: () => number, sizeOf: (value: T) => number) {
    const maxEntrySize = Math.floor(maxBytes * LARGEST_SHARE)
    this.#lru = maxEntrySize > 0 ? new LRUCache({ maxSize: Math.floor(maxBytes), maxEntrySize }) : undefined
    this.#current = current
    this.#sizeOf = sizeOf
  }

  get bytes(): number {
    return this.#lru?.calculatedSize ?? 0
  }

  /** What the view of this number says of a script, if that is kept. */
  get(hashX: string, view: number): T | undefined {
    const kept = this.#lru?.get(hashX)
    return kept === undefined || kept.view > view ? undefined : kept.value
  }

  /** Keeps what was read from the view of this number; no use if there is a newer one by now, which may differ. */
  put(hashX: string, view: number, value: T): void {
    if (view !== this.#current()) return
    this.#lru?.set(hashX, { value, view }, { size: ENTRY_BYTES + this.#sizeOf(value) })
  }

  delete(hashX: string): void {
    this.#lru?.delete(hashX)
  }

  clear(): void {
    this.#lru?.clear()
  }
}
