import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { atExit } from './at-exit.ts'
import { settledSizeOf } from './disk-size.ts'
import { environmentFor, type NodeProcess } from './node-process.ts'
import type { BenchOptions } from './options.ts'
import { note } from './report.ts'

const START_LIMIT_MS = 900_000
const ACCEPT_LIMIT_MS = 5_000
const STOP_LIMIT_MS = 60_000

/** The built server as a process of its own, on a database of its own that is gone after stop(). */
export class BenchServer {
  /** `performance.now()` of its start. */
  readonly startedAt: number
  readonly database: string
  readonly #child: ChildProcess
  readonly #forget: () => void
  readonly #log: string[] = []
  #port = 0

  private constructor(child: ChildProcess, database: string) {
    this.startedAt = performance.now()
    this.#child = child
    this.database = database
    this.#forget = atExit(() => child.kill('SIGKILL'), database)
  }

  /**
   * As start(), but the index was made by a process before: memory, caches and profiles have nothing to do with the sync.
   */
  static async startIndexed(
    options: BenchOptions,
    node: NodeProcess,
    settings: Readonly<Record<string, string>> = {},
  ): Promise<BenchServer> {
    note('a server indexes the chain')
    const before = await BenchServer.start({ ...options, profile: undefined }, node)
    await settledSizeOf(before.database)
    await before.#end()
    before.#forget()
    note('the server that is measured starts')
    const server = await BenchServer.start(options, node, settings, before.database)
    // Files that were mapped into memory may be replaced at the start.
    await settledSizeOf(server.database)
    return server
  }

  /**
   * Starts the server with costs switched off, on an `index` that is there already or from nothing. Settles once it
   * listens, which it does when the index is complete.
   */
  static async start(
    options: BenchOptions,
    node: NodeProcess,
    settings: Readonly<Record<string, string>> = {},
    index?: string,
  ): Promise<BenchServer> {
    const database = index ?? (await mkdtemp(join(tmpdir(), 'valence-bench-db-')))
    if (options.profile !== undefined) await mkdir(options.profile, { recursive: true })
    const profiling = options.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profile}`]
    const child = spawn(process.execPath, [...options.nodeFlags, ...profiling, options.server], {
      env: {
        PATH: process.env['PATH'] ?? '',
        // As `npm start` and the image have it.
        MALLOC_ARENA_MAX: '1',
        ...environmentFor(node),
        DB_DIRECTORY: database,
        SERVICES: 'tcp://127.0.0.1:0',
        REORG_LIMIT: '10',
        COST_SOFT_LIMIT: '0',
        COST_HARD_LIMIT: '0',
        ...options.environment,
        ...settings,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const server = new BenchServer(child, database)
    try {
      await server.#listening()
      await server.#accepting()
      return server
    } catch (error) {
      await server.stop()
      throw error
    }
  }

  get pid(): number {
    return this.#child.pid!
  }

  get port(): number {
    return this.#port
  }

  async stop(): Promise<void> {
    await this.#end()
    this.#forget()
    await rm(this.database, { recursive: true, force: true })
  }

  async #end(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const gone = once(this.#child, 'exit')
      this.#child.kill('SIGTERM')
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_LIMIT_MS)
      await gone
      clearTimeout(timer)
    }
  }

  async #listening(): Promise<void> {
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => this.#keep(text))
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`not listening in time: ${this.#tail}`)), START_LIMIT_MS)
      createInterface({ input: this.#child.stdout! }).on('line', (line) => {
        this.#keep(line)
        const entry = parsed(line)
        if (entry['msg'] !== 'listening' || entry['kind'] !== 'tcp') return
        clearTimeout(timer)
        this.#port = Number(entry['port'])
        resolve()
      })
      this.#child.once('exit', () => {
        clearTimeout(timer)
        reject(new Error(`the server ended: ${this.#tail}`))
      })
    })
  }

  /** The log line comes a moment before the port is open. */
  async #accepting(): Promise<void> {
    const deadline = performance.now() + ACCEPT_LIMIT_MS
    for (;;) {
      try {
        const socket = connect({ host: '127.0.0.1', port: this.#port })
        await once(socket, 'connect')
        socket.destroy()
        return
      } catch (error) {
        if (performance.now() > deadline) throw new Error('the server does not accept connections', { cause: error })
        await delay(5)
      }
    }
  }

  #keep(line: string): void {
    this.#log.push(line)
    if (this.#log.length > 50) this.#log.shift()
  }

  get #tail(): string {
    return this.#log.join('\n')
  }
}

function parsed(line: string): Record<string, unknown> {
  try {
    return JSON.parse(line) as Record<string, unknown>
  } catch {
    return {}
  }
}
