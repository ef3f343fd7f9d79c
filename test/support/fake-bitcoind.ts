import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What the fake does in place of an answer, once. */
export type Misbehaviour =
  /** Takes the question and never answers. */
  | { readonly kind: 'stall' }
  /** Hangs up without an answer. */
  | { readonly kind: 'drop' }
  /** Sends this, as it is. */
  | { readonly kind: 'answer'; readonly status: number; readonly body: string | Uint8Array }
  /** Promises the right answer, sends so many bytes of it and hangs up. */
  | { readonly kind: 'truncate'; readonly bytes: number }
  /** Sends the right answer cut short, as if it were whole. */
  | { readonly kind: 'cut'; readonly bytes: number }
  /** Announces so many bytes and sends none. */
  | { readonly kind: 'announce'; readonly bytes: number }
  /** Sends white space in chunks, without a length, until the other side hangs up. */
  | { readonly kind: 'endless' }
  /** Sends a few bytes (one) of the right answer, then as many each time `drip()` is called. */
  | { readonly kind: 'slow'; readonly bytes?: number }

/** An error that a handler throws to be answered as JSON-RPC error. */
export class RpcFault extends Error {
  readonly code: number
  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

export interface HttpReply {
  readonly status: number
  readonly body: string | Uint8Array
}

/** JSON text that goes into `result` as it is, so that a test decides on digits and white space. */
export class RawJson {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

export interface Heard {
  readonly method: string
  readonly params: readonly unknown[]
}

interface RpcRequest {
  readonly id?: unknown
  readonly method: string
  readonly params?: readonly unknown[]
}

export const GENESIS = '0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206'

/** An HTTP server that answers as bitcoind would, from a script, and misbehaves on demand. */
export class FakeBitcoind {
  /** By method; what it returns becomes `result`, an RpcFault that it throws becomes `error`. */
  readonly methods = new Map<string, (params: readonly unknown[]) => unknown>()
  /** By path below /rest/. Paths that are not here get the 404 of a node without REST. */
  readonly rest = new Map<string, () => HttpReply>()
  /** Answers of whole requests that go before `methods`: for recorded ones. */
  replay: ((heard: Heard) => HttpReply | undefined) | undefined
  /** `user:password` that is asked for, if any. */
  login: string | undefined
  /** Calls that were answered or not, batches taken apart. */
  readonly heard: Heard[] = []
  /** Requests in order, as `POST /` or `GET /rest/...`. */
  readonly requests: string[] = []
  /** Authorization headers in order; undefined where there was none. */
  readonly authorizations: (string | undefined)[] = []
  /** Most requests that were under way at the same time. */
  mostAtOnce = 0

  readonly #server: Server
  readonly #misbehaviours: { readonly what: Misbehaviour; readonly where: (request: string) => boolean }[] = []
  readonly #slow: (() => void)[] = []
  #port = 0
  #atOnce = 0
  #watchers: (() => void)[] = []
  #held: Promise<void> = Promise.resolve()

  constructor() {
    this.methods.set('getblockhash', ([height]) => {
      if (height === 0) return GENESIS
      throw new RpcFault(-8, 'Block height out of range')
    })
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => response.destroy(error as Error))
    })
  }

  static async listen(port = 0): Promise<FakeBitcoind> {
    const fake = new FakeBitcoind()
    await fake.open(port)
    return fake
  }

  async open(port = this.#port): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, '127.0.0.1', resolve)
    })
    this.#port = (this.#server.address() as AddressInfo).port
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.#server.closeAllConnections()
    await closed
  }

  get port(): number {
    return this.#port
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/`
  }

  /** Switches REST on for `block`, with or without spenttxouts. */
  offerRest(options: { readonly spentTxOuts: boolean }): void {
    const json = '{"chain":"regtest","blocks":0}'
    this.rest.set('chaininfo.json', () => ({ status: 200, body: json }))
    this.rest.set(`block/${GENESIS}.bin`, () => ({ status: 200, body: new Uint8Array(285) }))
    if (options.spentTxOuts) {
      this.rest.set(`spenttxouts/${GENESIS}.bin`, () => ({ status: 200, body: Uint8Array.of(1, 0) }))
    }
  }

  /** The next request that `where` accepts is not answered as it should be. */
  misbehave(what: Misbehaviour, where: (request: string) => boolean = () => true): void {
    this.#misbehaviours.push({ what, where })
  }

  /** Lets slow answers send some more. */
  drip(): void {
    for (const send of this.#slow) send()
  }

  /** Closes connections on which nothing is asked at the moment, as bitcoind does after some seconds. */
  closeIdle(): void {
    this.#server.closeIdleConnections()
  }

  /** Takes requests from now on but answers none before the function that it gives is called. */
  hold(): () => void {
    const { promise, resolve } = withResolvers()
    this.#held = promise
    return resolve
  }

  /** Settles once `count` requests have come in all. */
  async requested(count: number): Promise<void> {
    while (this.requests.length < count) await new Promise<void>((resolve) => this.#watchers.push(resolve))
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#atOnce += 1
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#atOnce)
    response.once('close', () => {
      this.#atOnce -= 1
    })
    const body = await bodyOf(request)
    const name = `${request.method} ${request.url}`
    this.requests.push(name)
    this.authorizations.push(request.headers.authorization)
    for (const watch of this.#watchers.splice(0)) watch()
    await this.#held
    const reply = request.method === 'POST' ? this.#rpc(request, body) : this.#restReply(request.url ?? '')
    const index = this.#misbehaviours.findIndex(({ where }) => where(name))
    const [misbehaviour] = index === -1 ? [] : this.#misbehaviours.splice(index, 1)
    if (misbehaviour === undefined) send(response, reply)
    else this.#misbehave(misbehaviour.what, reply, response)
  }

  #misbehave(what: Misbehaviour, reply: HttpReply, response: ServerResponse): void {
    const right = Buffer.from(reply.body)
    switch (what.kind) {
      case 'stall':
        return
      case 'drop':
        response.destroy()
        return
      case 'answer':
        send(response, what)
        return
      case 'cut':
        send(response, { status: reply.status, body: right.subarray(0, what.bytes) })
        return
      case 'truncate':
        response.writeHead(reply.status, { 'Content-Length': right.length })
        response.write(right.subarray(0, what.bytes), () => response.destroy())
        return
      case 'announce':
        response.writeHead(reply.status, { 'Content-Length': what.bytes })
        response.flushHeaders()
        return
      case 'endless': {
        const more = (): void => {
          if (!response.destroyed) response.write(' '.repeat(500), () => setImmediate(more))
        }
        more()
        return
      }
      case 'slow': {
        response.writeHead(reply.status, { 'Content-Length': right.length })
        const { bytes = 1 } = what
        let sent = 0
        const drip = (): void => {
          if (response.destroyed || sent >= right.length) return
          response.write(right.subarray(sent, sent + bytes))
          sent += bytes
        }
        drip()
        this.#slow.push(drip)
      }
    }
  }

  #restReply(url: string): HttpReply {
    const handler = this.rest.get(url.replace(/^.*?\/rest\//, ''))
    return handler?.() ?? { status: 404, body: '' }
  }

  #rpc(request: IncomingMessage, body: string): HttpReply {
    const wanted = this.login === undefined ? undefined : `Basic ${Buffer.from(this.login).toString('base64')}`
    if (wanted !== undefined && request.headers.authorization !== wanted) return { status: 401, body: '' }
    const question = JSON.parse(body) as RpcRequest | RpcRequest[]
    if (Array.isArray(question)) {
      const answers = question.map((one) => this.#answer(one).text)
      return { status: 200, body: `[${answers.join(',')}]\n` }
    }
    const heard = { method: question.method, params: question.params ?? [] }
    const recorded = this.replay?.(heard)
    if (recorded !== undefined) {
      this.heard.push(heard)
      return withId(recorded, question.id)
    }
    const { text, error } = this.#answer(question)
    return { status: error === undefined ? 200 : error.code === -32601 ? 404 : 500, body: `${text}\n` }
  }

  #answer({ id, method, params = [] }: RpcRequest): { text: string; error?: RpcFault } {
    this.heard.push({ method, params })
    const idText = JSON.stringify(id)
    try {
      const handler = this.methods.get(method)
      if (handler === undefined) throw new RpcFault(-32601, 'Method not found')
      const result = handler(params)
      const text = result instanceof RawJson ? result.text : JSON.stringify(result)
      return { text: `{"result":${text},"error":null,"id":${idText}}` }
    } catch (error) {
      if (!(error instanceof RpcFault)) throw error
      const { code, message } = error
      return { text: `{"result":null,"error":${JSON.stringify({ code, message })},"id":${idText}}`, error }
    }
  }
}

/** Promise.withResolvers(), which Node 20 lacks. */
function withResolvers(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve: () => void = () => undefined
  const promise = new Promise<void>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}

/** Recorded answers carry the id of the recording. */
function withId(reply: HttpReply, id: unknown): HttpReply {
  const text = Buffer.from(reply.body).toString('utf8')
  return { status: reply.status, body: text.replace(/"id":"c"\}\s*$/, () => `"id":${JSON.stringify(id)}}\n`) }
}

function send(response: ServerResponse, reply: HttpReply): void {
  response.writeHead(reply.status, { 'Content-Length': Buffer.byteLength(reply.body) })
  response.end(reply.body)
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}
