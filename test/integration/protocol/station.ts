import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { addressOf, BITCOIN_ADDRESSES } from '../../../src/chain/address.ts'
import { scriptHashOf, scriptHashToHex } from '../../../src/chain/script.ts'
import { type Environment, readSettings } from '../../../src/config/settings.ts'
import { concat, fromHex, toHex } from '../../../src/lib/bytes.ts'
import { sha256 } from '../../../src/lib/hash.ts'
import { createLogger, silentLogger } from '../../../src/log.ts'
import type { FaultHook } from '../../../src/regtest/http.ts'
import { RegtestNode } from '../../../src/regtest/node.ts'
import { callAdmin } from '../../../src/rpc-client.ts'
import { runServer } from '../../../src/server.ts'
import type { CloseReason } from '../../../src/session/transports/connection.ts'
import { WireClient, type WireKind } from '../../support/wire-client.ts'

export interface LogLine {
  readonly level: number
  readonly msg?: string
  readonly [key: string]: unknown
}

/** What `getinfo` of the administrator says of sessions. */
export interface SessionInfo {
  readonly active: number
  readonly handshaking: number
  readonly paused: boolean
  readonly refusals: Readonly<Record<string, number>>
  readonly closed: Readonly<Record<CloseReason, number>>
}

const ALL_SERVICES = ['tcp', 'ssl', 'ws', 'wss', 'http', 'https', 'rpc']
  .map((kind) => `${kind}://127.0.0.1:0`)
  .join(',')

/** The whole server as main() runs it, in this process, with a built-in node of its own behind it. */
export class Station {
  readonly node: RegtestNode
  readonly log: LogLine[] = []
  readonly #directory: string
  #stop = new AbortController()
  #environment: Environment = {}
  readonly #ports = new Map<string, number>()
  readonly #clients: WireClient[] = []
  #ended: Promise<unknown> = Promise.resolve()
  #over: { readonly failure: unknown } | undefined
  #watchers: (() => void)[] = []

  private constructor(directory: string, node: RegtestNode) {
    this.#directory = directory
    this.node = node
  }

  /** Settles once wallets are served. */
  static async start(
    environment: Environment = {},
    { blocks = 110, fault }: { readonly blocks?: number; readonly fault?: FaultHook } = {},
  ): Promise<Station> {
    const directory = await mkdtemp(join(tmpdir(), 'valence-station-'))
    const node = new RegtestNode(
      { directory: join(directory, 'node'), initialBlocks: blocks },
      { log: silentLogger(), ...(fault === undefined ? {} : { fault }) },
    )
    await node.start(new AbortController().signal)
    const station = new Station(directory, node)
    station.#run({
      NET: 'regtest',
      DAEMON_URL: node.url,
      DAEMON_COOKIE_FILE: node.cookieFile,
      DAEMON_ZMQ: node.zmqEndpoint,
      DB_DIRECTORY: join(directory, 'db'),
      SERVICES: ALL_SERVICES,
      PEER_DISCOVERY: 'off',
      LOG_LEVEL: 'debug',
      ...environment,
    })
    await station.until(({ msg }) => msg === 'serving')
    return station
  }

  port(kind: string): number {
    const port = this.#ports.get(kind)
    if (port === undefined) throw new Error(`nothing listens for ${kind}`)
    return port
  }

  async connect(kind: WireKind = 'tcp'): Promise<WireClient> {
    const client = await WireClient.connect({ kind, port: this.port(kind) })
    this.#clients.push(client)
    return client
  }

  /** A client that has agreed on a version. */
  async client(version = '1.4', kind: WireKind = 'tcp'): Promise<WireClient> {
    const client = await this.connect(kind)
    await client.request('server.version', ['test', version])
    return client
  }

  async admin(...words: string[]): Promise<unknown> {
    const answer = await callAdmin({ host: '127.0.0.1', port: this.port('rpc') }, words)
    if (!answer.ok) throw new Error(answer.message)
    return answer.result
  }

  /** What the metrics say of a series, spelled as in their text; undefined if it has no value. */
  async metric(series: string): Promise<number | undefined> {
    const text = String(await this.admin('metrics'))
    const line = text.split('\n').find((line) => line.startsWith(`${series} `))
    return line === undefined ? undefined : Number(line.slice(series.length))
  }

  async sessions(): Promise<SessionInfo> {
    return ((await this.admin('getinfo')) as { readonly sessions: SessionInfo }).sessions
  }

  /** Settles once `holds` is true of what the administrator is told. */
  async sessionsUntil(holds: (sessions: SessionInfo) => boolean): Promise<SessionInfo> {
    for (;;) {
      const sessions = await this.sessions()
      if (holds(sessions)) return sessions
    }
  }

  /** The first log line, past or to come, that fits. */
  async until(fits: (line: LogLine) => boolean): Promise<LogLine> {
    for (;;) {
      const found = this.log.find(fits)
      if (found !== undefined) return found
      if (this.#over !== undefined) throw new Error('the server has ended', { cause: this.#over.failure })
      await new Promise<void>((resolve) => this.#watchers.push(resolve))
    }
  }

  /** Mines, and settles once clients have the new tip. */
  async mine(count: number, address?: string): Promise<void> {
    const client = await this.client()
    let { height } = (await client.request('blockchain.headers.subscribe')) as { height: number }
    this.node.mine(count, address)
    while (height < this.node.height) {
      height = ((await client.notification('blockchain.headers.subscribe')) as [{ height: number }])[0].height
    }
    client.destroy()
  }

  /** Bitcoind's own answer. */
  async rpc(method: string, ...params: readonly unknown[]): Promise<unknown> {
    const cookie = await readFile(this.node.cookieFile, 'latin1')
    const response = await fetch(this.node.url, {
      method: 'POST',
      headers: { Authorization: `Basic ${Buffer.from(cookie).toString('base64')}` },
      body: JSON.stringify({ id: 0, method, params }),
    })
    return ((await response.json()) as { readonly result: unknown }).result
  }

  /** Ends the server; what it ended with is undefined after an orderly stop. */
  async shutdown(): Promise<unknown> {
    this.#stop.abort()
    return this.#ended
  }

  /** Ends the server and starts it again, with the same settings on the same node. Old clients are cut, its log begins anew. */
  async restart(): Promise<void> {
    await this.shutdown()
    this.#stop = new AbortController()
    this.#over = undefined
    this.#ports.clear()
    this.log.length = 0
    this.#run(this.#environment)
    await this.until(({ msg }) => msg === 'serving')
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.destroy()
    await this.shutdown()
    await this.node.stop()
    await rm(this.#directory, { recursive: true, force: true })
  }

  #run(environment: Environment): void {
    this.#environment = environment
    const settings = readSettings(environment)
    const log = createLogger(settings.logLevel, { write: (line: string) => this.#logged(line) })
    this.#ended = runServer(settings, { log, stop: this.#stop.signal, terminal: undefined }).then((failure) => {
      this.#over = { failure }
      for (const watch of this.#watchers.splice(0)) watch()
      return failure
    })
  }

  #logged(text: string): void {
    const line = JSON.parse(text) as LogLine
    this.log.push(line)
    if (line.msg === 'listening') this.#ports.set(String(line['kind']), Number(line['port']))
    for (const watch of this.#watchers.splice(0)) watch()
  }
}

/** Somebody who is paid. */
export interface Payee {
  readonly address: string
  readonly script: string
  /** As requests name it. */
  readonly hash: string
  readonly bytes: Uint8Array
}

export function payee(name: string): Payee {
  const bytes = concat(fromHex('0014'), sha256(Buffer.from(name)).subarray(0, 20))
  const address = addressOf(bytes, BITCOIN_ADDRESSES.regtest)
  if (address === undefined) throw new Error('every such script has an address')
  return { address, script: toHex(bytes), hash: scriptHashToHex(scriptHashOf(bytes)), bytes }
}
