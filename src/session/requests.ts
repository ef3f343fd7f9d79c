import type { Daemon } from '../daemon/daemon.ts'
import { ERROR_CODES, RpcError } from '../errors.ts'
import type { Awaitable } from '../lib/awaitable.ts'
import type { Moment } from '../mempool/moment.ts'
import type { Histogram } from '../metrics.ts'
import type { RpcClient, RpcContext, ServerInfo } from '../rpc/method.ts'
import type { CostMeter } from './cost.ts'
import { type InFlight, InFlightList } from './in-flight.ts'
import type { SharedSession } from './shared.ts'
import type { Slots, SlotTaker } from './slots.ts'

/** A request as seen by who acts for its handler. */
export interface Progress {
  /** True once the client was told that nothing comes of it, or is gone, whatever the handler still does. */
  readonly givenUp: boolean
}

/** Who calls: made for each request, when its moment is known. */
export type ClientOf = (moment: Moment, request: Progress) => RpcClient

/** Something that waits until it is told to go on. */
export interface Waiting {
  /** When it came, on the monotonic clock. */
  readonly started: number
  proceed(): void
}

/** What a request waits for besides its slot, and who hears of its end. */
export interface RequestHooks {
  /** True if `request` may be run now; otherwise it is told when it may. */
  hasRoom(request: Waiting): boolean
  /** `request` waits no longer. */
  leave(request: Waiting): void
  /** A request has ended, well or not; its answer is not sent yet. */
  done(): void
}

/** Who hears that a request was one that could be understood, whatever came of it. */
export interface ServedListener {
  served(): void
}

/** What all requests of one client have in common. */
interface Surroundings {
  readonly shared: SharedSession
  readonly meter: CostMeter
  readonly slots: Slots
  readonly hooks: RequestHooks
  readonly listener: ServedListener
  readonly running: InFlightList
}

/**
 * The requests of one client: each waits for a slot and for the delay that the client's cost has earned, reads from one
 * moment, and is given up after the time limit. Every wait ends when the client goes.
 */
export class Requests {
  readonly #around: Surroundings

  constructor(
    shared: SharedSession,
    meter: CostMeter,
    slots: Slots,
    told: { readonly hooks: RequestHooks; readonly listener: ServedListener },
  ) {
    this.#around = { shared, meter, slots, hooks: told.hooks, listener: told.listener, running: new InFlightList() }
  }

  /** Requests that have come and have not ended. */
  get count(): number {
    return this.#around.running.count
  }

  /**
   * `ready` is waited for before anything else; it must not reject. What is at hand is given without a promise. Throws at
   * once or rejects with RpcError -101 without slots, -102 after the time limit or while there is nothing to serve from,
   * with the reason of the end when the client goes, and with what `job` throws.
   */
  run<T>(
    ready: Promise<unknown> | undefined,
    client: ClientOf,
    job: (ctx: RpcContext) => Awaitable<T>,
    seconds: Histogram,
  ): Awaitable<T> {
    const request = new RunningRequest(this.#around, client, job, seconds)
    if (ready === undefined) request.begin()
    else void ready.then(() => request.begin())
    return request.outcome()
  }

  /** Gives up what runs or waits for longer than the time limit. */
  expire(now: number): void {
    const { running, shared } = this.#around
    for (const request of running.all()) {
      if (now - request.started < shared.options.requestTimeout) return
      request.abort(
        new RpcError(ERROR_CODES.busy.code, 'server busy - request timed out', { limit: 'REQUEST_TIMEOUT' }),
      )
    }
  }

  /** Ends everything, because the client is gone. */
  abortAll(error: Error): void {
    this.#around.slots.close(error)
    for (const request of this.#around.running.all()) request.abort(error)
  }
}

/**
 * One request from its arrival to its end, a step at a time: slot, delay, room, moment. Steps that need not wait follow
 * each other without a promise between them, for there are a hundred thousand of these a second.
 */
class RunningRequest<T> implements SlotTaker, Waiting, InFlight, Progress {
  before: InFlight | undefined
  after: InFlight | undefined
  /** On the monotonic clock. */
  readonly started: number
  readonly #around: Surroundings
  readonly #client: ClientOf
  readonly #job: (ctx: RpcContext) => Awaitable<T>
  /** Told of how long it took. */
  readonly #seconds: Histogram
  /** Once it has ended, unless somebody waits. */
  #ending: { readonly result: T } | { readonly error: unknown } | undefined
  /** Who waits for the end, once outcome() was asked before it. */
  #waiter: { readonly resolve: (result: T) => void; readonly reject: (error: unknown) => void } | undefined
  #failure: Error | undefined
  #controller: AbortController | undefined
  #hasSlot = false

  constructor(around: Surroundings, client: ClientOf, job: (ctx: RpcContext) => Awaitable<T>, seconds: Histogram) {
    this.started = around.shared.clock.monotonic()
    this.#around = around
    this.#client = client
    this.#job = job
    this.#seconds = seconds
    around.running.add(this)
  }

  get givenUp(): boolean {
    return this.#failure !== undefined
  }

  /** Made when somebody asks for it: most handlers do not, and it costs more than the rest of a small request. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#failure !== undefined) this.#controller.abort(this.#failure)
    return this.#controller.signal
  }

  /** What came of it, or a promise of that. Asked once. */
  outcome(): Awaitable<T> {
    const ending = this.#ending
    if (ending === undefined) {
      return new Promise((resolve, reject) => {
        this.#waiter = { resolve, reject }
      })
    }
    if ('error' in ending) throw ending.error
    return ending.result
  }

  begin(): void {
    if (this.#failure !== undefined) return
    const { slots, shared } = this.#around
    if (slots.isBusy) shared.tally.limits.INITIAL_CONCURRENT++
    slots.take(this)
  }

  admitted(): void {
    this.#hasSlot = true
    const { meter, shared } = this.#around
    const { delay } = meter
    if (delay <= 0) this.#enter()
    else {
      shared.tally.limits.COST_SOFT_LIMIT++
      shared.clock.sleep(delay, this.signal).then(
        () => this.#enter(),
        (error: unknown) => this.#failed(error),
      )
    }
  }

  refused(error: Error): void {
    this.#failed(error)
  }

  proceed(): void {
    if (this.#failure === undefined) this.#serve()
  }

  /** Answers with `error` now. A handler that does not listen to its signal does not keep the slot beyond this. */
  abort(error: Error): void {
    if (this.#failure !== undefined) return
    this.#failure = error
    this.#controller?.abort(error)
    this.#around.slots.leave(this)
    this.#around.hooks.leave(this)
    this.#failed(error)
  }

  #enter(): void {
    if (this.#failure === undefined && this.#around.hooks.hasRoom(this)) this.#serve()
  }

  #serve(): void {
    let result: Awaitable<T>
    try {
      result = this.#around.shared.moments.use((moment) =>
        this.#job(new RequestContext(this.#around, this, this.#client(moment, this), moment)),
      )
    } catch (error) {
      this.#failed(error)
      return
    }
    if (result instanceof Promise) {
      result.then(
        (value) => this.#succeeded(value),
        (error: unknown) => this.#failed(error),
      )
    } else this.#succeeded(result)
  }

  #succeeded(result: T): void {
    this.#ended(true)
    if (this.#waiter === undefined) this.#ending ??= { result }
    else this.#waiter.resolve(result)
  }

  #failed(error: unknown): void {
    this.#ended(!isMisunderstood(error))
    if (this.#waiter === undefined) this.#ending ??= { error }
    else this.#waiter.reject(error)
  }

  /** More than one call counts once. */
  #ended(understood: boolean): void {
    const { running, shared, listener } = this.#around
    if (running.delete(this)) {
      this.#seconds.observe((shared.clock.monotonic() - this.started) / 1000)
      if (understood) listener.served()
    }
    if (this.#hasSlot) {
      this.#hasSlot = false
      this.#around.slots.release()
    }
    this.#around.hooks.done()
  }
}

/** True of a request of a method, or with parameters, that there are not: of that the envelope tells. */
function isMisunderstood(error: unknown): boolean {
  return (
    error instanceof RpcError &&
    (error.code === ERROR_CODES.methodNotFound.code || error.code === ERROR_CODES.invalidParams.code)
  )
}

class RequestContext implements RpcContext {
  readonly client: RpcClient
  readonly moment: Moment
  readonly #around: Surroundings
  readonly #request: { readonly signal: AbortSignal }

  constructor(around: Surroundings, request: { readonly signal: AbortSignal }, client: RpcClient, moment: Moment) {
    this.client = client
    this.moment = moment
    this.#around = around
    this.#request = request
  }

  get daemon(): Daemon {
    return this.#around.shared.daemon
  }

  get server(): ServerInfo {
    return this.#around.shared.server
  }

  charge(cost: number): void {
    this.#around.meter.charge(cost)
  }

  get signal(): AbortSignal {
    return this.#request.signal
  }
}
