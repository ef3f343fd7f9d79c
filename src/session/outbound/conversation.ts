import { EventEmitter } from 'node:events'
import { invariant } from '../../errors.ts'
import type { Clock } from '../../lib/clock.ts'
import { CancelledError, ConversationError, InvalidError, TimeoutError } from './errors.ts'

/** Per question; what is not said is as the port has it. Times in milliseconds. */
export interface RequestOptions {
  /** For each attempt. Without it, what the measured round trip of the remote allows. */
  readonly timeout?: number
  /** How often the question is sent again. */
  readonly retries?: number
  /** Wait before it is sent again; an answer that comes meanwhile counts. */
  readonly interval?: number
  /** Aborting it ends the conversation with CancelledError. */
  readonly signal?: AbortSignal
}

/** Undefined as error: ended by who began it, everything said. */
export interface ConversationEvents<A> {
  created: []
  message: [message: A]
  ended: [error: ConversationError | undefined]
}

/** What a conversation needs of its port. */
export interface ConversationHost<Q, A> {
  readonly clock: Clock
  readonly retries: number
  readonly interval: number
  /** Milliseconds that the remote is allowed for an answer at the moment. */
  deadline(): number
  /** Throws AbortedError if there is no room. */
  transmit(conversation: Conversation<Q, A>, message: Q): void
  /** A question first sent at `sentAt` (monotonic) was answered; `once`: it was not sent again. */
  answered(sentAt: number, once: boolean): void
  /** A question sent at `sentAt` got no answer in time. */
  overdue(sentAt: number): void
  /** Gives another id, because an answer to what was said before may still come. */
  renumber(conversation: Conversation<Q, A>): number
  /** What is wrong with an answer, if anything. */
  faultOf(message: A): string | undefined
  received(conversation: Conversation<Q, A>, message: A): void
  ended(conversation: Conversation<Q, A>, error: ConversationError | undefined): void
}

interface Waiting<A> {
  answer(message: A): void
  fail(error: ConversationError): void
}

/**
 * One conversation that we began: exchanges one after the other under one id. Every request settles; one that fails
 * ends the conversation. Q is what we say, A what comes back.
 */
export class Conversation<Q, A> {
  readonly events = new EventEmitter<ConversationEvents<A>>()
  /** Monotonic milliseconds. */
  readonly createdAt: number
  readonly #host: ConversationHost<Q, A>
  readonly #maxLife: number
  #id: number
  #lastUse: number
  #waiting: Waiting<A> | undefined
  #repeated = false
  /** When the question that is open was sent first. */
  #sentAt = 0
  #attempts = 0
  #end: { readonly error: ConversationError | undefined } | undefined

  constructor(id: number, maxLife: number, host: ConversationHost<Q, A>) {
    this.#id = id
    this.#maxLife = maxLife
    this.#host = host
    this.createdAt = host.clock.monotonic()
    this.#lastUse = this.createdAt
  }

  get id(): number {
    return this.#id
  }

  /** When something was last said or heard; monotonic milliseconds. */
  get lastUse(): number {
    return this.#lastUse
  }

  get isOpen(): boolean {
    return this.#end === undefined
  }

  /** Settles with the answer. Rejects with TimeoutError, CancelledError, InvalidError or AbortedError. */
  async request(message: Q, options: RequestOptions = {}): Promise<A> {
    const { signal } = options
    if (this.#end !== undefined) {
      throw new InvalidError('the conversation has ended', { cause: this.#end.error })
    }
    // Under one id nobody could tell whose answer it is.
    if (this.#waiting !== undefined)
      throw new InvalidError('the last question of this conversation is not answered yet')
    if (this.#repeated) this.#id = this.#host.renumber(this)
    this.#repeated = false
    const cancel = (): void => this.cancel(signal?.reason)
    const stop = new AbortController()
    const { waiting, answer } = awaited<A>()
    this.#waiting = waiting
    signal?.addEventListener('abort', cancel, { once: true })
    try {
      if (signal?.aborted === true) cancel()
      else this.#attend(message, options, stop.signal).catch((error: unknown) => this.#collapse(error))
      return await answer
    } finally {
      signal?.removeEventListener('abort', cancel)
      stop.abort()
      if (this.#waiting === waiting) this.#waiting = undefined
    }
  }

  /** Everything is said. A question that is still open rejects with CancelledError. */
  end(): void {
    if (this.#waiting === undefined) this.#finish(undefined)
    else this.cancel()
  }

  /** Gives up. */
  cancel(cause?: unknown): void {
    this.#finish(new CancelledError(cause === undefined ? {} : { cause }))
  }

  /** For the port: ends it from beneath. */
  abort(error: ConversationError): void {
    this.#finish(error)
  }

  /** For the port: a message under this id. */
  receive(message: A): void {
    if (this.#end !== undefined) return
    this.#lastUse = this.#host.clock.monotonic()
    this.events.emit('message', message)
    this.#host.received(this, message)
    const fault = this.#host.faultOf(message)
    if (fault !== undefined) {
      this.#finish(new InvalidError(fault))
      return
    }
    if (this.#waiting === undefined) return
    this.#host.answered(this.#sentAt, this.#attempts === 1)
    this.#waiting.answer(message)
    this.#waiting = undefined
  }

  /** For the port's sweeper. `now` is monotonic. */
  sweep(now: number): void {
    if (now - this.createdAt >= this.#maxLife) this.#finish(new TimeoutError('life', this.#attempts))
  }

  /** Sends and sends again until `stopped`; what was heard meanwhile does not concern it. */
  async #attend(message: Q, options: RequestOptions, stopped: AbortSignal): Promise<void> {
    const { clock } = this.#host
    const attempts = 1 + (options.retries ?? this.#host.retries)
    const pause = options.interval ?? this.#host.interval
    for (let attempt = 1; attempt <= attempts; attempt++) {
      const sentAt = clock.monotonic()
      if (attempt === 1) this.#sentAt = sentAt
      this.#attempts = attempt
      this.#repeated = attempt > 1
      this.#lastUse = sentAt
      this.#host.transmit(this, message)
      if (!(await slept(clock, options.timeout ?? this.#host.deadline(), stopped))) return
      this.#host.overdue(sentAt)
      // The port may have dropped the remote for it.
      if (this.#end !== undefined) return
      if (attempt < attempts && pause > 0 && !(await slept(clock, pause, stopped))) return
    }
    this.#finish(new TimeoutError('request', attempts))
  }

  #collapse(error: unknown): void {
    this.#finish(
      error instanceof ConversationError ? error : new InvalidError('the question cannot be sent', { cause: error }),
    )
  }

  #finish(error: ConversationError | undefined): void {
    if (this.#end !== undefined) return
    this.#end = { error }
    if (error !== undefined) this.#waiting?.fail(error)
    this.#waiting = undefined
    this.#host.ended(this, error)
    this.events.emit('ended', error)
  }
}

function awaited<A>(): { readonly waiting: Waiting<A>; readonly answer: Promise<A> } {
  let waiting: Waiting<A> | undefined
  const answer = new Promise<A>((resolve, reject) => {
    waiting = { answer: resolve, fail: reject }
  })
  invariant(waiting !== undefined, 'a promise runs its executor at once')
  return { waiting, answer }
}

/** True after `ms`, false if `stopped` came first. */
async function slept(clock: Clock, ms: number, stopped: AbortSignal): Promise<boolean> {
  try {
    await clock.sleep(ms, stopped)
    return !stopped.aborted
  } catch (error) {
    if (stopped.aborted) return false
    throw error
  }
}
