import { Gate } from '../support/gate.ts'
import { isErrorReply, LineSocket, replyId } from '../support/line-socket.ts'
import { cpuSeconds, machineSeconds } from '../support/process-stats.ts'
import { quantile } from '../support/report.ts'

export interface LoadQuestion {
  readonly port: number
  /** Of the server, for its processor time. */
  readonly pid: number
  readonly connections: number
  /** Requests that each connection keeps under way. */
  readonly depth: number
  /** Requests without their ends: `{…,"id":`. Asked in turn, again and again; see `once`. */
  readonly requests: readonly string[]
  /** What follows the id, for each request; without them `}`. */
  readonly ends: readonly string[] | undefined
  /** Ask each request once, and measure from the first to the last. */
  readonly once: boolean
  /** Not measured. */
  readonly warmSeconds: number
  /** Measured; with `once` the limit. */
  readonly seconds: number
}

export interface LoadAnswer {
  readonly replies: number
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly megabytesPerSecond: number
  /** Microseconds of the server's processor time for a reply. */
  readonly serverMicros: number
  /** Processors that the server, this client and everything else kept busy. */
  readonly serverCores: number
  readonly clientCores: number
  readonly otherCores: number
  readonly errors: number
  readonly errorSample: string | undefined
  /** Connections that the server closed. */
  readonly closed: number
}

const MOST_LATENCIES = 4_000_000
/** Longer than a server may take for one request. */
const DRAIN_LIMIT_MS = 60_000

/** One case: a closed loop, in which every reply is followed by the next request on the same connection. */
export class Load {
  readonly #question: LoadQuestion
  readonly #lanes: Lane[] = []
  readonly #latencies: Float64Array
  #next = 0
  #replies = 0
  #errors = 0
  #errorSample: string | undefined
  #counting = false
  #stopped = false
  #wake: () => void = () => {}

  constructor(question: LoadQuestion) {
    this.#question = question
    this.#latencies = new Float64Array(MOST_LATENCIES)
  }

  async run(): Promise<LoadAnswer> {
    const { connections, depth, once, warmSeconds, seconds } = this.#question
    try {
      for (let i = 0; i < connections; i++) {
        this.#lanes.push(await Lane.open(this.#question.port, depth, (...line) => this.#reply(...line)))
      }
      if (!once) {
        this.#fill()
        await this.#wait(warmSeconds * 1000)
      }
      const meter = new Meter(this.#question.pid, () => this.#bytes)
      this.#counting = true
      if (once) this.#fill()
      await this.#wait(seconds * 1000)
      this.#counting = false
      this.#stopped = true
      const spent = meter.read()
      await this.#drain()
      return this.#answer(spent)
    } finally {
      for (const lane of this.#lanes) lane.end()
    }
  }

  get #bytes(): number {
    return this.#lanes.reduce((sum, lane) => sum + lane.bytes, 0)
  }

  get #underWay(): number {
    return this.#lanes.reduce((sum, lane) => sum + (lane.closed ? 0 : lane.underWay), 0)
  }

  /** Sends the first requests of all connections. */
  #fill(): void {
    for (const lane of this.#lanes) {
      for (let id = 0; id < this.#question.depth; id++) this.#ask(lane, id)
    }
  }

  #ask(lane: Lane, id: number): void {
    const { requests, ends, once } = this.#question
    if (this.#stopped || (once && this.#next >= requests.length)) {
      if (this.#underWay === 0) this.#wake()
      return
    }
    const which = this.#next++ % requests.length
    lane.ask(requests[which]!, id, ends?.[which] ?? '}')
  }

  #reply(lane: Lane, id: number, buffer: Buffer, start: number, end: number): void {
    if (this.#counting) {
      this.#latencies[this.#replies % MOST_LATENCIES] = performance.now() - lane.sentAt[id]!
      this.#replies += 1
    }
    if (isErrorReply(buffer, start, end)) {
      this.#errors += 1
      this.#errorSample ??= buffer.toString('latin1', start, Math.min(end, start + 200))
    }
    this.#ask(lane, id)
  }

  /** Settles after so long, or, once nothing is asked any more, with the last reply. */
  async #wait(ms: number): Promise<void> {
    const idle = new Gate(ms)
    this.#wake = idle.open
    await idle.opened
  }

  async #drain(): Promise<void> {
    if (this.#underWay > 0) await this.#wait(DRAIN_LIMIT_MS)
    if (this.#underWay > 0) throw new Error(`${this.#underWay} requests were never answered`)
  }

  #answer(spent: Spent): LoadAnswer {
    const latencies = this.#latencies.subarray(0, Math.min(this.#replies, MOST_LATENCIES))
    return {
      replies: this.#replies,
      perSecond: this.#replies / spent.seconds,
      p50Ms: quantile(latencies, 0.5),
      p99Ms: quantile(latencies, 0.99),
      megabytesPerSecond: spent.bytes / 1e6 / spent.seconds,
      serverMicros: (spent.server / this.#replies) * 1e6,
      serverCores: spent.server / spent.seconds,
      clientCores: spent.client / spent.seconds,
      otherCores: Math.max(0, spent.machine - spent.server - spent.client) / spent.seconds,
      errors: this.#errors,
      errorSample: this.#errorSample,
      closed: this.#lanes.filter((lane) => lane.closed).length,
    }
  }
}

type OnReply = (lane: Lane, id: number, buffer: Buffer, start: number, end: number) => void

/** One connection; ids of requests are places below its depth, so that they tell when a request was sent. */
class Lane {
  readonly sentAt: Float64Array
  underWay = 0
  #socket: LineSocket | undefined

  private constructor(depth: number) {
    this.sentAt = new Float64Array(depth)
  }

  static async open(port: number, depth: number, onReply: OnReply): Promise<Lane> {
    const lane = new Lane(depth)
    let versionKnown: () => void = () => {}
    const answered = new Promise<void>((resolve) => {
      versionKnown = resolve
    })
    lane.#socket = await LineSocket.connect(port, (buffer, start, end) => {
      const id = replyId(buffer, start, end)
      if (id === depth) {
        versionKnown()
      } else if (id >= 0 && id < depth) {
        lane.underWay -= 1
        onReply(lane, id, buffer, start, end)
      }
    })
    lane.#socket.write(`{"jsonrpc":"2.0","method":"server.version","params":["bench","1.4"],"id":${depth}}\n`)
    await answered
    return lane
  }

  get bytes(): number {
    return this.#socket?.bytes ?? 0
  }

  get closed(): boolean {
    return this.#socket?.closed ?? true
  }

  ask(request: string, id: number, end: string): void {
    this.sentAt[id] = performance.now()
    this.underWay += 1
    this.#socket?.write(`${request}${id}${end}\n`)
  }

  end(): void {
    this.#socket?.end()
  }
}

interface Spent {
  readonly seconds: number
  readonly bytes: number
  /** Processor seconds. */
  readonly server: number
  readonly client: number
  readonly machine: number
}

/** What passes between its making and read(). */
class Meter {
  readonly #pid: number
  readonly #bytes: () => number
  readonly #begun = performance.now()
  readonly #bytesBefore: number
  readonly #server: number
  readonly #client = process.cpuUsage()
  readonly #machine = machineSeconds()

  constructor(pid: number, bytes: () => number) {
    this.#pid = pid
    this.#bytes = bytes
    this.#bytesBefore = bytes()
    this.#server = cpuSeconds(pid)
  }

  read(): Spent {
    const { user, system } = process.cpuUsage(this.#client)
    return {
      seconds: (performance.now() - this.#begun) / 1000,
      bytes: this.#bytes() - this.#bytesBefore,
      server: cpuSeconds(this.#pid) - this.#server,
      client: (user + system) / 1e6,
      machine: machineSeconds() - this.#machine,
    }
  }
}
