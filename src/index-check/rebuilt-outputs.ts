import { outpointAt, type ParsedBlock, txidAt } from '../chain/block.ts'
import { HASHX_SIZE } from '../chain/script.ts'
import { OUTPUTS, TXID_KEY_SIZE } from '../db/layout.ts'
import type { SpentOutputs } from '../db/spent.ts'
import type { Store } from '../db/store.ts'
import { ChainError } from '../errors.ts'
import { fromHex, fromLatin1, readUint32LE, toDisplayHex, toLatin1 } from '../lib/bytes.ts'
import { outputsOf } from './block-rows.ts'

/** Outputs that wait for a write: some tens of megabytes. */
const MOST_WAITING = 200_000

/**
 * What the unspent outputs of the chain pay, of a node that does not tell what blocks spend: made from the blocks, given
 * one by one from the first after genesis, in a store of their own. What a finished index says of them is not looked at.
 */
export class RebuiltOutputs {
  readonly #store: Store
  /** By key; undefined for one in the store that is spent. */
  readonly #waiting = new Map<string, Uint8Array | undefined>()

  /** `store`: an empty one, closed by close(). */
  constructor(store: Store) {
    this.#store = store
  }

  /** What the inputs of the next block spend; nothing for the coinbase's. Throws ChainError if there is no such output. */
  async apply(block: ParsedBlock): Promise<SpentOutputs> {
    for (let tx = 0; tx < block.txCount; tx++) {
      const txid = txidAt(block, tx)
      for (const { vout, hashX, value } of outputsOf(block, tx)) {
        this.#waiting.set(keyOf(txid, vout), OUTPUTS.valueBytes({ hashX: fromHex(hashX), value }))
      }
    }
    const spent = await this.#take(block)
    if (this.#waiting.size > MOST_WAITING) await this.#write()
    return spent
  }

  close(): Promise<void> {
    return this.#store.close()
  }

  async #take(block: ParsedBlock): Promise<SpentOutputs> {
    const { inputCount, inputStart } = block
    const first = inputStart[1] ?? inputCount
    const keys = Array.from({ length: inputCount - first }, (_, i) => {
      const outpoint = outpointAt(block, first + i)
      return keyOf(outpoint.subarray(0, 32), readUint32LE(outpoint, 32))
    })
    const stored = keys.filter((key) => !this.#waiting.has(key))
    const values = await this.#store.getMany(stored.map(fromLatin1))
    const found = new Map(stored.map((key, i) => [key, values[i]]))
    const spent = { hashXs: new Uint8Array(inputCount * HASHX_SIZE), values: new Float64Array(inputCount) }
    for (const [i, key] of keys.entries()) {
      const output = this.#waiting.get(key) ?? found.get(key)
      if (output === undefined) {
        throw new ChainError(`block ${toDisplayHex(block.hash)} of the node spends what no block before it makes`)
      }
      const { hashX, value } = OUTPUTS.readValue(output)
      spent.hashXs.set(hashX, (first + i) * HASHX_SIZE)
      spent.values[first + i] = value
      if (found.has(key)) this.#waiting.set(key, undefined)
      else this.#waiting.delete(key)
    }
    return spent
  }

  async #write(): Promise<void> {
    const batch = this.#store.batch()
    for (const [key, value] of this.#waiting) {
      if (value === undefined) batch.del(fromLatin1(key))
      else batch.put(fromLatin1(key), value)
    }
    await batch.write()
    this.#waiting.clear()
  }
}

/** As an index has it that lists outputs. */
function keyOf(txid: Uint8Array, vout: number): string {
  return toLatin1(OUTPUTS.keyBytes({ txid: txid.subarray(0, TXID_KEY_SIZE), vout }))
}
