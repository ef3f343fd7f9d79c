import { setImmediate as nextTurn } from 'node:timers/promises'
import { HASHX_SIZE } from '../chain/script.ts'
import { InvariantError } from '../errors.ts'
import { equalBytes, readUint32LE, toLatin1 } from '../lib/bytes.ts'
import { PLACE_SIZE, writePlace } from './block-delta.ts'
import type { FilesReader } from './files.ts'
import type { HeaderProofs } from './header-proofs.ts'
import type { HeaderList } from './header-table.ts'
import { HistoryReader } from './history-reader.ts'
import { isAllSpent, readUnspent, type UnspentRow } from './keys.ts'
import type { LayerMark } from './layer.ts'
import { LayeredRows } from './layered-rows.ts'
import { HEADS, type KeySpace, OUTPUTS, TX_LOOKUP_SIZE, TXID_KEY_SIZE, TXS, UTXOS } from './layout.ts'
import type { PastLayers, UndoneBlock } from './past-rows.ts'
import type { PendingLayer } from './pending.ts'
import type { SharedSnapshot } from './shared-snapshot.ts'
import { SpenderSearch } from './spender.ts'
import { UnspentRows } from './unspent-rows.ts'
import { type ListedUtxo, UtxoList } from './utxo-list.ts'
import type {
  ChainView,
  HistoryItem,
  MerkleProof,
  OutputInfo,
  OutputSource,
  OutputSum,
  PageOptions,
  PastRows,
  RowOf,
  Tip,
  TxPosition,
  Utxo,
} from './view.ts'

/** Transactions of a long history that are looked up at a time. */
const ITEMS_AT_ONCE = 1024

/** What a view is made of; all of it stays what it is while the view lives. */
export interface ViewParts {
  readonly tip: Tip
  /** The view is one of its owners. */
  readonly snapshot: SharedSnapshot
  /** Blocks on top of the snapshot, the earlier ones first; the view releases them. */
  readonly layers: readonly LayerMark[]
  /** What the indexes of the coin have written on top of the snapshot. */
  readonly rows: PendingLayer
  readonly headers: HeaderList
  readonly files: FilesReader
  readonly proofs: HeaderProofs
  /** What takes blocks back that are not in the snapshot. */
  readonly undone: readonly UndoneBlock[]
  readonly past: PastLayers
  readonly lowestPast: number
  /** Where outputs are asked for; undefined where the index lists them. */
  readonly outputs: OutputSource | undefined
}

/** ChainView over a snapshot and the finished blocks that are not in it. */
export class IndexView implements ChainView {
  readonly tip: Tip
  readonly #parts: ViewParts
  readonly #rows: LayeredRows
  readonly #released: () => void
  #open = true

  constructor(parts: ViewParts, released: () => void) {
    this.tip = parts.tip
    this.#parts = parts
    this.#rows = new LayeredRows(parts.snapshot.reader, [parts.rows])
    this.#released = released
  }

  header(height: number): Uint8Array | undefined {
    return this.#parts.headers.header(height)
  }

  headers(start: number, count: number): { readonly count: number; readonly bytes: Uint8Array } {
    return this.#parts.headers.headers(start, count)
  }

  headerProof(height: number, checkpoint: number): Promise<MerkleProof> {
    return this.#parts.proofs.prove(this.#parts.headers, height, checkpoint)
  }

  async blockTxids(height: number): Promise<Uint8Array | undefined> {
    this.#checkOpen()
    const { headers, files } = this.#parts
    if (!Number.isInteger(height) || height < 0 || height >= headers.count) return undefined
    const first = headers.txCount(height - 1)
    return files.txids.rows(first, headers.txCount(height) - first)
  }

  async findTransaction(txid: Uint8Array): Promise<TxPosition | undefined> {
    this.#checkOpen()
    const { snapshot, layers } = this.#parts
    // From the last to the first: the later place of what exists twice.
    for (const layer of layers.toReversed()) {
      const txNum = layer.findTx(txid)
      if (txNum !== undefined) return this.#position(txNum)
    }
    const rows = await snapshot.reader.rows(TXS.range(txid.subarray(0, TX_LOOKUP_SIZE)))
    for (const [key] of rows.reverse()) {
      const { txNum } = TXS.readKey(key)
      if (equalBytes(await this.#parts.files.txids.rows(txNum, 1), txid)) return this.#position(txNum)
    }
    return undefined
  }

  async history(hashX: Uint8Array, limit: number): Promise<readonly HistoryItem[]> {
    return this.#items(await this.#histories().first(hashX, limit + 1))
  }

  async *historyFrom(hashX: Uint8Array, from: number): AsyncGenerator<readonly HistoryItem[]> {
    for await (const txNums of this.#histories().after(hashX, from - 1)) {
      for (let at = 0; at < txNums.length; at += ITEMS_AT_ONCE) {
        yield await this.#items(txNums.slice(at, at + ITEMS_AT_ONCE))
      }
    }
  }

  recentHistory(hashX: Uint8Array, from: number): readonly HistoryItem[] | undefined {
    this.#checkOpen()
    const { layers, headers } = this.#parts
    if (from < (layers[0]?.firstTxNum ?? this.tip.txCount)) return undefined
    const items: HistoryItem[] = []
    for (const layer of layers) {
      for (const txNum of layer.touchesOf(hashX)) {
        if (txNum >= from) items.push({ txNum, height: headers.heightOf(txNum), txid: layer.txid(txNum) })
      }
    }
    return items
  }

  async findSpender(
    hashX: Uint8Array,
    outpoint: Uint8Array,
    fundedBy: number,
    looked?: (transactions: number) => void,
  ): Promise<HistoryItem | undefined> {
    checkOutpoint(outpoint)
    const search = new SpenderSearch(this.#parts.files, this.#parts.headers, outpoint, looked)
    for await (const txNums of this.#histories().after(hashX, fundedBy)) {
      const found = await search.firstOf(txNums)
      if (found !== undefined) return (await this.#items([found]))[0]
    }
    return undefined
  }

  async utxos(hashX: Uint8Array, limit = Number.POSITIVE_INFINITY): Promise<readonly Utxo[]> {
    const rows = new UnspentRows()
    await this.#eachUnspent(hashX, (row) => rows.add(row), limit + 1)
    const utxos: Utxo[] = []
    await this.#eachListed(rows, Math.min(rows.count, limit + 1), (_, utxo) => {
      utxos.push({ ...utxo, value: BigInt(utxo.value) })
    })
    return utxos
  }

  async unspent(hashX: Uint8Array, limit: number): Promise<UtxoList | undefined> {
    const rows = new UnspentRows()
    await this.#eachUnspent(hashX, (row) => rows.add(row), limit + 1)
    if (rows.count > limit) return undefined
    const list = new UtxoList(rows.count)
    await this.#eachListed(rows, rows.count, (i, utxo) => list.put(i, utxo))
    return list
  }

  async balance(hashX: Uint8Array): Promise<OutputSum> {
    let sum = 0
    let outputs = 0
    await this.#eachUnspent(hashX, ({ value }) => {
      sum += value
      outputs += 1
    })
    // All satoshis there will ever be are fewer than 2^53.
    return { value: BigInt(sum), outputs }
  }

  async unspentOutputs(
    outpoints: readonly Uint8Array[],
    signal?: AbortSignal,
  ): Promise<readonly (OutputInfo | undefined)[]> {
    this.#checkOpen()
    for (const outpoint of outpoints) checkOutpoint(outpoint)
    const { outputs, snapshot, layers } = this.#parts
    if (outputs !== undefined) return outputs(outpoints, this.tip, signal)
    const keys = outpoints.map((outpoint) =>
      OUTPUTS.keyBytes({ txid: outpoint.subarray(0, TXID_KEY_SIZE), vout: readUint32LE(outpoint, 32) }),
    )
    const values = await snapshot.reader.getMany(keys)
    return outpoints.map((outpoint, i) => {
      const place = new Uint8Array(PLACE_SIZE)
      writePlace(place, 0, outpoint, 0)
      for (const layer of layers.toReversed()) {
        const known = layer.outputAt(place)
        if (known === 'spent') return undefined
        if (known !== undefined) return { hashX: known.hashX, value: BigInt(known.output.value) }
      }
      const row = values[i]
      if (row === undefined) return undefined
      const { hashX, value } = OUTPUTS.readValue(row)
      return { hashX, value: BigInt(value) }
    })
  }

  row<K, V>(space: KeySpace<K, V>, key: K): V | undefined {
    this.#checkOpen()
    return this.#rows.row(space, key)
  }

  async rows<K, V>(space: KeySpace<K, V>, start: Uint8Array): Promise<readonly RowOf<K, V>[]> {
    this.#checkOpen()
    return this.#rows.rows(space, start)
  }

  async page<K, V>(space: KeySpace<K, V>, start: Uint8Array, options: PageOptions): Promise<readonly RowOf<K, V>[]> {
    this.#checkOpen()
    return this.#rows.page(space, start, options)
  }

  get lowestPast(): number {
    return this.#parts.lowestPast
  }

  async rowsAt(height: number, signal?: AbortSignal): Promise<PastRows> {
    this.#checkOpen()
    if (!Number.isInteger(height) || height < this.lowestPast || height > this.tip.height) {
      throw new RangeError(`no rows of height ${height}`)
    }
    const { past, snapshot, rows, undone: unflushed, headers } = this.#parts
    const blockHash = (at: number) => headers.hashes(at, 1)
    return past.at(height, { reader: snapshot.reader, rows, tip: this.tip, unflushed, blockHash }, signal)
  }

  release(): void {
    this.#checkOpen()
    this.#open = false
    this.#parts.files.close()
    for (const layer of this.#parts.layers) layer.release()
    this.#parts.snapshot.release()
    this.#released()
  }

  #checkOpen(): void {
    if (!this.#open) throw new InvariantError('a view is used after it was released')
  }

  #histories(): HistoryReader {
    this.#checkOpen()
    return new HistoryReader(this.#parts.snapshot, this.#parts.layers)
  }

  #position(txNum: number): TxPosition {
    const { headers } = this.#parts
    const height = headers.heightOf(txNum)
    return { txNum, height, position: txNum - headers.txCount(height - 1) }
  }

  async #items(txNums: readonly number[]): Promise<readonly HistoryItem[]> {
    const { headers, files } = this.#parts
    const ids = await files.txids.pick(txNums)
    return ids.map((txid, i) => {
      const txNum = txNums[i] ?? 0
      return { txNum, height: headers.heightOf(txNum), txid }
    })
  }

  /** Hands out the first `count` of these outputs in chain order with their ids. */
  async #eachListed(
    rows: UnspentRows,
    count: number,
    use: (i: number, utxo: ListedUtxo & { readonly txNum: number }) => void,
  ): Promise<void> {
    const { headers, files } = this.#parts
    const order = await rows.sorted(count)
    for (let start = 0; start < count; start += ITEMS_AT_ONCE) {
      if (start > 0) await nextTurn()
      const some = Array.from(order.subarray(start, start + ITEMS_AT_ONCE), (row) => rows.at(row))
      const ids = await files.txids.pick(some.map(({ txNum }) => txNum))
      for (const [i, row] of some.entries()) {
        const txid = ids[i] ?? new Uint8Array(0)
        const { txNum, vout, value } = row
        use(start + i, { txNum, vout, value, txid, height: headers.heightOf(txNum) })
      }
    }
  }

  /** Hands out the unspent outputs of a script in no order, at least `most` of them if there are so many. */
  async #eachUnspent(
    hashX: Uint8Array,
    use: (row: UnspentRow) => void,
    most = Number.POSITIVE_INFINITY,
  ): Promise<void> {
    this.#checkOpen()
    const { snapshot, layers } = this.#parts
    const added = new Map<string, UnspentRow>()
    const gone = new Set<string>()
    for (const layer of layers) {
      for (const { place, output } of layer.eventsOf(hashX)) {
        const text = toLatin1(place)
        if (output !== undefined) {
          added.set(text, output)
        } else {
          added.delete(text)
          gone.add(text)
        }
      }
    }
    const unchanged = added.size === 0 && gone.size === 0
    // As many rows may stand for outputs that were spent since.
    const limit = most + gone.size + added.size
    if (await this.#mayHaveUnspent(hashX)) {
      const { gte, lt } = UTXOS.range(hashX)
      await snapshot.reader.each(Number.isFinite(limit) ? { gte, lt, limit } : { gte, lt }, (key, value) => {
        const row = readUnspent(key, value)
        if (unchanged) return use(row)
        const text = placeText(key, row.vout)
        if (!gone.has(text) && !added.has(text)) use(row)
      })
    }
    for (const row of added.values()) use(row)
  }

  /** Whether the store may have UTXOS rows of a script. Most have none, and one key is found faster than a place among rows. */
  async #mayHaveUnspent(hashX: Uint8Array): Promise<boolean> {
    const { isGathered, reader } = this.#parts.snapshot
    if (!isGathered) return true
    const head = await reader.get(HEADS.keyBytes({ hashX }))
    return head !== undefined && !isAllSpent(head)
  }
}

/** The place that a UTXOS key names, as text. */
function placeText(key: Uint8Array, vout: number): string {
  const place = new Uint8Array(PLACE_SIZE)
  place.set(key.subarray(1 + HASHX_SIZE, 1 + HASHX_SIZE + TXID_KEY_SIZE))
  new DataView(place.buffer).setUint32(TXID_KEY_SIZE, vout, true)
  return toLatin1(place)
}

function checkOutpoint(outpoint: Uint8Array): void {
  if (outpoint.length !== 36) throw new RangeError('an outpoint has 36 bytes')
}
