import type { Awaitable } from '../lib/awaitable.ts'

/** Subscriptions to one key that were begun without one being ended in between. */
interface Attempts {
  count: number
}

/**
 * Subscriptions of one client whose status is still being found out. Ending one has nothing to wait for, and would
 * overtake them: it is noted here, so that what was asked last holds, and no other request waits for that.
 */
export class UnderWay {
  /** Only while it is needed: nearly every status is at hand, and an empty table is large. */
  #byKey: Map<string, Attempts> | undefined

  /** Keys that are being looked into. */
  get size(): number {
    return this.#byKey?.size ?? 0
  }

  /** What `find` gives, after `enter` was told of it and of whether the subscription was ended meanwhile. */
  follow<T>(key: string, find: () => Awaitable<T>, enter: (found: T, ended: boolean) => void): Awaitable<T> {
    const found = find()
    if (!(found instanceof Promise)) {
      enter(found, false)
      return found
    }
    const attempts = this.#begin(key)
    return found.then(
      (value) => {
        enter(value, this.#end(key, attempts))
        return value
      },
      (error: unknown) => {
        this.#end(key, attempts)
        throw error
      },
    )
  }

  /** Ends what was begun for `key` up to now. False if there is nothing. */
  cancel(key: string): boolean {
    const found = this.#byKey?.delete(key) ?? false
    if (this.#byKey?.size === 0) this.#byKey = undefined
    return found
  }

  #begin(key: string): Attempts {
    this.#byKey ??= new Map()
    const attempts = this.#byKey.get(key) ?? { count: 0 }
    attempts.count++
    this.#byKey.set(key, attempts)
    return attempts
  }

  /** True if it was cancelled. */
  #end(key: string, attempts: Attempts): boolean {
    attempts.count--
    if (this.#byKey?.get(key) !== attempts) return true
    if (attempts.count === 0) this.cancel(key)
    return false
  }
}
