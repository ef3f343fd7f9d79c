import { parseTx, type Tx } from '../chain/tx.ts'
import { readUint32LE, writeUint32LE } from '../lib/bytes.ts'
import type { Block } from './block-check.ts'
import type { BlockNode } from './block-tree.ts'
import { ByteTable, outpointKey } from './byte-table.ts'
import type { ChainStore } from './chain-store.ts'

export interface IndexedTx {
  readonly tx: Tx
  readonly node: BlockNode
}

/** Core's -txindex and -txospenderindex: where confirmed transactions are, and who spends confirmed outputs. */
export class TxIndex {
  readonly #store: ChainStore
  /** Txid to arrival number of the block (4 bytes) and offset of the transaction in it (4 bytes). */
  readonly #places = new ByteTable(32, 8)
  /** Outpoint to the place of the transaction that spends it. */
  readonly #spenders = new ByteTable(36, 8)

  constructor(store: ChainStore) {
    this.#store = store
  }

  connected(node: BlockNode, block: Block): void {
    let offset = block.raw.length - block.txs.reduce((sum, tx) => sum + tx.size, 0)
    for (const tx of block.txs) {
      write(this.#places, tx.txid, node, offset)
      if (!tx.isCoinbase) {
        for (const { prevTxid, prevIndex } of tx.inputs)
          write(this.#spenders, outpointKey(prevTxid, prevIndex), node, offset)
      }
      offset += tx.size
    }
  }

  /** Transactions of lost blocks are still found, as with Core; what they spent is not spent any more. */
  disconnected(block: Block): void {
    for (const tx of block.txs) {
      for (const { prevTxid, prevIndex } of tx.inputs) this.#spenders.delete(outpointKey(prevTxid, prevIndex))
    }
  }

  find(txid: Uint8Array): IndexedTx | undefined {
    return this.#read(this.#places, txid)
  }

  spenderOf(txid: Uint8Array, index: number): IndexedTx | undefined {
    return this.#read(this.#spenders, outpointKey(txid, index))
  }

  #read(table: ByteTable, key: Uint8Array): IndexedTx | undefined {
    const row = table.find(key)
    if (row < 0) return undefined
    const place = table.valueAt(row)
    const node = this.#store.tree.byArrival(readUint32LE(place, 0))
    return node && { node, tx: parseTx(this.#store.blockSync(node), readUint32LE(place, 4)).tx }
  }
}

function write(table: ByteTable, key: Uint8Array, node: BlockNode, offset: number): void {
  const place = table.valueAt(table.add(key))
  writeUint32LE(place, node.arrival, 0)
  writeUint32LE(place, offset, 4)
}
