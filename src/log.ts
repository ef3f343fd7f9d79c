import { type DestinationStream, type Logger, pino } from 'pino'
import pretty from 'pino-pretty'

export type { Logger } from 'pino'

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/**
 * The root logger: one JSON object a line. `error` wakes a person, `warn` may need one, `info` is the story of the
 * node, `debug` is per request. Credentials never reach it: URLs are given to it without their user part.
 */
export function createLogger(
  level: LogLevel,
  destination: DestinationStream = pino.destination({ sync: false }),
): Logger {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination)
}

/** Lines for people instead of JSON: for a server that is started by hand on a terminal. */
export function terminalDestination(): DestinationStream {
  return pretty({ sync: true, translateTime: 'SYS:HH:MM:ss', ignore: 'pid,hostname' })
}

/** For tests and tools that have nothing to tell. */
export function silentLogger(): Logger {
  return pino({ level: 'silent' })
}
