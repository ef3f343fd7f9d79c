/** What can become of a conversation that we started. Which class it is says whether asking again makes sense. */
export class ConversationError extends Error {
  override readonly name: string = 'ConversationError'
}

/** What ran out: the time for one question with all its repetitions, or that of the whole conversation. */
export type TimeoutScope = 'request' | 'life'

/** No answer came in time. The only one of these errors that says nothing about who is to blame. */
export class TimeoutError extends ConversationError {
  override readonly name = 'TimeoutError'
  readonly scope: TimeoutScope
  /** How often the question was sent. */
  readonly attempts: number
  constructor(scope: TimeoutScope, attempts: number) {
    super(scope === 'request' ? `no answer after ${attempts} attempts` : 'the conversation has outlived its time')
    this.scope = scope
    this.attempts = attempts
  }
}

/** Who asked has withdrawn: an aborted signal or cancel(). `code` makes isAbort() true of it: nothing to log. */
export class CancelledError extends ConversationError {
  override readonly name = 'CancelledError'
  readonly code = 'ABORT_ERR'
  constructor(options?: ErrorOptions) {
    super('cancelled by who asked', options)
  }
}

/** The answer is none, or the conversation was used in a way that it cannot be. */
export class InvalidError extends ConversationError {
  override readonly name = 'InvalidError'
}

export const ABORT_REASONS = [
  'id taken back',
  'port destroyed',
  'connection closed',
  'protocol breach',
  'queue full',
  'shutdown',
] as const
export type AbortReason = (typeof ABORT_REASONS)[number]

/** Ended from beneath, neither by who asked nor by an answer. */
export class AbortedError extends ConversationError {
  override readonly name = 'AbortedError'
  readonly reason: AbortReason
  constructor(reason: AbortReason, options?: ErrorOptions) {
    super(`conversation ended: ${reason}`, options)
    this.reason = reason
  }
}
