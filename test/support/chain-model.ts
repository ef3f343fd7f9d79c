import { hashXOf, isUnspendable } from '../../src/chain/script.ts'
import type { HistoryItem, Utxo } from '../../src/db/view.ts'
import { concat, toHex } from '../../src/lib/bytes.ts'
import { merkleBranch, merkleRoot } from '../../src/lib/merkle.ts'
import { type BuiltBlock, outpointOf } from './chain-builder.ts'

interface ModelUtxo extends Utxo {
  readonly hashX: Uint8Array
}

/** An output that was ever made, and the transaction that spends it. */
interface ModelOutput {
  readonly hashX: Uint8Array
  readonly outpoint: Uint8Array
  readonly fundedBy: number
  spender: HistoryItem | undefined
}

/** What the index says of a chain, computed from its blocks with Maps and nothing clever. */
export class ChainModel {
  readonly blocks: readonly BuiltBlock[]
  readonly #histories = new Map<string, HistoryItem[]>()
  readonly #utxos = new Map<string, ModelUtxo>()
  readonly #outputs = new Map<string, ModelOutput>()
  readonly #positions = new Map<string, { txNum: number; height: number; position: number }>()
  txCount = 0

  constructor(blocks: readonly BuiltBlock[]) {
    this.blocks = blocks
    for (const block of blocks) if (block.height > 0) this.#add(block)
  }

  /** Every script that was ever paid or spent. */
  get hashXs(): Uint8Array[] {
    return [...this.#histories.keys()].map((hex) => Uint8Array.from(Buffer.from(hex, 'hex')))
  }

  get outputs(): ModelOutput[] {
    return [...this.#outputs.values()]
  }

  history(hashX: Uint8Array): HistoryItem[] {
    return this.#histories.get(toHex(hashX)) ?? []
  }

  utxos(hashX: Uint8Array): Utxo[] {
    return [...this.#utxos.values()]
      .filter((utxo) => toHex(utxo.hashX) === toHex(hashX))
      .sort((a, b) => a.txNum - b.txNum || a.vout - b.vout)
      .map(({ txid, vout, txNum, height, value }) => ({ txid, vout, txNum, height, value }))
  }

  balance(hashX: Uint8Array): bigint {
    return this.utxos(hashX).reduce((sum, { value }) => sum + value, 0n)
  }

  unspent(txid: Uint8Array, vout: number): { hashX: Uint8Array; value: bigint } | undefined {
    const utxo = this.#utxos.get(`${toHex(txid)}:${vout}`)
    return utxo === undefined ? undefined : { hashX: utxo.hashX, value: utxo.value }
  }

  position(txid: Uint8Array): { txNum: number; height: number; position: number } | undefined {
    return this.#positions.get(toHex(txid))
  }

  blockTxids(height: number): Uint8Array | undefined {
    const block = this.blocks[height]
    if (block === undefined) return undefined
    return height === 0 ? new Uint8Array(0) : concat(...block.txs.map((tx) => tx.txid))
  }

  header(height: number): Uint8Array | undefined {
    return this.blocks[height]?.raw.slice(0, 80)
  }

  headerProof(height: number, checkpoint: number): { branch: Uint8Array[]; root: Uint8Array } {
    const hashes = concat(...this.blocks.slice(0, checkpoint + 1).map((block) => block.hash))
    return { branch: merkleBranch(hashes, height), root: merkleRoot(hashes) }
  }

  #add(block: BuiltBlock): void {
    for (const [position, tx] of block.txs.entries()) {
      const txNum = this.txCount
      const txid = Uint8Array.from(tx.txid)
      const touched = new Map<string, Uint8Array>()
      if (position > 0) {
        for (const { prevTxid, prevIndex } of tx.inputs) {
          const outpoint = `${toHex(prevTxid)}:${prevIndex}`
          const utxo = this.#utxos.get(outpoint)
          if (utxo === undefined) throw new Error(`the chain spends ${outpoint}, which is not there`)
          touched.set(toHex(utxo.hashX), utxo.hashX)
          this.#utxos.delete(outpoint)
          const output = this.#outputs.get(outpoint)
          if (output !== undefined) output.spender = { txNum, height: block.height, txid }
        }
      }
      for (const [vout, { script, value }] of tx.outputs.entries()) {
        if (isUnspendable(script)) continue
        const hashX = Uint8Array.from(hashXOf(script))
        touched.set(toHex(hashX), hashX)
        this.#utxos.set(`${toHex(txid)}:${vout}`, { txid, vout, txNum, height: block.height, value, hashX })
        const outpoint = outpointOf(txid, vout)
        this.#outputs.set(`${toHex(txid)}:${vout}`, { hashX, outpoint, fundedBy: txNum, spender: undefined })
      }
      for (const hex of touched.keys()) {
        const history = this.#histories.get(hex) ?? []
        history.push({ txNum, height: block.height, txid })
        this.#histories.set(hex, history)
      }
      this.#positions.set(toHex(txid), { txNum, height: block.height, position })
      this.txCount += 1
    }
  }
}
