import { closeSync, openSync } from 'node:fs'
import { isatty } from 'node:tty'
import { readSettings, type Settings } from './config/settings.ts'
import { DEFAULT_PORTS, LOOPBACK } from './config/values.ts'
import { ConfigError, isFromOutside, messageOf, needsPerson, StorageError } from './errors.ts'
import { INDEX_USAGE, IndexUsageError, runIndexCommand } from './index-commands.ts'
import { createLogger, type Logger, terminalDestination } from './log.ts'
import { ADMIN_USAGE, callAdmin } from './rpc-client.ts'
import { runServer } from './server.ts'
import { SOFTWARE } from './version.ts'

const USAGE = `Usage:
  valence                        run the server; settings come from the environment (docs/CONFIG.md)
${ADMIN_USAGE}${INDEX_USAGE}  valence version
`

const EXIT = { ok: 0, failed: 1, settings: 2 } as const

const NO_ADMIN_PORT = '; SERVICES names no rpc, so that a server with these settings has no admin port'

async function main(words: readonly string[]): Promise<number> {
  const [command, ...rest] = words
  switch (command) {
    case undefined:
    case 'serve':
      return serve(readSettings(process.env))
    case 'rpc':
      return rest.length === 0 ? usage(EXIT.settings) : ask(readSettings(process.env), rest)
    case 'index':
      return index(rest)
    case 'version':
    case '--version':
      process.stdout.write(`${SOFTWARE}\n`)
      return EXIT.ok
    case 'help':
    case '--help':
    case '-h':
      return usage(EXIT.ok)
    default:
      return usage(EXIT.settings)
  }
}

/** Standard input, output and error. */
const STANDARD_STREAMS = [0, 1, 2] as const

/** One Ctrl-C under npm arrives twice, from the terminal and from npm: only later than this is it a second one. */
const SECOND_SIGNAL_MS = 1000

/** Runs until SIGINT, SIGTERM or a fault; a second signal does not wait any longer. */
async function serve(settings: Settings): Promise<number> {
  const stop = new AbortController()
  let asked = Number.POSITIVE_INFINITY
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (performance.now() - asked > SECOND_SIGNAL_MS) process.exit(EXIT.failed)
      asked = Math.min(asked, performance.now())
      stop.abort()
    })
  }
  const onTerminal = process.stdout.isTTY
  surviveHangUp()
  const log = createLogger(settings.logLevel, onTerminal ? terminalDestination() : undefined)
  process.on('SIGHUP', () => hungUp(settings, { log, onTerminal, stop }))
  const failure = await runServer(settings, {
    log,
    stop: stop.signal,
    terminal: onTerminal ? process.stdout : undefined,
  })
  if (failure === undefined) return EXIT.ok
  log.error({ err: failure }, 'the server stopped')
  await new Promise<void>((resolve) => log.flush(() => resolve()))
  // The log may go into a file, or be switched off; whoever started the server looks here.
  if (!onTerminal || !log.isLevelEnabled('error')) process.stderr.write(`${told(failure)}\n`)
  return needsPerson(failure) ? EXIT.settings : EXIT.failed
}

/**
 * SIGHUP asks to read the certificate again, which whoever has one does by itself; unless it came because the terminal is
 * gone, where nobody is left to stop the server.
 */
function hungUp(
  { sslCertFile }: Settings,
  { log, onTerminal, stop }: { readonly log: Logger; readonly onTerminal: boolean; readonly stop: AbortController },
): void {
  if (onTerminal && !hasTerminal()) stop.abort()
  else if (sslCertFile === undefined) log.info('SIGHUP: there is no SSL_CERTFILE to read again')
}

/** A terminal may go at any time, and what is written to it fails with EIO from then on: no reason to end, let alone to abort. */
function surviveHangUp(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {}) // Nobody is left to be told.
  const terminals = STANDARD_STREAMS.filter((file) => isatty(file))
  process.on('exit', () => {
    if (terminals.length === 0 || hasTerminal()) return
    // Node sets the modes of its terminals again when it ends, and aborts where that fails, but for closed ones.
    for (const file of terminals) closeSync(file)
  })
}

function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'))
    return true
  } catch {
    return false // ENXIO once it hung up.
  }
}

/** What is wrong, for a person: with a stack only where that says more than the message. */
function told(error: unknown): string {
  // Damage on the disk has its stack in the log.
  if (isFromOutside(error) || error instanceof StorageError) return error.message
  return String(error instanceof Error ? error.stack : error)
}

/** Whoever reads our answer may have enough of it (`| head`). */
function untilClosed(stream: NodeJS.WriteStream): void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') process.stderr.write(`the answer cannot be written: ${error.message}\n`)
    process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.failed)
  })
}

async function ask(settings: Settings, words: readonly string[]): Promise<number> {
  untilClosed(process.stdout)
  const port = settings.services.find(({ kind }) => kind === 'rpc')
  const answer = await callAdmin(port ?? { host: LOOPBACK, port: DEFAULT_PORTS.rpc }, words).catch(
    (error: unknown) => ({
      ok: false as const,
      message: `${messageOf(error)}${port === undefined ? NO_ADMIN_PORT : ''}`,
    }),
  )
  if (!answer.ok) {
    process.stderr.write(`${answer.message}\n`)
    return EXIT.failed
  }
  const { result } = answer
  process.stdout.write(`${typeof result === 'string' ? result : JSON.stringify(result, undefined, 2)}\n`)
  return EXIT.ok
}

async function index(words: readonly string[]): Promise<number> {
  untilClosed(process.stdout)
  const stop = new AbortController()
  // What is read and compared for hours has something to clear away; what only reads ends as it would by itself.
  if (words[0] === 'check') {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => (stop.signal.aborted ? process.exit(EXIT.failed) : stop.abort()))
    }
  }
  try {
    const streams = { out: process.stdout, trouble: process.stderr }
    return (await runIndexCommand(words, readSettings(process.env), streams, stop.signal)) ? EXIT.ok : EXIT.failed
  } catch (error) {
    if (error instanceof IndexUsageError) return usage(EXIT.settings)
    throw error
  }
}

function usage(code: number): number {
  ;(code === EXIT.ok ? process.stdout : process.stderr).write(USAGE)
  return code
}

/** Does what the words of the command line say. Never throws: the exit code of the process is set. */
export async function run(words: readonly string[]): Promise<void> {
  try {
    process.exitCode = await main(words)
  } catch (error) {
    process.stderr.write(`${told(error)}\n`)
    process.exitCode = error instanceof ConfigError ? EXIT.settings : EXIT.failed
  }
}
