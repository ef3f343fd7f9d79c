import type { Socket } from 'node:net'
import type { ConnectionLimits } from './connection.ts'

/** What is stopped and let go on again: a socket, or the WebSocket on it. */
export interface Reader {
  pause(): void
  resume(): void
}

export interface FlowHandlers {
  readonly onDrain: () => void
  readonly onSlow: () => void
}

/**
 * Back-pressure of one connection. Above the high mark reading stops until everything has left; who then takes no byte
 * for the send timeout, or lets more than the bound pile up, is a slow reader. Reading also stops while the session
 * asks for it; it goes on when neither reason is left.
 */
export class FlowControl {
  readonly #limits: ConnectionLimits
  readonly #socket: Socket
  readonly #reader: Reader
  readonly #handlers: FlowHandlers
  #congested = false
  #held = false

  constructor(limits: ConnectionLimits, socket: Socket, reader: Reader, handlers: FlowHandlers) {
    this.#limits = limits
    this.#socket = socket
    this.#reader = reader
    this.#handlers = handlers
    socket.on('drain', () => this.#drained())
    // Node starts this timer anew whenever the system has taken bytes of a write, so it fires only on a standstill.
    socket.on('timeout', () => {
      if (this.#congested) handlers.onSlow()
    })
  }

  get congested(): boolean {
    return this.#congested
  }

  /** Called after each send with what waits now. True while there is room. */
  sent(unsent: number): boolean {
    if (unsent > this.#limits.maxUnsent) {
      this.#handlers.onSlow()
      return false
    }
    if (!this.#congested && unsent > this.#limits.highMark) {
      this.#congested = true
      this.#reader.pause()
      this.#socket.setTimeout(this.#limits.sendTimeout)
    }
    return !this.#congested
  }

  /** Called after what waited was given to the system: a write that it takes at once is followed by no event. */
  written(): void {
    if (this.#congested && !this.#socket.writableNeedDrain) this.#drained()
  }

  hold(): void {
    this.#held = true
    this.#reader.pause()
  }

  unhold(): void {
    this.#held = false
    if (!this.#congested) this.#reader.resume()
  }

  #drained(): void {
    if (!this.#congested) return
    this.#congested = false
    this.#socket.setTimeout(0)
    if (!this.#held) this.#reader.resume()
    this.#handlers.onDrain()
  }
}

/** Why a socket broke, in the words of the closed list. */
export function reasonOf(error: Error): 'client reset' | 'transport error' {
  const code = 'code' in error ? error.code : undefined
  return code === 'ECONNRESET' || code === 'EPIPE' ? 'client reset' : 'transport error'
}
