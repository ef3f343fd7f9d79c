/**
 * What the inputs of a block spend, by input counted through the block; entries of the coinbase are zero. Plain data that
 * crosses to another thread as it is.
 */
export interface SpentOutputs {
  /** HashX of the output spent: 11 bytes each. */
  readonly hashXs: Uint8Array
  /** Its satoshis. */
  readonly values: Float64Array
}

export const NOTHING_SPENT: SpentOutputs = { hashXs: new Uint8Array(0), values: new Float64Array(0) }
