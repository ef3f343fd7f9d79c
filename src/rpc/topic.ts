import type { Moment } from '../mempool/moment.ts'

/** What a topic's status is read from. */
export interface TopicSources {
  readonly moment: Moment
  readonly signal: AbortSignal
  charge(cost: number): void
}

export interface TopicStatus {
  /** JSON text: the last parameter of a notification. */
  readonly status: string
  /**
   * From this height on the status is another one only after something has touched the topic; below, every new tip may
   * change it.
   */
  readonly settledAt: number
}

/**
 * What clients can follow besides scripts and outpoints: whoever adds an index adds topics. A topic is confirmed data
 * alone: it is looked at when there is a new tip, and never for the mempool.
 */
export interface Topic {
  /** Tells topics apart, one character a byte: neither 11 nor 36 of them, which is what scripts and outpoints have. */
  readonly key: string
  /** What of MomentChange.touched concerns it. */
  readonly concern: string
  /** What a notification is called, and its parameters before the status. */
  readonly method: string
  readonly params: readonly (string | null)[]
  /** The status at a moment. Rejects with RpcError 10001 if too much would have to be read for it. */
  find(sources: TopicSources): Promise<TopicStatus>
}
