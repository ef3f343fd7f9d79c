import { createServer, request as httpRequest, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A request on its way to the node. */
export interface ProxiedAsk {
  /** `/` for JSON-RPC, else the path of REST. */
  readonly path: string
  /** Methods of JSON-RPC, those of a batch in order; none for REST. */
  readonly methods: readonly string[]
  readonly body: string
}

export interface ProxiedAnswer {
  readonly status: number
  readonly body: Uint8Array | string
}

/** What becomes of a request: the node's answer changed, another answer, no answer, or half of one. */
export type Trick = (
  ask: ProxiedAsk,
  node: () => Promise<ProxiedAnswer>,
) => Promise<ProxiedAnswer> | 'stall' | 'hang-up' | 'half-then-stall' | 'half-then-hang-up' | undefined

/** An HTTP proxy before a node that lets everything through but what a trick takes. */
export class NodeProxy {
  /** Asked in order; the first that does not give undefined decides. */
  tricks: Trick[] = []
  /** Who may ask, `user:password` of the moment, and with what the node is asked; undefined: the asker's own. */
  credentials: { readonly accepted: () => string; readonly own: string } | undefined
  /** JSON-RPC requests that were refused for their credentials. */
  refused = 0
  /** Path or methods of each request. */
  readonly asked: string[] = []
  readonly #target: { readonly host: string; readonly port: number }
  readonly #server: Server
  #port = 0

  constructor(nodeUrl: string) {
    const { hostname, port } = new URL(nodeUrl)
    this.#target = { host: hostname, port: Number(port) }
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => response.destroy(error as Error))
    })
  }

  static async before(nodeUrl: string): Promise<NodeProxy> {
    const proxy = new NodeProxy(nodeUrl)
    await proxy.open()
    return proxy
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/`
  }

  async open(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(this.#port, '127.0.0.1', resolve)
    })
    this.#port = (this.#server.address() as AddressInfo).port
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.#server.closeAllConnections()
    await closed
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = (await whole(request)).toString('utf8')
    const path = request.url ?? ''
    const ask = { path, body, methods: request.method === 'POST' ? methodsOf(body) : [] }
    this.asked.push(ask.methods[0] ?? path)
    const { credentials } = this
    if (credentials !== undefined && ask.methods.length > 0) {
      if (request.headers.authorization !== basic(credentials.accepted())) {
        this.refused += 1
        send(response, { status: 401, body: '' })
        return
      }
      request.headers.authorization = basic(credentials.own)
    }
    const node = () => this.#forward(request, body)
    for (const trick of this.tricks) {
      const what = trick(ask, node)
      if (what === undefined) continue
      if (what === 'stall') return
      if (what === 'hang-up') return void response.destroy()
      if (what === 'half-then-stall' || what === 'half-then-hang-up') {
        const right = Buffer.from((await node()).body)
        response.writeHead(200, { 'Content-Length': right.length })
        response.write(right.subarray(0, right.length >> 1), () => what === 'half-then-hang-up' && response.destroy())
        return
      }
      send(response, await what)
      return
    }
    send(response, await node())
  }

  #forward(from: IncomingMessage, body: string): Promise<ProxiedAnswer> {
    return new Promise((resolve, reject) => {
      const { authorization } = from.headers
      const headers = {
        'Content-Length': Buffer.byteLength(body),
        ...(authorization === undefined ? {} : { Authorization: authorization }),
      }
      const options = { ...this.#target, path: from.url, method: from.method, headers, agent: false } as const
      const request = httpRequest(options, (answer) => {
        whole(answer).then((bytes) => resolve({ status: answer.statusCode ?? 0, body: bytes }), reject)
      })
      request.on('error', reject)
      request.end(body)
    })
  }
}

function basic(login: string): string {
  return `Basic ${Buffer.from(login).toString('base64')}`
}

function methodsOf(body: string): string[] {
  const calls = [JSON.parse(body)].flat() as { readonly method: string }[]
  return calls.map(({ method }) => method)
}

function send(response: ServerResponse, { status, body }: ProxiedAnswer): void {
  response.writeHead(status, { 'Content-Length': Buffer.byteLength(body) })
  response.end(body)
}

async function whole(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of message) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
