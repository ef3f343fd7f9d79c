import { excessiveUsage } from './cost.ts'

/** Who waits for a slot; told one of the two, once. */
export interface SlotTaker {
  /** The slot is taken; it must be given back with release(). */
  admitted(): void
  refused(error: Error): void
}

/**
 * How many requests of a client run at once; the others wait in order. The number may change at any time: what runs
 * is not interrupted, and at 0 everyone who waits or comes is refused with RpcError -101.
 */
export class Slots {
  #target: number
  #taken = 0
  #refusal: Error | undefined
  /** Made when somebody waits for the first time: most clients never do. */
  #waiting: Set<SlotTaker> | undefined
  #admitting = false

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
    return this.#waiting?.size ?? 0
  }

  /** True if who comes now has to wait. */
  get isBusy(): boolean {
    return this.#target > 0 && (this.#taken >= this.#target || this.waiting > 0)
  }

  setTarget(target: number): void {
    this.#target = target
    if (target <= 0) this.#refuseAll(excessiveUsage())
    else this.#admit()
  }

  /**
   * Tells `taker` at once, or when its turn has come: admitted, or refused with RpcError -101 if there are to be no slots,
   * or with the error of close().
   */
  take(taker: SlotTaker): void {
    if (this.#refusal !== undefined) {
      taker.refused(this.#refusal)
    } else if (this.#target <= 0) {
      taker.refused(excessiveUsage())
    } else if (this.#taken < this.#target && this.waiting === 0) {
      this.#taken++
      taker.admitted()
    } else {
      this.#waiting ??= new Set()
      this.#waiting.add(taker)
    }
  }

  /** `taker` waits no longer, and is told nothing. */
  leave(taker: SlotTaker): void {
    this.#waiting?.delete(taker)
  }

  release(): void {
    this.#taken--
    this.#admit()
  }

  /** Refuses everybody from now on. */
  close(error: Error): void {
    this.#refusal ??= error
    this.#refuseAll(error)
  }

  #admit(): void {
    // Who is done at once gives the slot back from within admitted(): the loop that runs lets the next one in.
    if (this.#waiting === undefined || this.#admitting) return
    this.#admitting = true
    const all = this.#waiting
    for (const taker of all) {
      // Whoever was let in may have had all others refused.
      if (this.#waiting !== all || this.#taken >= this.#target) break
      all.delete(taker)
      this.#taken++
      taker.admitted()
    }
    this.#admitting = false
  }

  #refuseAll(error: Error): void {
    const all = this.#waiting
    this.#waiting = undefined
    for (const taker of all ?? []) taker.refused(error)
  }
}
