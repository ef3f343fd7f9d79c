/** Reads a map as it is or as it was. */
export interface MapReader<V> {
  readonly size: number
  get(key: string): V | undefined
  has(key: string): boolean
}

/**
 * A map that can be frozen: each frozen version goes on reading as the map did then, whatever is written later. A write
 * costs one more entry in the newest version the first time that its key is written, nothing if there is none; older
 * versions read through the newer ones. Versions are freed by forgetting them.
 */
export class VersionedMap<V> implements MapReader<V> {
  readonly #entries = new Map<string, V>()
  #newest: Version<V> | undefined

  get size(): number {
    return this.#entries.size
  }

  get(key: string): V | undefined {
    return this.#entries.get(key)
  }

  has(key: string): boolean {
    return this.#entries.has(key)
  }

  keys(): MapIterator<string> {
    return this.#entries.keys()
  }

  set(key: string, value: V): void {
    this.#newest?.keep(key, this.#entries.get(key))
    this.#entries.set(key, value)
  }

  delete(key: string): void {
    this.#newest?.keep(key, this.#entries.get(key))
    this.#entries.delete(key)
  }

  /** True if no version reads the value that is there now, so that a mutable one may be changed in place. */
  isOwn(key: string): boolean {
    return this.#newest === undefined || this.#newest.keeps(key)
  }

  freeze(): MapReader<V> {
    if (this.#newest?.isUnchanged === true) return this.#newest
    const version = new Version<V>(this.#entries)
    this.#newest?.follow(version)
    this.#newest = version
    return version
  }
}

/** What keys held that were written since; for the others the next version knows, in the end the map itself. */
class Version<V> implements MapReader<V> {
  readonly size: number
  readonly #before = new Map<string, V | undefined>()
  readonly #live: ReadonlyMap<string, V>
  #next: Version<V> | undefined

  constructor(live: ReadonlyMap<string, V>) {
    this.#live = live
    this.size = live.size
  }

  get isUnchanged(): boolean {
    return this.#before.size === 0
  }

  get(key: string): V | undefined {
    if (this.#before.has(key)) return this.#before.get(key)
    for (let version = this.#next; version !== undefined; version = version.#next) {
      if (version.#before.has(key)) return version.#before.get(key)
    }
    return this.#live.get(key)
  }

  has(key: string): boolean {
    return this.get(key) !== undefined
  }

  keeps(key: string): boolean {
    return this.#before.has(key)
  }

  keep(key: string, value: V | undefined): void {
    if (!this.#before.has(key)) this.#before.set(key, value)
  }

  follow(next: Version<V>): void {
    this.#next = next
  }
}
