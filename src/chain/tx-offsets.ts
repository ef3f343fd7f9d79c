import { HEADER_SIZE } from './headers.ts'
import { ByteReader } from './reader.ts'
import { MIN_INPUT_SIZE, MIN_OUTPUT_SIZE, MIN_TX_SIZE, skipMarker } from './tx.ts'

/**
 * Where each transaction of a block begins; the last entry is the end of the block. Only what is needed to pass over a
 * transaction is read: several times as fast as parseBlock, which hashes everything. Throws ParseError.
 */
export function txOffsetsOf(block: Uint8Array): Uint32Array {
  const reader = new ByteReader(block)
  reader.skip(HEADER_SIZE)
  const count = reader.count(MIN_TX_SIZE)
  if (count === 0) reader.fail('no transactions', HEADER_SIZE)
  const offsets = new Uint32Array(count + 1)
  for (let tx = 0; tx < count; tx += 1) {
    offsets[tx] = reader.position
    skipTx(reader)
  }
  offsets[count] = reader.position
  reader.finish()
  return offsets
}

function skipTx(reader: ByteReader): void {
  reader.skip(4)
  const segwit = skipMarker(reader)
  const inputs = reader.count(MIN_INPUT_SIZE)
  for (let input = 0; input < inputs; input += 1) {
    reader.skip(36)
    reader.skip(reader.compactSize())
    reader.skip(4)
  }
  const outputs = reader.count(MIN_OUTPUT_SIZE)
  for (let output = 0; output < outputs; output += 1) {
    reader.skip(8)
    reader.skip(reader.compactSize())
  }
  if (segwit) {
    for (let input = 0; input < inputs; input += 1) {
      const items = reader.count(1)
      for (let item = 0; item < items; item += 1) reader.skip(reader.compactSize())
    }
  }
  reader.skip(4)
}
