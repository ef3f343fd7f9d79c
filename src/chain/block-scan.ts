import { HEADER_SIZE } from './headers.ts'
import type { ByteReader } from './reader.ts'
import { MIN_INPUT_SIZE, MIN_OUTPUT_SIZE, MIN_TX_SIZE, skipMarker } from './tx.ts'

/** Txid and output index. */
export const OUTPOINT_SIZE = 36

const FIRST_NUMBERS = 64

/** A list of numbers that keeps its memory. */
class Numbers {
  #numbers = new Float64Array(FIRST_NUMBERS)
  #length = 0

  get length(): number {
    return this.#length
  }

  push(number: number): void {
    if (this.#length === this.#numbers.length) this.#grow()
    this.#numbers[this.#length++] = number
  }

  clear(): void {
    this.#length = 0
  }

  toUint32s(): Uint32Array<ArrayBuffer> {
    return new Uint32Array(this.#numbers.subarray(0, this.#length))
  }

  toFloat64s(): Float64Array<ArrayBuffer> {
    return this.#numbers.slice(0, this.#length)
  }

  #grow(): void {
    const larger = new Float64Array(this.#numbers.length * 2)
    larger.set(this.#numbers)
    this.#numbers = larger
  }
}

/**
 * What one pass over the bytes of a block finds, in the order of ParsedBlock. Its memory is used again for the next block:
 * lists of numbers that grow with every block were most of what the collector had to do with a parsing thread.
 */
export class BlockScan {
  readonly txOffsets = new Numbers()
  readonly witnessOffsets = new Numbers()
  readonly inputStart = new Numbers()
  readonly outputStart = new Numbers()
  readonly inputOffsets = new Numbers()
  readonly outputValues = new Numbers()
  readonly scriptOffsets = new Numbers()
  readonly scriptLengths = new Numbers()

  /** Reads a whole block; what was read before is gone. Throws ParseError. */
  read(reader: ByteReader): void {
    for (const numbers of this.#all()) numbers.clear()
    reader.skip(HEADER_SIZE)
    const count = reader.count(MIN_TX_SIZE)
    if (count === 0) reader.fail('no transactions', HEADER_SIZE)
    for (let i = 0; i < count; i++) scanTx(reader, this)
    reader.finish()
    this.txOffsets.push(reader.position)
    this.inputStart.push(this.inputOffsets.length)
    this.outputStart.push(this.outputValues.length)
  }

  #all(): readonly Numbers[] {
    return [
      this.txOffsets,
      this.witnessOffsets,
      this.inputStart,
      this.outputStart,
      this.inputOffsets,
      this.outputValues,
      this.scriptOffsets,
      this.scriptLengths,
    ]
  }
}

function scanTx(reader: ByteReader, scan: BlockScan): void {
  scan.txOffsets.push(reader.position)
  scan.inputStart.push(scan.inputOffsets.length)
  scan.outputStart.push(scan.outputValues.length)
  reader.skip(4)
  const segwit = skipMarker(reader)
  const inputsAt = reader.position
  const inputs = reader.count(MIN_INPUT_SIZE)
  if (inputs === 0) reader.fail('no inputs', inputsAt)
  for (let i = 0; i < inputs; i++) {
    scan.inputOffsets.push(reader.skip(OUTPOINT_SIZE))
    reader.skip(reader.compactSize())
    reader.skip(4)
  }
  const outputs = reader.count(MIN_OUTPUT_SIZE)
  for (let i = 0; i < outputs; i++) {
    scan.outputValues.push(reader.amount())
    const length = reader.compactSize()
    scan.scriptLengths.push(length)
    scan.scriptOffsets.push(reader.skip(length))
  }
  scan.witnessOffsets.push(segwit ? reader.position : 0)
  if (segwit) skipWitnesses(reader, inputs)
  reader.skip(4)
}

function skipWitnesses(reader: ByteReader, inputs: number): void {
  const start = reader.position
  let items = 0
  for (let i = 0; i < inputs; i++) {
    const count = reader.count(1)
    for (let item = 0; item < count; item++) reader.skip(reader.compactSize())
    items += count
  }
  if (items === 0) reader.fail('witness section without a witness', start)
}
