import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { type RawData, WebSocket } from 'ws'

export type WireKind = 'tcp' | 'ssl' | 'ws' | 'wss'

export interface WireTarget {
  readonly kind: WireKind
  readonly port: number
  readonly host?: string
  /** Address and port that a proxy in front of the server would tell of this client. */
  readonly from?: { readonly host: string; readonly port: number }
  /** Given what nobody waits for; nothing is kept then, neither in `unread` nor in `received`. */
  readonly onMessage?: (message: WireMessage) => void
}

export interface WireMessage {
  readonly id?: unknown
  readonly method?: string
  readonly params?: unknown
  readonly result?: unknown
  readonly error?: { readonly code: number; readonly message: string } | null
}

/** The server answered with an error. */
export class WireError extends Error {
  override readonly name = 'WireError'
  readonly code: number
  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

/** What carries the client's bytes; messages come out whole. */
interface Pipe {
  send(text: string | Uint8Array): void
  close(): void
  destroy(): void
  pause(): void
  resume(): void
}

interface Waiter<T> {
  readonly matches: (message: T) => boolean
  readonly resolve: (message: T) => void
  readonly reject: (error: Error) => void
}

/**
 * A client of an Electrum server for tests: newline JSON-RPC over TCP or TLS, or one message a frame over WebSockets.
 * Certificates are not checked. Every wait ends with an error when the connection does.
 */
export class WireClient {
  /** Settles when the connection is gone. */
  readonly closed: Promise<void>
  /** Everything received, in order. */
  readonly received: unknown[] = []
  /** How the WebSocket was closed. */
  closeCode: number | undefined
  readonly #pipe: Pipe
  readonly #unread: WireMessage[] = []
  #waiting: Waiter<WireMessage>[] = []
  #nextId = 1
  #gone = false

  readonly #onMessage: WireTarget['onMessage']

  private constructor(open: (handlers: Handlers) => Pipe, onMessage: WireTarget['onMessage']) {
    this.#onMessage = onMessage
    let settle: () => void = () => {}
    this.closed = new Promise((resolve) => {
      settle = resolve
    })
    this.#pipe = open({
      message: (text) => this.#message(text),
      closed: (code) => {
        if (this.#gone) return
        this.#gone = true
        this.closeCode = code
        for (const { reject } of this.#waiting.splice(0)) reject(new Error('connection closed'))
        settle()
      },
    })
  }

  /** Settles once a message can be sent. */
  static async connect(target: WireTarget): Promise<WireClient> {
    const { kind } = target
    const open = kind === 'tcp' || kind === 'ssl' ? await overSocket(kind, target) : await overWebSocket(kind, target)
    return new WireClient(open, target.onMessage)
  }

  /** The result. Rejects with WireError for an error. */
  async request(method: string, params: readonly unknown[] | object = []): Promise<unknown> {
    const id = this.#nextId++
    this.send({ jsonrpc: '2.0', id, method, params })
    const answer = await this.next((message) => message.id === id && message.method === undefined)
    if (answer.error !== undefined && answer.error !== null)
      throw new WireError(answer.error.code, answer.error.message)
    return answer.result
  }

  /** The next notification of a method that was not asked for before. Its parameters. */
  async notification(method: string): Promise<unknown> {
    return (await this.next((message) => message.id === undefined && message.method === method)).params
  }

  /** The next message that `matches` and that nobody else has taken. */
  next(matches: (message: WireMessage) => boolean = () => true): Promise<WireMessage> {
    const at = this.#unread.findIndex(matches)
    if (at !== -1) return Promise.resolve(this.#unread.splice(at, 1)[0]!)
    if (this.#gone) return Promise.reject(new Error('connection closed'))
    return new Promise((resolve, reject) => this.#waiting.push({ matches, resolve, reject }))
  }

  /** Messages that came and that nobody has taken. */
  get unread(): readonly WireMessage[] {
    return this.#unread
  }

  send(message: unknown): void {
    this.sendRaw(JSON.stringify(message))
  }

  /** One message as it is: a line feed is added on lines. */
  sendRaw(message: string | Uint8Array): void {
    this.#pipe.send(message)
  }

  /** Stops and resumes reading. */
  pause(): void {
    this.#pipe.pause()
  }

  resume(): void {
    this.#pipe.resume()
  }

  async close(): Promise<void> {
    this.#pipe.close()
    await this.closed
  }

  destroy(): void {
    this.#pipe.destroy()
  }

  #message(text: string): void {
    const value: unknown = JSON.parse(text)
    if (this.#onMessage === undefined) this.received.push(value)
    for (const message of (Array.isArray(value) ? value : [value]) as WireMessage[]) {
      const at = this.#waiting.findIndex(({ matches }) => matches(message))
      if (at !== -1) this.#waiting.splice(at, 1)[0]!.resolve(message)
      else if (this.#onMessage === undefined) this.#unread.push(message)
      else this.#onMessage(message)
    }
  }
}

interface Handlers {
  readonly message: (text: string) => void
  readonly closed: (code?: number) => void
}

async function overSocket(kind: 'tcp' | 'ssl', target: WireTarget): Promise<(handlers: Handlers) => Pipe> {
  const { host = '127.0.0.1', port, from } = target
  const raw = connectTcp({ host, port })
  raw.setNoDelay(true)
  await once(raw, 'connect')
  if (from !== undefined) raw.write(`PROXY TCP4 ${from.host} ${host} ${from.port} ${port}\r\n`)
  if (kind === 'tcp') return lines(raw)
  raw.on('error', () => {}) // The one above it says so as well.
  const secure = connectTls({ socket: raw, rejectUnauthorized: false })
  await once(secure, 'secureConnect')
  return lines(secure)
}

async function overWebSocket(kind: 'ws' | 'wss', target: WireTarget): Promise<(handlers: Handlers) => Pipe> {
  const { host = '127.0.0.1', port, from } = target
  const headers: Record<string, string> = from === undefined ? {} : { 'x-forwarded-for': from.host }
  const options = { rejectUnauthorized: false, perMessageDeflate: false, headers }
  const ws = new WebSocket(`${kind}://${host}:${port}/`, options)
  await once(ws, 'open')
  return frames(ws)
}

function lines(socket: Socket): (handlers: Handlers) => Pipe {
  return ({ message, closed }) => {
    let rest = ''
    socket.setEncoding('utf8')
    socket.on('data', (chunk) => {
      const parts = `${rest}${String(chunk)}`.split('\n')
      rest = parts.pop()!
      for (const part of parts) message(part)
    })
    socket.on('error', () => closed())
    socket.once('close', () => closed())
    if (socket.destroyed) closed() // Before anybody listened.
    return {
      send: (text) => socket.write(typeof text === 'string' ? `${text}\n` : Buffer.concat([text, Buffer.from('\n')])),
      close: () => socket.end(),
      destroy: () => socket.destroy(),
      pause: () => socket.pause(),
      resume: () => socket.resume(),
    }
  }
}

function frames(ws: WebSocket): (handlers: Handlers) => Pipe {
  return ({ message, closed }) => {
    ws.on('message', (data) => message(textOf(data)))
    ws.on('error', () => {}) // A close follows.
    ws.once('close', (code) => closed(code))
    if (ws.readyState === WebSocket.CLOSED) closed()
    return {
      send: (text) => ws.send(text),
      close: () => ws.close(1000),
      destroy: () => ws.terminate(),
      pause: () => ws.pause(),
      resume: () => ws.resume(),
    }
  }
}

function textOf(data: RawData): string {
  return (Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data as Uint8Array)).toString()
}
