import { Agent, request as httpRequest } from 'node:http'

export interface HttpAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Buffer
  readonly text: string
  readonly json: () => unknown
}

export interface HttpAsk {
  readonly method?: string
  readonly path?: string
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** A client on one keep-alive connection to a port of this machine. */
export class HttpClientOf {
  readonly #port: number
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 })

  constructor(port: number) {
    this.#port = port
  }

  ask({ method = 'GET', path = '/', body, headers = {} }: HttpAsk): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port: this.#port, method, path, agent: this.#agent, headers }
      const request = httpRequest(options)
      request.once('error', reject)
      request.once('response', (response) => {
        const parts: Buffer[] = []
        response.on('data', (part: Buffer) => parts.push(part))
        response.once('end', () => {
          const whole = Buffer.concat(parts)
          const text = whole.toString()
          const { statusCode: status = 0, headers: answered } = response
          resolve({ status, headers: answered, body: whole, text, json: () => JSON.parse(text) as unknown })
        })
      })
      request.end(body)
    })
  }

  close(): void {
    this.#agent.destroy()
  }
}
