import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger } from '../../src/log.ts'
import { selfSignedCertificate } from '../../src/session/transports/certificate.ts'
import type {
  CloseReason,
  Connection,
  ConnectionLimits,
  Doorkeeper,
  Pass,
  RemoteAddress,
  TransportKind,
} from '../../src/session/transports/connection.ts'
import type { SocketListener, TlsMaterial } from '../../src/session/transports/listener.ts'
import { listenLines } from '../../src/session/transports/tcp.ts'
import type { Turns } from '../../src/session/transports/turns.ts'
import { listenWebSocket } from '../../src/session/transports/websocket.ts'
import type { WireKind } from './wire-client.ts'

/** Times that no test waits for, not on a busy machine either: whoever looks at one of them sets it. */
export const LIMITS: ConnectionLimits = {
  maxReceive: 100_000,
  highMark: 128 * 1024,
  maxUnsent: 64 * 1024 * 1024,
  sendTimeout: 120_000,
  handshakeTimeout: 120_000,
  closeTimeout: 120_000,
}

let material: Promise<TlsMaterial> | undefined

/** One certificate for all tests of a file. */
export function testCertificate(): Promise<TlsMaterial> {
  material ??= makeCertificate()
  return material
}

async function makeCertificate(): Promise<TlsMaterial> {
  const directory = await mkdtemp(join(tmpdir(), 'valence-tls-'))
  try {
    return await selfSignedCertificate(directory)
  } finally {
    await rm(directory, { recursive: true })
  }
}

/** A value that a test waits for. */
export interface Awaited<T> {
  readonly promise: Promise<T>
  resolve(value: T): void
}

export function awaited<T>(): Awaited<T> {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}

/** What a server side connection told, and a way to wait for more. */
export class Accepted {
  readonly connection: Connection
  readonly messages: string[] = []
  readonly oversized: number[] = []
  readonly closings: CloseReason[] = []
  receivedBytes = 0
  drains = 0
  #watchers: (() => void)[] = []

  constructor(connection: Connection) {
    this.connection = connection
    connection.handler = {
      onMessage: (message) => {
        this.messages.push(Buffer.from(message).toString())
        this.#changed()
      },
      onOversized: (bytes) => {
        this.oversized.push(bytes)
        this.#changed()
      },
      onReceived: (bytes) => {
        this.receivedBytes += bytes
      },
      onDrain: () => {
        this.drains++
        this.#changed()
      },
      onClose: (reason) => {
        this.closings.push(reason)
        this.#changed()
      },
    }
  }

  /** Settles once `holds`. */
  async until(holds: (accepted: Accepted) => boolean): Promise<void> {
    while (!holds(this)) await new Promise<void>((resolve) => this.#watchers.push(resolve))
  }

  #changed(): void {
    for (const watch of this.#watchers.splice(0)) watch()
  }
}

/** Lets in whom it is told to, and counts. */
export class TestDoorkeeper implements Doorkeeper {
  welcoming = true
  admitted = 0
  /** Where newcomers were said to be. */
  readonly moves: RemoteAddress[] = []
  released = 0
  readonly #arrived: Accepted[] = []
  #waiting: ((accepted: Accepted) => void)[] = []
  #releases: (() => void)[] = []

  admit(): Pass | undefined {
    if (!this.welcoming) return undefined
    this.admitted++
    return {
      release: () => {
        this.released++
        for (const watch of this.#releases.splice(0)) watch()
      },
    }
  }

  moved(_pass: Pass, _kind: TransportKind, remote: RemoteAddress): boolean {
    this.moves.push(remote)
    return this.welcoming
  }

  welcome(connection: Connection): void {
    const accepted = new Accepted(connection)
    const waiting = this.#waiting.shift()
    if (waiting === undefined) this.#arrived.push(accepted)
    else waiting(accepted)
  }

  /** The next connection that came in. */
  arrival(): Promise<Accepted> {
    const accepted = this.#arrived.shift()
    return accepted === undefined ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve(accepted)
  }

  async release(count: number): Promise<void> {
    while (this.released < count) await new Promise<void>((resolve) => this.#releases.push(resolve))
  }
}

export async function listen(
  kind: WireKind,
  doorkeeper: Doorkeeper,
  limits: Partial<ConnectionLimits> = {},
  port = 0,
  turns?: Turns,
): Promise<SocketListener> {
  const all = { ...LIMITS, ...limits }
  const base = { kind, host: '127.0.0.1', port, handshakeTimeout: all.handshakeTimeout }
  const options = kind === 'ssl' || kind === 'wss' ? { ...base, tls: await testCertificate() } : base
  const start = kind === 'tcp' || kind === 'ssl' ? listenLines : listenWebSocket
  return start(options, all, doorkeeper, silentLogger(), turns)
}
