import { toDisplayHex, toHex } from '../lib/bytes.ts'
import type { FilesReader } from './files.ts'
import type { HeaderList } from './header-table.ts'
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

/** The rows of the flat files, block by block up to `height`, in the same manner. */
export async function* dumpFiles(files: FilesReader, headers: HeaderList, height: number): AsyncGenerator<string> {
  for (let at = 0; at <= height; at++) {
    const [txs, inputs] = [headers.txCount(at - 1), headers.inputCount(at - 1)]
    const count = headers.txCount(at) - txs
    yield `txids ${at} ${toDisplayHex(await files.txids.rows(txs, count))}`
    yield `inputstarts ${at} ${toDisplayHex(await files.inputStarts.rows(txs, count))}`
    yield `inputs ${at} ${toDisplayHex(await files.inputTags.rows(inputs, headers.inputCount(at) - inputs))}`
  }
}
