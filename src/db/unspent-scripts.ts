import { compareBytes } from '../lib/bytes.ts'
import { UTXOS } from './layout.ts'
import type { StoreReader } from './store.ts'

/** Which scripts a store has unspent outputs of: asked for one after the other, in the order of their hashXs. */
export class UnspentScripts {
  readonly #store: StoreReader
  /** Of rows, the first ones that may belong to the script that is asked for next. */
  #keys: readonly Uint8Array[] = []
  #at = 0

  constructor(store: StoreReader) {
    this.#store = store
  }

  async has(hashX: Uint8Array): Promise<boolean> {
    const { gte, lt } = UTXOS.range(hashX)
    this.#pass(gte)
    if (this.#at === this.#keys.length) await this.#readFrom(gte)
    const key = this.#keys[this.#at]
    return key !== undefined && compareBytes(key, lt) < 0
  }

  #pass(gte: Uint8Array): void {
    for (; this.#at < this.#keys.length; this.#at++) {
      if (compareBytes(this.#keys[this.#at] ?? gte, gte) >= 0) return
    }
  }

  /** Looked for anew each time: a script may have a million of them, and is passed over then. */
  async #readFrom(gte: Uint8Array): Promise<void> {
    this.#at = 0
    this.#keys = []
    for await (const keys of this.#store.scanKeys({ gte, lt: UTXOS.range().lt })) {
      this.#keys = keys
      return
    }
  }
}
