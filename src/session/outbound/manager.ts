import { EventEmitter } from 'node:events'
import { InvariantError, isAbort } from '../../errors.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Conversation } from './conversation.ts'
import { AbortedError, type ConversationError, InvalidError } from './errors.ts'
import { takeOldest } from './overflow.ts'
import { type Channel, type Dialect, Port, type PortOptions } from './port.ts'

export type ManagerOptions = Partial<PortOptions>

/** What holds for a port unless said otherwise. */
export const PORT_DEFAULTS: PortOptions = {
  maxId: 65_535,
  overflow: takeOldest,
  requestTimeout: 30_000,
  leastTimeout: 2_000,
  retries: 0,
  interval: 0,
  maxLife: 600_000,
  breachTimeout: 120_000,
  maxBadMessages: 10,
  maxQueued: 1_000,
}

/** Listeners must not throw. `error` undefined: it ended well. */
export interface ManagerEvents<Q, W, A> {
  created: [conversation: Conversation<Q, A>, port: Port<Q, W, A>]
  message: [message: A, conversation: Conversation<Q, A>, port: Port<Q, W, A>]
  ended: [error: ConversationError | undefined, conversation: Conversation<Q, A>, port: Port<Q, W, A>]
}

export interface PortHandlers<A> {
  /** Told of every message that is no part of a conversation. Must not throw. */
  readonly onForeign: (message: A) => void
  /** The port is gone because the remote breaks the protocol; its channel should be closed. */
  readonly onBreach: () => void
}

/** All conversations that we begin: a port for each remote, one sweeper for all. */
export class ConversationManager<Q, W, A> {
  readonly events = new EventEmitter<ManagerEvents<Q, W, A>>()
  readonly #options: PortOptions
  readonly #clock: Clock
  readonly #dialect: Dialect<Q, W, A>
  readonly #ports = new Map<string, Port<Q, W, A>>()
  readonly #stop = new AbortController()
  #sweeper: Promise<void> | undefined

  constructor(options: ManagerOptions, collaborators: { readonly clock: Clock; readonly dialect: Dialect<Q, W, A> }) {
    this.#options = { ...PORT_DEFAULTS, ...options }
    this.#clock = collaborators.clock
    this.#dialect = collaborators.dialect
  }

  get ports(): ReadonlyMap<string, Port<Q, W, A>> {
    return this.#ports
  }

  /** Open conversations of all ports. */
  get size(): number {
    let size = 0
    for (const port of this.#ports.values()) size += port.size
    return size
  }

  /** A name space for one remote. Throws InvalidError if the name is taken, AbortedError after destroy(). */
  openPort(name: string, channel: Channel<W>, handlers: PortHandlers<A>, options: ManagerOptions = {}): Port<Q, W, A> {
    if (this.#stop.signal.aborted) throw new AbortedError('shutdown')
    if (this.#ports.has(name)) throw new InvalidError(`there is a port ${name} already`)
    const port: Port<Q, W, A> = new Port(
      name,
      { ...this.#options, ...options },
      { clock: this.#clock, dialect: this.#dialect, channel, ...handlers },
      {
        created: (conversation) => {
          this.#sweep()
          this.events.emit('created', conversation, port)
        },
        message: (conversation, message) => this.events.emit('message', message, conversation, port),
        ended: (conversation, error) => this.events.emit('ended', error, conversation, port),
        destroyed: () => this.#ports.delete(name),
      },
    )
    this.#ports.set(name, port)
    return port
  }

  /** Ends every conversation of every port; settles once the sweeper has gone. */
  async destroy(): Promise<void> {
    this.#stop.abort()
    for (const port of this.#ports.values()) port.destroy(new AbortedError('shutdown'))
    await this.#sweeper
  }

  /** One sweeper while there is something to sweep. */
  #sweep(): void {
    this.#sweeper ??= this.#sweepWhileBusy()
  }

  async #sweepWhileBusy(): Promise<void> {
    const { signal } = this.#stop
    try {
      do {
        await this.#clock.sleep(this.#options.requestTimeout / 2, signal)
        const now = this.#clock.monotonic()
        for (const port of this.#ports.values()) port.sweep(now)
      } while ([...this.#ports.values()].some(({ isBusy }) => isBusy))
      // In the same turn as the last look, so that who comes next begins a new one.
      this.#sweeper = undefined
    } catch (error) {
      if (!isAbort(error)) throw new InvariantError('the sweeper of conversations failed', { cause: error })
    }
  }
}
