import { type DestinationStream, type Logger, pino } from 'pino'
import pretty from 'pino-pretty'
import { isFromOutside } from './errors.ts'

export type { Logger } from 'pino'

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/**
 * The root logger: one JSON object a line. `error` wakes a person, `warn` may need one, `info` is the story of the
 * node, `debug` is per request. Credentials never reach it: URLs are given to it without their user part.
 */
export function createLogger(level: LogLevel, destination: DestinationStream = standardOutput()): Logger {
  const serializers = { err: errorForLog }
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime, serializers }, destination)
}

/** Lines that cannot be written yet, in bytes: what comes on top of them is lost. */
const LONGEST_BACKLOG = 4 * 1024 * 1024

/** A log that cannot be written (a full disk) is no reason to stop serving: it is tried again with the next line. */
function standardOutput(): DestinationStream {
  const stream = pino.destination({ sync: false, maxLength: LONGEST_BACKLOG })
  let failed = false
  stream.on('error', () => (failed = true)) // There is no other place to tell it. pino gives up by itself at a closed pipe.
  stream.on('write', () => (failed = false))
  const flushSync = stream.flushSync.bind(stream)
  // The last thing that is done, and what cannot be written would be tried for ever.
  stream.flushSync = () => {
    if (!failed) flushSync()
  }
  return stream
}

/** No stack where it says nothing: see isFromOutside. */
function errorForLog(error: unknown): unknown {
  if (!isFromOutside(error)) return error instanceof Error ? pino.stdSerializers.err(error) : error
  const words = Object.entries(error).filter(([key, value]) => key !== 'name' && typeof value === 'string')
  return { type: error.name, message: error.message, ...Object.fromEntries(words) }
}

/** Lines for people instead of JSON: for a server that is started by hand on a terminal. */
export function terminalDestination(): DestinationStream {
  return pretty({ sync: true, translateTime: 'SYS:HH:MM:ss', ignore: 'pid,hostname' })
}

/** For tests and tools that have nothing to tell. */
export function silentLogger(): Logger {
  return pino({ level: 'silent' })
}
