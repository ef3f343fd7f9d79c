import { linkSignals, throwIfAborted } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Json, JsonObject } from '../../rpc/json.ts'
import type { ProtocolVersion } from '../../rpc/method.ts'
import type { Place } from '../counter.ts'
import {
  endOf,
  noTraffic,
  type ServerHandle,
  type ServerKeeper,
  type SessionCommand,
  type SessionMessage,
  type SessionState,
  type Traffic,
} from '../handle.ts'
import type { CloseReason, Connection, RemoteAddress, TransportKind } from '../transports/connection.ts'
import { type ClientWatcher, ElectrumClient, type ElectrumManager } from './client.ts'
import type { RequestOptions } from './conversation.ts'
import { type Dial, DialError, type DialTarget, tooMany } from './dial.ts'
import type { ManagerOptions } from './manager.ts'

export interface ServerSessionOptions {
  readonly target: DialTarget
  /** Names the remote among all of the conversations' ports. */
  readonly name: string
  /** What differs from how all ports are. */
  readonly port: ManagerOptions
}

export interface ServerSessionCollaborators {
  readonly keeper: ServerKeeper
  readonly dial: Dial
  readonly conversations: ElectrumManager
  readonly clock: Clock
}

/**
 * Dials a server: what comes out is in the register from before the first packet until the connection has gone, pending
 * until agreed() is called. Rejects with DialError, at stage `limit` before anything is begun if there is no place; with
 * AbortError once `signal` aborts; and with InvalidError if there is a port of that name.
 */
export async function openSession(
  options: ServerSessionOptions,
  collaborators: ServerSessionCollaborators,
  signal: AbortSignal,
): Promise<ServerSession> {
  const session = collaborators.keeper.begin((id, place) => new ServerSession(id, place, options, collaborators))
  if (session instanceof ServerSession) {
    await session.connect(signal)
    return session
  }
  throw tooMany(session)
}

/** A session with a server that we dialled: what it says goes through an ElectrumClient, what is known of it is here. */
export class ServerSession implements ServerHandle, ClientWatcher {
  readonly direction = 'outbound'
  readonly id: number
  readonly kind: TransportKind
  readonly host: string
  readonly established: number
  readonly traffic: Traffic = noTraffic()
  software: string | undefined
  features: JsonObject | undefined
  readonly #options: ServerSessionOptions
  readonly #collaborators: ServerSessionCollaborators
  readonly #place: Place
  /** Ends the dialling. */
  readonly #over = new AbortController()
  #remote: RemoteAddress
  #state: SessionState = 'handshaking'
  #lastReceived: number
  #protocol: ProtocolVersion | undefined
  #carried: { readonly connection: Connection; readonly client: ElectrumClient } | undefined
  /** Why it is being closed. */
  #reason: CloseReason | undefined

  constructor(id: number, place: Place, options: ServerSessionOptions, collaborators: ServerSessionCollaborators) {
    const { host, port, tls } = options.target
    this.id = id
    this.kind = tls === 'none' ? 'tcp' : 'ssl'
    this.host = host
    this.established = collaborators.clock.now()
    this.#options = options
    this.#collaborators = collaborators
    this.#place = place
    this.#remote = { host, port }
    this.#lastReceived = collaborators.clock.monotonic()
  }

  get remote(): RemoteAddress {
    return this.#remote
  }

  get state(): SessionState {
    return this.#state
  }

  get lastReceived(): number {
    return this.#lastReceived
  }

  get protocol(): ProtocolVersion | undefined {
    return this.#protocol
  }

  get roundTrip(): number | undefined {
    return this.#carried?.client.roundTrip
  }

  get unanswered(): number {
    return this.#carried?.client.unanswered ?? 0
  }

  get unsent(): number {
    return this.#carried?.connection.unsent ?? 0
  }

  /** See openSession(). Called once. */
  async connect(signal: AbortSignal): Promise<void> {
    const { dial } = this.#collaborators
    const { signal: both, unlink } = linkSignals(signal, this.#over.signal)
    try {
      const connection = await dial(this.#options.target, both, this.#place)
      if (both.aborted) {
        connection.close(this.#reason ?? 'shutdown')
        throwIfAborted(both)
      }
      this.#carry(connection)
    } catch (error) {
      // What a command has ended is no wish of whoever waits for it.
      const ended = this.#over.signal.aborted && !signal.aborted
      this.#gone(this.#reason ?? reasonOf(error, signal))
      throw ended ? new DialError('connect', `ended: ${this.#reason}`, { cause: error }) : error
    } finally {
      unlink()
    }
  }

  /** As ElectrumClient.request(). To be called once it is connected. */
  async request(method: string, params: readonly unknown[], options: RequestOptions): Promise<Json> {
    if (this.#carried === undefined) throw new DialError('connect', 'not connected')
    this.traffic.sentMessages++
    return this.#carried.client.request(method, params, options)
  }

  /** The handshake is done: active from now on. Throws DialError at stage `limit` if there is no place for that. */
  agreed(software: string, protocol: ProtocolVersion | undefined): void {
    this.software = software
    this.#protocol = protocol
    if (this.#state !== 'handshaking') return
    const exceeded = this.#collaborators.keeper.activated(this)
    if (exceeded !== undefined) throw tooMany(exceeded)
    this.#state = 'active'
  }

  command(command: SessionCommand): void {
    switch (command.type) {
      case 'tick': // Every wait of it has a limit of its own, in its port and in its dial.
        return
      case 'end':
      case 'close': // Nobody is owed an answer here.
        this.#close(command.reason)
        return
    }
  }

  /** Settles when the connection has gone. */
  async close(reason: CloseReason): Promise<void> {
    this.#close(reason)
    await this.#carried?.client.closed
  }

  // What the client tells.

  received(bytes: number): void {
    this.traffic.receivedBytes += bytes
    this.#lastReceived = this.#collaborators.clock.monotonic()
  }

  sent(bytes: number): void {
    this.traffic.sentBytes += bytes
  }

  heard(message: SessionMessage): void {
    if (message.type === 'protocol breach') this.#end(message.type)
    else this.traffic.receivedMessages++
    if (message.type !== 'valid') this.traffic.errors++
    this.#collaborators.keeper.tell(this, message)
  }

  #carry(connection: Connection): void {
    const { conversations: manager } = this.#collaborators
    const { name, port } = this.#options
    this.#remote = connection.remote
    try {
      const client = new ElectrumClient({ ...port, name }, { connection, manager, watcher: this })
      this.#carried = { connection, client }
      void client.closed.then((reason) => this.#gone(reason))
    } catch (error) {
      connection.close('client closed')
      throw error
    }
  }

  #close(reason: CloseReason): void {
    this.#end(reason)
    if (this.#carried === undefined) this.#over.abort()
    else void this.#carried.client.close(reason)
  }

  #end(reason: CloseReason): void {
    if (this.#state === 'closing' || this.#state === 'closed') return
    this.#state = 'closing'
    this.#reason = reason
  }

  #gone(reason: CloseReason): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#collaborators.keeper.tell(this, endOf(reason))
  }
}

/** Why a connection did not come about, in the words of the closed list. */
function reasonOf(error: unknown, signal: AbortSignal): CloseReason {
  if (signal.aborted) return 'shutdown'
  return error instanceof DialError && error.stage === 'timeout' ? 'handshake timeout' : 'transport error'
}
