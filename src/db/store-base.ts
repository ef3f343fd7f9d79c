import { SharedSnapshot } from './shared-snapshot.ts'
import type { Store, StoreReader } from './store.ts'

/** What views stand on: the store as it was when blocks were last written, while later ones are on their way there. */
export class StoreBase {
  readonly #store: Store
  /** Of snapshots that nobody needs any more. */
  readonly #closings = new Set<Promise<void>>()
  #snapshot: SharedSnapshot

  constructor(store: Store) {
    this.#store = store
    this.#snapshot = this.#take()
  }

  get reader(): StoreReader {
    return this.#snapshot.reader
  }

  /** For one more owner, who releases it. */
  retain(): SharedSnapshot {
    return this.#snapshot.retain()
  }

  /** Who retains it from now on has the store as it is now. */
  move(): void {
    const before = this.#snapshot
    this.#snapshot = this.#take()
    before.release()
  }

  /** Lets go of the store; what came of it, and of earlier snapshots whose closing failed. */
  close(): Promise<PromiseSettledResult<void>[]> {
    this.#snapshot.release()
    return Promise.allSettled(this.#closings)
  }

  #take(): SharedSnapshot {
    return new SharedSnapshot(this.#store.snapshot(), (closed) => {
      this.#closings.add(closed)
      // One that fails stays, and close() tells of it.
      closed.then(
        () => this.#closings.delete(closed),
        () => {},
      )
    })
  }
}
