import { outpointAt, type ParsedBlock } from '../chain/block.ts'
import { HASHX_SIZE } from '../chain/script.ts'
import type { SpentOutputs } from '../db/spent.ts'
import { fromHex, toHex } from '../lib/bytes.ts'

/** An output as its rows want it: hashX in hex, value in satoshis. */
export interface Output {
  readonly txid: Uint8Array
  readonly vout: number
  readonly txNum: number
  readonly hashX: string
  readonly value: number
}

export function* outputsOf(block: ParsedBlock, tx: number): Generator<{ vout: number; hashX: string; value: number }> {
  const start = block.outputStart[tx] ?? 0
  for (let output = start; output < (block.outputStart[tx + 1] ?? 0); output++) {
    if (block.unspendable[output] !== 0) continue
    const hashX = toHex(block.hashXs.subarray(output * HASHX_SIZE, (output + 1) * HASHX_SIZE))
    yield { vout: output - start, hashX, value: block.outputValues[output] ?? 0 }
  }
}

/** What an input spends, in hex. */
export function spentAt({ hashXs, values }: SpentOutputs, input: number): { hashX: string; value: number } {
  return { hashX: toHex(hashXs.subarray(input * HASHX_SIZE, (input + 1) * HASHX_SIZE)), value: values[input] ?? 0 }
}

/** What inputs from number `first` on spend, as arrays once somebody asks. */
export function asSpentOutputs(first: number, outputs: readonly Output[]): SpentOutputs {
  return {
    get hashXs() {
      const hashXs = new Uint8Array((first + outputs.length) * HASHX_SIZE)
      for (const [i, { hashX }] of outputs.entries()) hashXs.set(fromHex(hashX), (first + i) * HASHX_SIZE)
      return hashXs
    },
    get values() {
      return Float64Array.from([...new Array<number>(first).fill(0), ...outputs.map(({ value }) => value)])
    },
  }
}

/** u32 LE for each transaction: the inputs of the block before its own. */
export function startsOf({ inputStart, txCount }: ParsedBlock): string {
  const bytes = Buffer.alloc(txCount * 4)
  for (let tx = 0; tx < txCount; tx++) bytes.writeUInt32LE(inputStart[tx] ?? 0, tx * 4)
  return bytes.toString('hex')
}

/** Eight bytes for each input: the first of the txid, the last four of them XORed with the output index (LE). */
export function tagsOf(block: ParsedBlock): string {
  const bytes = Buffer.alloc(block.inputCount * 8)
  for (let input = 0; input < block.inputCount; input++) {
    const outpoint = outpointAt(block, input)
    bytes.set(outpoint.subarray(0, 8), input * 8)
    for (let i = 0; i < 4; i++) bytes[input * 8 + 4 + i] = (outpoint[4 + i] ?? 0) ^ (outpoint[32 + i] ?? 0)
  }
  return bytes.toString('hex')
}

/** The dump shows files reversed, as it shows hashes. */
export function unreversed(hex: string): string {
  return toHex(fromHex(hex).reverse())
}
