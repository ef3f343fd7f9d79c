import { Subscriber } from 'zeromq'

const HASH_BYTES = 32

/** Hears when the node announces blocks. */
export class Announcements {
  readonly #socket = new Subscriber({ linger: 0 })
  readonly #times = new Map<string, number>()
  #running: Promise<void> = Promise.resolve()

  /** Settles once announcements arrive. */
  static async listen(endpoint: string): Promise<Announcements> {
    const announcements = new Announcements()
    const socket = announcements.#socket
    const shaken = new Promise<void>((resolve) => {
      socket.events.on('handshake', () => resolve())
    })
    // Whichever comes first: bitcoind says it by 'sequence' some 10 ms earlier (measured, bench:tip).
    socket.subscribe('hashblock', 'sequence')
    socket.connect(endpoint)
    await shaken
    announcements.#running = announcements.#receive()
    return announcements
  }

  /** When (milliseconds since the epoch) a block, named by its hash as displayed, was announced, if it was. */
  timeOf(hash: string): number | undefined {
    return this.#times.get(hash)
  }

  async close(): Promise<void> {
    this.#socket.close()
    await this.#running
  }

  async #receive(): Promise<void> {
    for await (const [, body] of this.#socket) {
      if (body === undefined) continue
      const hash = body.toString('hex', 0, HASH_BYTES)
      if (!this.#times.has(hash)) this.#times.set(hash, performance.timeOrigin + performance.now())
    }
  }
}
