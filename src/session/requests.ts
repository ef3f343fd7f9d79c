import type { Daemon } from '../daemon/daemon.ts'
import { ERROR_CODES, RpcError } from '../errors.ts'
import type { Moment } from '../mempool/moment.ts'
import type { RpcClient, RpcContext, ServerInfo } from '../rpc/method.ts'
import type { CostMeter } from './cost.ts'
import type { SharedSession } from './shared.ts'
import type { Slots } from './slots.ts'

/** Who calls: made for each request, when its moment is known. */
export type ClientOf = (moment: Moment) => RpcClient

/** What a request waits for besides its slot, and who hears of its end. */
export interface RequestHooks {
  /** Settles when the client takes answers again; undefined if it does. */
  room(request: RunningRequest): Promise<void> | undefined
  /** A request has ended, well or not; its answer is not sent yet. */
  done(): void
}

/** No stream, so nothing to wait for. */
export const NO_HOOKS: RequestHooks = { room: () => undefined, done: () => {} }

/**
 * The requests of one client: each waits for a slot and for the delay that the client's cost has earned, reads from one
 * moment, and is given up after the time limit. Every wait ends when the client goes.
 */
export class Requests {
  readonly #shared: SharedSession
  readonly #meter: CostMeter
  readonly #slots: Slots
  readonly #hooks: RequestHooks
  /** In the order they came, so the oldest is the first. */
  readonly #running = new Set<RunningRequest>()
  readonly #charge: (cost: number) => void

  constructor(shared: SharedSession, meter: CostMeter, slots: Slots, hooks: RequestHooks) {
    this.#shared = shared
    this.#meter = meter
    this.#slots = slots
    this.#hooks = hooks
    this.#charge = (cost) => meter.charge(cost)
  }

  /** Requests that have come and have not ended. */
  get count(): number {
    return this.#running.size
  }

  /**
   * `ready` is waited for before anything else. Rejects with RpcError -101 without slots, -102 after the time limit or
   * while there is nothing to serve from, with the reason of the end when the client goes, and with what `job` throws.
   */
  run<T>(ready: Promise<unknown> | undefined, client: ClientOf, job: (ctx: RpcContext) => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const request = new RunningRequest(this.#shared.clock.monotonic(), reject)
      this.#running.add(request)
      this.#serve(request, ready, client, job).then(resolve, reject)
    })
  }

  /** Gives up what runs or waits for longer than the time limit. */
  expire(now: number): void {
    for (const request of this.#running) {
      if (now - request.started < this.#shared.options.requestTimeout) return
      this.#running.delete(request)
      request.abort(new RpcError(ERROR_CODES.busy.code, 'server busy - request timed out'))
    }
  }

  /** Ends everything, because the client is gone. */
  abortAll(error: Error): void {
    this.#slots.close(error)
    for (const request of this.#running) request.abort(error)
    this.#running.clear()
  }

  async #serve<T>(
    request: RunningRequest,
    ready: Promise<unknown> | undefined,
    client: ClientOf,
    job: (ctx: RpcContext) => Promise<T>,
  ): Promise<T> {
    try {
      if (ready !== undefined) await ready
      if (!this.#slots.tryTake()) await this.#slots.take(request.signal)
      request.holds(this.#slots)
      if (this.#meter.delay > 0) await this.#shared.clock.sleep(this.#meter.delay, request.signal)
      const room = this.#hooks.room(request)
      if (room !== undefined) await room
      request.throwIfAborted()
      return await this.#shared.moments.with((moment) =>
        job(new RequestContext(this.#shared, request, client(moment), moment, this.#charge)),
      )
    } finally {
      this.#running.delete(request)
      request.release()
      this.#hooks.done()
    }
  }
}

/**
 * One request from its arrival to its end. Its signal is made when somebody asks for it: most handlers do not, and
 * making one costs more than the rest of a small request.
 */
export class RunningRequest {
  /** On the monotonic clock. */
  readonly started: number
  readonly #reject: (error: Error) => void
  #failure: Error | undefined
  #controller: AbortController | undefined
  #slots: Slots | undefined

  constructor(started: number, reject: (error: Error) => void) {
    this.started = started
    this.#reject = reject
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#failure !== undefined) this.#controller.abort(this.#failure)
    return this.#controller.signal
  }

  /** Takes over a slot that was taken. */
  holds(slots: Slots): void {
    this.#slots = slots
    if (this.#failure !== undefined) this.release()
  }

  release(): void {
    this.#slots?.release()
    this.#slots = undefined
  }

  /** Answers with `error` now. A handler that does not listen to its signal does not keep the slot beyond this. */
  abort(error: Error): void {
    this.#failure ??= error
    this.#controller?.abort(error)
    this.release()
    this.#reject(error)
  }

  throwIfAborted(): void {
    if (this.#failure !== undefined) throw this.#failure
  }
}

class RequestContext implements RpcContext {
  readonly client: RpcClient
  readonly moment: Moment
  readonly daemon: Daemon
  readonly server: ServerInfo
  readonly charge: (cost: number) => void
  readonly #request: RunningRequest

  constructor(
    { daemon, server }: SharedSession,
    request: RunningRequest,
    client: RpcClient,
    moment: Moment,
    charge: (cost: number) => void,
  ) {
    this.client = client
    this.moment = moment
    this.daemon = daemon
    this.server = server
    this.charge = charge
    this.#request = request
  }

  get signal(): AbortSignal {
    return this.#request.signal
  }
}
