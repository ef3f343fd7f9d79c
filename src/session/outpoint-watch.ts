import { toLatin1 } from '../lib/bytes.ts'
import type { MomentNews } from '../mempool/moment.ts'
import type { FoundOutpoint, OutpointRef, OutpointScript } from '../rpc/outpoint.ts'

interface Watched {
  readonly ref: OutpointRef
  script: OutpointScript
  /** What was found of it when it was found spent in the chain. */
  spent: FoundOutpoint | undefined
}

/** Outpoints that somebody follows, and what has to happen until one of them is looked at again. */
export class OutpointWatch {
  readonly #watched = new Map<string, Watched>()
  /** Those whose script is known: everything that changes their status touches it. */
  readonly #byScript = new Map<string, Set<string>>()
  /** The others: looked at when their transaction (id as displayed) stirs, and at every new tip. */
  readonly #byTxid = new Map<string, Set<string>>()

  get size(): number {
    return this.#watched.size
  }

  /** What is known of the outpoint with this key (36 bytes, a character a byte). */
  get(key: string): Readonly<Watched> | undefined {
    return this.#watched.get(key)
  }

  add(key: string, ref: OutpointRef, script: OutpointScript): void {
    if (this.#watched.has(key)) {
      this.settle(key, script)
      return
    }
    const watched = { ref, script, spent: undefined }
    this.#watched.set(key, watched)
    this.#attach(key, watched)
  }

  /** Keeps what was found, if that need not be searched for again. */
  keepSpent(key: string, found: FoundOutpoint): void {
    const watched = this.#watched.get(key)
    if (watched !== undefined && found.spentIn !== undefined) watched.spent = found
  }

  /** Notes what an outpoint was found to pay to. What is known already stays. True if it was not known before. */
  settle(key: string, script: OutpointScript): boolean {
    const watched = this.#watched.get(key)
    if (watched === undefined || watched.script !== 'unknown' || script === 'unknown') return false
    this.#detach(key, watched)
    watched.script = script
    this.#attach(key, watched)
    return true
  }

  delete(key: string): void {
    const watched = this.#watched.get(key)
    if (watched === undefined) return
    this.#watched.delete(key)
    this.#detach(key, watched)
  }

  /** Keys of the outpoints whose script is known and whose status may have changed. */
  *among({ touched }: Pick<MomentNews, 'touched'>): Iterable<string> {
    for (const hashX of common(touched, this.#byScript)) yield* this.#byScript.get(hashX) ?? []
  }

  /** Keys of those of which nothing is known that may have come: with a new tip all there are, and hardly one of them has. */
  *unknownAmong({ newTip, stirred }: Pick<MomentNews, 'newTip' | 'stirred'>): Iterable<string> {
    const txids = newTip ? this.#byTxid.keys() : common(stirred, this.#byTxid)
    for (const txid of txids) yield* this.#byTxid.get(txid) ?? []
  }

  #attach(key: string, { ref, script }: Watched): void {
    // There is nothing that could happen to an output that does not exist.
    if (script === 'absent') return
    if (script instanceof Uint8Array) append(this.#byScript, toLatin1(script), key)
    else append(this.#byTxid, ref.txid, key)
  }

  #detach(key: string, { ref, script }: Watched): void {
    if (script instanceof Uint8Array) remove(this.#byScript, toLatin1(script), key)
    else remove(this.#byTxid, ref.txid, key)
  }
}

/** Puts `key` under `place`. */
export function append(index: Map<string, Set<string>>, place: string, key: string): void {
  const keys = index.get(place)
  if (keys === undefined) index.set(place, new Set([key]))
  else keys.add(key)
}

/** Takes it away again. */
export function remove(index: Map<string, Set<string>>, place: string, key: string): void {
  const keys = index.get(place)
  keys?.delete(key)
  if (keys?.size === 0) index.delete(place)
}

/** What is in both; takes the time of the smaller one. */
export function* common(some: ReadonlySet<string>, index: ReadonlyMap<string, unknown>): Iterable<string> {
  if (some.size <= index.size) {
    for (const key of some) if (index.has(key)) yield key
  } else {
    for (const key of index.keys()) if (some.has(key)) yield key
  }
}
