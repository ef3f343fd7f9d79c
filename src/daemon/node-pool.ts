import { DaemonUnavailableError, isAbort } from '../errors.ts'
import { linkSignals, throwIfAborted, untilAborted } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import { type BackOff, retry } from '../lib/retry.ts'
import type { Logger } from '../log.ts'
import type { Bounds } from './exchange.ts'
import { type FailureKind, NodeFailure } from './failure.ts'
import type { BitcoinNode } from './node.ts'

const BACK_OFF: BackOff = { first: 250, longest: 4000, factor: 2, jitter: 0.2 }

/** A node that is asked whether it is back must say so quickly. */
const RETURN_PROBE_MS = 5000

/** Kinds that are about one question or about us: the next node would do no better. */
const OUR_OWN: ReadonlySet<FailureKind> = new Set(['too-large', 'busy'])

/** Hears of troubles, for metrics. Must not throw. */
export interface DaemonObserver {
  /** A question is put to the nodes. */
  asked?(): void
  failed?(address: string, kind: FailureKind): void
  switched?(address: string): void
}

export interface PoolOptions {
  /** After so many milliseconds with another node the first is tried again. */
  readonly returnAfter: number
  /** Bounds of the questions that find out what a node is. */
  readonly probe: Bounds
}

export interface Patience {
  readonly signal?: AbortSignal | undefined
  /** Milliseconds after which a failure is no longer followed by another try. */
  readonly patience: number
  /** Told of every failure that is followed by another try. */
  readonly onWait?: (failure: NodeFailure) => void
}

/** Some nodes of one chain, the first preferred: each question is put to one after the other until one answers. */
export class NodePool {
  readonly #nodes: readonly BitcoinNode[]
  readonly #options: PoolOptions
  readonly #log: Logger
  readonly #clock: Clock
  readonly #observer: DaemonObserver
  readonly #stopped = new AbortController()
  readonly #probes = new Map<BitcoinNode, Promise<void>>()
  readonly #troubles = new Map<BitcoinNode, string>()
  #current = 0
  #movedAt = 0
  #returning: Promise<void> | undefined
  #genesis: string | undefined

  constructor(
    options: PoolOptions,
    collaborators: {
      readonly nodes: readonly [BitcoinNode, ...BitcoinNode[]]
      readonly log: Logger
      readonly clock: Clock
      readonly observer?: DaemonObserver | undefined
    },
  ) {
    this.#options = options
    this.#nodes = collaborators.nodes
    this.#log = collaborators.log
    this.#clock = collaborators.clock
    this.#observer = collaborators.observer ?? {}
  }

  /** The node that is asked first at the moment. */
  get current(): BitcoinNode {
    return this.#node(this.#current)
  }

  /** Aborts when the pool is stopped. */
  get stopped(): AbortSignal {
    return this.#stopped.signal
  }

  /**
   * What `work` makes of one node. Goes round the nodes, and round again with growing waits, as long as the failure may
   * pass and there is patience. Throws what `work` throws: DaemonError, NodeFailure, AbortError.
   */
  async ask<T>(work: (node: BitcoinNode, signal: AbortSignal) => Promise<T>, how: Patience): Promise<T> {
    const link = linkSignals(this.#stopped.signal, how.signal)
    const begun = this.#clock.monotonic()
    this.#observer.asked?.()
    try {
      throwIfAborted(link.signal)
      this.#tryToReturn()
      return await retry(() => this.#round(work, link.signal), {
        backOff: BACK_OFF,
        clock: this.#clock,
        signal: link.signal,
        again: (error) => {
          if (!(error instanceof NodeFailure) || !error.mayPass) return false
          if (this.#clock.monotonic() - begun >= how.patience) return false
          how.onWait?.(error)
          return true
        },
      })
    } catch (error) {
      throwIfAborted(link.signal)
      throw error
    } finally {
      link.unlink()
    }
  }

  /** Aborts every question and closes the connections. Settles once no question runs in the background. */
  async stop(): Promise<void> {
    this.#stopped.abort()
    await Promise.allSettled([...this.#probes.values(), this.#returning])
    for (const node of this.#nodes) node.close()
  }

  async #round<T>(work: (node: BitcoinNode, signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
    let worst: unknown
    const first = this.#current
    for (let tried = 0; tried < this.#nodes.length; tried += 1) {
      const index = (first + tried) % this.#nodes.length
      const node = this.#node(index)
      try {
        await untilAborted(this.#ready(node), signal)
        const result = await work(node, signal)
        this.#noteSuccess(node)
        return result
      } catch (error) {
        if (!(error instanceof DaemonUnavailableError)) {
          if (!isAbort(error)) this.#noteSuccess(node)
          throw error
        }
        if (signal.aborted || (error instanceof NodeFailure && OUR_OWN.has(error.kind))) throw error
        this.#noteFailure(node, error)
        this.#moveFrom(index)
        worst = moreHopeful(worst, error)
      }
    }
    throw worst
  }

  /** Probes a node that is not known, once for all who wait for it; their signals do not end it, only stop() does. */
  #ready(node: BitcoinNode): Promise<void> {
    if (node.known) return Promise.resolve()
    const running = this.#probes.get(node)
    if (running !== undefined) return running
    const probe = this.#probe(node, this.#options.probe).finally(() => this.#probes.delete(node))
    this.#probes.set(node, probe)
    return probe
  }

  async #probe(node: BitcoinNode, bounds: Bounds): Promise<void> {
    await node.probe({ ...bounds, signal: this.#stopped.signal })
    this.#genesis ??= node.genesis
    if (node.genesis !== this.#genesis) {
      node.forget()
      throw new NodeFailure(
        'wrong',
        `bitcoind at ${node.address} is of another chain: its first block is ${node.genesis}, not ${this.#genesis}`,
      )
    }
    const { rest = false, spentTxOuts = false, blockParts = false, txIndex = false, remark } = node.abilities ?? {}
    const blocks = rest ? 'REST' : 'JSON-RPC'
    const found = { address: node.address, blocks, spentTxOuts, blockParts, txIndex, why: remark }
    this.#log.info(found, 'bitcoind found')
  }

  /** Once some time has passed with another node, asks the first in the background whether it is back. */
  #tryToReturn(): void {
    if (this.#current === 0 || this.#returning !== undefined) return
    if (this.#clock.monotonic() - this.#movedAt < this.#options.returnAfter) return
    this.#returning = this.#returnToFirst().finally(() => {
      this.#returning = undefined
    })
  }

  async #returnToFirst(): Promise<void> {
    const first = this.#node(0)
    try {
      await this.#probe(first, { ...this.#options.probe, timeout: RETURN_PROBE_MS })
      this.#noteSuccess(first)
      this.#moveTo(0)
    } catch (error) {
      if (isAbort(error)) return
      this.#movedAt = this.#clock.monotonic()
      if (error instanceof DaemonUnavailableError) this.#noteFailure(first, error)
      else this.#log.warn({ address: first.address, err: error }, 'bitcoind cannot be probed')
    }
  }

  #moveFrom(index: number): void {
    if (this.#current === index && this.#nodes.length > 1) this.#moveTo((index + 1) % this.#nodes.length)
  }

  #moveTo(index: number): void {
    this.#current = index
    this.#movedAt = this.#clock.monotonic()
    const { address } = this.current
    this.#log.info({ address }, index === 0 ? 'back to the first bitcoind' : 'asking the next bitcoind')
    this.#observer.switched?.(address)
  }

  #noteSuccess(node: BitcoinNode): void {
    if (!this.#troubles.delete(node)) return
    this.#log.info({ address: node.address }, 'bitcoind answers again')
  }

  /** Says each trouble once, until it is another or over: a node that is down fails many questions. */
  #noteFailure(node: BitcoinNode, error: DaemonUnavailableError): void {
    const kind = error instanceof NodeFailure ? error.kind : 'http'
    this.#observer.failed?.(node.address, kind)
    // A connection that broke may mean a restart, and a restart other settings.
    if (kind === 'unreachable' || kind === 'dropped' || kind === 'warm-up' || kind === 'cookie') node.forget()
    if (this.#troubles.get(node) === error.message) return
    this.#troubles.set(node, error.message)
    const line = { address: node.address, kind, reason: error.message }
    if (kind === 'wrong' || kind === 'refused') this.#log.error(line, 'bitcoind cannot be used')
    else this.#log.warn(line, kind === 'warm-up' ? 'bitcoind is starting' : 'bitcoind does not answer')
  }

  #node(index: number): BitcoinNode {
    const node = this.#nodes[index]
    if (node === undefined) throw new RangeError(`no node ${index}`)
    return node
  }
}

/** Of the failures of a round the one to go on with: the first that may pass, else the first. */
function moreHopeful(before: unknown, error: DaemonUnavailableError): unknown {
  if (before === undefined) return error
  const beforeMayPass = before instanceof NodeFailure && before.mayPass
  return !beforeMayPass && error instanceof NodeFailure && error.mayPass ? error : before
}
