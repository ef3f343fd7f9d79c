import { setImmediate as nextTurn } from 'node:timers/promises'
import { HASHX_SIZE } from '../chain/script.ts'
import { RowWriter, readUnspent } from './keys.ts'
import { OUTPUTS, UTXOS } from './layout.ts'
import type { Store } from './store.ts'

const ROWS_PER_BATCH = 20_000

/**
 * Makes the OUTPUTS rows from the UTXOS rows, in as many batches as it takes: whoever calls notes in the state row, last
 * of all, that they are there. Rows that an earlier try has left are taken away first.
 */
export async function listOutputs(store: Store, signal?: AbortSignal): Promise<void> {
  for await (const rows of store.scan(OUTPUTS.range())) {
    signal?.throwIfAborted()
    const batch = store.batch()
    for (const [key] of rows) batch.del(key)
    await batch.write()
  }
  const writer = new RowWriter()
  let batch = store.batch()
  let waiting = 0
  for await (const rows of store.scan(UTXOS.range())) {
    signal?.throwIfAborted()
    for (const [key, value] of rows) {
      const { vout, value: satoshis } = readUnspent(key, value)
      batch.put(writer.outputKey(key, 1 + HASHX_SIZE, vout), writer.outputValue(key, 1, satoshis))
    }
    waiting += rows.length
    await nextTurn()
    if (waiting < ROWS_PER_BATCH) continue
    await batch.write()
    batch = store.batch()
    waiting = 0
  }
  await batch.write()
}
