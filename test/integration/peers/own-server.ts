import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readSettings } from '../../../src/config/settings.ts'
import { createLogger } from '../../../src/log.ts'
import { callAdmin } from '../../../src/rpc-client.ts'
import { runServer } from '../../../src/server.ts'
import { freePort } from '../../support/free-port.ts'
import { WireClient } from '../../support/wire-client.ts'

type LogLine = Readonly<Record<string, unknown>> & { readonly msg?: string }

/** A whole server of ours in this process, at an address of loopback of its own and with all that it logged. */
export class OwnServer {
  readonly host: string
  readonly port: number
  readonly log: LogLine[] = []
  /** What the server ended with. */
  readonly ended: Promise<unknown>
  readonly #directory: string
  readonly #stop = new AbortController()
  readonly #watchers = new Set<() => void>()

  private constructor(
    place: { readonly host: string; readonly port: number; readonly directory: string },
    environment: Readonly<Record<string, string>>,
  ) {
    this.host = place.host
    this.port = place.port
    this.#directory = place.directory
    const settings = readSettings({
      DB_DIRECTORY: place.directory,
      SERVICES: `tcp://${place.host}:${place.port},rpc://127.0.0.1:0`,
      REPORT_SERVICES: `tcp://${place.host}:${place.port}`,
      PEER_DISCOVERY: 'on',
      ...environment,
    })
    const destination = { write: (line: string) => this.#wrote(line) }
    const log = createLogger('debug', destination)
    this.ended = runServer(settings, { log, stop: this.#stop.signal, terminal: undefined })
  }

  /** Settles once it serves. */
  static async start(host: string, environment: Readonly<Record<string, string>> = {}): Promise<OwnServer> {
    const directory = await mkdtemp(join(tmpdir(), 'valence-peers-'))
    const place = { host, port: await freePort(host), directory }
    const server = new OwnServer(place, { TOR_PROXY_HOST: '127.0.0.1', TOR_PROXY_PORT: '1', ...environment })
    await server.until(({ msg }) => msg === 'serving')
    return server
  }

  /** As add_peer of administrators has it. */
  get name(): string {
    return `${this.host} t${this.port}`
  }

  /** Settles with the first line of the log, past or to come, that fits; rejects if the server ends before. */
  async until(fits: (line: LogLine) => boolean): Promise<LogLine> {
    const dead = this.ended.then((failure) => {
      throw new Error(
        `the server ended: ${this.log
          .slice(-10)
          .map((line) => JSON.stringify(line))
          .join('\n')}`,
        {
          cause: failure,
        },
      )
    })
    dead.catch(() => {}) // Nobody may be waiting any more.
    for (;;) {
      const found = this.log.find(fits)
      if (found !== undefined) return found
      await Promise.race([new Promise<void>((resolve) => this.#watchers.add(resolve)), dead])
    }
  }

  async admin<T>(...words: string[]): Promise<T> {
    const { port } = await this.until(({ msg, kind }) => msg === 'listening' && kind === 'rpc')
    const answer = await callAdmin({ host: '127.0.0.1', port: Number(port) }, words)
    if (!answer.ok) throw new Error(answer.message)
    return answer.result as T
  }

  /** A client past its handshake. */
  async client(): Promise<WireClient> {
    const client = await WireClient.connect({ kind: 'tcp', host: this.host, port: this.port })
    await client.request('server.version', ['test', '1.4'])
    return client
  }

  /** The answer to server.peers.subscribe. */
  async told(): Promise<unknown> {
    const client = await this.client()
    try {
      return await client.request('server.peers.subscribe')
    } finally {
      await client.close()
    }
  }

  /** Settles with what runServer() settles with. */
  async stop(): Promise<unknown> {
    this.#stop.abort()
    const failure = await this.ended
    await rm(this.#directory, { recursive: true, force: true })
    return failure
  }

  #wrote(line: string): void {
    this.log.push(JSON.parse(line) as LogLine)
    const watchers = [...this.#watchers]
    this.#watchers.clear()
    for (const watch of watchers) watch()
  }
}
