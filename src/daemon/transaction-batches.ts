import type { DaemonError } from '../errors.ts'
import { throwIfAborted, untilAborted } from '../lib/abort.ts'
import { NodeFailure } from './failure.ts'

/** A transaction that is asked for, with the block that it is in where that is known. */
export interface TransactionAsk {
  readonly txid: string
  readonly blockHash: string | undefined
}

export interface TransactionBatchesOptions {
  /** Batches under way at once. */
  readonly atOnce: number
  /** Transactions in one batch. */
  readonly most: number
  /** Asks that wait, at most; beyond that they fail as `busy`. */
  readonly mostWaiting: number
}

type Outcome = Uint8Array | DaemonError

interface Waiting {
  readonly ask: TransactionAsk
  readonly signal: AbortSignal | undefined
  readonly resolve: (raw: Uint8Array) => void
  readonly reject: (error: unknown) => void
}

/**
 * Puts asks that come while others are under way into one batch: nobody waits for a batch to fill, and a node that is
 * asked for much is asked seldom. Measured (test/bench/query.ts, `cold tx`): the exchange costs both sides more than the
 * transaction.
 */
export class TransactionBatches {
  readonly #options: TransactionBatchesOptions
  readonly #send: (asks: readonly TransactionAsk[]) => Promise<readonly Outcome[]>
  readonly #waiting: Waiting[] = []
  #running = 0

  constructor(
    options: TransactionBatchesOptions,
    collaborators: { readonly send: (asks: readonly TransactionAsk[]) => Promise<readonly Outcome[]> },
  ) {
    this.#options = options
    this.#send = collaborators.send
  }

  get(ask: TransactionAsk, signal: AbortSignal | undefined): Promise<Uint8Array> {
    throwIfAborted(signal)
    if (this.#waiting.length >= this.#options.mostWaiting) {
      return Promise.reject(new NodeFailure('busy', `more than ${this.#options.mostWaiting} transactions wait`))
    }
    const answer = new Promise<Uint8Array>((resolve, reject) => {
      this.#waiting.push({ ask, signal, resolve, reject })
    })
    this.#start()
    return untilAborted(answer, signal)
  }

  #start(): void {
    while (this.#running < this.#options.atOnce && this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, this.#options.most).filter(({ signal }) => signal?.aborted !== true)
      if (batch.length > 0) void this.#run(batch)
    }
  }

  /** Never rejects: what goes wrong is for those who asked. */
  async #run(batch: readonly Waiting[]): Promise<void> {
    this.#running += 1
    try {
      const outcomes = await this.#send(batch.map(({ ask }) => ask))
      for (const [index, { resolve, reject }] of batch.entries()) {
        const outcome = outcomes[index] ?? new NodeFailure('wrong', 'a batch of transactions came back too short')
        if (outcome instanceof Error) reject(outcome)
        else resolve(outcome)
      }
    } catch (error) {
      for (const { reject } of batch) reject(error)
    } finally {
      this.#running -= 1
      this.#start()
    }
  }
}
