import { Gate } from '../support/gate.ts'
import { isErrorReply, LineSocket, replyId } from '../support/line-socket.ts'
import { quantile } from '../support/report.ts'

export interface FollowersQuestion {
  readonly port: number
  /** Script hashes that each connection follows, besides headers. */
  readonly scripthashes: readonly (readonly string[])[]
  /** Connections that are being set up at a time. */
  readonly parallel: number
}

export interface FollowersAnswer {
  readonly seconds: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly errors: number
}

/** Times are milliseconds since the epoch, so that two processes can compare them. */
export interface Heard {
  readonly headers: readonly number[]
  readonly scripts: readonly number[]
  readonly closed: number
}

const now = (): number => performance.timeOrigin + performance.now()

/** Many connections that say what they follow and then only listen. */
export class Followers {
  readonly #sessions: Follower[] = []
  #headers: number[] = []
  #scripts: number[] = []
  #wake: () => void = () => {}

  async open({ port, scripthashes, parallel }: FollowersQuestion): Promise<FollowersAnswer> {
    const begun = performance.now()
    const times: number[] = []
    const queue = scripthashes.values()
    const work = async (): Promise<void> => {
      for (const hashes of queue) {
        const start = performance.now()
        this.#sessions.push(await Follower.open(port, hashes, (isHeader) => this.#heard(isHeader)))
        times.push(performance.now() - start)
      }
    }
    await Promise.all(Array.from({ length: parallel }, work))
    return {
      seconds: (performance.now() - begun) / 1000,
      p50Ms: quantile(times, 0.5),
      p99Ms: quantile(times, 0.99),
      errors: this.#sessions.reduce((sum, session) => sum + session.errors, 0),
    }
  }

  /** Settles once so many notifications have come since the last call, or after the limit with those that have. */
  async hear(headers: number, scripts: number, limitMs: number): Promise<Heard> {
    const complete = (): boolean => this.#headers.length >= headers && this.#scripts.length >= scripts
    const enough = new Gate(limitMs)
    this.#wake = () => {
      if (complete()) enough.open()
    }
    this.#wake()
    await enough.opened
    const heard = { headers: this.#headers, scripts: this.#scripts, closed: this.#closed }
    this.#headers = []
    this.#scripts = []
    return heard
  }

  end(): void {
    for (const session of this.#sessions.splice(0)) session.end()
  }

  get #closed(): number {
    return this.#sessions.filter((session) => session.closed).length
  }

  #heard(isHeader: boolean): void {
    ;(isHeader ? this.#headers : this.#scripts).push(now())
    this.#wake()
  }
}

class Follower {
  errors = 0
  readonly #onNotice: (isHeader: boolean) => void
  #socket: LineSocket | undefined
  #unanswered = 0
  #answered: () => void = () => {}

  private constructor(onNotice: (isHeader: boolean) => void) {
    this.#onNotice = onNotice
  }

  /** Settles once all that is followed has been answered. */
  static async open(port: number, hashes: readonly string[], onNotice: (isHeader: boolean) => void): Promise<Follower> {
    const follower = new Follower(onNotice)
    const socket = await LineSocket.connect(port, (buffer, start, end) => follower.#read(buffer, start, end))
    follower.#socket = socket
    await follower.#ask([['server.version', ['bench', '1.4']]])
    await follower.#ask([
      ['blockchain.headers.subscribe', []],
      ...hashes.map((hash): [string, string[]] => ['blockchain.scripthash.subscribe', [hash]]),
    ])
    return follower
  }

  get closed(): boolean {
    return this.#socket?.closed ?? true
  }

  end(): void {
    this.#socket?.end()
  }

  #ask(requests: readonly (readonly [method: string, params: readonly string[]])[]): Promise<void> {
    this.#unanswered = requests.length
    const answered = new Promise<void>((resolve) => {
      this.#answered = resolve
    })
    for (const [id, [method, params]] of requests.entries()) {
      this.#socket?.write(`${JSON.stringify({ jsonrpc: '2.0', method, params, id })}\n`)
    }
    return answered
  }

  #read(buffer: Buffer, start: number, end: number): void {
    const head = buffer.toString('latin1', start, Math.min(end, start + 120))
    if (head.includes('"method"')) {
      this.#onNotice(head.includes('blockchain.headers.subscribe'))
    } else if (replyId(buffer, start, end) >= 0) {
      if (isErrorReply(buffer, start, end)) this.errors += 1
      this.#unanswered -= 1
      if (this.#unanswered === 0) this.#answered()
    }
  }
}
