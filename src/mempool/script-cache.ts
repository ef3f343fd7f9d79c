import { LRUCache } from 'lru-cache'
import type { UtxoList } from '../db/utxo-list.ts'
import { type CacheName, CacheTallies, type CacheTally } from '../metrics.ts'
import { type ConfirmedHistory, KEEP_STATE } from './confirmed-history.ts'
import { OutputTexts } from './output-texts.ts'

/** The confirmed unspent outputs of a script, whatever the mempool spends of them. */
export interface ConfirmedOutputs {
  /** Undefined where only their sum was asked for. */
  readonly list: UtxoList | undefined
  /** How many they are. */
  readonly count: number
  /** Satoshis of all of them. */
  readonly sum: bigint
  readonly texts: OutputTexts
}

export interface ScriptCacheOptions {
  /** Bytes of all that is kept, as estimated; what was not used for longest goes first. 0 keeps nothing. */
  readonly maxBytes: number
}

/** Bytes of the text of a history's entry, and of a list of outputs beside its rows: measured, rounded up. */
const HISTORY_TEXT_BYTES = 110
const UTXO_LIST_BYTES = 300
/** Of the state of a hash, and of what is kept of a script without any of these. */
const STATE_BYTES = 500
const ENTRY_BYTES = 500
/** One script gets at most this share of its half. */
const LARGEST_SHARE = 1 / 4
/** Scripts that are remembered as touched between two views; beyond that everything is forgotten with the next one. */
const MOST_TOUCHED = 200_000

/** How a view comes after the one before it: on top of it, or as another branch, with or without a common part. */
export type Succession = 'longer' | 'other'

/**
 * Confirmed histories and outputs of scripts, by hashX (11 characters). A view is known by its number: each new one has
 * the next. What was read from a view is good for it and for those after it, until one comes in which the script was
 * touched; never for one before it. A history is then still the beginning of the one that is, unless blocks were taken
 * back that touched the script. Nothing else is asked of the caller than to read a view only under its own number.
 */
export class ScriptCache {
  readonly histories: KeptByScript<ConfirmedHistory>
  readonly outputs: KeptByScript<ConfirmedOutputs>
  #view = 0
  #touched = new Set<string>()
  #tooMany = false

  constructor({ maxBytes }: ScriptCacheOptions, tallies = new CacheTallies()) {
    const kept = <T extends object>(name: CacheName, sizeOf: (value: T) => number) =>
      new KeptByScript(maxBytes / 2, { current: () => this.#view, sizeOf, tally: tallies.of(name) })
    this.histories = kept(
      'histories',
      ({ count, list }: ConfirmedHistory) =>
        (count < KEEP_STATE ? 0 : STATE_BYTES) + (list === undefined ? 0 : list.bytes + count * HISTORY_TEXT_BYTES),
    )
    this.outputs = kept(
      'outputs',
      ({ list, texts }: ConfirmedOutputs) => texts.bytes + (list === undefined ? 0 : UTXO_LIST_BYTES + list.bytes),
    )
  }

  /** Keeps outputs that were read from the view of this number, and from now on what readers make of them. */
  putOutputs(hashX: string, view: number, found: Omit<ConfirmedOutputs, 'texts'>): ConfirmedOutputs {
    const listed = found.list === undefined ? 0 : UTXO_LIST_BYTES + found.list.bytes
    const outputs: ConfirmedOutputs = {
      list: found.list,
      count: found.count,
      sum: found.sum,
      texts: new OutputTexts((bytes) => this.outputs.resize(hashX, outputs, listed + bytes)),
    }
    this.outputs.put(hashX, view, outputs)
    return outputs
  }

  /** Number of the newest view. */
  get view(): number {
    return this.#view
  }

  /** Bytes kept, as estimated. */
  get bytes(): number {
    return this.histories.bytes + this.outputs.bytes
  }

  /** Transactions of the longest history that is kept as a list. */
  get longestList(): number {
    return Math.floor(this.histories.largest / (HISTORY_TEXT_BYTES + 45))
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
  advance(hashXs: ReadonlySet<string>, succession: Succession): number {
    this.#view += 1
    const isLonger = succession === 'longer'
    if (!isLonger) this.histories.branchOff()
    if (this.#tooMany) {
      if (isLonger) this.histories.outdateAll()
      else this.histories.clear()
      this.outputs.clear()
    } else if (this.bytes > 0) {
      for (const touched of [this.#touched, hashXs]) {
        for (const hashX of touched) {
          if (isLonger) this.histories.outdate(hashX)
          else this.histories.delete(hashX)
          this.outputs.delete(hashX)
        }
      }
    }
    this.#touched = new Set()
    this.#tooMany = false
    return this.#view
  }
}

interface Kept<T> {
  readonly value: T
  /** Number of the view that it was read from. */
  readonly view: number
  /** Number of the first view for which it is only a beginning. */
  outdated: number
}

/** What is still good of an outdated value. */
export interface Beginning<T> {
  readonly value: T
  /** Blocks were taken back since, none of which touched the script: numbers of transactions may have gone to others. */
  readonly branched: boolean
}

interface KeptCollaborators<T> {
  /** Number of the newest view. */
  readonly current: () => number
  /** Bytes of a value, without the entry. */
  readonly sizeOf: (value: T) => number
  readonly tally: CacheTally
}

/** One kind of value. */
export class KeptByScript<T extends object> {
  /** Bytes of the largest value that is kept. */
  readonly largest: number
  readonly #lru: LRUCache<string, Kept<T>> | undefined
  readonly #current: () => number
  readonly #sizeOf: (value: T) => number
  readonly #tally: CacheTally
  /** Numbers of the last views in which anything may have been touched, and which were other branches. */
  #allOutdated = 0
  #branched = 0

  constructor(maxBytes: number, { current, sizeOf, tally }: KeptCollaborators<T>) {
    const maxEntrySize = Math.floor(maxBytes * LARGEST_SHARE)
    this.#lru = maxEntrySize > 0 ? new LRUCache({ maxSize: Math.floor(maxBytes), maxEntrySize }) : undefined
    this.largest = Math.max(0, maxEntrySize - ENTRY_BYTES)
    this.#current = current
    this.#sizeOf = sizeOf
    this.#tally = tally
    tally.bytes = () => this.bytes
  }

  get bytes(): number {
    return this.#lru?.calculatedSize ?? 0
  }

  /** What the view of this number says of a script, if that is kept. */
  get(hashX: string, view: number): T | undefined {
    const kept = this.#lru?.get(hashX)
    if (kept === undefined || kept.view > view || kept.outdated <= view || kept.view < this.#allOutdated) {
      this.#tally.misses++
      return undefined
    }
    this.#tally.hits++
    return kept.value
  }

  /** What the view of this number says of a script, or the beginning of it, if that is kept. */
  beginning(hashX: string, view: number): Beginning<T> | undefined {
    const kept = this.#lru?.get(hashX)
    if (kept === undefined || kept.view > view) return undefined
    return { value: kept.value, branched: kept.view < this.#branched }
  }

  /** Keeps what was read from the view of this number; no use if there is a newer one by now, which may differ. */
  put(hashX: string, view: number, value: T): void {
    if (view !== this.#current()) return
    const size = ENTRY_BYTES + this.#sizeOf(value)
    this.#lru?.set(hashX, { value, view, outdated: Number.POSITIVE_INFINITY }, { size })
  }

  /** What is kept of a script takes so many bytes now, if that is this value still. False if there is no room for it. */
  resize(hashX: string, value: T, bytes: number): boolean {
    const kept = this.#lru?.peek(hashX)
    if (kept?.value !== value || bytes > this.largest) return false
    // The size of what is set again is only looked at if it is another object.
    this.#lru?.set(hashX, { ...kept }, { size: ENTRY_BYTES + bytes })
    return true
  }

  /** What is kept of a script is only a beginning for the current view. */
  outdate(hashX: string): void {
    const kept = this.#lru?.peek(hashX)
    if (kept !== undefined) kept.outdated = Math.min(kept.outdated, this.#current())
  }

  /** The same of all scripts. */
  outdateAll(): void {
    this.#allOutdated = this.#current()
  }

  /** The current view does not stand on the one before it. */
  branchOff(): void {
    this.#branched = this.#current()
  }

  delete(hashX: string): void {
    this.#lru?.delete(hashX)
  }

  clear(): void {
    this.#lru?.clear()
  }
}
