import type { ParsedBlock } from '../chain/block.ts'
import { ByteReader } from '../chain/reader.ts'
import { HASHX_SIZE } from '../chain/script.ts'
import type { SpentOutputs } from '../db/spent.ts'
import { emptyBatch } from '../lib/hash-batch.ts'

/** A value and an empty script. */
const LEAST_OUTPUT = 9

/**
 * What a block spends, as REST `spenttxouts` tells it: for each transaction the outputs that its inputs spend, each as in
 * a transaction; none for the coinbase. Throws ParseError if it does not fit the block.
 */
export function parseSpentTxOuts(bytes: Uint8Array, block: ParsedBlock): SpentOutputs {
  const reader = new ByteReader(bytes)
  const hashXs = new Uint8Array(block.inputCount * HASHX_SIZE)
  const values = new Float64Array(block.inputCount)
  const offsets = new Uint32Array(block.inputCount)
  const lengths = new Uint32Array(block.inputCount)
  if (reader.count(1) !== block.txCount) reader.fail('another number of transactions than the block has')
  for (let tx = 0; tx < block.txCount; tx++) {
    const first = block.inputStart[tx] ?? 0
    const end = block.inputStart[tx + 1] ?? 0
    const count = reader.count(LEAST_OUTPUT)
    if (count !== (tx === 0 ? 0 : end - first)) reader.fail('another number of inputs than the block has')
    for (let input = first; input < first + count; input++) {
      values[input] = reader.amount()
      const length = reader.compactSize()
      lengths[input] = length
      offsets[input] = reader.skip(length)
    }
  }
  reader.finish()
  // Those of the coinbase are not there and stay zero.
  const first = block.inputStart[1] ?? 0
  const batch = emptyBatch()
  batch.append(reader.bytes)
  const target = hashXs.subarray(first * HASHX_SIZE)
  batch.hash(offsets.subarray(first), lengths.subarray(first), { target, size: HASHX_SIZE, twice: false })
  return { hashXs, values }
}
