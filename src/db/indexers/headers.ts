import type { Indexer } from '../indexer.ts'
import { HEADERS } from '../layout.ts'

/** Headers by height, with the number of transactions so far. */
export const headersIndexer: Indexer = {
  name: 'headers',
  spaces: [HEADERS],
  wantsGenesis: true,
  apply({ height, block, firstTxNum, overlay }) {
    const txCount = height === 0 ? 0 : firstTxNum + block.txCount
    overlay.insert(HEADERS, { height }, { txCount, header: block.header })
  },
}
