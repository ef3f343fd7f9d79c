import { compactOfIdText, idText } from '../../src/atomicals/id-text.ts'
import type { Tx } from '../../src/chain/tx.ts'
import { toLatin1 } from '../../src/lib/bytes.ts'
import { type AtomicalsChain, burnOutput, type Outpoint, out, type PlainMap, spend } from './atomicals-chain.ts'

/** Makes blocks at random: mints, transfers of every kind, some of them inside one block. */
export class RandomAtomicals {
  readonly #chain: AtomicalsChain
  readonly #random: () => number
  /** Outputs that may carry something, and ids that were asked for. */
  #outputs: Outpoint[] = []
  readonly #ids: string[] = []

  constructor(chain: AtomicalsChain, random: () => number) {
    this.#chain = chain
    this.#random = random
  }

  /** A token whose supply is the value of its output. */
  async token(ticker: string): Promise<void> {
    const { tx, compact } = await this.#chain.mint(
      'ft',
      { args: { request_ticker: ticker, bitworkc: '1234' } },
      { work: '1234', value: 10_000 },
    )
    this.#ids.push(compact)
    this.#outputs.push(out(tx))
  }

  async block(): Promise<void> {
    await this.#chain.mine(...this.txs())
  }

  /** Those of a block, in its order. */
  txs(): Tx[] {
    const txs: Tx[] = []
    for (let i = this.#below(5); i > 0; i--) {
      const tx = this.#random() < 0.3 ? this.#mint(txs) : this.#move()
      txs.push(tx)
      this.#outputs.push(...tx.outputs.flatMap(({ script }, vout) => (script[0] === 0x6a ? [] : [out(tx, vout)])))
    }
    return txs
  }

  /** Forgets outputs of blocks that are lost. */
  forgetLost(): void {
    const known = new Set(this.#chain.blocks.flatMap(({ txs }) => txs.map(({ txid }) => toLatin1(txid))))
    this.#outputs = this.#outputs.filter(({ txid }) => known.has(toLatin1(txid)))
  }

  #mint(txs: Tx[]): Tx {
    const commit = spend({ from: [this.#chain.fund()], to: [50_000] })
    txs.push(commit)
    this.#ids.push(compactOfIdText(idText(commit.txid, 0)))
    const payload: PlainMap = this.#random() < 0.2 ? { a: 1, args: { i: true } } : { a: this.#below(3) }
    return spend({ from: [out(commit), ...this.#take(this.#below(2))], to: this.#values(), op: 'nft', payload })
  }

  #move(): Tx {
    const from = [...this.#take(1 + this.#below(3)), this.#chain.fund()]
    const op = ['', '', 'x', 'y', 'z', 'z', 'mod', 'evt', 'sl', 'dat'][this.#below(10)] ?? ''
    if (op === '') return spend({ from, to: this.#values() })
    return spend({ from, to: this.#values(), op, payload: this.#payload(op), opInput: this.#below(from.length) })
  }

  #payload(op: string): PlainMap {
    const payload: Record<string, PlainMap | number> = { n: this.#below(4) }
    for (const id of this.#ids) {
      if (op === 'y' && this.#random() < 0.5) payload[id] = this.#below(3_000)
      if (op === 'z' && this.#random() < 0.8)
        payload[id] = { [String(this.#below(4))]: this.#below(4_000), [String(this.#below(4))]: 700 }
    }
    return payload
  }

  #values(): (number | ReturnType<typeof burnOutput>)[] {
    return Array.from({ length: 1 + this.#below(4) }, () => {
      if (this.#random() < 0.15) return burnOutput(this.#below(2) * 500)
      return [0, 500, 1_000, 2_500, 10_000][this.#below(5)] ?? 0
    })
  }

  #take(count: number): Outpoint[] {
    const taken: Outpoint[] = []
    for (let i = 0; i < count && this.#outputs.length > 0; i++) {
      taken.push(...this.#outputs.splice(this.#below(this.#outputs.length), 1))
    }
    return taken
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }
}
