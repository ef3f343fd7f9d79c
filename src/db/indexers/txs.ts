import type { Indexer } from '../indexer.ts'
import { KeyWriter } from '../keys.ts'
import { TXS } from '../layout.ts'

/** Transaction ids by number (the txid file), and numbers by id. */
export const txsIndexer: Indexer = {
  name: 'txs',
  spaces: [TXS],
  wantsGenesis: false,
  apply({ block, firstTxNum, overlay }) {
    const keys = new KeyWriter()
    for (let tx = 0; tx < block.txCount; tx++) {
      // Two coinbases exist twice (BIP30); their rows differ by the number.
      overlay.insertText(keys.tx(block.txids, tx * 32, firstTxNum + tx), '')
    }
    overlay.appendTxids(block.txids)
  },
}
