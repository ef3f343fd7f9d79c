import type { BlockContext, Indexer } from '../indexer.ts'
import { KeyWriter, TextSource } from '../keys.ts'
import { HISTORY } from '../layout.ts'

const HASHX_SIZE = 11

/** Transactions of each script, each once, in the order of the chain. A row for each script that the block touches. */
export const historyIndexer: Indexer = {
  name: 'history',
  spaces: [HISTORY],
  wantsGenesis: false,
  apply(context) {
    const { overlay, touched } = context
    const keys = new KeyWriter()
    for (const [hashX, txNums] of collect(context)) {
      touched.add(hashX)
      const first = txNums[0] ?? 0
      let deltas = ''
      for (let i = 1; i < txNums.length; i++) deltas += keys.varint((txNums[i] ?? 0) - (txNums[i - 1] ?? 0))
      overlay.insertText(keys.history(hashX, first), deltas)
    }
  },
}

function collect({ block, firstTxNum, spent }: BlockContext): Map<string, number[]> {
  const hashXs = new TextSource(block.hashXs)
  const found = new Map<string, number[]>()
  const note = (hashX: string, txNum: number): void => {
    const txNums = found.get(hashX)
    if (txNums === undefined) found.set(hashX, [txNum])
    else if (txNums.at(-1) !== txNum) txNums.push(txNum)
  }
  for (let tx = 0; tx < block.txCount; tx++) {
    const txNum = firstTxNum + tx
    const inputsEnd = block.inputStart[tx + 1] ?? 0
    for (let input = block.inputStart[tx] ?? 0; input < inputsEnd; input++) {
      const hashX = spent.hashXs[input] ?? ''
      if (hashX !== '') note(hashX, txNum)
    }
    const outputsEnd = block.outputStart[tx + 1] ?? 0
    for (let output = block.outputStart[tx] ?? 0; output < outputsEnd; output++) {
      if (block.unspendable[output] === 1) continue
      note(hashXs.slice(output * HASHX_SIZE, (output + 1) * HASHX_SIZE), txNum)
    }
  }
  return found
}
