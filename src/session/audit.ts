import { messageOf } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { Middleware } from '../rpc/middleware.ts'
import type { CloseReason } from './transports/connection.ts'

/** Characters of the parameters, and of what came of them, that stand in the log. */
const LONGEST = 300
/** IPv4 or IPv6 addresses and subnets, wherever they stand in a text. */
const ADDRESSES = /\b\d{1,3}(?:\.\d{1,3}){3}(?:\/\d+)?|[0-9a-f]*:[0-9a-f:.]*:[0-9a-f:.]*(?:\/\d+)?/gi

/** What the audit says of the end of a session: nothing of those that are in the course of things. */
export const AUDITED_ENDS: Readonly<Record<CloseReason, string | undefined>> = {
  'client closed': undefined,
  'client reset': undefined,
  'handshake timeout': undefined,
  'idle timeout': undefined,
  'slow reader': undefined,
  'excessive usage': 'disconnected for abuse',
  'protocol breach': 'disconnected for abuse',
  'unsupported version': undefined,
  'client refused': 'disconnected for abuse',
  'server full': undefined,
  operator: 'disconnected by the operator',
  shutdown: undefined,
  'transport error': undefined,
}

export interface AuditOptions {
  /** Names of the methods that change something; others leave no line. */
  readonly acting: ReadonlySet<string>
  /** ANON_LOGS: addresses stay out of the log. */
  readonly anonymous: boolean
}

/**
 * What administrators do, in the log: who (`from`), what (`method`, `params`) and why (`reason`, where the method takes
 * one), before it is done, for it may take long or bring the server down; then what came of it. Both lines have `act`.
 */
export function audited(
  { acting, anonymous }: AuditOptions,
  { log, requestId }: { readonly log: Logger; readonly requestId: () => string },
): Middleware {
  const shown = (value: unknown): string => {
    const text = (JSON.stringify(value) ?? 'null').slice(0, LONGEST)
    return anonymous ? text.replaceAll(ADDRESSES, 'xx.xx.xx.xx') : text
  }
  return async (call, next) => {
    const { method, params, ctx } = call
    if (!acting.has(method.name)) return next(call)
    const { reason, ...others } = params
    const line = { audit: true, act: requestId(), from: ctx.client.address, method: method.name }
    const why = typeof reason === 'string' ? { reason: shown(reason).slice(1, -1) } : {}
    log.info({ ...line, params: shown(others), ...why }, 'administrator')
    try {
      const result = await next(call)
      log.info({ ...line, outcome: 'done', result: shown(result) }, 'administrator was answered')
      return result
    } catch (error) {
      const message = messageOf(error)
      log.info({ ...line, outcome: 'failed', result: shown(message) }, 'administrator was answered')
      throw error
    }
  }
}
