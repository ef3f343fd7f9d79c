import { fromDisplayHex, readUint32LE, toDisplayHex } from '../../../src/lib/bytes.ts'
import { sha256 } from '../../../src/lib/hash.ts'
import { COINBASE_MATURITY } from '../../../src/regtest/params.ts'
import { BlockBuilder, type BuiltBlock } from './block-builder.ts'
import { type Manifest, manifestOf, type Totals, TxSample, type WalletOutput } from './manifest.ts'
import { Outputs } from './outputs.ts'
import type { ChainParameters } from './parameters.ts'
import { mix32, Random } from './random.ts'
import { isSpendable, KIND, type Kind, Scripts } from './scripts.ts'
import { Addresses, DATA_SHARE, INPUT_COUNTS, OUTPUT_COUNTS } from './shape.ts'
import { noiseOf, TxBuilder } from './tx-builder.ts'

const GENESIS = '0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206'
const GENESIS_TIME = 1_700_000_000
const BLOCK_SECONDS = 600
/** What a block leaves to its coinbase. */
const COINBASE_WEIGHT = 4000
const FEE_PER_FAN_OUT = 40
const SMALLEST_OUTPUT = 600

interface Coinbase {
  readonly tx: number
  readonly address: number
  readonly value: number
  readonly height: number
}

interface Payment {
  readonly index: number
  readonly address: number
  readonly kind: Kind
  readonly value: number
}

/**
 * Makes a chain of mainnet's shape block by block; only what can still be spent is held. The same parameters give the
 * same bytes, as every choice is drawn from generators that are seeded by them, in an order that nothing else changes.
 */
export class ChainGenerator {
  readonly #parameters: ChainParameters
  readonly #random: Random
  readonly #salt: number
  readonly #scripts: Scripts
  readonly #builder: TxBuilder
  readonly #block: BlockBuilder
  readonly #addresses: Addresses
  readonly #outputs = new Outputs()
  readonly #txids = new TxidList()
  readonly #sample: TxSample
  readonly #wallet: WalletOutput[] = []
  readonly #coinbases: Coinbase[] = []
  readonly #totals: Totals = { blocks: 0, txs: 0, inputs: 0, outputs: 0, bytes: 0, historyRows: 0 }
  #tip = fromDisplayHex(GENESIS)

  constructor(parameters: ChainParameters) {
    const { seed } = parameters
    this.#parameters = parameters
    this.#random = new Random(`chain:${seed}`)
    this.#salt = readUint32LE(sha256(Buffer.from(`salt:${seed}`)), 0)
    this.#scripts = new Scripts(this.#salt)
    this.#builder = new TxBuilder(this.#scripts, noiseOf(new Random(`noise:${seed}`)))
    this.#block = new BlockBuilder(this.#builder)
    this.#addresses = new Addresses(parameters, this.#scripts)
    this.#sample = new TxSample(new Random(`sample:${seed}`))
  }

  get lastHeight(): number {
    return this.#parameters.lightBlocks + this.#parameters.heavyBlocks
  }

  /** All blocks above genesis, in order. */
  *blocks(): Generator<BuiltBlock> {
    for (let height = 1; height <= this.lastHeight; height++) yield this.#next(height)
  }

  /** What there is to ask of the chain; once all blocks are made. */
  manifest(): Manifest {
    return manifestOf({
      parameters: this.#parameters,
      salt: this.#salt,
      scripts: this.#scripts,
      addresses: this.#addresses,
      tip: { height: this.lastHeight, hash: toDisplayHex(this.#tip), time: timeOf(this.lastHeight) },
      totals: this.#totals,
      wallet: this.#wallet,
      transactions: this.#sample.taken,
    })
  }

  #next(height: number): BuiltBlock {
    this.#block.begin()
    // In the order of the chain the coinbase comes first: its number is taken before those of the others.
    const tx = this.#txids.reserve()
    const address = this.#addresses.plain()
    if (height > this.#parameters.lightBlocks) this.#fill(height)
    const tag = Buffer.from(`bench/${mix32(height, this.#salt).toString(16)}`)
    const place = { height, prevHash: this.#tip, time: timeOf(height), tag }
    const block = this.#block.close(place, (builder, value) => builder.output(value, address, KIND.wsh))
    this.#txids.set(tx, block.coinbaseTxid)
    this.#touch(address, tx)
    this.#coinbases.push({ tx, address, value: block.coinbaseValue, height })
    this.#totals.blocks += 1
    this.#count(1, 2)
    this.#totals.bytes += block.raw.length
    this.#tip = block.hash
    return block
  }

  /** The first four heavy blocks make the first outputs and set the wallet's aside; the others are ordinary. */
  #fill(height: number): void {
    const [low, high] = this.#parameters.weight
    const target = this.#random.whole(low, high) - COINBASE_WEIGHT
    const era = height - this.#parameters.lightBlocks
    if (era <= 2) {
      for (let i = 0; i < 14; i++) {
        const coinbase = this.#mature(height)
        if (coinbase !== undefined) this.#fanOut(height, coinbase, 1500)
      }
    } else if (era <= 4) {
      this.#fillWallet(height, era === 3 ? Math.ceil : Math.floor)
    } else {
      const coinbase = this.#mature(height)
      if (coinbase !== undefined) this.#fanOut(height, coinbase, this.#random.whole(100, 400))
      while (this.#block.weight < target) this.#ordinary(height)
    }
  }

  #fillWallet(height: number, round: (half: number) => number): void {
    const wanted = round(this.#parameters.walletOutputs / 2)
    for (let done = 0; done < wanted; done += 2500) {
      const coinbase = this.#mature(height)
      if (coinbase === undefined) throw new Error('too few light blocks for so many wallet outputs')
      if (this.#block.weight > 3_600_000) throw new Error('wallet outputs do not fit into one block')
      this.#fanOutToWallet(height, coinbase, Math.min(2500, wanted - done))
    }
  }

  #mature(height: number): Coinbase | undefined {
    const oldest = this.#coinbases[0]
    if (oldest === undefined || height - oldest.height < COINBASE_MATURITY) return undefined
    return this.#coinbases.shift()
  }

  #fanOut(height: number, coinbase: Coinbase, count: number): void {
    const each = this.#spendCoinbase(coinbase, count)
    const payments = Array.from({ length: count }, (_, index) => this.#pay(index, this.#draw(), each))
    this.#seal(height, coinbase.value - each * count)
    this.#offer(payments)
  }

  #fanOutToWallet(height: number, coinbase: Coinbase, count: number): void {
    const each = this.#spendCoinbase(coinbase, count)
    const payments = Array.from({ length: count }, (_, index) => this.#pay(index, this.#addresses.plain(), each))
    const txid = toDisplayHex(this.#txids.get(this.#seal(height, coinbase.value - each * count)))
    for (const { index, address, value } of payments) this.#wallet.push({ txid, vout: index, value, address })
  }

  /** Begins a transaction that divides a coinbase; satoshis of each of its outputs. */
  #spendCoinbase(coinbase: Coinbase, count: number): number {
    this.#builder.begin()
    this.#builder.input(this.#txids.get(coinbase.tx), 0, coinbase.address, KIND.wsh, this.#random)
    this.#touch(coinbase.address, this.#txids.count)
    return Math.floor((coinbase.value - count * FEE_PER_FAN_OUT) / count)
  }

  #ordinary(height: number): void {
    const random = this.#random
    const inputs = Math.min(INPUT_COUNTS.draw(random), this.#outputs.count)
    let outputs = OUTPUT_COUNTS.draw(random)
    this.#builder.begin()
    let sum = 0
    for (let i = 0; i < inputs; i++) sum += this.#spend()
    const fee = Math.min(Math.floor(sum / 4), (60 + 68 * inputs + 31 * outputs) * random.whole(1, 8))
    let left = sum - fee
    const withData = random.fraction() < DATA_SHARE
    if (left < outputs * SMALLEST_OUTPUT) outputs = Math.max(1, Math.floor(left / SMALLEST_OUTPUT))
    const payments: Payment[] = []
    for (let index = 0; index < outputs; index++) {
      const value = this.#share(left, outputs - index)
      left -= value
      payments.push(this.#pay(index, this.#draw(), value))
    }
    if (withData) this.#builder.dataOutput(random)
    this.#seal(height, fee)
    this.#offer(payments)
  }

  /** Adds an input; the satoshis it brings. */
  #spend(): number {
    const { tx, index, address, value } = this.#outputs.take(this.#random)
    this.#builder.input(this.#txids.get(tx), index, address, this.#addresses.kindOf(address), this.#random)
    this.#touch(address, this.#txids.count)
    return value
  }

  /** An uneven part of what is left for `outputs` more outputs; enough remains for the others. */
  #share(left: number, outputs: number): number {
    if (outputs === 1) return left
    const part = (left / outputs) * (0.1 + 1.7 * this.#random.fraction())
    return Math.max(330, Math.min(Math.floor(part), left - SMALLEST_OUTPUT * (outputs - 1)))
  }

  #draw(): number {
    return this.#addresses.draw(this.#random)
  }

  #pay(index: number, address: number, value: number): Payment {
    const kind = this.#addresses.kindOf(address)
    this.#builder.output(value, address, kind)
    this.#touch(address, this.#txids.count)
    return { index, address, kind, value }
  }

  /** Ends the transaction and puts it into the block; its number. */
  #seal(height: number, fee: number): number {
    const tx = this.#builder.finish()
    const number = this.#txids.reserve()
    this.#txids.set(number, tx.txid)
    this.#sample.offer(tx.txid, height, this.#block.txCount)
    this.#count(this.#builder.inputs, this.#builder.outputs)
    this.#block.add(tx, fee)
    return number
  }

  /** What the last transaction made can be spent from now on. */
  #offer(payments: readonly Payment[]): void {
    const tx = this.#txids.count - 1
    for (const { index, address, kind, value } of payments) {
      if (isSpendable(kind)) this.#outputs.add(tx, index, address, value)
    }
  }

  #touch(address: number, tx: number): void {
    if (this.#addresses.touch(address, tx)) this.#totals.historyRows += 1
  }

  #count(inputs: number, outputs: number): void {
    this.#totals.txs += 1
    this.#totals.inputs += inputs
    this.#totals.outputs += outputs
  }
}

function timeOf(height: number): number {
  return GENESIS_TIME + height * BLOCK_SECONDS
}

/** Ids of all transactions by number, 32 bytes each. */
class TxidList {
  #bytes = Buffer.alloc(32 * (1 << 16))
  #count = 0

  get count(): number {
    return this.#count
  }

  reserve(): number {
    if ((this.#count + 1) * 32 > this.#bytes.length) {
      this.#bytes = Buffer.concat([this.#bytes], this.#bytes.length * 2)
    }
    return this.#count++
  }

  set(number: number, txid: Uint8Array): void {
    this.#bytes.set(txid, number * 32)
  }

  get(number: number): Uint8Array {
    return this.#bytes.subarray(number * 32, number * 32 + 32)
  }
}
