import { readSettings, type Settings } from './config/settings.ts'
import { DEFAULT_PORTS } from './config/values.ts'
import { ConfigError } from './errors.ts'
import { INDEX_USAGE, IndexUsageError, runIndexCommand } from './index-commands.ts'
import { createLogger, terminalDestination } from './log.ts'
import { callAdmin } from './rpc-client.ts'
import { runServer } from './server.ts'
import { SOFTWARE } from './version.ts'

const USAGE = `Usage:
  valence                        run the server; settings come from the environment (docs/CONFIG.md)
  valence rpc COMMAND [ARG …]    ask a running server: getinfo, sessions, groups, peers, add_peer, disconnect, stop
  valence rpc regtest mine N     mine N blocks on the built-in node
  valence rpc regtest send ADDRESS AMOUNT    send AMOUNT (in BTC) from the built-in node's faucet
${INDEX_USAGE}  valence version
`

const EXIT = { ok: 0, failed: 1, settings: 2 } as const

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
  const log = createLogger(settings.logLevel, onTerminal ? terminalDestination() : undefined)
  const failure = await runServer(settings, {
    log,
    stop: stop.signal,
    terminal: onTerminal ? process.stdout : undefined,
  })
  if (failure === undefined) return EXIT.ok
  log.error({ err: failure }, 'the server stopped')
  await new Promise<void>((resolve) => log.flush(() => resolve()))
  return EXIT.failed
}

async function ask(settings: Settings, words: readonly string[]): Promise<number> {
  const port = settings.services.find(({ kind }) => kind === 'rpc') ?? { host: '127.0.0.1', port: DEFAULT_PORTS.rpc }
  const answer = await callAdmin(port, words).catch((error: unknown) => ({
    ok: false as const,
    message: String(error),
  }))
  if (!answer.ok) {
    process.stderr.write(`${answer.message}\n`)
    return EXIT.failed
  }
  const { result } = answer
  process.stdout.write(`${typeof result === 'string' ? result : JSON.stringify(result, undefined, 2)}\n`)
  return EXIT.ok
}

async function index(words: readonly string[]): Promise<number> {
  try {
    const streams = { out: process.stdout, trouble: process.stderr }
    const agreed = await runIndexCommand(words, readSettings(process.env), streams, new AbortController().signal)
    return agreed ? EXIT.ok : EXIT.failed
  } catch (error) {
    if (error instanceof IndexUsageError) return usage(EXIT.settings)
    throw error
  }
}

function usage(code: number): number {
  ;(code === EXIT.ok ? process.stdout : process.stderr).write(USAGE)
  return code
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  const known = error instanceof ConfigError
  process.stderr.write(`${known ? error.message : String(error instanceof Error ? error.stack : error)}\n`)
  process.exitCode = known ? EXIT.settings : EXIT.failed
}
