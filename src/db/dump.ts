import { toHex } from '../lib/bytes.ts'
import { readHistory } from './keys.ts'
import { HISTORY, UNDO } from './layout.ts'
import type { StoreReader } from './store.ts'

/**
 * Every row of the store by its meaning, as lines in the order of keys: history as the transaction numbers of each
 * script however they are packed into rows. Undo rows are left out: they say how the tip was reached, not what it is.
 */
export async function* dumpRows(store: StoreReader): AsyncGenerator<string> {
  let script = ''
  let txNums: number[] = []
  const everything = { gte: new Uint8Array(0), lt: new Uint8Array(64).fill(0xff) }
  for await (const rows of store.scan(everything)) {
    for (const [key, value] of rows) {
      if (key[0] === UNDO.prefix) continue
      const owner = key[0] === HISTORY.prefix ? toHex(key.subarray(1, 12)) : ''
      if (owner !== script) {
        if (script !== '') yield `history ${script} ${txNums.join(' ')}`
        script = owner
        txNums = []
      }
      if (owner === '') {
        yield `row ${toHex(key)} ${toHex(value)}`
        continue
      }
      readHistory(key, value, txNums)
    }
  }
  if (script !== '') yield `history ${script} ${txNums.join(' ')}`
}
