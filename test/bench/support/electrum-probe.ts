import { LineSocket, replyId } from './line-socket.ts'

interface Waiter {
  readonly resolve: (result: unknown) => void
  readonly reject: (error: Error) => void
}

const REPLY_LIMIT_MS = 60_000

/** A client of an Electrum server for whatever is not measured: one promise a request. */
export class ElectrumProbe {
  readonly #waiting = new Map<number, Waiter>()
  readonly #onNotice: (method: string, params: readonly unknown[]) => void
  #socket: LineSocket | undefined
  #id = 0

  private constructor(onNotice: (method: string, params: readonly unknown[]) => void) {
    this.#onNotice = onNotice
  }

  /** Connected and past server.version. */
  static async connect(
    port: number,
    onNotice: (method: string, params: readonly unknown[]) => void = () => {},
  ): Promise<ElectrumProbe> {
    const probe = new ElectrumProbe(onNotice)
    probe.#socket = await LineSocket.connect(port, (buffer, start, end) => probe.#read(buffer, start, end))
    await probe.request('server.version', 'bench', '1.4')
    return probe
  }

  /** Throws what the server answers as an error, or if it does not answer in time. */
  async request<T>(method: string, ...params: readonly unknown[]): Promise<T> {
    const id = this.#id++
    let timer: NodeJS.Timeout | undefined
    try {
      return await new Promise<T>((resolve, reject) => {
        timer = setTimeout(() => reject(new Error(`${method} was not answered in time`)), REPLY_LIMIT_MS)
        this.#waiting.set(id, { resolve: resolve as (result: unknown) => void, reject })
        this.#socket!.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`)
      })
    } finally {
      clearTimeout(timer)
      this.#waiting.delete(id)
    }
  }

  end(): void {
    this.#socket?.end()
  }

  #read(buffer: Buffer, start: number, end: number): void {
    const waiter = this.#waiting.get(replyId(buffer, start, end))
    const message = JSON.parse(buffer.toString('utf8', start, end)) as {
      readonly method?: string
      readonly params?: readonly unknown[]
      readonly result?: unknown
      readonly error?: unknown
    }
    if (message.method !== undefined) this.#onNotice(message.method, message.params ?? [])
    else if ((message.error ?? null) === null) waiter?.resolve(message.result)
    else waiter?.reject(new Error(JSON.stringify(message.error)))
  }
}
