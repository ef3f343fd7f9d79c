import type { LimitFunction } from 'p-limit'
import { compareBytes } from '../lib/bytes.ts'
import type { FlushWriter } from './flush-writer.ts'
import { ALL_GATHERED, NONE_GATHERED } from './history-rows.ts'
import { HISTORY, type KeyRange } from './layout.ts'
import { type Store, slicesOf } from './store.ts'
import type { StoreBase } from './store-base.ts'
import type { WriteGate } from './write-gate.ts'

export interface GatheringCollaborators {
  readonly store: Store
  readonly writer: FlushWriter
  readonly base: StoreBase
  readonly gate: WriteGate
  /** Lets one after the other change the store. */
  readonly inTurn: LimitFunction
}

/**
 * How far the histories of scripts are gathered, each under one key, and what gathers them. Scripts that are done get what
 * later blocks do added to their heads (history-rows.ts), as long as blocks come that can be taken back; where many come
 * that cannot, writing rows and gathering once more takes less than to look for each script.
 */
export class HistoryGathering {
  readonly #store: Store
  readonly #writer: FlushWriter
  readonly #base: StoreBase
  readonly #gate: WriteGate
  readonly #inTurn: LimitFunction
  #below: Uint8Array

  constructor({ store, writer, base, gate, inTurn }: GatheringCollaborators) {
    this.#store = store
    this.#writer = writer
    this.#base = base
    this.#gate = gate
    this.#inTurn = inTurn
    this.#below = base.isGathered ? ALL_GATHERED : NONE_GATHERED
  }

  /** The scripts whose hashX sorts before it are done. */
  get below(): Uint8Array {
    return this.#below
  }

  /** Rows are written from now on for scripts that were done. */
  startOver(): void {
    this.#below = NONE_GATHERED
  }

  /** See IndexDatabase.gatherHistories. */
  async *run(renew: () => void, signal: AbortSignal): AsyncGenerator<number> {
    while (!this.#isDone) {
      const { gte } = HISTORY.range(this.#below)
      const slices = await slicesOf(this.#store, HISTORY.range())
      const { lt } = slices.find((slice) => compareBytes(gte, slice.lt) < 0) ?? HISTORY.range()
      let step = await this.#inTurn(() => this.#step({ gte, lt }, signal))
      while (step === 'under way') {
        yield this.#share
        step = await this.#inTurn(() => this.#step({ gte, lt }, signal))
      }
      if (step === 'ended') return
      renew()
      yield this.#share
      if (!(await this.#base.isAlone(signal)) || this.#gate.closed) return
      await this.#store.compact({ gte, lt })
    }
  }

  /** 'done' when nothing of the range is left, or all has to be begun anew. */
  async #step({ gte, lt }: KeyRange, signal: AbortSignal): Promise<'under way' | 'done' | 'ended'> {
    if (signal.aborted || this.#gate.closed || this.#gate.failure !== undefined) return 'ended'
    await this.#gate.durably(async () => {
      this.#below = await this.#writer.gather(this.#below)
    })
    const next = HISTORY.range(this.#below).gte
    if (!this.#isDone && compareBytes(gte, next) < 0 && compareBytes(next, lt) < 0) return 'under way'
    this.#base.move()
    return 'done'
  }

  get #isDone(): boolean {
    return compareBytes(this.#below, ALL_GATHERED) >= 0
  }

  /** From 0 to 1. */
  get #share(): number {
    return this.#isDone ? 1 : (this.#below[0] ?? 0) / 0x100
  }
}
