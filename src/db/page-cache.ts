/** Also the system's: a smaller part of a file costs it as much to read. */
export const PAGE_BYTES = 4096

/** Pages of one file that were read of late, by page number. What was not used since the hand came by goes first. */
export class PageCache {
  readonly #most: number
  readonly #slots = new Map<number, number>()
  /** Memory by slot: taken when it is first needed, and then kept for good. */
  readonly #memory: Uint8Array[] = []
  /** Page by slot; undefined where there is none. */
  readonly #pages: (number | undefined)[] = []
  readonly #used: Uint8Array
  #hand = 0

  /** `maxBytes`: memory of the pages; less than a page keeps none. */
  constructor(maxBytes: number) {
    this.#most = Math.floor(maxBytes / PAGE_BYTES)
    this.#used = new Uint8Array(this.#most)
  }

  get size(): number {
    return this.#slots.size
  }

  /** The bytes of a page, to be used before anything else is asked; undefined if it is not here. */
  find(page: number): Uint8Array | undefined {
    const slot = this.#slots.get(page)
    if (slot === undefined) return undefined
    this.#used[slot] = 1
    return this.#memory[slot]
  }

  /** Memory for a page that is not here, to be filled before anything else is asked; undefined if none are kept. */
  claim(page: number): Uint8Array | undefined {
    if (this.#most === 0) return undefined
    const slot = this.#memory.length < this.#most ? this.#memory.length : this.#freeSlot()
    const memory = (this.#memory[slot] ??= new Uint8Array(PAGE_BYTES))
    this.#pages[slot] = page
    this.#slots.set(page, slot)
    return memory
  }

  drop(page: number): void {
    const slot = this.#slots.get(page)
    if (slot === undefined) return
    this.#slots.delete(page)
    this.#pages[slot] = undefined
    this.#used[slot] = 0
  }

  #freeSlot(): number {
    for (;;) {
      const slot = this.#hand
      this.#hand = (slot + 1) % this.#most
      const page = this.#pages[slot]
      if (page === undefined) return slot
      if (this.#used[slot] === 0) {
        this.#slots.delete(page)
        return slot
      }
      this.#used[slot] = 0
    }
  }
}
