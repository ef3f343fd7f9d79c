import { setImmediate as nextTurn } from 'node:timers/promises'
import type { LayerData } from './layer.ts'
import { layerRows } from './layer-rows.ts'
import { unpackRows } from './packed-rows.ts'
import type { Store, StoreBatch } from './store.ts'

/** All that one flush writes to the store. */
export interface FlushJob {
  readonly layer: LayerData
  readonly listsOutputs: boolean
  /** Every other row: see PackedRows. */
  readonly rows: Uint8Array
}

/** A batch that waits for the files to be safe. One of the two is to be called. */
export interface PreparedFlush {
  /** Settles once the batch would outlive a loss of power. Throws StorageError. */
  write(): Promise<void>
  discard(): Promise<void>
}

/** Makes the batches of flushes. One at a time. */
export interface FlushWriter {
  prepare(job: FlushJob): Promise<PreparedFlush>
  /** Before the store is closed. */
  close(): Promise<void>
}

/** The batch of a flush; others get a turn now and then while it is made. */
export async function stageFlush(store: Store, job: FlushJob): Promise<StoreBatch> {
  const batch = store.batch()
  try {
    for (const _turn of layerRows(job.layer, job.listsOutputs, batch)) await nextTurn()
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

  close(): Promise<void> {
    return Promise.resolve()
  }
}
