import { readFileSync } from 'node:fs'
import { Agent, type IncomingMessage, request } from 'node:http'

interface Reply {
  readonly id: number
  readonly result: unknown
  readonly error: { readonly message: string } | null
}

/** JSON-RPC and REST of a node on this machine, over connections that are kept. */
export class NodeRpc {
  readonly #url: URL
  readonly #cookieFile: string
  readonly #agent: Agent
  #id = 0

  constructor(url: string, cookieFile: string, connections = 8) {
    this.#url = new URL(url)
    this.#cookieFile = cookieFile
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections })
  }

  /** Throws what the node answers as an error. */
  async call<T>(method: string, ...params: readonly unknown[]): Promise<T> {
    const body = await this.#post(JSON.stringify({ id: this.#id++, method, params }))
    const { result, error } = JSON.parse(body.toString()) as Reply
    if (error !== null) throw new Error(`${method}: ${error.message}`)
    return result as T
  }

  /** One method with many lists of params; the error's message stands where one of them failed. */
  async batch<T>(method: string, params: readonly (readonly unknown[])[]): Promise<(T | Error)[]> {
    const first = this.#id
    this.#id += params.length
    const body = JSON.stringify(params.map((list, i) => ({ id: first + i, method, params: list })))
    const replies = JSON.parse((await this.#post(body)).toString()) as Reply[]
    return replies
      .sort((a, b) => a.id - b.id)
      .map(({ result, error }) => (error === null ? (result as T) : new Error(error.message)))
  }

  /** The body of a REST answer. */
  async get(path: string): Promise<Buffer> {
    const { status, body } = await this.#exchange('GET', path, undefined)
    if (status !== 200) throw new Error(`GET ${path}: ${status} ${body.toString('latin1', 0, 200)}`)
    return body
  }

  /** Lets go of idle connections. */
  close(): void {
    this.#agent.destroy()
  }

  async #post(body: string): Promise<Buffer> {
    const answer = await this.#exchange('POST', '/', body)
    if (answer.body.length === 0) throw new Error(`the node answers with status ${answer.status}`)
    return answer.body
  }

  #exchange(method: string, path: string, body: string | undefined): Promise<{ status: number; body: Buffer }> {
    return new Promise((resolve, reject) => {
      const { hostname, port } = this.#url
      const headers: Record<string, string | number> =
        body === undefined
          ? {}
          : {
              authorization: `Basic ${readFileSync(this.#cookieFile).toString('base64')}`,
              'content-length': Buffer.byteLength(body),
            }
      const call = request({ hostname, port, method, path, headers, agent: this.#agent }, (response) => {
        whole(response).then((bytes) => resolve({ status: response.statusCode ?? 0, body: bytes }), reject)
      })
      call.on('error', reject)
      call.end(body)
    })
  }
}

function whole(response: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = []
    response.on('data', (part: Buffer) => parts.push(part))
    response.on('end', () => resolve(Buffer.concat(parts)))
    response.on('error', reject)
  })
}
