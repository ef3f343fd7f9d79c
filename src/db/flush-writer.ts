import { setImmediate as nextTurn } from 'node:timers/promises'
import { compareBytes } from '../lib/bytes.ts'
import { gatherSome } from './gather.ts'
import { ALL_GATHERED } from './history-rows.ts'
import type { LayerData } from './layer.ts'
import { layerRows } from './layer-rows.ts'
import { GATHERED } from './layout.ts'
import { unpackRows } from './packed-rows.ts'
import type { Store, StoreBatch } from './store.ts'

/** All that one flush writes to the store. */
export interface FlushJob {
  readonly layer: LayerData
  readonly listsOutputs: boolean
  /** Scripts whose histories are gathered: see GatheredHistories. */
  readonly gatheredBelow: Uint8Array
  /** Every other row: see PackedRows. */
  readonly rows: Uint8Array
}

/** A batch that waits for the files to be safe. One of the two is to be called. */
export interface PreparedFlush {
  /** Settles once the batch would outlive a loss of power. Throws StorageError. */
  write(): Promise<void>
  discard(): Promise<void>
}

/** Makes the batches of flushes, and gathers histories between them. One thing at a time. */
export interface FlushWriter {
  prepare(job: FlushJob): Promise<PreparedFlush>
  /** See gatherSome. */
  gather(from: Uint8Array): Promise<Uint8Array>
  /** Before the store is closed. */
  close(): Promise<void>
}

/** The batch of a flush; others get a turn now and then while it is made. */
export async function stageFlush(store: Store, job: FlushJob): Promise<StoreBatch> {
  const batch = store.batch()
  try {
    const gathered = { below: job.gatheredBelow, get: (key: Uint8Array) => store.getSync(key) }
    for (const _turn of layerRows(job.layer, job.listsOutputs, gathered, batch)) await nextTurn()
    if (compareBytes(job.gatheredBelow, ALL_GATHERED) < 0) batch.del(GATHERED.keyBytes({}))
    for (const _turn of unpackRows(job.rows, batch)) await nextTurn()
    return batch
  } catch (error) {
    await batch.discard()
    throw error
  }
}

/** Makes batches on the thread that it is called on. */
export class StoreWriter implements FlushWriter {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  prepare(job: FlushJob): Promise<PreparedFlush> {
    return stageFlush(this.#store, job)
  }

  gather(from: Uint8Array): Promise<Uint8Array> {
    return gatherSome(this.#store, from)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
