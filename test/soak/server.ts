import { createWriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type LogLine, ServerProcess } from '../support/server-process.ts'
import type { Ports } from './clients/visit.ts'
import { PROBE_CHATTER, PROBE_FLAGS } from './figures/heap-probe.ts'
import type { Findings } from './findings.ts'
import type { SoakOptions } from './options.ts'

const KINDS = ['tcp', 'ssl', 'ws', 'wss', 'http', 'rpc', 'metrics'] as const
/** pino's number for it. */
const ERROR = 50

export interface SoakServer {
  readonly process: ServerProcess
  readonly ports: Ports
  /** With which `index check` finds the same index. */
  readonly environment: Readonly<Record<string, string>>
}

/** Starts the built server with all there is to listen on; what it logs as an error is a finding. */
export async function startServer(
  options: SoakOptions,
  node: Readonly<Record<string, string>>,
  directory: string,
  findings: Findings,
): Promise<SoakServer> {
  const database = join(directory, 'index')
  await mkdir(database, { recursive: true })
  const environment = {
    // As `npm start` and the image have it.
    MALLOC_ARENA_MAX: '1',
    CACHE_MB: '16',
    ...options.environment,
    ...node,
    DB_DIRECTORY: database,
    ATOMICALS: 'on',
    SERVICES: KINDS.map((kind) => `${kind}://127.0.0.1:0`).join(),
    // Visitors tell where they come from as a proxy would; who says nothing of the kind belongs to the soak itself.
    TRUSTED_PROXIES: '127.0.0.1/32',
    LIMIT_EXEMPT_SUBNETS: '127.0.0.1/32',
    MAX_SESSIONS: '400',
    MAX_HANDSHAKING: '200',
    MAX_SESSIONS_PER_GROUP: '40',
    SESSION_TIMEOUT: '90',
    LOG_SESSIONS: '300',
    PEER_DISCOVERY: 'off',
  }
  const log = createWriteStream(join(directory, 'server.log'))
  const onLine = (line: LogLine): void => {
    log.write(`${JSON.stringify(line)}\n`)
    if (Number(line['level'] ?? ERROR) >= ERROR) findings.add(`the server logs ${JSON.stringify(line).slice(0, 1_000)}`)
  }
  const flags = [...PROBE_FLAGS]
  const { server: main } = options
  const process = ServerProcess.start(environment, { flags, onLine, ...(main === undefined ? {} : { main }) })
  await process.ready()
  const ports = Object.fromEntries(KINDS.map((kind) => [kind, process.port(kind)])) as Ports
  return { process, ports, environment }
}

/** What the server said on standard error; nothing but the inspector should. */
export function complaints(server: ServerProcess): readonly string[] {
  return server.errors.split('\n').filter((line) => !PROBE_CHATTER.test(line))
}
