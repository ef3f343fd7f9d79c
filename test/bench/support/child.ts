import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'

/**
 * A module of these benches in a process of its own, so that the work of one side takes no time from the other. What it
 * is asked comes as messages; see serve().
 */
export class Child {
  readonly #process: ChildProcess
  readonly #name: string
  readonly #waiting: { readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void }[] = []

  constructor(url: URL, flags: readonly string[] = []) {
    this.#name = url.pathname.split('/').at(-1) ?? url.pathname
    this.#process = fork(url, [], {
      execArgv: [...process.execArgv, ...flags],
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    this.#process.on('message', (message: Answer) => {
      const waiter = this.#waiting.shift()
      if (message.error === undefined) waiter?.resolve(message.value)
      else waiter?.reject(new Error(`${this.#name}: ${message.error}`))
    })
    this.#process.on('exit', (code, signal) => {
      for (const { reject } of this.#waiting.splice(0)) reject(new Error(`${this.#name} ended (${code ?? signal})`))
    })
  }

  get pid(): number {
    return this.#process.pid!
  }

  /** Settles with the answer; questions are answered in turn. Rejects if the child fails, ends or takes longer. */
  async ask<T>(question: unknown, timeoutMs: number): Promise<T> {
    let timer: NodeJS.Timeout | undefined
    try {
      return await new Promise<T>((resolve, reject) => {
        timer = setTimeout(() => reject(new Error(`${this.#name} took longer than ${timeoutMs} ms`)), timeoutMs)
        this.#waiting.push({ resolve: resolve as (value: unknown) => void, reject })
        this.#process.send(question as object, (error) => error !== null && reject(error))
      })
    } finally {
      clearTimeout(timer)
    }
  }

  /** Ends it at once. */
  kill(): void {
    this.#process.kill('SIGKILL')
  }

  /** Ends the process: asked to at first, then made to. */
  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const gone = once(this.#process, 'exit')
    if (this.#process.connected) this.#process.disconnect()
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), 20_000)
    await gone
    clearTimeout(timer)
  }
}

interface Answer {
  readonly value?: unknown
  readonly error?: string
}

/** In the child: answers what the parent asks, and ends once the parent lets go of it. */
export function serve(answer: (question: unknown) => Promise<unknown>, close: () => Promise<void>): void {
  let last: Promise<unknown> = Promise.resolve()
  const after = async (before: Promise<unknown>, question: unknown): Promise<void> => {
    await before
    process.send?.(await answerOf(question, answer))
  }
  process.on('message', (question) => {
    last = after(last, question)
  })
  process.on('disconnect', () => {
    close().then(
      () => process.exit(0),
      () => process.exit(1),
    )
  })
}

async function answerOf(question: unknown, answer: (question: unknown) => Promise<unknown>): Promise<Answer> {
  try {
    return { value: await answer(question) }
  } catch (error) {
    return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
}
