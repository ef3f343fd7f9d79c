import { type ClientRequest, Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import pLimit, { type LimitFunction } from 'p-limit'
import { abortErrorOf, throwIfAborted, untilAborted } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import type { Endpoint } from './endpoint.ts'
import { NodeFailure } from './failure.ts'

/** Bounds of one exchange. */
export interface Bounds {
  /**
   * Milliseconds from the moment a connection of ours is free to the last byte of the answer; longer only for an answer
   * that keeps coming at LEAST_PACE.
   */
  readonly timeout: number
  /** The answer's body may have so many bytes. */
  readonly maxBytes: number
  readonly signal?: AbortSignal | undefined
}

export interface HttpAsk {
  readonly verb: 'GET' | 'POST'
  readonly path: string
  readonly authorization?: string | undefined
  /** JSON. */
  readonly body?: string
}

export interface HttpAnswer {
  readonly status: number
  /** In memory of its own, so that it can be transferred to a worker. */
  readonly body: Buffer
}

/** Ends the timer of an exchange. Nobody sees it, so that one does for all: an abort without a reason makes an error each. */
const OVER = new DOMException('the exchange is over', 'AbortError')

/** Free connections are closed after so long; bitcoind closes its own end after 30 s (`-rpcservertimeout`). */
const IDLE_MS = 15_000

/** Asks of ours that wait for a connection, at most; beyond that they fail as `busy` instead of piling up. */
const MOST_WAITING = 1000

/**
 * Bytes a second. What comes at this pace is waited for: a block over a slow line would be asked for again and again
 * otherwise, and never be there.
 */
const LEAST_PACE = 16 * 1024

/** HTTP to one node: a few connections that are kept, every exchange bounded in time and size. Follows no redirects. */
export class HttpPeer {
  readonly #endpoint: Endpoint
  readonly #connections: number
  readonly #clock: Clock
  readonly #agent: HttpAgent
  readonly #limit: LimitFunction

  constructor(options: { readonly endpoint: Endpoint; readonly connections: number }, collaborators: { clock: Clock }) {
    this.#endpoint = options.endpoint
    this.#connections = options.connections
    this.#clock = collaborators.clock
    this.#limit = pLimit(options.connections)
    const agent = { keepAlive: true, maxSockets: options.connections, timeout: IDLE_MS, scheduling: 'lifo' } as const
    this.#agent = options.endpoint.secure ? new HttpsAgent(agent) : new HttpAgent(agent)
  }

  /** The answer, whatever its status. Throws NodeFailure, or AbortError as soon as the signal aborts. */
  async exchange(ask: HttpAsk, bounds: Bounds): Promise<HttpAnswer> {
    throwIfAborted(bounds.signal)
    if (this.#limit.pendingCount >= MOST_WAITING) {
      throw new NodeFailure('busy', `more than ${MOST_WAITING} calls wait for bitcoind at ${this.#endpoint.address}`)
    }
    return untilAborted(
      this.#limit(() => this.#exchangeNow(ask, bounds)),
      bounds.signal,
    )
  }

  /** Closes the connections; exchanges under way fail. */
  close(): void {
    this.#agent.destroy()
  }

  async #exchangeNow(ask: HttpAsk, bounds: Bounds): Promise<HttpAnswer> {
    for (let stale = 0; ; stale += 1) {
      throwIfAborted(bounds.signal)
      const exchange = new Exchange(this.#endpoint, bounds)
      try {
        return await exchange.run(this.#open(ask), ask.body, this.#clock)
      } catch (error) {
        // A connection that the node had closed while it was idle says nothing about the node: take the next one. There
        // are at most so many of them, then it is a new connection that fails.
        const idle = error instanceof NodeFailure && error.kind === 'dropped' && exchange.reused
        if (!idle || stale >= this.#connections) throw error
      }
    }
  }

  #open(ask: HttpAsk): ClientRequest {
    const headers: Record<string, string | number> = { Accept: '*/*' }
    if (ask.authorization !== undefined) headers['Authorization'] = ask.authorization
    if (ask.body !== undefined) {
      headers['Content-Type'] = 'application/json'
      headers['Content-Length'] = Buffer.byteLength(ask.body)
    }
    const { host, port, secure } = this.#endpoint
    const options = { host, port, path: ask.path, method: ask.verb, headers, agent: this.#agent }
    return secure ? httpsRequest(options) : httpRequest(options)
  }
}

const REMEDIES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'is it running, and is DAEMON_URL right?',
  ENOTFOUND: 'is the host in DAEMON_URL right?',
}

/** One request and its answer. Settles exactly once, and leaves neither a timer nor a listener behind. */
class Exchange {
  readonly #endpoint: Endpoint
  readonly #bounds: Bounds
  #request: ClientRequest | undefined
  /** Bytes of the body that have come. */
  #received = 0

  constructor(endpoint: Endpoint, bounds: Bounds) {
    this.#endpoint = endpoint
    this.#bounds = bounds
  }

  /** True if the connection had been used before. */
  get reused(): boolean {
    return this.#request?.reusedSocket === true
  }

  async run(request: ClientRequest, body: string | undefined, clock: Clock): Promise<HttpAnswer> {
    this.#request = request
    const { signal } = this.#bounds
    const timer = new AbortController()
    let onAbort: (() => void) | undefined
    try {
      return await new Promise<HttpAnswer>((resolve, reject) => {
        onAbort = () => signal !== undefined && reject(abortErrorOf(signal))
        signal?.addEventListener('abort', onAbort, { once: true })
        this.#tooLong(clock, timer.signal).then(
          (waited) => reject(this.#failure('timeout', `did not answer within ${waited} ms`)),
          () => undefined, // The exchange is over, and so is its timer.
        )
        request.on('error', (error) => reject(this.#connectionFailure(error)))
        request.on('response', (response) => {
          this.#read(response).then(resolve, reject)
        })
        request.end(body)
      })
    } catch (error) {
      request.destroy()
      throw error
    } finally {
      timer.abort(OVER)
      if (onAbort !== undefined) signal?.removeEventListener('abort', onAbort)
    }
  }

  /** Settles when the time is over, with the milliseconds that it was. */
  async #tooLong(clock: Clock, signal: AbortSignal): Promise<number> {
    const { timeout } = this.#bounds
    for (let waited = 0, allowed = timeout; ; ) {
      await clock.sleep(allowed - waited, signal)
      waited = allowed
      allowed = timeout + Math.floor(this.#received / LEAST_PACE) * 1000
      if (allowed <= waited) return waited
    }
  }

  #read(response: IncomingMessage): Promise<HttpAnswer> {
    const { maxBytes } = this.#bounds
    const status = response.statusCode ?? 0
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = []
      const tooLarge = (): void => reject(this.#failure('too-large', `sent an answer of more than ${maxBytes} bytes`))
      if (Number(response.headers['content-length'] ?? 0) > maxBytes) tooLarge()
      response.on('data', (chunk: Buffer) => {
        this.#received += chunk.length
        if (this.#received > maxBytes) {
          chunks.length = 0
          tooLarge()
          return
        }
        chunks.push(chunk)
      })
      response.on('error', (error) => reject(this.#failure('half-answer', 'broke off its answer', error)))
      // An answer that ends too early is an `error`, never an `end`.
      response.on('end', () => resolve({ status, body: joined(chunks, this.#received) }))
    })
  }

  #connectionFailure(error: Error): NodeFailure {
    const code = 'code' in error ? String(error.code) : error.name
    if (code === 'ECONNRESET' || code === 'EPIPE') return this.#failure('dropped', `hung up (${code})`, error)
    if (code.startsWith('HPE_')) return this.#failure('http', `does not speak HTTP (${code})`, error)
    const remedy = REMEDIES[code] === undefined ? '' : `; ${REMEDIES[code]}`
    return this.#failure('unreachable', `cannot be reached (${code})${remedy}`, error)
  }

  #failure(kind: NodeFailure['kind'], what: string, cause?: Error): NodeFailure {
    return new NodeFailure(kind, `bitcoind at ${this.#endpoint.address} ${what}`, cause === undefined ? {} : { cause })
  }
}

function joined(chunks: readonly Buffer[], length: number): Buffer {
  const whole = Buffer.allocUnsafeSlow(length)
  let offset = 0
  for (const chunk of chunks) offset += chunk.copy(whole, offset)
  return whole
}
