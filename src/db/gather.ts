import { HASHX_SIZE } from '../chain/script.ts'
import { equalBytes, fromLatin1 } from '../lib/bytes.ts'
import { ALL_GATHERED, MOST_IN_HEAD } from './history-rows.ts'
import { RowWriter, readHead, readHistory } from './keys.ts'
import { GATHERED, HEAD_ALL_SPENT, HEAD_GOES_ON, HEADS, HISTORY } from './layout.ts'
import type { Store, StoreBatch, StoreReader } from './store.ts'
import { UnspentScripts } from './unspent-scripts.ts'

/** Scripts gathered in one go, and rows read for them: some tens of milliseconds, for which a block may have to wait. */
const SCRIPTS_AT_ONCE = 4000
const ROWS_AT_ONCE = 20_000
/** Heads that are read in one go. */
const HEADS_AT_ONCE = 250

/**
 * Puts the histories of some scripts, from the hashX `from` on, under one key each and takes their rows away, in one batch;
 * long ones keep their rows, and a head that says so. Gives the bound below which all are gathered now: ALL_GATHERED at the
 * end, and then the batch carries the mark of that. Nobody else may write meanwhile. Throws StorageError.
 */
export async function gatherSome(store: Store, from: Uint8Array): Promise<Uint8Array> {
  const batch = store.batch()
  const below = await stage(batch, store, from)
  await batch.write()
  return below
}

async function stage(batch: StoreBatch, store: StoreReader, from: Uint8Array): Promise<Uint8Array> {
  try {
    const below = await gatherInto(batch, store, from)
    if (below === ALL_GATHERED) batch.put(GATHERED.keyBytes({}), GATHERED.valueBytes({}))
    return below
  } catch (error) {
    await batch.discard()
    throw error
  }
}

async function gatherInto(batch: StoreBatch, store: StoreReader, from: Uint8Array): Promise<Uint8Array> {
  const writer = new RowWriter()
  // After a first sync there are none, and to look for each of them takes a quarter of the time.
  const { gte } = HEADS.range(from)
  const hasHeads = (await store.rows({ gte, lt: HEADS.range().lt, limit: 1 })).length > 0
  const unspent = new UnspentScripts(store)
  let script: ScriptRows | undefined
  let scripts = 0
  let read = 0
  for await (const rows of store.scan({ gte: HISTORY.range(from).gte, lt: HISTORY.range().lt })) {
    for (const [key, value] of rows) {
      const hashX = key.subarray(1, 1 + HASHX_SIZE)
      if (script === undefined || !equalBytes(hashX, script.hashX)) {
        await script?.gather(batch, writer, unspent)
        if (scripts >= SCRIPTS_AT_ONCE || read >= ROWS_AT_ONCE) return hashX.slice()
        script = new ScriptRows(hashX, hasHeads ? store.getSync(writer.headKey(hashX, 0)) : undefined)
        scripts += 1
      } else if (script.isLong && read >= ROWS_AT_ONCE) {
        await script.gather(batch, writer, unspent)
        return behind(hashX)
      }
      script.add(key, value)
      read += 1
    }
  }
  await script?.gather(batch, writer, unspent)
  return ALL_GATHERED
}

/** The bytes before which the rows of a script, and of all scripts below it, lie. */
function behind(hashX: Uint8Array): Uint8Array {
  const { lt } = HISTORY.range(hashX)
  return lt[0] === HISTORY.prefix ? lt.slice(1) : ALL_GATHERED
}

/** What a script has done, as its head and its rows of HISTORY say. */
class ScriptRows {
  readonly hashX: Uint8Array
  readonly #txNums: number[] = []
  /** How many of them the head has. */
  readonly #inHead: number
  /** The head says already that there are rows. */
  readonly #saysMore: boolean
  readonly #keys: Uint8Array[] = []

  constructor(hashX: Uint8Array, head: Uint8Array | undefined) {
    this.hashX = hashX
    this.#saysMore = head !== undefined && readHead(head, this.#txNums)
    this.#inHead = this.#txNums.length
  }

  /** More than a head takes: what further rows say makes no difference. */
  get isLong(): boolean {
    return this.#saysMore || this.#txNums.length > MOST_IN_HEAD
  }

  add(key: Uint8Array, value: Uint8Array): void {
    if (this.isLong) return
    this.#keys.push(key)
    readHistory(key, value, this.#txNums)
  }

  async gather(batch: StoreBatch, writer: RowWriter, unspent: UnspentScripts): Promise<void> {
    if (this.#saysMore) return
    const flags = this.isLong ? HEAD_GOES_ON : (await unspent.has(this.hashX)) ? 0 : HEAD_ALL_SPENT
    const key = writer.headKey(this.hashX, 0)
    writer.beginHead(flags)
    const count = this.isLong ? this.#inHead : this.#txNums.length
    for (let i = 0; i < count; i++) writer.historyAdd(this.#txNums[i] ?? 0)
    batch.put(key, writer.historyValue())
    if (!this.isLong) for (const row of this.#keys) batch.del(row)
  }
}

/** Takes what is from transaction `firstTxNum` on out of the heads of scripts (Latin-1). */
export async function cutHeads(
  scripts: Iterable<string>,
  firstTxNum: number,
  store: StoreReader,
  batch: StoreBatch,
): Promise<void> {
  const keys = Array.from(scripts, (script) => HEADS.keyBytes({ hashX: fromLatin1(script) }))
  const writer = new RowWriter()
  for (let at = 0; at < keys.length; at += HEADS_AT_ONCE) {
    const some = keys.slice(at, at + HEADS_AT_ONCE)
    const heads = await store.getMany(some)
    for (const [i, key] of some.entries()) {
      const head = heads[i]
      if (head === undefined) continue
      const txNums: number[] = []
      const more = readHead(head, txNums)
      const kept = txNums.filter((txNum) => txNum < firstTxNum)
      if (kept.length === txNums.length) continue
      if (kept.length === 0 && !more) {
        batch.del(key)
        continue
      }
      // What these blocks spent is unspent again.
      writer.beginHead(more ? HEAD_GOES_ON : 0)
      for (const txNum of kept) writer.historyAdd(txNum)
      batch.put(key, writer.historyValue())
    }
  }
}
