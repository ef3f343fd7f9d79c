import type { Clock } from '../../lib/clock.ts'
import { clip } from '../../rpc/failure.ts'
import { type Json, JsonError, type JsonObject, readMessage, writeJson } from '../../rpc/json.ts'
import { BAD_MESSAGE, INVALID, PROTOCOL_BREACH, type SessionMessage, VALID } from '../handle.ts'
import type { CloseReason, Connection } from '../transports/connection.ts'
import type { RequestOptions } from './conversation.ts'
import { AbortedError } from './errors.ts'
import { ConversationManager, type ManagerOptions } from './manager.ts'
import type { Dialect, Port } from './port.ts'

/** A question in JSON-RPC 2.0, but for its id. */
export interface ElectrumRequest {
  readonly method: string
  readonly params: readonly unknown[]
}

/** The server answered, with an error. */
export class RemoteError extends Error {
  override readonly name = 'RemoteError'
  /** As the server gave it; 0 if it gave none. */
  readonly code: number
  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

const METHOD_NOT_FOUND = -32601

/** JSON-RPC 2.0 in which answers alone are part of conversations of ours. */
export const electrumDialect: Dialect<ElectrumRequest, string, JsonObject> = {
  write: (id, { method, params }) => writeJson({ jsonrpc: '2.0', id, method, params }),
  idOf: ({ id, method }) => (method === undefined && typeof id === 'number' ? id : undefined),
  faultOf: (message) =>
    'result' in message || isObject(message['error']) || typeof message['error'] === 'string'
      ? undefined
      : 'an answer without result and without error',
}

export type ElectrumManager = ConversationManager<ElectrumRequest, string, JsonObject>

export function createElectrumManager(options: ManagerOptions, clock: Clock): ElectrumManager {
  return new ConversationManager(options, { clock, dialect: electrumDialect })
}

export interface ElectrumClientOptions extends ManagerOptions {
  /** Names the remote among all of the manager's. */
  readonly name: string
}

export interface ElectrumClientCollaborators {
  readonly connection: Connection
  readonly manager: ElectrumManager
  /** Told what the server says by itself. Must not throw. */
  readonly onNotification?: (method: string, params: Json) => void
  /** Told of answers that nobody waits for (any more). Must not throw. */
  readonly onStray?: (message: JsonObject) => void
  readonly watcher?: ClientWatcher
}

/** Who hears of everything that comes and goes. Must not throw. */
export interface ClientWatcher {
  received(bytes: number): void
  sent(bytes: number): void
  /** Of each message, and of a breach of the protocol; not of the end. */
  heard(message: SessionMessage): void
}

/** An Electrum server as its client sees it. */
export class ElectrumClient {
  /** Settles when the connection is gone. */
  readonly closed: Promise<CloseReason>
  readonly #collaborators: ElectrumClientCollaborators
  readonly #port: Port<ElectrumRequest, string, JsonObject>

  /** Throws InvalidError if the manager has a remote of that name, AbortedError if it is destroyed. */
  constructor(options: ElectrumClientOptions, collaborators: ElectrumClientCollaborators) {
    const { connection, manager, watcher } = collaborators
    const { name, ...portOptions } = options
    this.#collaborators = collaborators
    this.#port = manager.openPort(
      name,
      connection,
      {
        onForeign: (message) => this.#foreign(message),
        onBreach: () => {
          watcher?.heard(PROTOCOL_BREACH)
          connection.close('protocol breach')
        },
      },
      portOptions,
    )
    this.closed = new Promise((resolve) => {
      connection.handler = {
        onMessage: (bytes) => this.#received(bytes),
        onOversized: () => this.#isBad(),
        ...(watcher === undefined
          ? {}
          : { onReceived: (bytes) => watcher.received(bytes), onSent: (bytes) => watcher.sent(bytes) }),
        onDrain: () => this.#port.drained(),
        onClose: (reason) => {
          this.#port.destroy(new AbortedError('connection closed', { cause: reason }))
          resolve(reason)
        },
      }
    })
  }

  /** Smoothed, in milliseconds; undefined before the first answer. */
  get roundTrip(): number | undefined {
    return this.#port.roundTrip
  }

  /**
   * Settles with the result. Rejects with RemoteError if the server answers with an error, otherwise with one of the
   * errors of conversations.
   */
  async request(method: string, params: readonly unknown[] = [], options: RequestOptions = {}): Promise<Json> {
    const conversation = this.#port.open()
    try {
      const answer = await conversation.request({ method, params }, options)
      const { error, result } = answer
      if (error !== undefined && error !== null) throw remoteError(error)
      return result ?? null
    } finally {
      conversation.end()
    }
  }

  /** Questions that are not answered yet. */
  get unanswered(): number {
    return this.#port.size
  }

  /** Ends every request and the connection; settles when that is gone. */
  async close(reason: CloseReason): Promise<void> {
    this.#port.destroy()
    this.#collaborators.connection.close(reason)
    await this.closed
  }

  #received(bytes: Uint8Array): void {
    try {
      const message = readMessage(bytes)
      if (!isObject(message)) {
        this.#isBad()
        return
      }
      this.#collaborators.watcher?.heard(isAnything(message) ? VALID : INVALID)
      this.#port.receive(message)
    } catch (error) {
      if (!(error instanceof JsonError)) throw error
      this.#isBad()
    }
  }

  #isBad(): void {
    this.#collaborators.watcher?.heard(BAD_MESSAGE)
    this.#port.receivedBad()
  }

  #foreign(message: JsonObject): void {
    const { id, method, params } = message
    if (typeof method !== 'string') {
      if (typeof id !== 'number') this.#port.receivedBad()
      this.#collaborators.onStray?.(message)
    } else if (id === undefined) {
      this.#collaborators.onNotification?.(method, params ?? null)
    } else {
      const error = { code: METHOD_NOT_FOUND, message: 'this is a client' }
      this.#collaborators.connection.send(writeJson({ jsonrpc: '2.0', id, error }))
    }
  }
}

/** True of a question, a notification, and an answer that says something. */
function isAnything(message: JsonObject): boolean {
  if (typeof message['method'] === 'string') return true
  return typeof message['id'] === 'number' && electrumDialect.faultOf(message) === undefined
}

/** What a stranger says goes into our log: no more of it than a line. */
function remoteError(error: Json): RemoteError {
  if (!isObject(error)) return new RemoteError(0, typeof error === 'string' ? clip(error) : 'an error that is none')
  const { code, message } = error
  return new RemoteError(
    typeof code === 'number' ? code : 0,
    typeof message === 'string' ? clip(message) : 'an error without a message',
  )
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
