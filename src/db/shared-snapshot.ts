import { InvariantError } from '../errors.ts'
import { GATHERED } from './layout.ts'
import type { StoreReader, StoreSnapshot } from './store.ts'

/** A snapshot with several owners: closed when the last of them lets go. */
export class SharedSnapshot {
  /** Scripts have HISTORY rows only where their heads say so. */
  readonly isGathered: boolean
  readonly #snapshot: StoreSnapshot
  readonly #closing: (closed: Promise<void>) => void
  #owners = 1

  /** Whoever makes it is the first owner. `closing` hears of the end. */
  constructor(snapshot: StoreSnapshot, closing: (closed: Promise<void>) => void) {
    this.#snapshot = snapshot
    this.isGathered = snapshot.getSync(GATHERED.keyBytes({})) !== undefined
    this.#closing = closing
  }

  get reader(): StoreReader {
    if (this.#owners === 0) throw new InvariantError('read from a view that was released')
    return this.#snapshot
  }

  retain(): this {
    if (this.#owners === 0) throw new InvariantError('a snapshot that was closed is asked for')
    this.#owners += 1
    return this
  }

  release(): void {
    if (this.#owners === 0) throw new InvariantError('a snapshot is released more often than it was retained')
    this.#owners -= 1
    if (this.#owners === 0) this.#closing(this.#snapshot.close())
  }
}
