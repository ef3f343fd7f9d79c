import type { ParsedBlock } from '../chain/block.ts'
import { ChainError } from '../errors.ts'
import { readUint32LE } from '../lib/bytes.ts'
import { KeyWriter, TextSource } from './keys.ts'
import { TXID_KEY_SIZE } from './layout.ts'
import type { BlockOverlay } from './overlay.ts'

const HASHX_SIZE = 11

/** What the inputs of a block spend, by input counted through the block; those of the coinbase have empty texts. */
export interface SpentOutputs {
  /** HashX of the output spent, one character a byte. */
  readonly hashXs: readonly string[]
  /** What the keys of the output's rows end with (KeyWriter.place); empty where the block itself made the output. */
  readonly places: readonly string[]
  /** 1 for outputs, counted through the block, that the block itself spends: no row of them is ever written. */
  readonly spentHere: Uint8Array
}

export const NOTHING_SPENT: SpentOutputs = { hashXs: [], places: [], spentHere: new Uint8Array(0) }

/** Where spent outputs are looked up: in the index, or one day in what the node says of them. */
export type SpentSource = (block: ParsedBlock, overlay: BlockOverlay) => Promise<SpentOutputs>

/**
 * Looks the spent outputs up among those of the block, then below it, in one go. Throws ChainError if one is not there,
 * is spent twice, or is made only later in the block.
 */
export const lookUpSpent: SpentSource = async (block, overlay) => {
  const keys = new KeyWriter()
  const spent = sortOut(block, keys)
  const { hashXs, places } = spent
  const outside = [...places.keys()].filter((input) => places[input] !== '')
  await overlay.prefetch(outside.map((input) => keys.output(places[input] ?? '')))
  for (const input of outside) {
    const hashX = overlay.getText(keys.output(places[input] ?? ''))
    if (hashX === undefined) throw new ChainError(`the block spends an output that is not there (input ${input})`)
    hashXs[input] = hashX
  }
  if (overlay.recordsUndo) {
    await overlay.prefetch(outside.map((input) => keys.utxo(hashXs[input] ?? '', places[input] ?? '')))
  }
  return spent
}

/** Finds what the block spends of its own outputs, and the places of all others that it spends. */
function sortOut(block: ParsedBlock, keys: KeyWriter) {
  const own = new OwnOutputs(block)
  const hashXs = new Array<string>(block.inputCount).fill('')
  const places = new Array<string>(block.inputCount).fill('')
  const seen = new Set<string>()
  // Transaction 0 is the coinbase, which spends nothing.
  for (let tx = 1; tx < block.txCount; tx++) {
    const end = block.inputStart[tx + 1] ?? 0
    for (let input = block.inputStart[tx] ?? 0; input < end; input++) {
      const offset = block.inputOffsets[input] ?? 0
      const vout = readUint32LE(block.raw, offset + 32)
      const hashX = own.spend(offset, vout, tx)
      if (hashX !== undefined) {
        hashXs[input] = hashX
        continue
      }
      const place = keys.place(block.raw, offset, vout)
      if (seen.has(place)) throw new ChainError(`the block spends an output twice (input ${input})`)
      seen.add(place)
      places[input] = place
    }
  }
  return { hashXs, places, spentHere: own.spentHere }
}

/** The outputs that a block makes, for its own later transactions. */
class OwnOutputs {
  readonly spentHere: Uint8Array
  readonly #block: ParsedBlock
  readonly #raw: TextSource
  readonly #hashXs: TextSource
  /** Number of each transaction by the beginning of its id. */
  readonly #txs = new Map<string, number>()

  constructor(block: ParsedBlock) {
    this.#block = block
    this.spentHere = new Uint8Array(block.outputCount)
    this.#raw = new TextSource(block.raw)
    this.#hashXs = new TextSource(block.hashXs)
    const txids = new TextSource(block.txids)
    for (let tx = 0; tx < block.txCount; tx++) this.#txs.set(txids.slice(tx * 32, tx * 32 + TXID_KEY_SIZE), tx)
  }

  /** HashX of the output if it is one of this block; marks it as spent. `offset`: of the outpoint in the block. */
  spend(offset: number, vout: number, spender: number): string | undefined {
    const block = this.#block
    const maker = this.#txs.get(this.#raw.slice(offset, offset + TXID_KEY_SIZE))
    if (maker === undefined) return undefined
    const output = (block.outputStart[maker] ?? 0) + vout
    if (maker >= spender || output >= (block.outputStart[maker + 1] ?? 0) || block.unspendable[output] === 1) {
      throw new ChainError(`transaction ${spender} of the block spends an output that is not there`)
    }
    if (this.spentHere[output] === 1) throw new ChainError(`transaction ${spender} of the block spends an output twice`)
    this.spentHere[output] = 1
    return this.#hashXs.slice(output * HASHX_SIZE, (output + 1) * HASHX_SIZE)
  }
}
