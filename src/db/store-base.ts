import { isAbort } from '../errors.ts'
import { untilAborted } from '../lib/abort.ts'
import { SharedSnapshot } from './shared-snapshot.ts'
import type { Store, StoreReader } from './store.ts'

/** What views stand on: the store as it was when blocks were last written, while later ones are on their way there. */
export class StoreBase {
  readonly #store: Store
  /** Of snapshots that nobody needs any more. */
  readonly #closings = new Set<Promise<void>>()
  #snapshot: SharedSnapshot
  /** Earlier snapshots that somebody still has. */
  #earlier = 0
  readonly #waiting: (() => void)[] = []

  constructor(store: Store) {
    this.#store = store
    this.#snapshot = this.#take()
  }

  get reader(): StoreReader {
    return this.#snapshot.reader
  }

  /** See SharedSnapshot. */
  get isGathered(): boolean {
    return this.#snapshot.isGathered
  }

  /** For one more owner, who releases it. */
  retain(): SharedSnapshot {
    return this.#snapshot.retain()
  }

  /** Who retains it from now on has the store as it is now. */
  move(): void {
    const before = this.#snapshot
    this.#snapshot = this.#take()
    this.#earlier += 1
    before.release()
  }

  /**
   * Waits until nobody has an earlier snapshot any more: what was taken away since keeps its place on disk till then. False
   * if the signal has come first.
   */
  async isAlone(signal: AbortSignal): Promise<boolean> {
    const alone = this.#earlier === 0 ? Promise.resolve() : new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      await untilAborted(alone, signal)
    } catch (error) {
      if (!isAbort(error)) throw error
    }
    return !signal.aborted
  }

  /** Lets go of the store; what came of it, and of earlier snapshots whose closing failed. */
  close(): Promise<PromiseSettledResult<void>[]> {
    this.#snapshot.release()
    return Promise.allSettled(this.#closings)
  }

  #take(): SharedSnapshot {
    return new SharedSnapshot(this.#store.snapshot(), (closed) => {
      this.#closings.add(closed)
      closed.then(
        () => this.#closed(closed),
        // It stays, and close() tells of it.
        () => {},
      )
    })
  }

  #closed(closing: Promise<void>): void {
    this.#closings.delete(closing)
    this.#earlier -= 1
    if (this.#earlier === 0) for (const go of this.#waiting.splice(0)) go()
  }
}
