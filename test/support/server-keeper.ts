import type { Clock } from '../../src/lib/clock.ts'
import { type Logger, silentLogger } from '../../src/log.ts'
import { SessionCounter } from '../../src/session/counter.ts'
import { DialledSessions } from '../../src/session/dialled.ts'
import { Sessions } from '../../src/session/sessions.ts'

/** The register of sessions with servers, as the session manager has it, without the manager. */
export function registerOf({
  clock,
  counter = freeCounter(),
  log = silentLogger(),
}: {
  readonly clock: Clock
  readonly counter?: SessionCounter
  readonly log?: Logger
}) {
  const sessions = new Sessions()
  const heard = { valid: 0, invalid: 0, 'bad message': 0, 'protocol breach': 0 }
  return { sessions, heard, counter, keeper: new DialledSessions({ sessions, counter, heard, clock, log }) }
}

/** Without limits. */
export function freeCounter(): SessionCounter {
  const none = { inbound: undefined, outbound: undefined }
  return new SessionCounter({ pending: none, active: none })
}
