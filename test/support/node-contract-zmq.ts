import { Subscriber } from 'zeromq'

export interface ZmqMessage {
  readonly topic: string
  /** Hex. */
  readonly body: string
  readonly n: number
}

/** Listens to a node's ZMQ messages and keeps them all. */
export class ZmqListener {
  readonly messages: ZmqMessage[] = []
  readonly #socket = new Subscriber({ linger: 0, receiveHighWaterMark: 0 })
  readonly #waiting = new Set<() => void>()
  #running: Promise<void> = Promise.resolve()

  /** Settles once the publisher has shaken hands. */
  async connect(endpoint: string): Promise<void> {
    const shaken = new Promise<void>((resolve) => {
      this.#socket.events.on('handshake', () => resolve())
    })
    this.#socket.subscribe('hashblock', 'sequence')
    this.#socket.connect(endpoint)
    await shaken
    this.#running = this.#receive()
  }

  /** Settles once there are `count` messages, or rejects after `ms`. */
  async waitFor(count: number, ms: number): Promise<void> {
    if (this.messages.length >= count) return
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${this.messages.length} of ${count} ZMQ messages`)), ms)
      const look = (): void => {
        if (this.messages.length < count) return
        clearTimeout(timer)
        this.#waiting.delete(look)
        resolve()
      }
      this.#waiting.add(look)
    })
  }

  async close(): Promise<void> {
    this.#socket.close()
    await this.#running
  }

  async #receive(): Promise<void> {
    for await (const [topic, body, counter] of this.#socket) {
      if (topic === undefined || body === undefined || counter === undefined)
        throw new Error('a message of other than three parts')
      this.messages.push({ topic: topic.toString(), body: body.toString('hex'), n: counter.readUInt32LE(0) })
      for (const look of this.#waiting) look()
    }
  }
}
