import type { Duplex } from 'node:stream'
import type { ConnectionLimits } from './connection.ts'

export interface FlowHandlers {
  /** Nothing more is to be read, nor begun of what was read already. */
  stopReading(): void
  /** It is again. */
  goOnReading(): void
  onDrain(): void
  onSlow(): void
}

/** A socket, or what stands for one. */
export interface Carrier extends Duplex {
  setTimeout(milliseconds: number): this
}

/**
 * Back-pressure of one connection. Above the high mark reading stops until everything has left; who then takes no byte
 * for the send timeout, or lets more than the bound pile up, is a slow reader. Reading also stops while the session
 * asks for it; it goes on when neither reason is left.
 */
export class FlowControl {
  readonly #limits: ConnectionLimits
  readonly #socket: Carrier
  readonly #handlers: FlowHandlers
  #congested = false
  #held = false
  #onDrain: (() => void) | undefined
  #onTimeout: (() => void) | undefined

  constructor(limits: ConnectionLimits, socket: Carrier, handlers: FlowHandlers) {
    this.#limits = limits
    this.#socket = socket
    this.#handlers = handlers
  }

  get congested(): boolean {
    return this.#congested
  }

  /** True while there is a reason not to read. */
  get stopped(): boolean {
    return this.#congested || this.#held
  }

  /** Called after each send with what waits now. True while there is room. */
  sent(unsent: number): boolean {
    if (unsent > this.#limits.maxUnsent) {
      this.#handlers.onSlow()
      return false
    }
    if (!this.#congested && unsent > this.#limits.highMark) {
      this.#stop()
    }
    return !this.#congested
  }

  /** Called after what waited was given to the system: a write that it takes at once is followed by no event. */
  written(): void {
    if (this.#congested && !this.#socket.writableNeedDrain) this.#drained()
  }

  hold(): void {
    this.#held = true
    this.#handlers.stopReading()
  }

  unhold(): void {
    this.#held = false
    if (!this.#congested) this.#handlers.goOnReading()
  }

  /** Listens only from here on: most connections are never congested, and listeners are memory. */
  #stop(): void {
    this.#congested = true
    this.#handlers.stopReading()
    this.#onDrain ??= () => this.#drained()
    this.#onTimeout ??= () => this.#handlers.onSlow()
    this.#socket.on('drain', this.#onDrain)
    // Node starts this timer anew whenever the system has taken bytes of a write, so it fires only on a standstill.
    this.#socket.setTimeout(this.#limits.sendTimeout).on('timeout', this.#onTimeout)
  }

  #drained(): void {
    if (!this.#congested) return
    this.#congested = false
    if (this.#onDrain !== undefined) this.#socket.off('drain', this.#onDrain)
    this.#socket.setTimeout(0)
    if (this.#onTimeout !== undefined) this.#socket.off('timeout', this.#onTimeout)
    if (!this.#held) this.#handlers.goOnReading()
    this.#handlers.onDrain()
  }
}

/** Why a socket broke, in the words of the closed list. */
export function reasonOf(error: Error): 'client reset' | 'transport error' {
  const code = 'code' in error ? error.code : undefined
  return code === 'ECONNRESET' || code === 'EPIPE' ? 'client reset' : 'transport error'
}
