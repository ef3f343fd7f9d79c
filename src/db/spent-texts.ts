import type { ParsedBlock } from '../chain/block.ts'
import { HASHX_SIZE } from '../chain/script.ts'
import { asBuffer, readUint32LE } from '../lib/bytes.ts'
import { TXID_KEY_SIZE } from './layout.ts'
import type { SpentOutputs } from './spent.ts'

/**
 * What the inputs of a block spend as text of one character a byte, by input counted through the block; texts of the
 * coinbase are empty. Made when they are asked for first.
 */
export class SpentTexts {
  readonly #block: ParsedBlock
  readonly #spent: SpentOutputs
  #hashXs: readonly string[] | undefined
  #places: readonly string[] | undefined

  constructor(block: ParsedBlock, spent: SpentOutputs) {
    this.#block = block
    this.#spent = spent
  }

  /** HashX of the output spent. */
  get hashXs(): readonly string[] {
    this.#hashXs ??= this.#ofEach((input) => {
      return asBuffer(this.#spent.hashXs).toString('latin1', input * HASHX_SIZE, (input + 1) * HASHX_SIZE)
    })
    return this.#hashXs
  }

  /**
   * First TXID_KEY_SIZE bytes of the txid and the output index (u32, most significant byte first) of the output spent;
   * empty where the block itself made it.
   */
  get places(): readonly string[] {
    if (this.#places !== undefined) return this.#places
    const block = this.#block
    const txids = asBuffer(block.txids)
    const own = new Set<string>()
    for (let tx = 0; tx < block.txCount; tx++) own.add(txids.toString('latin1', tx * 32, tx * 32 + TXID_KEY_SIZE))
    const raw = asBuffer(block.raw)
    const scratch = Buffer.alloc(TXID_KEY_SIZE + 4)
    this.#places = this.#ofEach((input) => {
      const offset = block.inputOffsets[input] ?? 0
      if (own.has(raw.toString('latin1', offset, offset + TXID_KEY_SIZE))) return ''
      raw.copy(scratch, 0, offset, offset + TXID_KEY_SIZE)
      scratch.writeUInt32BE(readUint32LE(raw, offset + 32), TXID_KEY_SIZE)
      return scratch.toString('latin1')
    })
    return this.#places
  }

  #ofEach(textOf: (input: number) => string): readonly string[] {
    const first = this.#block.inputStart[1] ?? 0
    return Array.from({ length: this.#block.inputCount }, (_, input) => (input < first ? '' : textOf(input)))
  }
}
