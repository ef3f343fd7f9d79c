import { ParseError } from '../../errors.ts'

/** Without references a byte is worked through once for each item that it is nested in: fewer than this. */
const PER_BYTE = 1024
/** For items of a few bytes. */
const BASE = 65_536

/**
 * How much work beyond reading its bytes one item may cause. Shared references make a few bytes stand for a large
 * value again and again, so whatever works through a whole value (arithmetic, patterns, keys) pays by its length.
 */
export class Budget {
  #left: number

  constructor(inputLength: number) {
    this.#left = inputLength * PER_BYTE + BASE
  }

  /** Throws ParseError once the work is more than the input can justify. `bytes` may be a fraction. */
  charge(bytes: number, offset: number): void {
    this.#left -= bytes
    if (this.#left < 0) throw new ParseError('CBOR item is out of proportion to its length', offset)
  }
}
