import { excessiveUsage } from './cost.ts'

interface Waiting {
  readonly admit: () => void
  readonly refuse: (error: unknown) => void
}

/**
 * How many requests of a client run at once; the others wait in order. The number may change at any time: what runs
 * is not interrupted, and at 0 everyone who waits or comes is refused with RpcError -101.
 */
export class Slots {
  #target: number
  #taken = 0
  #refusal: { readonly error: unknown } | undefined
  readonly #waiting = new Set<Waiting>()

  constructor(target: number) {
    this.#target = target
  }

  get target(): number {
    return this.#target
  }

  get taken(): number {
    return this.#taken
  }

  get waiting(): number {
    return this.#waiting.size
  }

  setTarget(target: number): void {
    this.#target = target
    if (target <= 0) this.#refuseAll(excessiveUsage())
    else this.#admit()
  }

  /** Takes a slot if one is free and nobody waits for it. */
  tryTake(): boolean {
    if (this.#refusal !== undefined || this.#taken >= this.#target || this.#waiting.size > 0) return false
    this.#taken++
    return true
  }

  /**
   * Settles with a slot, which must be given back with release(). Rejects with RpcError -101 if there are to be none,
   * with the reason of `signal` if that aborts first, and with the error of close().
   */
  take(signal: AbortSignal): Promise<void> {
    if (this.#refusal !== undefined) return Promise.reject(asError(this.#refusal.error))
    if (this.#target <= 0) return Promise.reject(excessiveUsage())
    if (signal.aborted) return Promise.reject(asError(signal.reason))
    if (this.tryTake()) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#waiting.delete(waiting)
        reject(asError(signal.reason))
      }
      const waiting: Waiting = {
        admit: () => {
          signal.removeEventListener('abort', onAbort)
          resolve()
        },
        refuse: (error) => {
          signal.removeEventListener('abort', onAbort)
          reject(asError(error))
        },
      }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#waiting.add(waiting)
    })
  }

  release(): void {
    this.#taken--
    this.#admit()
  }

  /** Refuses everybody from now on. */
  close(error: unknown): void {
    this.#refusal ??= { error }
    this.#refuseAll(error)
  }

  #admit(): void {
    for (const waiting of this.#waiting) {
      if (this.#taken >= this.#target) return
      this.#waiting.delete(waiting)
      this.#taken++
      waiting.admit()
    }
  }

  #refuseAll(error: unknown): void {
    const all = [...this.#waiting]
    this.#waiting.clear()
    for (const waiting of all) waiting.refuse(error)
  }
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason))
}
