import { TXID_KEY_SIZE } from '../db/layout.ts'
import type { ChainView } from '../db/view.ts'
import { asBuffer, readUint32LE } from '../lib/bytes.ts'
import { LOCATIONS } from './layout.ts'

/** `04 atom`: what envelopes and payment markers have in common. */
export const MARKER = Buffer.from('0461746f6d', 'hex')

/** Says quickly of most outpoints (36 bytes) that nothing sits there. */
export interface CarrierFilter {
  mayCarry(outpoint: Uint8Array): boolean
}

/**
 * Which unconfirmed transactions can do something to Atomicals, asked once for each: those that have the marker, those
 * that spend an output that something sits at, and all that spend outputs of such ones. It never misses one: what sits at
 * an output the index knows as soon as its transaction is confirmed.
 */
export class AtomicalsInterest {
  readonly #filter: CarrierFilter | undefined

  constructor(collaborators: { readonly filter?: CarrierFilter | undefined } = {}) {
    this.#filter = collaborators.filter
  }

  /** `raw`: a transaction in full. */
  marks(raw: Uint8Array): boolean {
    return asBuffer(raw).includes(MARKER)
  }

  /** `outpoint`: 36 bytes, of an output that is confirmed in `view`. */
  carries(view: ChainView, outpoint: Uint8Array): boolean {
    if (this.#filter?.mayCarry(outpoint) === false) return false
    const place = { txid: outpoint.subarray(0, TXID_KEY_SIZE), vout: readUint32LE(outpoint, 32) }
    return view.row(LOCATIONS, place) !== undefined
  }
}
