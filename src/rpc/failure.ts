import { DaemonError, DaemonUnavailableError, ERROR_CODES, isAbort, type LimitName, RpcError } from '../errors.ts'
import type { Logger } from '../log.ts'

/** What an error answered costs on top of what the request cost (ElectrumX: `error_base_cost`). */
export const ERROR_COST = 100
/** What a message costs that is not JSON: ten times that, and the error itself. */
export const PARSE_ERROR_COST = 11 * ERROR_COST

/** An error as a client sees it, and what it costs the client. */
export interface RpcFailure {
  readonly code: number
  readonly message: string
  readonly cost: number
  /** The limit that was met, for who counts them. */
  readonly limit: LimitName | undefined
}

/** A failure whose code and message are known to be fit for clients. */
export function failureOf(code: number, message: string, limit?: LimitName): RpcFailure {
  return { code, message, cost: code === ERROR_CODES.parseError.code ? PARSE_ERROR_COST : ERROR_COST, limit }
}

export interface FailureReporter {
  readonly log: Logger
  /** A text that finds the line in the log again; must not repeat. */
  readonly requestId: () => string
}

/**
 * What a client is told of `error` (ARCHITECTURE.md section 8). The message of an exception that is not ours never
 * leaves the machine: the client gets a request id, and the log gets the exception under the same id.
 */
export function toFailure(error: unknown, method: string, { log, requestId }: FailureReporter): RpcFailure {
  if (error instanceof RpcError) return failureOf(error.code, error.message, error.limit)
  if (error instanceof DaemonError) {
    log.debug({ method, daemonCode: error.daemonCode, err: error }, 'bitcoind answered a request with an error')
    return failureOf(ERROR_CODES.daemonError.code, `daemon error: ${error.message}`)
  }
  if (error instanceof DaemonUnavailableError) {
    return failureOf(ERROR_CODES.busy.code, 'server busy - bitcoind does not answer at the moment')
  }
  if (isAbort(error)) return failureOf(ERROR_CODES.busy.code, 'server busy - request timed out')
  const request = requestId()
  log.error({ method: clip(method), request, err: error }, 'request failed')
  return failureOf(ERROR_CODES.internal.code, `internal server error (request ${request})`)
}

/** What a client sent, cut to a length that does no harm in a message or a log. */
export function clip(text: string, length = 100): string {
  return text.length <= length ? text : `${text.slice(0, length)}…`
}
