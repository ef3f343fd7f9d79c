import { Publisher as PublisherSocket } from 'zeromq'
import { concat, fromHex, writeUint32LE, writeUint64LE } from '../lib/bytes.ts'
import type { Publisher } from './core.ts'

/** One line of getzmqnotifications. */
export interface ZmqNotification {
  readonly type: string
  readonly address: string
}

/** What the letters of topic `sequence` mean (Core's doc/zmq.md). */
const LABEL = { connected: 'C', disconnected: 'D', added: 'A', removed: 'R' } as const

type Topic = 'hashblock' | 'sequence'

/** Messages that wait to be handed to the socket; more are dropped and leave a gap in the counters, as with Core. */
const QUEUE_LIMIT = 100_000

/**
 * Core's ZMQ notifications of blocks and mempool: topic, body, and the topic's own counter in 4 bytes little-endian.
 * Hashes are in display order.
 */
export class ZmqPublisher implements Publisher {
  readonly #socket = new PublisherSocket({ linger: 0, sendHighWaterMark: QUEUE_LIMIT })
  readonly #counters: Record<Topic, number> = { hashblock: 0, sequence: 0 }
  readonly #queue: Uint8Array[][] = []
  #draining: Promise<void> = Promise.resolve()
  #busy = false
  #address = ''

  /** Where subscribers connect to, once started. */
  get address(): string {
    return this.#address
  }

  get notifications(): readonly ZmqNotification[] {
    return ['pubhashblock', 'pubsequence'].map((type) => ({ type, address: this.#address }))
  }

  /** Binds to a port of 127.0.0.1; 0 = any. */
  async start(port: number): Promise<void> {
    await this.#socket.bind(`tcp://127.0.0.1:${port === 0 ? '*' : port}`)
    this.#address = this.#socket.lastEndpoint ?? ''
  }

  async stop(): Promise<void> {
    await this.#draining
    this.#socket.close()
  }

  blockConnected(hash: string): void {
    this.#tell('sequence', fromHex(hash), ascii(LABEL.connected))
  }

  blockDisconnected(hash: string): void {
    this.#tell('sequence', fromHex(hash), ascii(LABEL.disconnected))
  }

  newTip(hash: string): void {
    this.#tell('hashblock', fromHex(hash))
  }

  txAdded(txid: string, sequence: bigint): void {
    this.#tell('sequence', fromHex(txid), ascii(LABEL.added), uint64(sequence))
  }

  txRemoved(txid: string, sequence: bigint): void {
    this.#tell('sequence', fromHex(txid), ascii(LABEL.removed), uint64(sequence))
  }

  #tell(topic: Topic, ...body: Uint8Array[]): void {
    const counter = new Uint8Array(4)
    writeUint32LE(counter, this.#counters[topic], 0)
    this.#counters[topic] = (this.#counters[topic] + 1) >>> 0
    if (this.#address === '' || this.#queue.length >= QUEUE_LIMIT) return
    this.#queue.push([ascii(topic), concat(...body), counter])
    if (this.#busy) return
    this.#draining = this.#drain()
    // What goes wrong is thrown by stop(); until then nobody waits for it.
    this.#draining.catch(() => undefined)
  }

  /** The socket takes one message at a time. A publisher never waits for subscribers, so this ends soon. */
  async #drain(): Promise<void> {
    this.#busy = true
    try {
      for (let message = this.#queue.shift(); message !== undefined; message = this.#queue.shift()) {
        await this.#socket.send(message)
      }
    } finally {
      this.#busy = false
    }
  }
}

/** Tells nobody anything. */
export const SILENT: Publisher = Object.freeze({
  blockConnected: () => undefined,
  blockDisconnected: () => undefined,
  newTip: () => undefined,
  txAdded: () => undefined,
  txRemoved: () => undefined,
})

function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

function uint64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8)
  writeUint64LE(bytes, value, 0)
  return bytes
}
