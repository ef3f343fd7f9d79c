import { readUint32LE } from '../lib/bytes.ts'

/**
 * Which outputs may carry atomicals: a Bloom filter over places (first bytes of the txid and output index). It says "maybe"
 * for some that do not, never "no" for one that does.
 */
export class PlaceFilter {
  readonly #bits: Uint32Array
  readonly #mask: number

  /** `bits`: a power of two; some 16 for each place keep false answers below one in a hundred. */
  constructor(bits: number) {
    if (bits < 32 || (bits & (bits - 1)) !== 0) throw new RangeError('bits must be a power of two')
    this.#bits = new Uint32Array(bits / 32)
    this.#mask = bits - 1
  }

  /** `txid`: its first eight bytes at least. */
  add(txid: Uint8Array, vout: number): void {
    const step = stepOf(txid, 0, vout)
    for (let i = 0, bit = firstOf(txid, 0, vout); i < PROBES; i++, bit = (bit + step) | 0) {
      const at = bit & this.#mask
      this.#bits[at >>> 5] = (this.#bits[at >>> 5] ?? 0) | (1 << (at & 31))
    }
  }

  /** Whether the output may be there whose outpoint (txid, index LE) is at `offset` of `raw`. */
  mayHave(raw: Uint8Array, offset: number): boolean {
    const vout = readUint32LE(raw, offset + 32)
    const step = stepOf(raw, offset, vout)
    for (let i = 0, bit = firstOf(raw, offset, vout); i < PROBES; i++, bit = (bit + step) | 0) {
      const at = bit & this.#mask
      if (((this.#bits[at >>> 5] ?? 0) & (1 << (at & 31))) === 0) return false
    }
    return true
  }
}

const PROBES = 4

/** Ids are hashes already: two of their words, and the index, are as good as two more hashes. */
function firstOf(txid: Uint8Array, offset: number, vout: number): number {
  return readUint32LE(txid, offset) ^ Math.imul(vout, 0x9e37_79b1)
}

function stepOf(txid: Uint8Array, offset: number, vout: number): number {
  return (readUint32LE(txid, offset + 4) + Math.imul(vout, 0x85eb_ca6b)) | 1
}
