import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { callAdmin } from '../../src/rpc-client.ts'

const MAIN = resolve(import.meta.dirname, '../../dist/main.js')

export interface ServerProcessOptions {
  /** Another build. */
  readonly main?: string
  /** Flags of Node besides those of `npm start`. */
  readonly flags?: readonly string[]
  /** Given each line of the log in place of `log`, which then keeps the last few only: for those who run for hours. */
  readonly onLine?: (line: LogLine) => void
}

const KEPT_LINES = 200

export interface LogLine {
  readonly msg?: string
  readonly [key: string]: unknown
}

/** The built server as operators run it: a process of its own, settings by environment, log on standard output. */
export class ServerProcess {
  readonly log: LogLine[] = []
  readonly #child: ChildProcess
  readonly #onLine: ((line: LogLine) => void) | undefined
  readonly #ports = new Map<string, number>()
  readonly #watchers = new Set<() => void>()
  #errors = ''

  private constructor(child: ChildProcess, onLine: ServerProcessOptions['onLine']) {
    this.#child = child
    this.#onLine = onLine
    createInterface({ input: child.stdout! }).on('line', (line) => this.#read(line))
    child.stderr!.setEncoding('utf8').on('data', (chunk: string) => (this.#errors += chunk))
    child.on('exit', () => this.#changed())
  }

  static start(
    environment: Readonly<Record<string, string>>,
    { main = MAIN, flags = [], onLine }: ServerProcessOptions = {},
  ): ServerProcess {
    const child = spawn(process.execPath, ['--expose-gc', '--max-semi-space-size=32', ...flags, main], {
      env: { PATH: process.env['PATH'] ?? '', ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    return new ServerProcess(child, onLine)
  }

  get pid(): number {
    return this.#child.pid!
  }

  /** What the process said on standard error. */
  get errors(): string {
    return this.#errors
  }

  port(kind: string): number {
    const port = this.#ports.get(kind)
    if (port === undefined) throw new Error(`the server does not listen for ${kind}`)
    return port
  }

  /** Settles once the server serves wallets. */
  async ready(timeoutMs = 120_000): Promise<void> {
    await this.until((line) => line.msg === 'serving', timeoutMs)
  }

  /** Settles with the first log line, past or to come, that fits. Throws if the process ends before. */
  async until(fits: (line: LogLine) => boolean, timeoutMs = 120_000): Promise<LogLine> {
    const deadline = Date.now() + timeoutMs
    for (;;) {
      const found = this.log.find(fits)
      if (found !== undefined) return found
      if (this.exited) throw new Error(`the server ended with ${this.#child.exitCode}: ${this.#tail()}`)
      const left = deadline - Date.now()
      if (left <= 0) throw new Error(`no such log line within ${timeoutMs} ms: ${this.#tail()}`)
      await this.#change(left)
    }
  }

  get exited(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  /** Runs a command of the admin port; throws what it answers as an error. */
  async admin(...words: string[]): Promise<unknown> {
    const answer = await callAdmin({ host: '127.0.0.1', port: this.port('rpc') }, words)
    if (!answer.ok) throw new Error(answer.message)
    return answer.result
  }

  /** Sends the signal and settles with the exit code once the process is gone; null if the signal killed it. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', timeoutMs = 60_000): Promise<number | null> {
    if (this.exited) return this.#child.exitCode
    const gone = once(this.#child, 'exit')
    let late = false
    const timer = setTimeout(() => {
      late = true
      this.#child.kill('SIGKILL')
    }, timeoutMs)
    this.#child.kill(signal)
    await gone
    clearTimeout(timer)
    if (late) throw new Error(`the server did not stop within ${timeoutMs} ms: ${this.#tail()}`)
    return this.#child.exitCode
  }

  /** Settles with the exit code once the process ends by itself. */
  async ended(timeoutMs = 120_000): Promise<number | null> {
    if (!this.exited) await once(this.#child, 'exit', { signal: AbortSignal.timeout(timeoutMs) })
    return this.#child.exitCode
  }

  #read(line: string): void {
    const entry = parseLine(line)
    this.log.push(entry)
    if (this.#onLine !== undefined) {
      this.#onLine(entry)
      if (this.log.length > KEPT_LINES) this.log.shift()
    }
    if (entry.msg === 'listening') this.#ports.set(String(entry['kind']), Number(entry['port']))
    this.#changed()
  }

  #changed(): void {
    for (const watcher of this.#watchers) watcher()
  }

  async #change(timeoutMs: number): Promise<void> {
    const { promise, resolve } = withResolvers()
    const timer = setTimeout(resolve, timeoutMs)
    this.#watchers.add(resolve)
    await promise
    clearTimeout(timer)
    this.#watchers.delete(resolve)
  }

  #tail(): string {
    return `${this.#errors}\n${this.log
      .slice(-15)
      .map((line) => JSON.stringify(line))
      .join('\n')}`
  }
}

function parseLine(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine
  } catch {
    return { msg: line }
  }
}

/** Promise.withResolvers, which Node 20 does not have. */
function withResolvers(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => {}
  const promise = new Promise<void>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
