import { randomBytes, timingSafeEqual } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { isAbort } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { RegtestCore } from './core.ts'
import { toJson } from './json.ts'
import { answerRpc } from './json-rpc.ts'
import { answerRest, type RestOptions } from './rest.ts'
import { RPC, type RpcTable } from './rpc.ts'

const HTML = 'text/html; charset=ISO-8859-1'
const JSON_TYPE = 'application/json'
/** What Core takes in one request at most. */
const MAX_BODY = 0x0200_0000
const COOKIE_USER = '__cookie__'

/** What is asked, before it is answered; `params` is the whole batch for method `batch`, the path for REST. */
export interface FaultRequest {
  readonly kind: 'rpc' | 'rest'
  readonly method: string
  readonly params: unknown
}

/**
 * How to misbehave. `status` and `body` replace the answer, `truncate` cuts the right one after so many bytes (it is then
 * a whole HTTP answer of that length), `drop` closes the connection without a word, `delayMs` waits before anything else.
 */
export interface Fault {
  readonly status?: number
  readonly body?: string | Uint8Array
  readonly delayMs?: number
  readonly drop?: true
  readonly truncate?: number
}

export type FaultHook = (request: FaultRequest) => Fault | undefined

export interface HttpOptions {
  readonly port: number
  readonly cookieFile: string
  /** Answer below /rest/; undefined = do not (rest=0). */
  readonly rest: RestOptions | undefined
}

interface Answer {
  readonly status: number
  readonly type?: string | undefined
  readonly body: Uint8Array | string
  readonly headers?: Readonly<Record<string, string>>
}

/** The node's HTTP side on 127.0.0.1: JSON-RPC behind a cookie, REST for everybody, as Core has them. */
export class HttpFront {
  readonly #options: HttpOptions
  readonly #core: RegtestCore
  readonly #table: RpcTable
  readonly #log: Logger
  readonly #fault: FaultHook | undefined
  readonly #server: Server
  readonly #secret = Buffer.from(`${COOKIE_USER}:${randomBytes(32).toString('hex')}`)
  readonly #delays = new AbortController()
  #warm = false

  constructor(
    options: HttpOptions,
    collaborators: {
      readonly core: RegtestCore
      readonly table: RpcTable
      readonly log: Logger
      readonly fault?: FaultHook | undefined
    },
  ) {
    this.#options = options
    this.#core = collaborators.core
    this.#table = collaborators.table
    this.#log = collaborators.log
    this.#fault = collaborators.fault
    this.#server = createServer((request, response) => {
      this.#handle(request, response).catch((error: unknown) => {
        // A client that went away, or a node that stops, is nothing to tell of.
        const gone = request.destroyed || response.destroyed || this.#delays.signal.aborted
        this.#log[gone ? 'debug' : 'error']({ err: error, url: request.url }, 'a request to the regtest node failed')
        response.destroy()
      })
    })
    this.#server.keepAliveTimeout = 60_000
  }

  /** Port that is listened to. */
  get port(): number {
    const address = this.#server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }

  /** Listens and writes the cookie. Calls are answered with "warming up" until ready(). */
  async start(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(this.#options.port, '127.0.0.1', () => {
        this.#server.off('error', reject)
        resolve()
      })
    })
    writeFileSync(this.#options.cookieFile, this.#secret, { mode: 0o600 })
  }

  ready(): void {
    this.#warm = true
  }

  async stop(): Promise<void> {
    this.#delays.abort()
    rmSync(this.#options.cookieFile, { force: true })
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve())
    })
    this.#server.closeAllConnections()
    await closed
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const target = request.url ?? '/'
    const body = await readBody(request)
    if (body === undefined) {
      send(response, { status: 400, body: '' })
      return
    }
    if (target.startsWith('/rest/') && this.#options.rest !== undefined) {
      await this.#respond(response, { kind: 'rest', method: target.split(/[/?.]/)[2] ?? '', params: target }, () =>
        this.#rest(target),
      )
      return
    }
    if (target !== '/' && !target.startsWith('/wallet/')) {
      send(response, { status: 404, type: HTML, body: '' })
      return
    }
    const refusal = this.#refuse(request)
    if (refusal !== undefined) send(response, refusal)
    else await this.#respond(response, faultRequestOf(body), () => this.#rpc(body))
  }

  async #rest(target: string): Promise<Answer> {
    if (!this.#warm) {
      const body = 'Service temporarily unavailable: Loading block index…\r\n'
      return { status: 503, type: 'text/plain', body }
    }
    const answer = this.#options.rest && (await answerRest(this.#core, this.#options.rest, target))
    return answer ?? { status: 404, type: HTML, body: '' }
  }

  async #rpc(body: Buffer): Promise<Answer> {
    if (!this.#warm) {
      const error = { code: RPC.warmup, message: 'Loading block index…' }
      return { status: 500, type: JSON_TYPE, body: `${toJson({ result: null, error, id: null })}\n` }
    }
    const answer = await answerRpc(this.#table, body.toString('utf8'))
    if (answer.body === undefined) return { status: answer.status, body: '' }
    return { status: answer.status, type: JSON_TYPE, body: `${answer.body}\n` }
  }

  #refuse(request: IncomingMessage): Answer | undefined {
    if (request.method !== 'POST') {
      return { status: 405, type: HTML, body: 'JSONRPC server handles only POST requests' }
    }
    const sent = /^Basic\s+(.*)$/.exec(request.headers.authorization ?? '')?.[1]
    const given = Buffer.from(sent ?? '', 'base64')
    if (given.length === this.#secret.length && timingSafeEqual(given, this.#secret)) return undefined
    return { status: 401, type: HTML, body: '', headers: { 'WWW-Authenticate': 'Basic realm="jsonrpc"' } }
  }

  /** Answers, unless the fault hook knows something worse. */
  async #respond(response: ServerResponse, request: FaultRequest, answer: () => Promise<Answer>): Promise<void> {
    const fault = this.#fault?.(request)
    if (fault === undefined) {
      send(response, await answer())
      return
    }
    if (fault.delayMs !== undefined) await pause(fault.delayMs, this.#delays.signal)
    if (fault.drop === true || this.#delays.signal.aborted) {
      response.destroy()
      return
    }
    const replaced = fault.status !== undefined || fault.body !== undefined
    const whole = replaced ? { status: fault.status ?? 200, type: JSON_TYPE, body: fault.body ?? '' } : await answer()
    const cut = fault.truncate === undefined ? whole.body : Buffer.from(whole.body).subarray(0, fault.truncate)
    send(response, { ...whole, body: cut })
  }
}

function send(response: ServerResponse, { status, type, body, headers }: Answer): void {
  response.writeHead(status, {
    ...headers,
    ...(type === undefined ? {} : { 'Content-Type': type }),
    ...(status === 204 ? {} : { 'Content-Length': Buffer.byteLength(body) }),
  })
  response.end(body)
}

/** The body of a request, or undefined if it is larger than may be. */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of request) {
    if (!Buffer.isBuffer(part)) continue
    length += part.length
    if (length > MAX_BODY) return undefined
    parts.push(part)
  }
  return Buffer.concat(parts)
}

function faultRequestOf(body: Buffer): FaultRequest {
  const request = parsed(body)
  if (Array.isArray(request)) return { kind: 'rpc', method: 'batch', params: request }
  if (typeof request !== 'object' || request === null) return { kind: 'rpc', method: '', params: undefined }
  const method: unknown = 'method' in request ? request.method : undefined
  const params: unknown = 'params' in request ? request.params : undefined
  return { kind: 'rpc', method: typeof method === 'string' ? method : '', params }
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return undefined
  }
}

/** Settles after `ms` or when the node stops, whichever comes first. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, { signal })
  } catch (error) {
    if (!isAbort(error)) throw error
  }
}
