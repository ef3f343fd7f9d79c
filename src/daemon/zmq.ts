import type { Subscriber } from 'zeromq'
import { ParseError } from '../errors.ts'
import { linkSignals } from '../lib/abort.ts'
import type { Logger } from '../log.ts'
import type { DaemonNotice, DaemonNotices } from './daemon.ts'
import { NoticeReader, TOPICS } from './notice-reader.ts'

/** Waits between attempts to connect: doubled from the first to the second, in milliseconds. libzmq does it for us. */
const RECONNECT_FIRST_MS = 250
const RECONNECT_LONGEST_MS = 4000

/** A peer that went without a word (a cut cable) is noticed after so long. */
const HEARTBEAT_MS = 30_000

/** Messages that wait for us, at most. Beyond that bitcoind drops them, which the counters tell. */
const MOST_WAITING = 10_000

/** Nothing that is listened to is longer than a transaction's notice; whoever sends more is no bitcoind. */
const LARGEST_MESSAGE = 1024

type ZeroMq = typeof import('zeromq')

/** bitcoind's notices over ZMQ. Reconnects by itself: `silence` is told when a connection is lost, `gap` for every one that is made. */
export class ZmqNotices implements DaemonNotices {
  readonly endpoint: string
  readonly #stopped: AbortSignal
  readonly #zmqConnect: number
  readonly #log: Logger
  readonly #zeromq: ZeroMq

  private constructor(
    options: { endpoint: string; stopped: AbortSignal; zmqConnect: number },
    collaborators: { log: Logger; zeromq: ZeroMq },
  ) {
    this.endpoint = options.endpoint
    this.#stopped = options.stopped
    this.#zmqConnect = options.zmqConnect
    this.#log = collaborators.log
    this.#zeromq = collaborators.zeromq
  }

  /**
   * Loads the native library, which only those need who configure ZMQ; undefined, with a log line, where it cannot be
   * loaded: the server works without notices. `stopped` ends all listening; `zmqConnect`: milliseconds, see DaemonTimes.
   */
  static async load(
    options: { readonly endpoint: string; readonly stopped: AbortSignal; readonly zmqConnect: number },
    collaborators: { readonly log: Logger },
  ): Promise<ZmqNotices | undefined> {
    try {
      return new ZmqNotices(options, { ...collaborators, zeromq: await import('zeromq') })
    } catch (error) {
      collaborators.log.error({ err: error }, 'ZMQ cannot be used on this machine; relying on polling')
      return undefined
    }
  }

  /** Each listener has a connection of its own, closed when `signal` aborts or the daemon client is stopped. */
  listen(listener: (notice: DaemonNotice) => void, signal: AbortSignal): void {
    const link = linkSignals(this.#stopped, signal)
    this.#run(listener, link.signal)
      .catch((error: unknown) => {
        this.#log.error({ err: error, endpoint: this.endpoint }, 'ZMQ listener ended; relying on polling')
        // Whoever listened must not go on as if nothing happened.
        this.#tell(listener, [{ kind: 'silence' }])
      })
      .finally(link.unlink)
  }

  async #run(listener: (notice: DaemonNotice) => void, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    const reader = new NoticeReader()
    const socket = new this.#zeromq.Subscriber({
      linger: 0,
      reconnectInterval: RECONNECT_FIRST_MS,
      reconnectMaxInterval: RECONNECT_LONGEST_MS,
      heartbeatInterval: HEARTBEAT_MS,
      heartbeatTimeout: HEARTBEAT_MS,
      receiveHighWaterMark: MOST_WAITING,
      maxMessageSize: LARGEST_MESSAGE,
    })
    const close = (): void => socket.close()
    signal.addEventListener('abort', close, { once: true })
    // libzmq tries for ever, and says nothing of an endpoint that is not that of the node.
    const silence = setTimeout(() => {
      const hint = 'nobody answers at DAEMON_ZMQ: is it what zmqpubsequence says? Relying on polling'
      this.#log.warn({ endpoint: this.endpoint }, hint)
    }, this.#zmqConnect)
    try {
      socket.events.on('handshake', () => {
        clearTimeout(silence)
        this.#log.info({ endpoint: this.endpoint }, 'ZMQ connected')
        if (!signal.aborted) this.#tell(listener, reader.connected())
      })
      socket.events.on('disconnect', () => {
        if (signal.aborted) return
        this.#log.warn({ endpoint: this.endpoint }, 'ZMQ connection lost; connecting again')
        this.#tell(listener, [{ kind: 'silence' }])
      })
      socket.connect(this.endpoint)
      socket.subscribe(...TOPICS)
      await this.#readAll(socket, reader, listener, signal)
    } finally {
      clearTimeout(silence)
      signal.removeEventListener('abort', close)
      socket.close()
    }
  }

  async #readAll(
    socket: Subscriber,
    reader: NoticeReader,
    listener: (notice: DaemonNotice) => void,
    signal: AbortSignal,
  ): Promise<void> {
    // The iteration ends when the socket is closed.
    for await (const frames of socket) {
      if (signal.aborted) return
      try {
        this.#tell(listener, reader.read(frames))
      } catch (error) {
        if (!(error instanceof ParseError)) throw error
        this.#log.warn({ endpoint: this.endpoint, reason: error.message }, 'ZMQ message not understood')
        this.#tell(listener, [{ kind: 'gap' }])
      }
    }
  }

  #tell(listener: (notice: DaemonNotice) => void, notices: readonly DaemonNotice[]): void {
    for (const notice of notices) {
      try {
        listener(notice)
      } catch (error) {
        this.#log.error({ err: error, notice: notice.kind }, 'a listener to ZMQ notices threw')
      }
    }
  }
}
