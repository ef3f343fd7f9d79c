import { performance } from 'node:perf_hooks'
import { getHeapSpaceStatistics } from 'node:v8'
import { isAbort } from '../errors.ts'
import type { Clock } from './clock.ts'
import type { Service } from './service.ts'

const LOOK_MS = 1000
/** Share of the time above which the event loop has something to do. Following a mempool takes a few per cent. */
const IDLE_LOAD = 0.1
/** Looks in a row that find it idle before anything is done. */
const IDLE_LOOKS = 3
/** With less than this it is not worth while. */
const LEAST_BYTES = 8 * 1024 * 1024

/** The part of the heap where objects begin their life. */
export interface Nursery {
  /** Bytes of memory that it holds of the system, whether or not there is anything in them. */
  size(): number
  /** Throws away what nobody uses. */
  collect(): void
  /** Share of the time since the last call in which the event loop was at work: 0 to 1. */
  load(): number
}

/**
 * Gives back memory that a burst of work has left. V8 lets the nursery grow to three times `--max-semi-space-size` under
 * load, which is what makes small requests cheap, and shrinks it only in a collection, which does not come while nothing
 * is allocated: an idle server would keep up to 96 MB for nothing. A collection of the nursery alone takes a few
 * milliseconds, and it is done when nobody waits.
 */
export class IdleCollection implements Service {
  readonly name = 'idle collection'
  readonly #nursery: Nursery
  readonly #clock: Clock
  readonly #stopping = new AbortController()
  #idleLooks = 0
  #working: Promise<void> = Promise.resolve()

  constructor(nursery: Nursery, clock: Clock) {
    this.#nursery = nursery
    this.#clock = clock
  }

  start(signal: AbortSignal): Promise<void> {
    this.#working = this.#work(AbortSignal.any([signal, this.#stopping.signal]))
    return Promise.resolve()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#working
  }

  async #work(signal: AbortSignal): Promise<void> {
    try {
      for (;;) {
        await this.#clock.sleep(LOOK_MS, signal)
        this.#look()
      }
    } catch (error) {
      if (!isAbort(error)) throw error
    }
  }

  /** What is left too large is tried again later: V8 goes by how much was allocated in the last seconds. */
  #look(): void {
    this.#idleLooks = this.#nursery.load() < IDLE_LOAD ? this.#idleLooks + 1 : 0
    if (this.#idleLooks < IDLE_LOOKS) return
    this.#idleLooks = 0
    if (this.#nursery.size() >= LEAST_BYTES) this.#nursery.collect()
  }
}

/** That of the calling thread; undefined where Node was started without `--expose-gc`. */
export function threadNursery(): Nursery | undefined {
  const { gc } = globalThis
  if (gc === undefined) return undefined
  let before = performance.eventLoopUtilization()
  return {
    size: () => getHeapSpaceStatistics().find(isNursery)?.physical_space_size ?? 0,
    collect: () => gc({ type: 'minor' }),
    load: () => {
      const now = performance.eventLoopUtilization()
      const { utilization } = performance.eventLoopUtilization(now, before)
      before = now
      return utilization
    },
  }
}

function isNursery({ space_name: name }: { readonly space_name: string }): boolean {
  return name === 'new_space'
}
