import { DaemonUnavailableError, isAbort } from '../errors.ts'
import { linkSignals, throwIfAborted, untilAborted } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import { type BackOff, retry } from '../lib/retry.ts'
import type { Logger } from '../log.ts'
import type { Bounds } from './exchange.ts'
import { type FailureKind, NodeFailure } from './failure.ts'
import type { BitcoinNode } from './node.ts'

const BACK_OFF: BackOff = { first: 250, longest: 4000, factor: 2, jitter: 0.2 }

/** A node that is asked beside others how far it is must say so quickly. */
const LOOK_MS = 5000

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
  /** Every so many milliseconds it is looked which of several nodes is the one to ask. */
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

/**
 * Some nodes of one chain. Each question is put to one after the other until one answers, beginning with the current
 * one: the first of those that have the most work, as far as is known.
 */
export class NodePool {
  readonly #nodes: readonly BitcoinNode[]
  readonly #options: PoolOptions
  readonly #log: Logger
  readonly #clock: Clock
  readonly #observer: DaemonObserver
  readonly #stopped = new AbortController()
  readonly #probes = new Map<BitcoinNode, Promise<void>>()
  readonly #troubles = new Map<BitcoinNode, string>()
  readonly #looks = new Set<Promise<boolean>>()
  #current = 0
  #turn = 0
  #lookedAt: number
  /** Work of the nodes' chains when it was looked last; undefined where there was no answer. */
  #work: readonly (bigint | undefined)[] = []
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
    this.#lookedAt = this.#clock.monotonic()
  }

  /** The node that is asked first at the moment. */
  get current(): BitcoinNode {
    return this.#node(this.#current)
  }

  /** What is wrong with the current node since it was asked last; undefined if nothing is. */
  get trouble(): string | undefined {
    return this.#troubles.get(this.current)
  }

  /** Another number whenever another node has become the current one. */
  get turn(): number {
    return this.#turn
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
      this.#lookIfDue()
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
    await Promise.allSettled([...this.#probes.values(), ...this.#looks])
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

  /**
   * Looks at all nodes now, and makes the one with the most work the current one; the first of them, where several have
   * as much. True if that is another one than before. Throws nothing but AbortError.
   */
  async preferBest(signal?: AbortSignal): Promise<boolean> {
    if (this.#nodes.length === 1) return false
    throwIfAborted(signal)
    return untilAborted(this.#look('at once'), signal)
  }

  /** Now and then in the background: the first may be back, or what is current may have lost its peers. */
  #lookIfDue(): void {
    if (this.#nodes.length === 1 || this.#looks.size > 0) return
    if (this.#clock.monotonic() - this.#lookedAt >= this.#options.returnAfter) void this.#look('patiently')
  }

  #look(how: 'at once' | 'patiently'): Promise<boolean> {
    const look = this.#compare(how).finally(() => this.#looks.delete(look))
    this.#looks.add(look)
    return look
  }

  async #compare(how: 'at once' | 'patiently'): Promise<boolean> {
    const before = this.#work
    const work = await Promise.all(this.#nodes.map((node) => this.#workOf(node)))
    this.#work = work
    this.#lookedAt = this.#clock.monotonic()
    const current = this.#current
    const own = work[current] ?? -1n
    // A block reaches one node before the other. So a later one has to have had more a while ago than this one has now.
    const counts = (index: number): boolean =>
      index <= current || how === 'at once' || (before[index] ?? -1n) > own || own === -1n
    let best = current
    for (const [index, has] of work.entries()) {
      if (has === undefined || index === current || !counts(index)) continue
      const least = work[best] ?? -1n
      if (has > least || (has === least && index < best)) best = index
    }
    if (best === current || this.stopped.aborted) return false
    this.#moveTo(best)
    return true
  }

  /** Of the chain that a node has verified; undefined if it cannot be used. Never rejects. */
  async #workOf(node: BitcoinNode): Promise<bigint | undefined> {
    const bounds = { ...this.#options.probe, timeout: LOOK_MS, signal: this.#stopped.signal }
    try {
      if (!node.known) await this.#probe(node, bounds)
      const work = await node.work(bounds)
      this.#noteSuccess(node)
      return work
    } catch (error) {
      if (isAbort(error)) return undefined
      if (error instanceof DaemonUnavailableError) this.#noteFailure(node, error)
      else this.#log.warn({ address: node.address, err: error }, 'bitcoind cannot be probed')
      return undefined
    }
  }

  #moveFrom(index: number): void {
    if (this.#current === index && this.#nodes.length > 1) this.#moveTo((index + 1) % this.#nodes.length)
  }

  #moveTo(index: number): void {
    this.#current = index
    this.#turn += 1
    this.#lookedAt = this.#clock.monotonic()
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
    if (kind === 'wrong' || kind === 'refused' || kind === 'forbidden') this.#log.error(line, 'bitcoind cannot be used')
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
