import type { Ticket } from './admission.ts'
import type { SessionHandle } from './handle.ts'

/**
 * The sessions there are, by id. Who has asked nothing yet is kept apart from who has, so that an idle stranger cannot
 * use a wallet's place: each has a ticket, and a ticket knows for which of the two there is room.
 */
export class Sessions {
  readonly #tickets = new Map<number, Ticket>()
  readonly #handshaking = new Map<number, SessionHandle>()
  readonly #active = new Map<number, SessionHandle>()

  get size(): number {
    return this.#active.size + this.#handshaking.size
  }

  /** Active ones first. */
  *all(): Generator<SessionHandle> {
    yield* this.#active.values()
    yield* this.#handshaking.values()
  }

  find(id: number): SessionHandle | undefined {
    return this.#active.get(id) ?? this.#handshaking.get(id)
  }

  /** A session that has asked nothing yet; `ticket` is given back when it goes. */
  add(session: SessionHandle, ticket: Ticket | undefined): void {
    if (ticket !== undefined) this.#tickets.set(session.id, ticket)
    this.#handshaking.set(session.id, session)
  }

  /** It has asked something. False if there is no room for one more of those. */
  activate(id: number): boolean {
    const session = this.#handshaking.get(id)
    if (session === undefined || this.#tickets.get(id)?.activate() !== undefined) return false
    this.#handshaking.delete(id)
    this.#active.set(id, session)
    return true
  }

  /** It has gone. */
  remove(id: number): void {
    this.#handshaking.delete(id)
    this.#active.delete(id)
    this.#tickets.get(id)?.release()
    this.#tickets.delete(id)
  }
}
