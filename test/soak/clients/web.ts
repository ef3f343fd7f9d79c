import { Agent, type IncomingMessage, request } from 'node:http'
import { pause, within } from '../waits.ts'
import { INTERNAL, judgeAnswer } from './conversation.ts'
import { someAtomical } from './knowledge.ts'
import { type Question, someQuestion } from './questions.ts'
import { somebody, type Visit } from './visit.ts'

interface Page {
  readonly status: number
  readonly text: string
}

interface Browser {
  ask(path: string, body?: string): Promise<Page>
  /** Asks and goes away before the answer is whole. */
  abandon(path: string, body?: string): Promise<void>
}

/** Asks over HTTP, in every way there is, over connections that are kept for a while. */
export async function browse(visit: Visit): Promise<void> {
  const { known, signal } = visit
  const { random } = known
  const agent = new Agent({ keepAlive: true, maxSockets: 2 })
  const browser = browserOf(visit, agent)
  try {
    for (let i = random.between(2, 16); i > 0 && !signal.aborted; i--) {
      await one(visit, browser)
      await pause(random.between(0, 1_500), signal)
    }
  } finally {
    agent.destroy()
  }
}

async function one({ known, tally }: Visit, browser: Browser): Promise<void> {
  const { random } = known
  const question = someQuestion(known, '1.4')
  const params = JSON.stringify(question.params)
  const part = random.unit()
  if (part < 0.1) return browser.abandon(`/proxy/${question.method}`, `{"params":${params}}`)
  if (part < 0.4) return judge(tally, question, await browser.ask(`/proxy/${question.method}`, `{"params":${params}}`))
  if (part < 0.65) {
    const path = `/proxy/${question.method}?params=${encodeURIComponent(params)}`
    return judge(tally, question, await browser.ask(path))
  }
  if (part < 0.75)
    return batch(
      tally,
      Array.from({ length: 10 }, () => someQuestion(known, '1.4')),
      browser,
    )
  const [path, body] =
    part < 0.85
      ? [`/urn/atom:btc:id:${someAtomical(known)}`, undefined]
      : part < 0.9
        ? ['/proxy/nothing', '{']
        : [random.pick(['/health', '/openrpc.json', '/', '/proxy', '/nothing']), undefined]
  const { status, text } = await browser.ask(path, body)
  const { code, message } = status < 500 ? { code: 0, message: '' } : errorOf(status, text)
  if (code === INTERNAL) tally.wrong(`web visitor, ${path}: ${message}`)
  return undefined
}

/** In the manner of electrumx-proxy: the result is `response`, an error has a status. */
function judge(tally: Visit['tally'], question: Question, { status, text }: Page): void {
  tally.answers += 1
  const message =
    status === 200
      ? { result: (JSON.parse(text) as { readonly response: unknown }).response }
      : { error: errorOf(status, text) }
  const found = judgeAnswer(question, message)
  if (found !== undefined) tally.wrong(`web visitor, ${question.method} ${JSON.stringify(question.params)}: ${found}`)
}

/** 503 and 429 are what a server says that has too much to do. */
function errorOf(status: number, text: string): { readonly code: number; readonly message: string } {
  if (status === 503 || status === 429) return { code: -102, message: text }
  const { code = INTERNAL, message = text } = JSON.parse(text) as { readonly code?: number; readonly message?: string }
  return { code, message: `status ${status}: ${message}` }
}

async function batch(tally: Visit['tally'], questions: readonly Question[], browser: Browser): Promise<void> {
  const calls = questions.map(({ method, params }, id) => ({ jsonrpc: '2.0', id, method, params }))
  const { status, text } = await browser.ask('/', JSON.stringify(calls))
  if (status === 503 || status === 429) return
  const answers = JSON.parse(text) as readonly { readonly id: number; readonly result?: unknown }[]
  for (const [id, question] of questions.entries()) {
    const answer = answers.find((each) => each.id === id)
    const found = answer === undefined ? 'no answer in the batch' : judgeAnswer(question, answer)
    tally.answers += 1
    if (found !== undefined) tally.wrong(`web visitor, batch, ${question.method}: ${found}`)
  }
}

function browserOf({ ports, known: { random }, answerMs }: Visit, agent: Agent): Browser {
  const headers = { 'x-forwarded-for': somebody(random).host }
  const begin = (path: string, body: string | undefined) => {
    const method = body === undefined ? 'GET' : 'POST'
    const call = request({ host: '127.0.0.1', port: ports.http, path, method, agent, headers })
    call.end(body)
    return call
  }
  return {
    ask: (path, body) =>
      within(
        answerMs,
        `web visitor, ${path}`,
        new Promise<Page>((resolve, reject) => {
          const call = begin(path, body)
          call.once('error', reject)
          call.once('response', (response) => void whole(response).then(resolve, reject))
        }),
      ),
    abandon: async (path, body) => {
      const call = begin(path, body)
      call.once('error', () => {}) // It is ours: see below.
      call.once('response', (response) => response.once('error', () => {}))
      await new Promise((resolve) => setTimeout(resolve, random.between(0, 20)))
      call.destroy()
    },
  }
}

function whole(response: IncomingMessage): Promise<Page> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = []
    response.on('data', (part: Buffer) => parts.push(part))
    response.once('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString() }))
    response.once('error', reject)
  })
}
