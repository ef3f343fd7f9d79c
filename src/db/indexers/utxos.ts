import type { BlockContext, Indexer } from '../indexer.ts'
import { KeyWriter, TextSource } from '../keys.ts'
import { OUTPUTS, UTXOS } from '../layout.ts'

const HASHX_SIZE = 11

/** Unspent outputs by script, and whose each of them is. Outputs that the block itself spends leave no rows. */
export const utxosIndexer: Indexer = {
  name: 'utxos',
  spaces: [OUTPUTS, UTXOS],
  wantsGenesis: false,
  apply(context) {
    removeSpent(context)
    addOutputs(context)
  },
}

function removeSpent({ overlay, spent }: BlockContext): void {
  const keys = new KeyWriter()
  for (const [input, place] of spent.places.entries()) {
    if (place === '') continue
    overlay.removeText(keys.output(place))
    overlay.removeText(keys.utxo(spent.hashXs[input] ?? '', place))
  }
}

function addOutputs({ block, overlay, firstTxNum, spent }: BlockContext): void {
  const keys = new KeyWriter()
  const hashXs = new TextSource(block.hashXs)
  for (let tx = 0; tx < block.txCount; tx++) {
    const start = block.outputStart[tx] ?? 0
    const end = block.outputStart[tx + 1] ?? 0
    const txNum = keys.number(firstTxNum + tx)
    for (let output = start; output < end; output++) {
      if (block.unspendable[output] === 1 || spent.spentHere[output] === 1) continue
      const hashX = hashXs.slice(output * HASHX_SIZE, (output + 1) * HASHX_SIZE)
      const place = keys.place(block.txids, tx * 32, output - start)
      const value = keys.utxoValue(txNum, block.outputValues[output] ?? 0)
      if (tx > 0) {
        overlay.insertText(keys.output(place), hashX)
        overlay.insertText(keys.utxo(hashX, place), value)
      } else {
        // A coinbase may be the same as an earlier one whose outputs it then replaces (BIP30, blocks 91842 and 91880).
        overlay.putText(keys.output(place), hashX)
        overlay.putText(keys.utxo(hashX, place), value)
      }
    }
  }
}
