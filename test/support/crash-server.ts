import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { callAdmin } from '../../src/rpc-client.ts'

const KEPT_LINES = 40

/** What `index dump` says. */
export interface IndexDigest {
  readonly height: number
  readonly hash: string
  readonly digest: string
  /** Of the outputs that are listed; '' if none are. */
  readonly outputs: string
}

/** The built server in a process of its own that is killed at will. */
export class CrashServer {
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>
  readonly #tail: string[] = []
  readonly #waiting = new Set<() => void>()
  readonly #said = new Set<string>()
  #adminPort: number | undefined
  #killed = false

  private constructor(child: ChildProcess) {
    this.#child = child
    this.#ended = once(child, 'exit')
    void this.#ended.then(() => this.#wake())
    const lines = [child.stdout!, child.stderr!].map((input) => createInterface({ input }))
    for (const reader of lines) reader.on('line', (line) => this.#read(line))
  }

  /** `mostKb`: no file may grow beyond so many kilobytes. */
  static start(main: string, environment: Readonly<Record<string, string>>, mostKb?: number): CrashServer {
    const words = [process.execPath, '--expose-gc', '--max-semi-space-size=32', main]
    const limited = mostKb === undefined ? words : ['bash', '-c', `ulimit -f ${mostKb}; exec "$@"`, 'server', ...words]
    const [command = '', ...rest] = limited
    const child = spawn(command, rest, {
      env: { PATH: process.env['PATH'] ?? '', ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    return new CrashServer(child)
  }

  get exited(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  /** The last lines of its log. */
  get tail(): string {
    return this.#tail.join('\n')
  }

  /** Settles once a log line has this message. Throws if the process ends before, or nothing comes in time. */
  async said(message: string, timeoutMs = 120_000): Promise<void> {
    await this.#until(() => this.#said.has(message), `says "${message}"`, timeoutMs)
  }

  /** Settles once the index is at `height`. */
  async at(height: number, timeoutMs = 120_000): Promise<void> {
    await this.said('serving', timeoutMs)
    const deadline = Date.now() + timeoutMs
    for (;;) {
      const answer = await callAdmin({ host: '127.0.0.1', port: this.#adminPort! }, ['getinfo'])
      if (!answer.ok) throw new Error(`getinfo: ${answer.message}`)
      const { index } = answer.result as { readonly index: { readonly height: number } }
      if (index.height === height) return
      if (Date.now() > deadline) throw new Error(`at height ${index.height}, not ${height}: ${this.tail}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  /** Ends it as a fault of the machine would. Throws if it had ended before by itself. */
  async kill(): Promise<void> {
    if (this.exited) throw new Error(`the server ended by itself (${this.#child.exitCode}): ${this.tail}`)
    this.#killed = true
    this.#child.kill('SIGKILL')
    await this.#ended
  }

  /** Asks it to stop. Throws unless it does so in order. */
  async stop(timeoutMs = 60_000): Promise<void> {
    if (this.#killed) return
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), timeoutMs)
    this.#child.kill('SIGTERM')
    await this.#ended
    clearTimeout(timer)
    if (this.#child.exitCode !== 0) throw new Error(`stopped with ${this.#child.exitCode}: ${this.tail}`)
  }

  /** Waits for it to end by itself; gives its exit code. */
  async ended(timeoutMs = 120_000): Promise<number | null> {
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), timeoutMs)
    await this.#ended
    clearTimeout(timer)
    return this.#child.exitCode
  }

  /** Ends it in whatever state. */
  async end(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#ended
  }

  async #until(done: () => boolean, what: string, timeoutMs: number): Promise<void> {
    const deadline = Date.now() + timeoutMs
    while (!done()) {
      if (this.exited) throw new Error(`the server ended (${this.#child.exitCode}) before it ${what}: ${this.tail}`)
      const left = deadline - Date.now()
      if (left <= 0) throw new Error(`nobody ${what} within ${timeoutMs} ms: ${this.tail}`)
      await this.#change(left)
    }
  }

  async #change(timeoutMs: number): Promise<void> {
    let settle = (): void => {}
    const changed = new Promise<void>((resolve) => {
      settle = resolve
    })
    const timer = setTimeout(settle, timeoutMs)
    this.#waiting.add(settle)
    await changed
    clearTimeout(timer)
    this.#waiting.delete(settle)
  }

  #read(line: string): void {
    this.#tail.push(line)
    if (this.#tail.length > KEPT_LINES) this.#tail.shift()
    const entry = parsed(line)
    if (entry.msg !== undefined) this.#said.add(entry.msg)
    if (entry.msg === 'listening' && entry.kind === 'rpc') this.#adminPort = entry.port
    this.#wake()
  }

  #wake(): void {
    for (const settle of this.#waiting) settle()
  }
}

/** Runs `index dump` as an operator would. */
export async function dumpIndex(main: string, environment: Readonly<Record<string, string>>): Promise<IndexDigest> {
  const { stdout } = await runIndex(main, ['dump'], environment)
  const values = new Map(stdout.split('\n').map((line) => [line.split(' ')[0], line.split(' ')[1] ?? '']))
  const [hash = '', digest = '', outputs = ''] = ['hash', 'digest', 'outputs'].map((name) => values.get(name))
  return { height: Number(values.get('height')), hash, digest, outputs }
}

/** Runs a command of `index`; throws with what it says if it fails. */
export async function runIndex(
  main: string,
  words: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<{ readonly stdout: string; readonly stderr: string }> {
  const env = { PATH: process.env['PATH'] ?? '', ...environment }
  try {
    return await promisify(execFile)(process.execPath, [main, 'index', ...words], { env, maxBuffer: 1 << 28 })
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { readonly stdout?: string; readonly stderr?: string }
    throw new Error(`index ${words.join(' ')} fails: ${stdout}${stderr}`, { cause: error })
  }
}

interface Line {
  readonly msg?: string
  readonly kind?: string
  readonly port?: number
}

function parsed(line: string): Line {
  try {
    return JSON.parse(line) as Line
  } catch {
    return { msg: line }
  }
}
