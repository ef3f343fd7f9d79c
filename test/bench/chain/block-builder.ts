import { serializeHeader } from '../../../src/chain/headers.ts'
import { concat } from '../../../src/lib/bytes.ts'
import { sha256d } from '../../../src/lib/hash.ts'
import { merkleRoot } from '../../../src/lib/merkle.ts'
import { commitmentScript } from '../../../src/regtest/block-check.ts'
import { BITS, subsidyAt } from '../../../src/regtest/params.ts'
import type { BuiltTx, TxBuilder } from './tx-builder.ts'

export interface BuiltBlock {
  readonly height: number
  readonly raw: Uint8Array
  /** Internal order. */
  readonly hash: Uint8Array
  /** Internal order. */
  readonly coinbaseTxid: Uint8Array
  /** Satoshis that the coinbase pays. */
  readonly coinbaseValue: number
  readonly txCount: number
}

export interface BlockPlace {
  readonly height: number
  /** Internal order. */
  readonly prevHash: Uint8Array
  /** Seconds since 1970. */
  readonly time: number
  /** Put into the coinbase. */
  readonly tag: Uint8Array
}

const LARGEST_BLOCK = 4_200_000
const MOST_TXS = 40_000
const VERSION = 0x2000_0000

/** Collects transactions and closes them into a block with regtest's proof of work. */
export class BlockBuilder {
  weight = 0
  /** Transactions so far, the coinbase to come among them. */
  txCount = 1
  readonly #builder: TxBuilder
  readonly #body = Buffer.allocUnsafe(LARGEST_BLOCK)
  readonly #txids = Buffer.alloc(32 * MOST_TXS)
  readonly #wtxids = Buffer.alloc(32 * MOST_TXS)
  #length = 0
  #fees = 0

  constructor(builder: TxBuilder) {
    this.#builder = builder
  }

  begin(): void {
    this.weight = 0
    this.txCount = 1
    this.#length = 0
    this.#fees = 0
  }

  add(tx: BuiltTx, fee: number): void {
    this.#body.set(tx.raw, this.#length)
    this.#length += tx.raw.length
    this.#txids.set(tx.txid, this.txCount * 32)
    this.#wtxids.set(tx.wtxid, this.txCount * 32)
    this.txCount += 1
    this.weight += tx.weight
    this.#fees += fee
  }

  /** `pay` writes the first output of the coinbase. */
  close(place: BlockPlace, pay: (builder: TxBuilder, satoshis: number) => void): BuiltBlock {
    const count = this.txCount
    // The coinbase counts as zeros here (BIP141): the first slot is never written.
    const witnessRoot = merkleRoot(this.#wtxids.subarray(0, count * 32))
    const value = Number(subsidyAt(place.height)) + this.#fees
    const builder = this.#builder
    builder.begin()
    builder.coinbaseInput(place.height, place.tag)
    pay(builder, value)
    builder.outputScript(0, commitmentScript(sha256d(concat(witnessRoot, new Uint8Array(32)))))
    const coinbase = builder.finish()
    this.#txids.set(coinbase.txid)
    const { header, hash } = mine(place, merkleRoot(this.#txids.subarray(0, count * 32)))
    const raw = concat(header, compactSize(count), coinbase.raw, this.#body.subarray(0, this.#length))
    return {
      height: place.height,
      raw,
      hash,
      coinbaseTxid: coinbase.txid,
      coinbaseValue: value,
      txCount: count,
    }
  }
}

function mine({ prevHash, time }: BlockPlace, root: Uint8Array): { header: Uint8Array; hash: Uint8Array } {
  for (let nonce = 0; ; nonce++) {
    const header = serializeHeader({ version: VERSION, prevHash, merkleRoot: root, time, bits: BITS, nonce })
    const hash = sha256d(header)
    // Regtest's target begins with 7f: whatever is below that will do.
    if (hash[31]! < 0x7f) return { header, hash }
  }
}

function compactSize(value: number): Uint8Array {
  return value < 0xfd ? Uint8Array.of(value) : Uint8Array.of(0xfd, value, value >>> 8)
}
