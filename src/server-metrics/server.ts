import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { z } from 'zod'
import type { Service } from '../lib/service.ts'
import type { Logger } from '../log.ts'
import { METRICS_TYPE } from '../metrics.ts'
import { type AdminMethod, defineAdminMethod } from '../session/admin.ts'
import { readTarget } from '../session/transports/http-target.ts'
import { listenError } from '../session/transports/listen-error.ts'

export interface MetricsServerOptions {
  readonly host: string
  readonly port: number
}

export interface MetricsServerCollaborators {
  readonly log: Logger
  /** All metrics as they are now. */
  readonly text: () => string
}

/** Those who ask for metrics are few, ask for little and are done at once. */
const MAX_CONNECTIONS = 20
const REQUEST_TIMEOUT_MS = 10_000

/** The same by the administrator's port. */
export function metricsAdminMethod(text: () => string): AdminMethod {
  return defineAdminMethod({
    name: 'metrics',
    summary: 'All metrics in the text format of Prometheus.',
    params: z.object({}),
    example: { params: [], result: '# HELP valence_uptime_seconds Age of the process.\n' },
    handler: text,
  })
}

/** `GET /metrics` over HTTP, apart from everything that clients reach. */
export class MetricsServer implements Service {
  readonly name = 'metrics'
  readonly #options: MetricsServerOptions
  readonly #collaborators: MetricsServerCollaborators
  readonly #server: Server

  constructor(options: MetricsServerOptions, collaborators: MetricsServerCollaborators) {
    this.#options = options
    this.#collaborators = collaborators
    const times = { headersTimeout: REQUEST_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS }
    this.#server = createServer(
      { ...times, maxHeaderSize: 8192, connectionsCheckingInterval: 1000 },
      (request, reply) => this.#answer(request, reply),
    )
    this.#server.maxConnections = MAX_CONNECTIONS
    this.#server.setTimeout(REQUEST_TIMEOUT_MS)
  }

  /** Where it listens; undefined before start(). */
  get address(): { readonly host: string; readonly port: number } | undefined {
    const bound = this.#server.address()
    return bound === null || typeof bound === 'string' ? undefined : { host: bound.address, port: bound.port }
  }

  /** Throws ListenError with the name of the address if it cannot be had. */
  async start(): Promise<void> {
    const { host, port } = this.#options
    const { log } = this.#collaborators
    await new Promise<void>((resolve, reject) => {
      const refused = (error: Error): void => {
        reject(listenError({ kind: 'metrics', host, port }, error))
      }
      this.#server.once('error', refused)
      this.#server.listen({ host, port }, () => {
        this.#server.off('error', refused)
        resolve()
      })
    })
    this.#server.on('error', (error) => log.warn({ err: error, kind: 'metrics' }, 'listening socket failed'))
    log.info({ kind: 'metrics', ...this.address }, 'listening')
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve())
      this.#server.closeAllConnections()
    })
  }

  #answer(request: IncomingMessage, reply: ServerResponse): void {
    // A body is nothing that is wanted here; reading it to its end keeps the connection in order.
    request.resume()
    const { method } = request
    if (method !== 'GET' && method !== 'HEAD') {
      reply.writeHead(405, { allow: 'GET, HEAD', connection: 'close' }).end()
      return
    }
    if (readTarget(request.url)?.pathname !== '/metrics') {
      reply.writeHead(404, { 'content-type': 'text/plain; charset=utf-8' }).end('the address is /metrics\n')
      return
    }
    const text = this.#textOrUndefined()
    if (text === undefined) reply.writeHead(500).end()
    else reply.writeHead(200, { 'content-type': METRICS_TYPE }).end(method === 'HEAD' ? undefined : text)
  }

  #textOrUndefined(): string | undefined {
    try {
      return this.#collaborators.text()
    } catch (error) {
      this.#collaborators.log.error({ err: error }, 'metrics could not be read')
      return undefined
    }
  }
}
