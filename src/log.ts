import { Writable } from 'node:stream'
import { type DestinationStream, type Logger, pino } from 'pino'
import pretty from 'pino-pretty'
import { isFromOutside } from './errors.ts'
import { LogOutput } from './log-output.ts'

export type { Logger } from 'pino'

const STANDARD_OUTPUT = 1

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

/** In the background: who logs waits for nothing, and what the log has is on its way when the process ends. */
function standardOutput(): DestinationStream {
  const output = new LogOutput(STANDARD_OUTPUT)
  process.once('exit', () => output.flushSync())
  return output
}

/** No stack where it says nothing: see isFromOutside. */
function errorForLog(error: unknown): unknown {
  if (!isFromOutside(error)) return error instanceof Error ? pino.stdSerializers.err(error) : error
  const words = Object.entries(error).filter(([key, value]) => key !== 'name' && typeof value === 'string')
  return { type: error.name, message: error.message, ...Object.fromEntries(words) }
}

/**
 * Lines for people instead of JSON: for a server that is started by hand on a terminal. Each is written before anything
 * else is done. Where the terminal is gone they are lost: an error of the stream would end the process.
 */
export function terminalDestination(file = STANDARD_OUTPUT): DestinationStream {
  const output = new LogOutput(file)
  const destination = new Writable({
    decodeStrings: false,
    write: (line: string, _encoding, done) => {
      output.writeSync(line)
      done()
    },
  })
  return pretty({ sync: true, translateTime: 'SYS:HH:MM:ss', ignore: 'pid,hostname', destination })
}

/** For tests and tools that have nothing to tell. */
export function silentLogger(): Logger {
  return pino({ level: 'silent' })
}
