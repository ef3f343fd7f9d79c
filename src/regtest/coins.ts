import { InvariantError } from '../errors.ts'
import { copyOf, readSafeUint64LE, readUint32LE, writeUint32LE, writeUint64LE } from '../lib/bytes.ts'
import { ByteTable, outpointKey } from './byte-table.ts'

/** An output that can be spent. */
export interface Coin {
  readonly height: number
  readonly coinbase: boolean
  /** Satoshis. */
  readonly value: bigint
  readonly script: Uint8Array
}

/** Longer scripts are kept beside the table; nearly all outputs have 22 to 35 bytes. */
const INLINE_SCRIPT = 43
const ELSEWHERE = 255
const VALUE_SIZE = 4 + 8 + 1 + INLINE_SCRIPT

/** The unspent outputs of the active chain. */
export class CoinSet {
  readonly #table = new ByteTable(36, VALUE_SIZE)
  readonly #longScripts = new Map<number, Uint8Array>()

  get size(): number {
    return this.#table.size
  }

  get(txid: Uint8Array, index: number): Coin | undefined {
    const row = this.#table.find(outpointKey(txid, index))
    return row < 0 ? undefined : this.#read(row)
  }

  has(txid: Uint8Array, index: number): boolean {
    return this.#table.find(outpointKey(txid, index)) >= 0
  }

  add(txid: Uint8Array, index: number, coin: Coin): void {
    const row = this.#table.add(outpointKey(txid, index))
    const value = this.#table.valueAt(row)
    writeUint32LE(value, coin.height * 2 + (coin.coinbase ? 1 : 0), 0)
    writeUint64LE(value, coin.value, 4)
    if (coin.script.length <= INLINE_SCRIPT) {
      value[12] = coin.script.length
      value.set(coin.script, 13)
      this.#longScripts.delete(row)
    } else {
      value[12] = ELSEWHERE
      this.#longScripts.set(row, copyOf(coin.script))
    }
  }

  /** Takes a coin out and returns it, or undefined if it is not there. */
  spend(txid: Uint8Array, index: number): Coin | undefined {
    const key = outpointKey(txid, index)
    const found = this.#table.find(key)
    if (found < 0) return undefined
    const coin = this.#read(found)
    const row = this.#table.delete(key)
    this.#longScripts.delete(row)
    return coin
  }

  /** All coins with their outpoint, in no particular order; the set must not change meanwhile. */
  *entries(): Generator<{ readonly txid: Uint8Array; readonly index: number; readonly coin: Coin }, void> {
    for (const row of this.#table.rows()) {
      const key = this.#table.keyAt(row)
      yield { txid: copyOf(key.subarray(0, 32)), index: readUint32LE(key, 32), coin: this.#read(row) }
    }
  }

  #read(row: number): Coin {
    const value = this.#table.valueAt(row)
    const packed = readUint32LE(value, 0)
    const length = value[12] ?? 0
    const script = length === ELSEWHERE ? this.#longScripts.get(row) : copyOf(value.subarray(13, 13 + length))
    if (script === undefined) throw new InvariantError('a coin lost its script')
    return {
      height: Math.floor(packed / 2),
      coinbase: packed % 2 === 1,
      value: BigInt(readSafeUint64LE(value, 4)),
      script,
    }
  }
}
