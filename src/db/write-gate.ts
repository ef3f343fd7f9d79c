import { InvariantError, StorageError } from '../errors.ts'
import { storageErrorOf } from './disk.ts'

/**
 * Lets one writer at a time through. Once a write has failed nobody knows what is on disk: from then on nobody comes
 * through any more, and everybody hears why.
 */
export class WriteGate {
  #writing: Promise<unknown> | undefined
  #failure: Error | undefined
  #closed = false

  /** Why nothing can be written any more. */
  get failure(): Error | undefined {
    return this.#failure
  }

  get closed(): boolean {
    return this.#closed
  }

  /** The write under way. */
  get writing(): Promise<unknown> | undefined {
    return this.#writing
  }

  /** The first failure stays. */
  fail(error: unknown): void {
    this.#failure ??= asError(error)
  }

  close(): void {
    this.#closed = true
  }

  /** Throws InvariantError for a second writer and after close(), StorageError after a failure, and what `work` throws. */
  async exclusively<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed) throw new InvariantError('write to a database that was closed')
    if (this.#failure !== undefined) {
      // Whoever comes after a flush that nobody waited for is the first to hear why: of a full disk, say.
      const { code, message } = storageErrorOf(this.#failure, 'a write failed')
      throw new StorageError(code, `nothing is written any more: ${message}`, { cause: this.#failure })
    }
    if (this.#writing !== undefined) throw new InvariantError('two writers at a time')
    const running = work()
    this.#writing = running
    try {
      return await running
    } finally {
      this.#writing = undefined
    }
  }

  /** Runs what must not fail: afterwards nobody knows what is on disk, so nothing more is written. */
  async durably(write: () => Promise<void>): Promise<void> {
    try {
      await write()
    } catch (error) {
      this.#failure = asError(error)
      throw error
    }
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new InvariantError(String(error))
}
