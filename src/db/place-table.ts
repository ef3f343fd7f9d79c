import { randomBytes } from 'node:crypto'
import { readUint32LE } from '../lib/bytes.ts'
import { PLACE_SIZE } from './block-delta.ts'

const LEAST_SLOTS = 1024
/** Stands for "none": greater than every number of a row. */
const NONE = 0xffff_ffff

/**
 * Outputs made and spent by the blocks of a layer, by their place, outside the heap: open addressing. Where the node
 * does not tell what a block spends, this is where it is looked up first.
 */
export class PlaceTable {
  /** Nobody outside can make ids that crowd into one corner of the table. */
  readonly #seed = readUint32LE(randomBytes(4), 0)
  #slots = 0
  #keys = new Uint8Array(0)
  #used = new Uint8Array(0)
  #outs = new Uint32Array(0)
  #spends = new Uint32Array(0)
  #count = 0

  constructor() {
    this.#allocate(LEAST_SLOTS)
  }

  get bytes(): number {
    return this.#slots * (PLACE_SIZE + 1 + 8)
  }

  /** Notes that row `out` of the outputs is at `place`; an earlier one there (BIP30) is forgotten. */
  made(place: Uint8Array, out: number): void {
    const slot = this.#slotFor(place)
    this.#outs[slot] = out
    this.#spends[slot] = NONE
  }

  /** Notes that row `spend` of the spends takes what is at `place`. */
  spent(place: Uint8Array, spend: number): void {
    this.#spends[this.#slotFor(place)] = spend
  }

  /** Rows that made and that spent what is at `place`: 2^32 - 1 for none. */
  get(place: Uint8Array): { readonly out: number; readonly spend: number } | undefined {
    const slot = this.#find(place)
    if (this.#used[slot] === 0) return undefined
    return { out: this.#outs[slot] ?? NONE, spend: this.#spends[slot] ?? NONE }
  }

  #slotFor(place: Uint8Array): number {
    if (this.#count * 2 >= this.#slots) this.#enlarge()
    const slot = this.#find(place)
    if (this.#used[slot] === 0) {
      this.#used[slot] = 1
      this.#keys.set(place, slot * PLACE_SIZE)
      this.#outs[slot] = NONE
      this.#spends[slot] = NONE
      this.#count += 1
    }
    return slot
  }

  /** The slot that has the place, or the free one where it would be. */
  #find(place: Uint8Array): number {
    const mask = this.#slots - 1
    let slot = this.#hash(place) & mask
    while (this.#used[slot] === 1 && !this.#isAt(slot, place)) slot = (slot + 1) & mask
    return slot
  }

  #isAt(slot: number, place: Uint8Array): boolean {
    const keys = this.#keys
    const at = slot * PLACE_SIZE
    for (let i = 0; i < PLACE_SIZE; i++) if (keys[at + i] !== place[i]) return false
    return true
  }

  #hash(place: Uint8Array): number {
    let mixed = Math.imul(readUint32LE(place, 0) ^ this.#seed, 0x9e37_79b1)
    mixed = Math.imul(mixed ^ (mixed >>> 15) ^ readUint32LE(place, 4), 0x85eb_ca77)
    mixed = Math.imul(mixed ^ (mixed >>> 13) ^ readUint32LE(place, 16), 0xc2b2_ae3d)
    return (mixed ^ (mixed >>> 16)) >>> 0
  }

  #enlarge(): void {
    const [keys, used, outs, spends] = [this.#keys, this.#used, this.#outs, this.#spends]
    this.#allocate(this.#slots * 2)
    for (let old = 0; old < used.length; old++) {
      if (used[old] === 0) continue
      const slot = this.#slotFor(keys.subarray(old * PLACE_SIZE, (old + 1) * PLACE_SIZE))
      this.#outs[slot] = outs[old] ?? NONE
      this.#spends[slot] = spends[old] ?? NONE
    }
  }

  #allocate(slots: number): void {
    this.#slots = slots
    this.#keys = new Uint8Array(slots * PLACE_SIZE)
    this.#used = new Uint8Array(slots)
    this.#outs = new Uint32Array(slots)
    this.#spends = new Uint32Array(slots)
    this.#count = 0
  }
}
