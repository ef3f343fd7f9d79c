import type { Place } from './counter.ts'
import type { ClientHandle, ServerHandle } from './handle.ts'

type Handle = ClientHandle | ServerHandle

/** What is given back when a session goes: the place in a counter, or the ticket that has it. */
type Ticket = Pick<Place, 'activate' | 'release'>

/**
 * The sessions there are, by id: those of clients, and those that we began ourselves. Who is not through the handshake
 * (a client has asked nothing yet, a server has not answered which version it speaks) is kept apart from who is, so that
 * an idle stranger cannot use a wallet's place: each has a ticket, and a ticket knows for which of the two there is room.
 */
export class Sessions {
  readonly #tickets = new Map<number, Ticket>()
  readonly #handshaking = new Map<number, Handle>()
  readonly #active = new Map<number, Handle>()
  #lastId = 0

  get size(): number {
    return this.#active.size + this.#handshaking.size
  }

  /** An id that no session of this process has had. */
  nextId(): number {
    return ++this.#lastId
  }

  /** Active ones first. */
  *all(): Generator<Handle> {
    yield* this.#active.values()
    yield* this.#handshaking.values()
  }

  *clients(): Generator<ClientHandle> {
    for (const session of this.all()) if (session.direction === 'inbound') yield session
  }

  *servers(): Generator<ServerHandle> {
    for (const session of this.all()) if (session.direction === 'outbound') yield session
  }

  find(id: number): Handle | undefined {
    return this.#active.get(id) ?? this.#handshaking.get(id)
  }

  /** A session that is not through its handshake; `ticket` is given back when it goes. */
  add(session: Handle, ticket: Ticket | undefined): void {
    if (ticket !== undefined) this.#tickets.set(session.id, ticket)
    this.#handshaking.set(session.id, session)
  }

  /** It is. The limit if there is no room for one more of those; undefined also of one that has gone. */
  activate(id: number): ReturnType<Ticket['activate']> {
    const session = this.#handshaking.get(id)
    if (session === undefined) return undefined
    const exceeded = this.#tickets.get(id)?.activate()
    if (exceeded !== undefined) return exceeded
    this.#handshaking.delete(id)
    this.#active.set(id, session)
    return undefined
  }

  /** It has gone. False if it had before. */
  remove(id: number): boolean {
    const known = this.#handshaking.delete(id) || this.#active.delete(id)
    this.#tickets.get(id)?.release()
    this.#tickets.delete(id)
    return known
  }
}
