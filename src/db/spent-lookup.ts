import type { ParsedBlock } from '../chain/block.ts'
import { HASHX_SIZE } from '../chain/script.ts'
import { ChainError } from '../errors.ts'
import { readUint32LE, toLatin1 } from '../lib/bytes.ts'
import { PLACE_SIZE, writePlace } from './block-delta.ts'
import type { Layer } from './layer.ts'
import { OUTPUTS, TXID_KEY_SIZE } from './layout.ts'
import type { SpentOutputs } from './spent.ts'
import type { StoreReader } from './store.ts'

/** Rows asked for in one go. */
const READS_PER_TURN = 2000

/**
 * Finds what a block spends where the node does not tell: among the outputs of the block, then in the blocks not yet on
 * disk (`layers`, the latest first), then in the store, which has to list outputs. Throws ChainError if an output is not
 * there, is spent twice, or is made only later in the block.
 */
export async function lookUpSpent(
  block: ParsedBlock,
  layers: readonly Layer[],
  store: StoreReader,
): Promise<SpentOutputs> {
  const lookup = new Lookup(block)
  const missing = lookup.missingFrom(layers)
  for (let at = 0; at < missing.length; at += READS_PER_TURN) {
    const some = missing.slice(at, at + READS_PER_TURN)
    const values = await store.getMany(some.map(({ key }) => key))
    for (const [i, { input }] of some.entries()) {
      const value = values[i]
      if (value === undefined) throw notThere(input)
      const { hashX, value: satoshis } = OUTPUTS.readValue(value)
      lookup.found(input, hashX, satoshis)
    }
  }
  return lookup.spent
}

interface Missing {
  readonly input: number
  /** Key of its OUTPUTS row. */
  readonly key: Uint8Array
}

class Lookup {
  readonly spent: SpentOutputs
  readonly #block: ParsedBlock
  readonly #own: OwnOutputs

  constructor(block: ParsedBlock) {
    this.#block = block
    this.#own = new OwnOutputs(block)
    const { inputCount } = block
    this.spent = { hashXs: new Uint8Array(inputCount * HASHX_SIZE), values: new Float64Array(inputCount) }
  }

  found(input: number, hashX: Uint8Array, satoshis: number): void {
    this.spent.hashXs.set(hashX, input * HASHX_SIZE)
    this.spent.values[input] = satoshis
  }

  /** Looks where no disk is needed; what remains. */
  missingFrom(layers: readonly Layer[]): Missing[] {
    const { txCount, inputStart, inputOffsets, raw } = this.#block
    const missing: Missing[] = []
    const seen = new Set<string>()
    // Transaction 0 is the coinbase, which spends nothing.
    for (let tx = 1; tx < txCount; tx++) {
      const end = inputStart[tx + 1] ?? 0
      for (let input = inputStart[tx] ?? 0; input < end; input++) {
        const place = new Uint8Array(PLACE_SIZE)
        writePlace(place, 0, raw, inputOffsets[input] ?? 0)
        const text = toLatin1(place)
        if (seen.has(text)) throw new ChainError(`the block spends an output twice (input ${input})`)
        seen.add(text)
        if (!this.#findInMemory(input, tx, place, layers)) missing.push({ input, key: outputKey(place) })
      }
    }
    return missing
  }

  #findInMemory(input: number, tx: number, place: Uint8Array, layers: readonly Layer[]): boolean {
    const output = this.#own.find(place, tx)
    if (output !== undefined) {
      const { hashXs, outputValues } = this.#block
      const hashX = hashXs.subarray(output * HASHX_SIZE, (output + 1) * HASHX_SIZE)
      this.found(input, hashX, outputValues[output] ?? 0)
      return true
    }
    for (const layer of layers) {
      const known = layer.outputAt(place)
      if (known === 'spent') throw notThere(input)
      if (known === undefined) continue
      this.found(input, known.hashX, known.output.value)
      return true
    }
    return false
  }
}

/** The outputs that a block makes, for its own later transactions. */
class OwnOutputs {
  readonly #block: ParsedBlock
  /** Number of each transaction by the beginning of its id. */
  readonly #txs = new Map<string, number>()

  constructor(block: ParsedBlock) {
    this.#block = block
    for (let tx = 0; tx < block.txCount; tx++) {
      this.#txs.set(toLatin1(block.txids.subarray(tx * 32, tx * 32 + TXID_KEY_SIZE)), tx)
    }
  }

  /** Number of the output in the block if it is one of this block. */
  find(place: Uint8Array, spender: number): number | undefined {
    const { outputStart, unspendable } = this.#block
    const maker = this.#txs.get(toLatin1(place.subarray(0, TXID_KEY_SIZE)))
    if (maker === undefined) return undefined
    const output = (outputStart[maker] ?? 0) + readUint32LE(place, TXID_KEY_SIZE)
    if (maker >= spender || output >= (outputStart[maker + 1] ?? 0) || unspendable[output] === 1) {
      throw new ChainError(`transaction ${spender} of the block spends an output that is not there`)
    }
    return output
  }
}

function outputKey(place: Uint8Array): Uint8Array {
  return OUTPUTS.keyBytes({ txid: place.subarray(0, TXID_KEY_SIZE), vout: readUint32LE(place, TXID_KEY_SIZE) })
}

function notThere(input: number): ChainError {
  return new ChainError(`the block spends an output that is not there (input ${input})`)
}
