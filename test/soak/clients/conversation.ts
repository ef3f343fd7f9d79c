import { WireClient, type WireKind, type WireMessage } from '../../support/wire-client.ts'
import { LateError, within } from '../waits.ts'
import type { Question } from './questions.ts'

/** What is told of all visitors together. */
export interface Tally {
  answers: number
  readonly counts: Map<string, number>
  wrong(text: string): void
  /** Something came too late, or never. */
  late(text: string): void
  /** What the server has to say of the session of a client, in words. */
  sessionOf(from: Caller['from']): Promise<string>
}

export interface Caller {
  readonly kind: WireKind
  readonly port: number
  readonly from: { readonly host: string; readonly port: number }
}

/** JSON-RPC's error of a server that failed. */
export const INTERNAL = -32603
const CONNECT_LIMIT_MS = 70_000

/** One visitor's connection: every question has to be answered in time, as long as nobody has closed it. */
export class Conversation {
  readonly #client: WireClient
  readonly #asked: Map<number, Question>
  readonly #name: string
  readonly #from: Caller['from']
  readonly #tally: Tally
  readonly #answerMs: number
  #nextId = 1
  #closed = false

  private constructor(
    client: WireClient,
    asked: Map<number, Question>,
    caller: Caller,
    tally: Tally,
    answerMs: number,
  ) {
    this.#client = client
    this.#asked = asked
    this.#name = `${caller.kind} visitor ${caller.from.host}`
    this.#from = caller.from
    this.#tally = tally
    this.#answerMs = answerMs
    void client.closed.finally(() => (this.#closed = true))
  }

  /** Rejects where the server lets nobody in, which is its right. */
  static async open(caller: Caller, tally: Tally, answerMs: number): Promise<Conversation> {
    const asked = new Map<number, Question>()
    const onMessage = (message: WireMessage): void => judge(message, asked, tally, caller)
    const connecting = WireClient.connect({ ...caller, onMessage })
    const client = await within(CONNECT_LIMIT_MS, `${caller.kind}: a connection`, connecting).catch(
      (error: unknown) => {
        void connecting.then(
          (late) => late.destroy(),
          () => {},
        ) // Nobody waits for it any more.
        throw error
      },
    )
    return new Conversation(client, asked, caller, tally, answerMs)
  }

  get closed(): boolean {
    return this.#closed
  }

  ask(question: Question): void {
    if (this.#closed) return
    this.#client.send(this.#message(question))
  }

  batch(questions: readonly Question[]): void {
    if (this.#closed) return
    this.#client.send(questions.map((question) => this.#message(question)))
  }

  /** Something that is no message, or none that makes sense. */
  sendRaw(text: string): void {
    if (!this.#closed) this.#client.sendRaw(text)
  }

  pause(): void {
    this.#client.pause()
  }

  resume(): void {
    this.#client.resume()
  }

  /** Settles once nothing is unanswered, or the connection is gone. It is wrong if neither comes in time. */
  async answered(): Promise<void> {
    const deadline = performance.now() + this.#answerMs
    while (!this.#closed && this.#asked.size > 0) {
      const late = performance.now() > deadline
      if (late) {
        const [question] = this.#asked.values()
        const unanswered = `${this.#asked.size} of ${this.#nextId - 1} requests unanswered, ${question?.method} the first`
        const session = await this.#tally.sessionOf(this.#from)
        this.#tally.late(`${this.#name}: ${unanswered}; ${session}`)
        return
      }
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  /** Goes, in order. */
  async end(): Promise<void> {
    try {
      await within(5_000, 'the end', this.#client.close())
    } catch (error) {
      if (!(error instanceof LateError)) throw error
      this.#client.destroy()
    }
  }

  /** Vanishes. */
  vanish(): void {
    this.#client.destroy()
  }

  #message(question: Question): object {
    const id = this.#nextId++
    this.#asked.set(id, question)
    return { jsonrpc: '2.0', id, method: question.method, params: question.params }
  }
}

function judge(message: WireMessage, asked: Map<number, Question>, tally: Tally, caller: Caller): void {
  if (message.method !== undefined) return
  const question = typeof message.id === 'number' ? asked.get(message.id) : undefined
  if (question === undefined) return // About something that was no message.
  asked.delete(message.id as number)
  tally.answers += 1
  const found = judgeAnswer(question, message)
  if (found !== undefined) tally.wrong(`${caller.kind} visitor, ${describe(question)}: ${found}`)
}

/** Busy, excessive usage: told to who asks too much, and when the node is away. */
const REFUSALS: ReadonlySet<number> = new Set([-102, -101])

/** What is wrong with an answer. */
export function judgeAnswer(question: Question, { result, error }: WireMessage): string | undefined {
  if (error !== undefined && error !== null) {
    if (error.code === INTERNAL) return `an internal error (${error.message})`
    return question.mustSucceed === true && !REFUSALS.has(error.code)
      ? `an error ${error.code} (${error.message})`
      : undefined
  }
  try {
    return question.check?.(result)
  } catch (cause) {
    return `an answer that cannot be read (${String(cause)}): ${JSON.stringify(result)?.slice(0, 200)}`
  }
}

function describe({ method, params }: Question): string {
  return `${method} ${JSON.stringify(params).slice(0, 200)}`
}
