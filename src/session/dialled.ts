import { addressText } from '../lib/address-text.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../log.ts'
import { AUDITED_ENDS } from './audit.ts'
import { isExceeded, type LimitExceeded, type Place, type SessionCounter } from './counter.ts'
import type { Remark, ServerHandle, ServerKeeper, SessionMessage } from './handle.ts'
import type { Sessions } from './sessions.ts'
import { type CloseReason, closedCounts } from './transports/connection.ts'

export interface DialledCollaborators {
  /** That of clients, too. */
  readonly sessions: Sessions
  readonly counter: SessionCounter
  readonly heard: Record<Remark, number>
  readonly clock: Clock
  readonly log: Logger
}

/** Keeps the sessions that we begin ourselves: in the same register and the same counters as those of clients. */
export class DialledSessions implements ServerKeeper {
  readonly #collaborators: DialledCollaborators
  readonly #closed = closedCounts()

  constructor(collaborators: DialledCollaborators) {
    this.#collaborators = collaborators
  }

  /** How many have ended, by reason. */
  get closed(): Readonly<Record<CloseReason, number>> {
    return { ...this.#closed }
  }

  begin<T extends ServerHandle>(make: (id: number, place: Place) => T): T | LimitExceeded {
    const { sessions, counter } = this.#collaborators
    const place = counter.open('outbound')
    if (isExceeded(place)) return place
    const session = make(sessions.nextId(), place)
    sessions.add(session, place)
    return session
  }

  activated({ id, kind, remote, host, software, protocol }: ServerHandle): LimitExceeded | undefined {
    const { sessions, log } = this.#collaborators
    const exceeded = sessions.activate(id)
    if (exceeded === undefined && log.isLevelEnabled('debug')) {
      const version = protocol?.join('.')
      log.debug(
        { session: id, kind, host, remote: addressText(remote), software, protocol: version },
        'session with a server opened',
      )
    }
    return exceeded
  }

  tell(session: ServerHandle, message: SessionMessage): void {
    switch (message.type) {
      case 'valid':
      case 'invalid':
      case 'bad message':
      case 'protocol breach':
        this.#collaborators.heard[message.type]++
        return
      case 'disconnected':
      case 'closed on error':
        return this.#ended(session, message.reason)
    }
  }

  #ended({ id, kind, host, remote, established, traffic }: ServerHandle, reason: CloseReason): void {
    const { sessions, clock, log } = this.#collaborators
    if (!sessions.remove(id)) return
    this.#closed[reason]++
    const who = { session: id, kind, host, remote: addressText(remote) }
    const audited = AUDITED_ENDS[reason]
    if (audited !== undefined) log.info({ audit: true, ...who, reason, errors: traffic.errors }, audited)
    if (!log.isLevelEnabled('debug')) return
    const seconds = Math.round((clock.now() - established) / 1000)
    log.debug({ ...who, reason, seconds }, 'session with a server closed')
  }
}
