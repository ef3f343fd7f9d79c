import { HASHX_SIZE } from '../chain/script.ts'
import { toDisplayHex, toHex } from '../lib/bytes.ts'
import type { FilesReader } from './files.ts'
import type { HeaderList } from './header-table.ts'
import { isAllSpent, readHead, readHistory } from './keys.ts'
import { GATHERED, HEADS, HISTORY, type KeyRange, UNDO } from './layout.ts'
import type { Row, StoreReader } from './store.ts'
import { UnspentScripts } from './unspent-scripts.ts'

/**
 * Every row of the store by its meaning, as lines in the order of keys: history as the transaction numbers of each script
 * however they are packed into rows. Undo rows and the mark of gathered histories are left out: they say how the tip was
 * reached, not what it is. `isGathered`: rows of histories that nobody reads, since no head names them, are lines of their own,
 * and so are scripts whose heads keep their unspent outputs from being read.
 */
export async function* dumpRows(store: StoreReader, isGathered: boolean): AsyncGenerator<string> {
  const [heads, rows] = [HEADS.range(), HISTORY.range()]
  yield* plainRows(store, { gte: new Uint8Array(0), lt: heads.gte })
  yield* histories(store, isGathered)
  yield* plainRows(store, { gte: rows.lt, lt: new Uint8Array(64).fill(0xff) })
}

async function* plainRows(store: StoreReader, range: KeyRange): AsyncGenerator<string> {
  for await (const [key, value] of each(store, range)) {
    if (key[0] !== UNDO.prefix && key[0] !== GATHERED.prefix) yield plainRow([key, value])
  }
}

const plainRow = ([key, value]: Row): string => `row ${toHex(key)} ${toHex(value)}`

/** Heads and rows stand next to each other, both in the order of scripts. */
async function* histories(store: StoreReader, isGathered: boolean): AsyncGenerator<string> {
  const heads = each(store, HEADS.range())
  const rows = each(store, HISTORY.range())
  const unspent = new UnspentScripts(store)
  let head = await heads.next()
  let row = await rows.next()
  while (head.done !== true || row.done !== true) {
    const script = [head, row]
      .flatMap((next) => (next.done === true ? [] : [toHex(scriptOf(next.value))]))
      .reduce((first, other) => (other < first ? other : first))
    const isNext = (next: IteratorResult<Row, void>): next is IteratorYieldResult<Row> =>
      next.done !== true && toHex(scriptOf(next.value)) === script
    const txNums: number[] = []
    let hasRows = !isGathered
    let isWithheld = false
    if (isNext(head)) {
      isWithheld = isGathered && isAllSpent(head.value[1]) && (await unspent.has(scriptOf(head.value)))
      hasRows = readHead(head.value[1], txNums) || hasRows
      head = await heads.next()
    }
    const strays: string[] = []
    for (; isNext(row); row = await rows.next()) {
      if (hasRows) readHistory(...row.value, txNums)
      else strays.push(plainRow(row.value))
    }
    if (txNums.length > 0) yield `history ${script} ${txNums.join(' ')}`
    if (isWithheld) yield `withheld ${script} ${txNums[0] ?? 0}`
    yield* strays
  }
}

function scriptOf([key]: Row): Uint8Array {
  return key.subarray(1, 1 + HASHX_SIZE)
}

async function* each(store: StoreReader, range: KeyRange): AsyncGenerator<Row, void> {
  for await (const rows of store.scan(range)) yield* rows
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
