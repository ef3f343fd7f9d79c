import { InvariantError } from '../errors.ts'
import { equalBytes, fromLatin1, readUint32LE, toLatin1 } from '../lib/bytes.ts'
import type { FlatFileReader } from './flat-file.ts'
import type { HeaderProofs } from './header-proofs.ts'
import type { HeaderList } from './header-table.ts'
import { readHistory, readUnspent, type UnspentRow } from './keys.ts'
import { HISTORY, type KeySpace, OUTPUTS, TX_LOOKUP_SIZE, TXID_KEY_SIZE, TXS, UTXOS } from './layout.ts'
import type { PendingLayer } from './pending.ts'
import type { SharedSnapshot } from './shared-snapshot.ts'
import type { ChainView, HistoryItem, MerkleProof, OutputInfo, Tip, TxPosition, Utxo } from './view.ts'

/** What a view is made of; all of it stays what it is while the view lives. */
export interface ViewParts {
  readonly tip: Tip
  /** The view is one of its owners. */
  readonly snapshot: SharedSnapshot
  /** Blocks on top of the snapshot. */
  readonly pending: PendingLayer
  readonly headers: HeaderList
  readonly txids: FlatFileReader
  readonly proofs: HeaderProofs
}

/** ChainView over a snapshot and the finished blocks that are not in it. */
export class IndexView implements ChainView {
  readonly tip: Tip
  readonly #parts: ViewParts
  readonly #released: () => void
  #open = true

  constructor(parts: ViewParts, released: () => void) {
    this.tip = parts.tip
    this.#parts = parts
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
    const { headers, txids } = this.#parts
    if (!Number.isInteger(height) || height < 0 || height >= headers.count) return undefined
    const first = headers.txCount(height - 1)
    return txids.rows(first, headers.txCount(height) - first)
  }

  async findTransaction(txid: Uint8Array): Promise<TxPosition | undefined> {
    const { headers, txids } = this.#parts
    const start = txid.subarray(0, TX_LOOKUP_SIZE)
    // From the last to the first: the later place of what exists twice.
    const rows = (await this.#rows(TXS, start)).reverse()
    for (const [key] of rows) {
      const { txNum } = TXS.readKey(key)
      if (!equalBytes(await txids.rows(txNum, 1), txid)) continue
      const height = headers.heightOf(txNum)
      return { txNum, height, position: txNum - headers.txCount(height - 1) }
    }
    return undefined
  }

  async history(hashX: Uint8Array, limit: number): Promise<readonly HistoryItem[]> {
    const { headers, txids } = this.#parts
    const most = limit + 1
    // Every row has a transaction at least.
    const txNums: number[] = []
    for (const [key, value] of await this.#rows(HISTORY, hashX, most)) readHistory(key, value, txNums)
    txNums.length = Math.min(txNums.length, most)
    const ids = await txids.pick(txNums)
    return ids.map((txid, i) => {
      const txNum = txNums[i] ?? 0
      return { txNum, height: headers.heightOf(txNum), txid }
    })
  }

  async utxos(hashX: Uint8Array): Promise<readonly Utxo[]> {
    const { headers, txids } = this.#parts
    const rows: UnspentRow[] = []
    for await (const some of this.#unspent(hashX)) for (const row of some) rows.push(row)
    rows.sort((a, b) => a.txNum - b.txNum || a.vout - b.vout)
    const ids = await txids.pick(rows.map(({ txNum }) => txNum))
    return rows.map(({ txNum, vout, value }, i) => ({
      txid: ids[i] ?? new Uint8Array(0),
      vout,
      txNum,
      height: headers.heightOf(txNum),
      value: BigInt(value),
    }))
  }

  async balance(hashX: Uint8Array): Promise<bigint> {
    let sum = 0n
    for await (const some of this.#unspent(hashX)) for (const { value } of some) sum += BigInt(value)
    return sum
  }

  async unspentOutputs(outpoints: readonly Uint8Array[]): Promise<readonly (OutputInfo | undefined)[]> {
    const places = outpoints.map((outpoint) => {
      if (outpoint.length !== 36) throw new RangeError('an outpoint has 36 bytes')
      return { txid: outpoint.subarray(0, TXID_KEY_SIZE), vout: readUint32LE(outpoint, 32) }
    })
    const owners = await this.#getMany(places.map((place) => OUTPUTS.keyBytes(place)))
    const found: { readonly at: number; readonly hashX: Uint8Array; readonly key: Uint8Array }[] = []
    for (const [at, owner] of owners.entries()) {
      const place = places[at]
      if (owner === undefined || place === undefined) continue
      const { hashX } = OUTPUTS.readValue(owner)
      found.push({ at, hashX, key: UTXOS.keyBytes({ hashX, ...place }) })
    }
    const values = await this.#getMany(found.map(({ key }) => key))
    const infos: (OutputInfo | undefined)[] = outpoints.map(() => undefined)
    for (const [i, { at, hashX }] of found.entries()) {
      const value = values[i]
      if (value === undefined) throw new InvariantError('an output is listed by its place but not by its script')
      infos[at] = { hashX, value: BigInt(UTXOS.readValue(value).value) }
    }
    return infos
  }

  release(): void {
    this.#checkOpen()
    this.#open = false
    this.#parts.txids.close()
    this.#parts.snapshot.release()
    this.#released()
  }

  #checkOpen(): void {
    if (!this.#open) throw new InvariantError('a view is used after it was released')
  }

  /** Rows of a space whose keys go on with `start`. With a limit, of a space whose rows are never taken away singly. */
  async #rows<K, V>(space: KeySpace<K, V>, start: Uint8Array, limit?: number): Promise<[Uint8Array, Uint8Array][]> {
    this.#checkOpen()
    const { snapshot, pending } = this.#parts
    const range = space.range(start)
    const written = pending.range(toLatin1(range.gte))
    const stored = await snapshot.reader.rows(limit === undefined ? range : { ...range, limit })
    if (written.length === 0) return stored.map(([key, value]) => [key, value])
    const rows = new Map(stored.map((row) => [toLatin1(row[0]), row[1]]))
    for (const { key, value } of written) {
      if (value === undefined) rows.delete(key)
      else rows.set(key, fromLatin1(value))
    }
    return [...rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => [fromLatin1(key), value])
  }

  /** Unspent outputs of a script in no order, some at a time: there may be very many. */
  async *#unspent(hashX: Uint8Array): AsyncGenerator<readonly UnspentRow[]> {
    this.#checkOpen()
    const { snapshot, pending } = this.#parts
    const range = UTXOS.range(hashX)
    const written = new Map(pending.range(toLatin1(range.gte)).map(({ key, value }) => [key, value]))
    for await (const rows of snapshot.reader.scan(range)) {
      const left = written.size === 0 ? rows : rows.filter(([key]) => !written.has(toLatin1(key)))
      yield left.map(([key, value]) => readUnspent(key, value))
    }
    const added = [...written].filter((row): row is [string, string] => row[1] !== undefined)
    yield added.map(([key, value]) => readUnspent(fromLatin1(key), fromLatin1(value)))
  }

  async #getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    this.#checkOpen()
    const { snapshot, pending } = this.#parts
    const values = await snapshot.reader.getMany(keys)
    if (pending.isEmpty) return values
    return keys.map((key, i) => {
      const written = pending.get(toLatin1(key))
      if (written === undefined) return values[i]
      return written.value === undefined ? undefined : fromLatin1(written.value)
    })
  }
}
