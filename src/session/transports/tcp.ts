import type { Socket } from 'node:net'
import { systemClock } from '../../lib/clock.ts'
import { LongText } from '../../lib/long-text.ts'
import type { Logger } from '../../log.ts'
import {
  type CloseReason,
  type Connection,
  type ConnectionHandler,
  type ConnectionLimits,
  type Doorkeeper,
  type Message,
  NOBODY,
  type RemoteAddress,
  type TransportKind,
} from './connection.ts'
import { FlowControl, type FlowHandlers, reasonOf } from './flow.ts'
import { Leftover, type LeftoverHandlers } from './leftover.ts'
import { LineFramer, type LineHandlers } from './lines.ts'
import { type ListenerOptions, SocketListener } from './listener.ts'
import { Turns } from './turns.ts'

/** More than this does not wait for the end of the tick. */
const JOIN_LIMIT = 256 * 1024

/** Lines over TCP or TLS. */
export class LineConnection implements Connection, FlowHandlers, LineHandlers, LeftoverHandlers<Uint8Array> {
  readonly kind: TransportKind
  readonly remote: RemoteAddress
  handler: ConnectionHandler = NOBODY

  readonly #limits: ConnectionLimits
  readonly #socket: Socket
  readonly #flow: FlowControl
  readonly #framer: LineFramer
  /** Of a chunk that was more than could be begun at once. */
  readonly #leftover: Leftover<Uint8Array>
  #outgoing: Message[] = []
  #outgoingBytes = 0
  #scheduled = false
  #reason: CloseReason | undefined
  #cutTimer: NodeJS.Timeout | undefined

  constructor(
    { kind, remote }: Pick<Connection, 'kind' | 'remote'>,
    limits: ConnectionLimits,
    { socket, turns }: { readonly socket: Socket; readonly turns: Turns },
  ) {
    this.kind = kind
    this.remote = remote
    this.#limits = limits
    this.#socket = socket
    this.#flow = new FlowControl(limits, socket, this)
    this.#leftover = new Leftover(this.#flow, turns, this)
    this.#framer = new LineFramer(limits.maxReceive, this)
    socket.on('data', (chunk) => {
      if (this.#reason !== undefined) return
      this.handler.onReceived?.(chunk.length)
      const rest = this.tell(chunk)
      if (rest !== undefined && this.#reason === undefined) this.#leftover.keep(rest)
    })
    socket.on('error', (error) => {
      this.#reason ??= reasonOf(error)
      // Node does not do so by itself after a broken TLS record.
      socket.destroy()
    })
    socket.on('close', () => {
      clearTimeout(this.#cutTimer)
      this.#outgoing = []
      this.#outgoingBytes = 0
      if (this.#leftover.end()) this.#ended('client closed')
    })
  }

  // What the framer, the flow control and what is left of a chunk tell and ask.

  onLine(line: Uint8Array): void {
    if (this.#reason === undefined) this.handler.onMessage?.(line)
  }

  onOversized(bytes: number): void {
    if (this.#reason === undefined) this.handler.onOversized?.(bytes)
  }

  goesOn(): boolean {
    return this.#leftover.goesOn()
  }

  get closed(): boolean {
    return this.#reason !== undefined
  }

  tell(chunk: Uint8Array): Uint8Array | undefined {
    return this.#framer.push(chunk)
  }

  readOn(): void {
    this.#socket.resume()
  }

  onAllTold(): void {
    this.#ended('client closed')
  }

  stopReading(): void {
    this.#socket.pause()
  }

  goOnReading(): void {
    this.#leftover.proceed()
  }

  onDrain(): void {
    this.handler.onDrain?.()
  }

  onSlow(): void {
    this.#cut('slow reader')
  }

  get unsent(): number {
    return this.#outgoingBytes + this.#socket.writableLength
  }

  get congested(): boolean {
    return this.#flow.congested
  }

  send(message: Message): boolean {
    if (this.#reason !== undefined || this.#socket.destroyed) return false
    this.#outgoing.push(message)
    this.#outgoingBytes += (message instanceof LongText ? message.byteLength : message.length) + 1
    if (this.#outgoingBytes > JOIN_LIMIT) this.#flush()
    else if (!this.#scheduled) {
      this.#scheduled = true
      // After the poll phase: the answers to all that was read in this turn leave together, also those that took a
      // few promises to make. Worth four times the throughput of a write for each (measured, see test/bench).
      setImmediate(() => {
        this.#scheduled = false
        this.#flush()
      })
    }
    return this.#flow.sent(this.unsent)
  }

  close(reason: CloseReason): void {
    if (this.#reason !== undefined) return
    if (this.#leftover.gone) return this.#ended(reason)
    if (this.#socket.destroyed) return
    this.#reason = reason
    this.#leftover.forget()
    this.#flush()
    this.#socket.end()
    // What still comes is read and thrown away; otherwise the end of the client's side would never be seen.
    this.#flow.unhold()
    this.#socket.resume()
    this.#cutTimer = setTimeout(() => this.#socket.destroy(), this.#limits.closeTimeout)
  }

  pause(): void {
    this.#flow.hold()
  }

  resume(): void {
    this.#flow.unhold()
  }

  #ended(reason: CloseReason): void {
    this.#leftover.forget()
    this.#reason ??= reason
    this.handler.onClose?.(this.#reason)
  }

  #cut(reason: CloseReason): void {
    this.#reason ??= reason
    this.#outgoing = []
    this.#outgoingBytes = 0
    this.#socket.destroy()
  }

  #flush(): void {
    const messages = this.#outgoing
    if (messages.length === 0) return
    this.#outgoing = []
    this.#outgoingBytes = 0
    if (!this.#socket.writable) return
    const bytes = this.#write(linesOf(messages))
    this.handler.onSent?.(bytes)
    this.#flow.written()
  }

  /** The bytes written, all pieces in one call of the system. */
  #write(pieces: readonly (string | Uint8Array)[]): number {
    let bytes = 0
    if (pieces.length > 1) this.#socket.cork()
    for (const piece of pieces) bytes += this.#writePiece(piece)
    if (pieces.length > 1) this.#socket.uncork()
    return bytes
  }

  /** Text goes to the system without a copy if it is ASCII, as nearly all of it is. */
  #writePiece(piece: string | Uint8Array): number {
    if (typeof piece !== 'string') {
      this.#socket.write(piece)
      return piece.length
    }
    const bytes = Buffer.byteLength(piece)
    this.#socket.write(piece, bytes === piece.length ? 'latin1' : 'utf8')
    return bytes
  }
}

/** Each message with a line feed after it, in as few pieces as there are without a copy of bytes; none is empty. */
export function linesOf(messages: readonly Message[]): (string | Uint8Array)[] {
  const pieces: (string | Uint8Array)[] = []
  let lines: string[] = []
  for (const message of messages) {
    if (typeof message === 'string') {
      lines.push(message)
      continue
    }
    const { before, body, behind } = message instanceof LongText ? message : new LongText('', message, '')
    lines.push(before)
    pieces.push(lines.join('\n'), body)
    // The rest of the line that the bytes are on.
    lines = [behind]
  }
  lines.push('')
  pieces.push(lines.join('\n'))
  return pieces.filter((piece) => piece.length > 0)
}

/** Listens for lines over TCP, or over TLS if `options.tls` is there. */
export async function listenLines(
  options: ListenerOptions,
  limits: ConnectionLimits,
  doorkeeper: Doorkeeper,
  log: Logger,
  turns = new Turns(systemClock),
): Promise<SocketListener> {
  const listener = new SocketListener(options, doorkeeper, log, (socket, arrival) => {
    arrival.settle()
    const { pass, remote } = arrival
    doorkeeper.welcome(new LineConnection({ kind: options.kind, remote }, limits, { socket, turns }), pass)
  })
  await listener.start()
  return listener
}
