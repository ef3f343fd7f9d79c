/**
 * A bounded queue between one or more producers and consumers. Both sides wait when they must, and every wait settles:
 * close() lets consumers empty the queue and then ends them, abort(error) rejects everybody at once.
 */
export class BoundedQueue<T> {
  readonly #limit: number
  readonly #sizeOf: (item: T) => number
  readonly #items: T[] = []
  #size = 0
  #closed = false
  #failure: { readonly error: unknown } | undefined
  #wakers: (() => void)[] = []

  /** `limit` counts in what `sizeOf` gives, bytes for instance; one item always fits, however large. */
  constructor(limit: number, sizeOf: (item: T) => number = () => 1) {
    this.#limit = limit
    this.#sizeOf = sizeOf
  }

  get length(): number {
    return this.#items.length
  }

  /** Sum of the sizes of the items inside. */
  get size(): number {
    return this.#size
  }

  /** Waits for room. Throws if the queue is closed or aborted. */
  async put(item: T): Promise<void> {
    const size = this.#sizeOf(item)
    while (!this.#closed && this.#failure === undefined && this.#items.length > 0 && this.#size + size > this.#limit) {
      await this.#change()
    }
    if (this.#failure !== undefined) throw this.#failure.error
    if (this.#closed) throw new Error('put into a closed queue')
    this.#items.push(item)
    this.#size += size
    this.#wake()
  }

  /** The next item, or undefined once the queue is closed and empty. Throws if it was aborted. */
  async take(): Promise<T | undefined> {
    while (this.#items.length === 0 && !this.#closed && this.#failure === undefined) await this.#change()
    if (this.#failure !== undefined) throw this.#failure.error
    const item = this.#items.shift()
    if (item !== undefined) {
      this.#size -= this.#sizeOf(item)
      this.#wake()
    }
    return item
  }

  close(): void {
    this.#closed = true
    this.#wake()
  }

  abort(error: unknown): void {
    this.#failure ??= { error }
    this.#items.length = 0
    this.#size = 0
    this.#wake()
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wakers.push(resolve))
  }

  #wake(): void {
    const wakers = this.#wakers
    this.#wakers = []
    for (const wake of wakers) wake()
  }
}
