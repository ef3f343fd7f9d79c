import { setImmediate as nextTurn } from 'node:timers/promises'
import { ERROR_CODES, InvariantError, RpcError } from '../errors.ts'
import { untilAborted } from '../lib/abort.ts'
import { equalBytes, fromLatin1, toHex, toLatin1 } from '../lib/bytes.ts'
import { sortedInTurns } from '../lib/sort.ts'
import { LayeredRows } from './layered-rows.ts'
import { type KeySpace, type RowWrite, UNDO } from './layout.ts'
import { PendingLayer } from './pending.ts'
import type { StoreReader } from './store.ts'
import type { PastRows, RowOf } from './view.ts'

/** What takes a block back that is not on disk. */
export interface UndoneBlock {
  readonly height: number
  readonly writes: readonly RowWrite[]
}

/** What an earlier height is worked out of. */
export interface PastSources {
  readonly reader: StoreReader
  /** Rows above `reader`, as they are at the tip. */
  readonly rows: PendingLayer
  readonly tip: { readonly height: number; readonly hash: Uint8Array }
  /** Blocks that are not in `reader`. */
  readonly unflushed: readonly UndoneBlock[]
  /** Hash (internal order) of the block at a height. */
  blockHash(height: number): Uint8Array | undefined
}

export interface PastOptions {
  /** Bytes, about, of the rows of a height that can be asked for, and of those of all heights that are kept. */
  readonly maxBytes: number
}

/** Some 400,000 rows: hours of the busiest blocks that Atomicals have had. */
export const PAST_DEFAULTS: PastOptions = { maxBytes: 100 * 2 ** 20 }
const WRITES_PER_TURN = 4000
/** What a row costs in memory beyond its characters, about, and what a height does beyond its rows. */
const ROW_OVERHEAD = 120
const LAYER_OVERHEAD = 500

/** Rows of a height as far as they are others than at the tip. */
interface Layer {
  readonly rows: PendingLayer
  readonly bytes: number
}

/**
 * Works out the rows of earlier heights by what takes blocks back, one height at a time, and keeps the last few: who asks
 * for one asks for more of it. What it keeps holds for the tip it was made from, whatever was flushed since, and is to be
 * let go of with that.
 */
export class PastLayers {
  readonly #options: PastOptions
  /** The last used comes last. */
  readonly #kept = new Map<string, Layer>()
  #bytes = 0
  /** How often everything was let go of: what was begun before is not kept. */
  #era = 0
  #last: Promise<void> = Promise.resolve()

  constructor(options: PastOptions = PAST_DEFAULTS) {
    this.#options = options
  }

  /** Of what is kept, about. */
  get bytes(): number {
    return this.#bytes
  }

  /** To be called when the tip is another one: who asks from then on asks for other rows. */
  forget(): void {
    this.#era += 1
    this.#kept.clear()
    this.#bytes = 0
  }

  /**
   * Rows after the block at `height`, which is not above the tip and not below what can be taken back. Rejects with
   * RpcError 10001 if too many have changed since, and with AbortError once `signal` aborts.
   */
  async at(height: number, sources: PastSources, signal?: AbortSignal): Promise<PastRows> {
    const key = `${toHex(sources.tip.hash)}:${height}`
    const era = this.#era
    const layer = this.#kept.get(key) ?? (await this.#inTurn(key, () => this.#make(height, sources, signal), signal))
    if (era === this.#era) this.#keep(key, layer)
    return new RowsBefore(sources, layer.rows)
  }

  /** One at a time: each may take much memory until it is done. */
  #inTurn(key: string, make: () => Promise<Layer>, signal: AbortSignal | undefined): Promise<Layer> {
    const made = this.#last.then(async () => this.#kept.get(key) ?? (await make()))
    const over = (): void => {}
    this.#last = made.then(over, over)
    return untilAborted(made, signal)
  }

  #keep(key: string, layer: Layer): void {
    if (!this.#kept.delete(key)) this.#bytes += layer.bytes
    this.#kept.set(key, layer)
    for (const [oldest, { bytes }] of this.#kept) {
      if (this.#bytes <= this.#options.maxBytes) break
      this.#kept.delete(oldest)
      this.#bytes -= bytes
    }
  }

  async #make(height: number, sources: PastSources, signal: AbortSignal | undefined): Promise<Layer> {
    const rows = new Map<string, string | undefined>()
    let bytes = LAYER_OVERHEAD
    let count = 0
    for (let at = sources.tip.height; at > height; at--) {
      signal?.throwIfAborted()
      for (const { key, value } of writesOf(at, sources)) {
        if (!rows.has(key)) bytes += ROW_OVERHEAD + key.length
        bytes += (value?.length ?? 0) - (rows.get(key)?.length ?? 0)
        rows.set(key, value)
        count += 1
        if (count % WRITES_PER_TURN === 0) await nextTurn()
      }
      if (bytes > this.#options.maxBytes) {
        const { code } = ERROR_CODES.historyTooLong
        throw new RpcError(code, `too much has changed since height ${height}: ask for a later one`)
      }
      await nextTurn()
    }
    return { rows: new PendingLayer(rows, await inOrder([...rows.keys()])), bytes }
  }
}

/** Sorting half a million keys in one go would keep everybody else waiting for a second. */
async function inOrder(keys: readonly string[]): Promise<string[]> {
  const order = await sortedInTurns(keys.length, (a, b) => ((keys[a] ?? '') < (keys[b] ?? '') ? -1 : 1))
  return Array.from(order, (at) => keys[at] ?? '')
}

function writesOf(height: number, sources: PastSources): readonly RowWrite[] {
  const inMemory = sources.unflushed.find((block) => block.height === height)
  if (inMemory !== undefined) return inMemory.writes
  const bytes = sources.reader.getSync(UNDO.keyBytes({ height }))
  const row = bytes === undefined ? undefined : UNDO.readValue(bytes)
  const hash = sources.blockHash(height)
  if (row === undefined || hash === undefined || !equalBytes(row.hash, hash)) {
    throw new InvariantError(`what takes block ${height} back is missing`)
  }
  return row.writes
}

class RowsBefore extends LayeredRows implements PastRows {
  readonly #layer: PendingLayer

  constructor({ reader, rows }: PastSources, layer: PendingLayer) {
    super(reader, [rows, layer])
    this.#layer = layer
  }

  *changed<K, V>(space: KeySpace<K, V>): Generator<RowOf<K, V>> {
    const { gte, lt } = space.range(new Uint8Array(0))
    for (const { key, value } of this.#layer.each(toLatin1(gte), toLatin1(lt))) {
      if (value === undefined) continue
      yield { key: space.readKey(fromLatin1(key)), value: space.readValueText(value) }
    }
  }
}
