import type { EventEmitter } from 'node:events'
import type { Clock } from '../../lib/clock.ts'
import { Conversation, type ConversationEvents, type ConversationHost } from './conversation.ts'
import { AbortedError, type ConversationError, InvalidError, TimeoutError } from './errors.ts'
import { RoundTrip } from './round-trip.ts'

/** How messages carry an id. Q is what we say, W what is sent, A what comes in. */
export interface Dialect<Q, W, A> {
  /** Throws if `message` cannot be put into words; its conversation then ends with InvalidError. */
  write(id: number, message: Q): W
  /** Undefined if it belongs to no conversation of ours. */
  idOf(message: A): number | undefined
  /** What is wrong with an answer, if anything. */
  faultOf(message: A): string | undefined
}

/** What carries the messages of one remote. */
export interface Channel<W> {
  /** False: it was taken, but nothing more should come before drained(). */
  send(message: W): boolean
}

/** Names the conversation whose id is to be taken back when all are in use; undefined refuses the new one. */
export type OverflowPolicy = (open: Iterable<OpenConversation>) => OpenConversation | undefined
export interface OpenConversation {
  readonly id: number
  /** Monotonic milliseconds. */
  readonly createdAt: number
  readonly lastUse: number
}

/** Milliseconds where a time is meant. */
export interface PortOptions {
  /** Ids are 0 to this. */
  readonly maxId: number
  readonly overflow: OverflowPolicy
  /** Longest and shortest deadline of an attempt; in between the measured round trip decides. */
  readonly requestTimeout: number
  readonly leastTimeout: number
  readonly retries: number
  readonly interval: number
  /** Of a conversation, whatever happens in it. */
  readonly maxLife: number
  /** A remote that owes answers or talks nonsense for so long, and says nothing right meanwhile, is dropped. */
  readonly breachTimeout: number
  /** So much nonsense in a row, and it is dropped at once. */
  readonly maxBadMessages: number
  /** Messages that wait while the channel takes none. */
  readonly maxQueued: number
}

export interface PortCollaborators<Q, W, A> {
  readonly clock: Clock
  readonly dialect: Dialect<Q, W, A>
  readonly channel: Channel<W>
  /** Told of what is no part of a conversation. Must not throw. */
  readonly onForeign: (message: A) => void
  /** The port has dropped the remote because it breaks the protocol. */
  readonly onBreach: () => void
}

/** Whom a port tells; the manager. */
export interface PortObserver<Q, A> {
  created(conversation: Conversation<Q, A>): void
  message(conversation: Conversation<Q, A>, message: A): void
  ended(conversation: Conversation<Q, A>, error: ConversationError | undefined): void
  destroyed(): void
}

export interface OpenOptions<A> {
  /** Milliseconds; instead of the port's. */
  readonly maxLife?: number
  /** Called before `created` is told, for listeners that want to hear everything. */
  readonly listen?: (events: EventEmitter<ConversationEvents<A>>) => void
}

const MAX_OWED = 1_000

/** A remote: a space of ids of its own, and all conversations with it. */
export class Port<Q, W, A> {
  readonly name: string
  readonly #options: PortOptions
  readonly #collaborators: PortCollaborators<Q, W, A>
  readonly #observer: PortObserver<Q, A>
  readonly #roundTrip: RoundTrip
  readonly #host: ConversationHost<Q, A>
  readonly #open = new Map<number, Conversation<Q, A>>()
  readonly #queue: { readonly conversation: Conversation<Q, A>; readonly wire: W }[] = []
  /** Ids of questions that were given up. Their answers, though late, show that the remote keeps to the protocol. */
  readonly #owed = new Set<number>()
  #nextId = 0
  #congested = false
  #badInARow = 0
  #breachSince: number | undefined
  #destroyed: AbortedError | undefined

  constructor(
    name: string,
    options: PortOptions,
    collaborators: PortCollaborators<Q, W, A>,
    observer: PortObserver<Q, A>,
  ) {
    this.name = name
    this.#options = options
    this.#collaborators = collaborators
    this.#observer = observer
    this.#roundTrip = new RoundTrip({ least: options.leastTimeout, most: options.requestTimeout })
    this.#host = this.#makeHost()
  }

  /** Open conversations. */
  get size(): number {
    return this.#open.size
  }

  /** Messages that wait for the channel. */
  get queued(): number {
    return this.#queue.length
  }

  /** Smoothed, in milliseconds; undefined before the first answer. */
  get roundTrip(): number | undefined {
    return this.#roundTrip.mean
  }

  /** True while the sweeper has to look at it. */
  get isBusy(): boolean {
    return this.#open.size > 0 || this.#breachSince !== undefined
  }

  /** Throws AbortedError once destroyed, InvalidError if all ids are in use and the policy gives none back. */
  open(options: OpenOptions<A> = {}): Conversation<Q, A> {
    if (this.#destroyed !== undefined) throw this.#destroyed
    const conversation = new Conversation<Q, A>(this.#freeId(), options.maxLife ?? this.#options.maxLife, this.#host)
    this.#open.set(conversation.id, conversation)
    options.listen?.(conversation.events)
    this.#observer.created(conversation)
    conversation.events.emit('created')
    return conversation
  }

  /** A message of the remote. */
  receive(message: A): void {
    if (this.#destroyed !== undefined) return
    const id = this.#collaborators.dialect.idOf(message)
    const conversation = id === undefined ? undefined : this.#open.get(id)
    if (conversation !== undefined) {
      conversation.receive(message)
      return
    }
    if (id !== undefined && this.#owed.delete(id)) this.#breachSince = undefined
    this.#collaborators.onForeign(message)
  }

  /** The remote sent something that is no message at all. */
  receivedBad(): void {
    if (this.#destroyed !== undefined) return
    this.#badInARow++
    this.#blame(this.#collaborators.clock.monotonic())
    if (this.#badInARow >= this.#options.maxBadMessages) this.#drop()
  }

  /** The channel takes messages again. */
  drained(): void {
    this.#congested = false
    while (!this.#congested) {
      const next = this.#queue.shift()
      if (next === undefined) return
      if (next.conversation.isOpen) this.#send(next.wire)
    }
  }

  /** Ends every conversation with `error`. The channel is the caller's to close. */
  destroy(error: AbortedError = new AbortedError('port destroyed')): void {
    if (this.#destroyed !== undefined) return
    this.#destroyed = error
    this.#breachSince = undefined
    this.#queue.length = 0
    for (const conversation of this.#open.values()) conversation.abort(error)
    this.#observer.destroyed()
  }

  /** For the manager: ends what is too old. `now` is monotonic. */
  sweep(now: number): void {
    for (const conversation of this.#open.values()) conversation.sweep(now)
    if (this.#breachSince !== undefined && now - this.#breachSince >= this.#options.breachTimeout) this.#drop()
  }

  #makeHost(): ConversationHost<Q, A> {
    const { clock, dialect } = this.#collaborators
    return {
      clock,
      retries: this.#options.retries,
      interval: this.#options.interval,
      deadline: () => this.#roundTrip.deadline,
      transmit: (conversation, message) => this.#transmit(conversation, message),
      answered: (sentAt, once) => {
        this.#badInARow = 0
        this.#breachSince = undefined
        if (once) this.#roundTrip.measured(clock.monotonic() - sentAt)
      },
      overdue: (sentAt) => {
        this.#roundTrip.missed()
        this.#blame(sentAt)
      },
      renumber: (conversation) => this.#renumber(conversation),
      faultOf: (message) => dialect.faultOf(message),
      received: (conversation, message) => {
        if (dialect.faultOf(message) !== undefined) this.receivedBad()
        this.#observer.message(conversation, message)
      },
      ended: (conversation, error) => {
        this.#open.delete(conversation.id)
        if (error instanceof TimeoutError && this.#owed.size < MAX_OWED) this.#owed.add(conversation.id)
        this.#observer.ended(conversation, error)
      },
    }
  }

  #freeId(): number {
    if (this.#open.size > this.#options.maxId) {
      const chosen = this.#options.overflow(this.#open.values())
      const conversation = chosen === undefined ? undefined : this.#open.get(chosen.id)
      if (conversation === undefined) throw new InvalidError(`all ${this.#options.maxId + 1} ids are in use`)
      const { id } = conversation
      conversation.abort(new AbortedError('id taken back'))
      if (!this.#open.has(id)) return id
    }
    while (this.#open.has(this.#nextId)) this.#count()
    const id = this.#nextId
    this.#count()
    return id
  }

  #count(): void {
    this.#nextId = this.#nextId >= this.#options.maxId ? 0 : this.#nextId + 1
  }

  #renumber(conversation: Conversation<Q, A>): number {
    // Nothing is free besides its own; then that has to do.
    if (this.#open.size > this.#options.maxId) return conversation.id
    const id = this.#freeId()
    this.#open.delete(conversation.id)
    this.#open.set(id, conversation)
    return id
  }

  #transmit(conversation: Conversation<Q, A>, message: Q): void {
    const wire = this.#collaborators.dialect.write(conversation.id, message)
    if (!this.#congested) this.#send(wire)
    else if (this.#queue.length < this.#options.maxQueued) this.#queue.push({ conversation, wire })
    else throw new AbortedError('queue full')
  }

  #send(wire: W): void {
    if (!this.#collaborators.channel.send(wire)) this.#congested = true
  }

  #blame(since: number): void {
    this.#breachSince ??= since
  }

  #drop(): void {
    this.destroy(new AbortedError('protocol breach'))
    this.#collaborators.onBreach()
  }
}
