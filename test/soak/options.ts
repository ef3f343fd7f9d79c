import { tmpdir } from 'node:os'
import { env, numberFrom, wholeFrom } from '../bench/support/options.ts'

/** What the environment may change of a soak; test/soak/README.md lists it. */
export interface SoakOptions {
  readonly minutes: number
  /** Visitors that come each second, on average. */
  readonly rate: number
  /** Visitors that may be there at a time. */
  readonly most: number
  readonly watchers: number
  /** From one block to the next. */
  readonly blockSeconds: number
  /** From the last client to the last figures: after some ten idle seconds the server gives memory back. */
  readonly restSeconds: number
  readonly seed: number
  /** Another build of the server; undefined for that of this tree. */
  readonly server: string | undefined
  /** Program of a bitcoind, or undefined for the built-in node. */
  readonly bitcoind: string | undefined
  /** Where the directory of the run is made. */
  readonly directory: string
  readonly bounds: Bounds
  /** More of the server's environment. */
  readonly environment: Readonly<Record<string, string>>
}

/** What is a failure when it is exceeded. */
export interface Bounds {
  /** Until all that are told have been told, and answers are those of the node, once node and clients do nothing new. */
  readonly settleMs: number
  /** Until a request of a client that reads is answered: the server's own limit is REQUEST_TIMEOUT, 30 s. */
  readonly answerMs: number
  /** 99 of 100 timers of the server, in each minute. */
  readonly delayMs: number
  /** JavaScript's heap after a collection may grow by `heapMb`, and by so much more for each hour. */
  readonly heapMb: number
  readonly heapMbPerHour: number
  /** Descriptors at the end more than before the first client. */
  readonly descriptors: number
}

/** Handed to the server where the environment has them. */
const PASSED_ON = ['CACHE_MB', 'LOG_LEVEL', 'MALLOC_ARENA_MAX', 'MALLOC_MMAP_THRESHOLD_', 'MALLOC_TRIM_THRESHOLD_']

/** Throws if something is not understood. */
export function soakOptions(): SoakOptions {
  return {
    minutes: numberFrom('SOAK_MINUTES', 60),
    rate: numberFrom('SOAK_RATE', 6),
    most: wholeFrom('SOAK_VISITORS', 200),
    watchers: wholeFrom('SOAK_WATCHERS', 12),
    blockSeconds: numberFrom('SOAK_BLOCK_SECONDS', 4),
    restSeconds: numberFrom('SOAK_REST_SECONDS', 30),
    seed: wholeFrom('SOAK_SEED', Date.now() >>> 0),
    server: env('SOAK_SERVER'),
    bitcoind: env('BITCOIND'),
    directory: env('SOAK_DIRECTORY') ?? tmpdir(),
    bounds: {
      settleMs: 1000 * numberFrom('SOAK_SETTLE_SECONDS', 30),
      answerMs: 1000 * numberFrom('SOAK_ANSWER_SECONDS', 40),
      delayMs: numberFrom('SOAK_DELAY_MS', 300),
      heapMb: numberFrom('SOAK_HEAP_MB', 8),
      heapMbPerHour: numberFrom('SOAK_HEAP_MB_PER_HOUR', 3),
      descriptors: 12,
    },
    environment: Object.fromEntries(
      PASSED_ON.flatMap((name) => {
        const value = env(name)
        return value === undefined ? [] : [[name, value]]
      }),
    ),
  }
}
