import { setImmediate as nextTurn } from 'node:timers/promises'

/**
 * Brings together what the requests of one turn of the event loop hand to other threads. To wake a thread costs more than
 * most of the reads that it is woken for; what is handed over right behind the first finds threads awake.
 */
export class Bursts {
  #next: Promise<void> | undefined

  /** Settles, for all who ask in one turn, at its end: what they do then follows one another. */
  next(): Promise<void> {
    this.#next ??= this.#turn()
    return this.#next
  }

  async #turn(): Promise<void> {
    await nextTurn()
    this.#next = undefined
  }
}
