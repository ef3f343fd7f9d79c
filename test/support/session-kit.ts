import { z } from 'zod'
import type { ChainView, Tip } from '../../src/db/view.ts'
import { RpcError } from '../../src/errors.ts'
import type { Awaitable } from '../../src/lib/awaitable.ts'
import { fromHex, fromLatin1, toHex, toLatin1 } from '../../src/lib/bytes.ts'
import type { Clock } from '../../src/lib/clock.ts'
import type { Logger } from '../../src/log.ts'
import { silentLogger } from '../../src/log.ts'
import type {
  MempoolOutput,
  MempoolView,
  Moment,
  MomentNews,
  MomentSource,
  StatusOfHistory,
} from '../../src/mempool/moment.ts'
import { Envelope } from '../../src/rpc/envelope.ts'
import { defineMethod, type ProtocolVersion, type RpcMethod } from '../../src/rpc/method.ts'
import { outpointMethods } from '../../src/rpc/methods/outpoint.ts'
import { MethodRegistry } from '../../src/rpc/registry.ts'
import { DEFAULT_COSTS } from '../../src/session/cost.ts'
import { DEFAULT_GROUPS } from '../../src/session/groups.ts'
import type { ListenTarget } from '../../src/session/listeners.ts'
import { DEFAULT_MANAGER, type ManagerOptions, SessionManager } from '../../src/session/manager.ts'
import { DEFAULT_NOTIFIER, Notifier } from '../../src/session/notifier.ts'
import { DEFAULT_TIMES, type SharedOptions, SharedSession } from '../../src/session/shared.ts'
import { type SubscriptionOptions, Subscriptions } from '../../src/session/subscriptions.ts'
import { FakeDaemon, FakeMoment, FakeServer } from './fake-context.ts'
import { HandClock } from './hand-clock.ts'
import { awaited, LIMITS } from './transport-kit.ts'
import { WireClient, type WireKind } from './wire-client.ts'

/** A chain of headers and statuses by hand. Statuses are worked out when they are asked for, unless they are held. */
export class HandMoment implements Moment {
  readonly tip: Tip
  readonly view: ChainView
  readonly mempool: MempoolView
  readonly #chain: FakeMoment
  readonly #source: HandMoments
  readonly #statuses: ReadonlyMap<string, string>

  constructor(source: HandMoments, blocks: number, statuses: ReadonlyMap<string, string>) {
    this.#chain = new FakeMoment(Array.from({ length: blocks }, () => 1))
    for (const [txid, outputs] of source.mempoolOutputs) this.#chain.mempoolOutputs.set(txid, outputs)
    this.#source = source
    this.#statuses = new Map(statuses)
    this.tip = this.#chain.tip
    this.view = this.#chain.view
    this.mempool = this.#chain.mempool
  }

  history(hashX: Uint8Array) {
    return this.#chain.history(hashX)
  }

  balance(hashX: Uint8Array) {
    return this.#chain.balance(hashX)
  }

  unspent(hashX: Uint8Array) {
    return this.#chain.unspent(hashX)
  }

  outputs(hashX: Uint8Array) {
    return this.#chain.outputs(hashX)
  }

  async status(hashX: Uint8Array): Promise<StatusOfHistory> {
    const key = toLatin1(hashX)
    this.#source.asked.push(key)
    await this.#source.gate
    await this.#source.pace()
    const failure = this.#source.failures.get(key)
    if (failure !== undefined) throw failure
    return { status: this.#statuses.get(key) ?? null, characters: 0, confirmed: 0 }
  }
}

/** Publishes what the test says. */
export class HandMoments implements MomentSource {
  ready = true
  /** Scripts whose status was asked for. */
  readonly asked: string[] = []
  readonly failures = new Map<string, Error>()
  /** Statuses are given once this settles. */
  gate: Promise<void> = Promise.resolve()
  /** Waited for before each status, for those who want some to take longer than others. */
  pace: () => Promise<void> = async () => {}
  outstanding = 0
  readonly #statuses = new Map<string, string>()
  readonly #listeners = new Set<(news: MomentNews) => void>()
  /** Outputs of mempool transactions by txid, for the moments to come. */
  readonly mempoolOutputs = new Map<string, readonly MempoolOutput[]>()
  #blocks = 1

  async with<T>(use: (moment: Moment) => Awaitable<T>): Promise<T> {
    return this.use(use)
  }

  use<T>(use: (moment: Moment) => Awaitable<T>): Awaitable<T> {
    if (!this.ready) throw new RpcError(-102, 'server busy - not ready')
    const result = use(new HandMoment(this, this.#blocks, this.#statuses))
    if (!(result instanceof Promise)) return result
    this.outstanding++
    return result.finally(() => this.outstanding--)
  }

  listen(listener: (news: MomentNews) => void, signal: AbortSignal): void {
    this.#listeners.add(listener)
    signal.addEventListener('abort', () => this.#listeners.delete(listener))
  }

  /** Statuses by script (hex of its hashX; undefined for no history), and a block if asked. */
  publish(statuses: Readonly<Record<string, string | undefined>>, block = false): void {
    for (const [hashX, status] of Object.entries(statuses)) {
      const key = toLatin1(fromHex(hashX))
      if (status === undefined) this.#statuses.delete(key)
      else this.#statuses.set(key, status)
    }
    if (block) this.#blocks++
    this.announce(Object.keys(statuses), block)
  }

  /** Says that these were touched, whether or not anything is another. */
  announce(hashXs: readonly string[], newTip = false, stirred: readonly string[] = []): void {
    const touched = new Set(hashXs.map((hashX) => toLatin1(fromHex(hashX))))
    for (const listener of this.#listeners) listener({ newTip, touched, stirred: new Set(stirred) })
  }

  get height(): number {
    return this.#blocks - 1
  }

  askedInHex(): string[] {
    return this.asked.map((key) => toHex(fromLatin1(key)))
  }
}

/** Requests that the test answers: `hold` waits for release(). */
export class Held {
  readonly signals: AbortSignal[] = []
  #gate = awaited<string>()
  #begun = 0
  #watchers: (() => void)[] = []

  wait(signal: AbortSignal): Promise<string> {
    this.signals.push(signal)
    this.#begun++
    for (const watch of this.#watchers.splice(0)) watch()
    return this.#gate.promise
  }

  release(): void {
    const gate = this.#gate
    this.#gate = awaited()
    gate.resolve('released')
  }

  async begun(count: number): Promise<void> {
    while (this.#begun < count) await new Promise<void>((resolve) => this.#watchers.push(resolve))
  }

  get count(): number {
    return this.#begun
  }
}

const since: ProtocolVersion = [1, 0, 0]

/** What methods for tests have in common, unless they say otherwise: without parameters, for everybody, free of charge. */
export const KIT_METHOD = {
  summary: 'test',
  params: z.object({}),
  result: z.unknown(),
  cost: () => 0,
  since,
  example: { params: [], result: null },
}

/** A small table of methods that shows what sessions do. */
export function kitMethods(held: Held): RpcMethod[] {
  return [
    defineMethod({
      ...KIT_METHOD,
      name: 'server.version',
      params: z.object({ name: z.string(), version: z.array(z.number()).optional() }),
      extraParams: 'ignored',
      handler: (ctx, { name, version = [1, 4] }) => {
        const wanted: ProtocolVersion = [version[0]!, version[1]!, 0]
        return ['kit', ctx.client.identify(name, { min: wanted, max: wanted }).join('.')]
      },
    }),
    defineMethod({ ...KIT_METHOD, name: 'protocol', handler: (ctx) => ctx.client.protocol.join('.') }),
    defineMethod({
      ...KIT_METHOD,
      name: 'echo',
      params: z.object({ text: z.string() }),
      handler: (_ctx, { text }) => text,
    }),
    defineMethod({
      ...KIT_METHOD,
      name: 'spend',
      params: z.object({ cost: z.number() }),
      cost: ({ cost }) => cost,
      handler: () => 'spent',
    }),
    defineMethod({
      ...KIT_METHOD,
      name: 'big',
      params: z.object({ bytes: z.number() }),
      handler: (_ctx, { bytes }) => 'x'.repeat(bytes),
    }),
    defineMethod({ ...KIT_METHOD, name: 'hold', handler: (ctx) => held.wait(ctx.signal) }),
    defineMethod({
      ...KIT_METHOD,
      name: 'fail',
      handler: () => {
        throw new Error('a secret')
      },
    }),
    defineMethod({
      ...KIT_METHOD,
      name: 'blockchain.headers.subscribe',
      over: 'stream',
      handler: async (ctx) => {
        ctx.client.subscribeHeaders()
        return { height: ctx.moment.tip.height }
      },
    }),
    defineMethod({
      ...KIT_METHOD,
      name: 'blockchain.scripthash.subscribe',
      over: 'stream',
      params: z.object({ script: z.string(), wait: z.boolean().optional() }),
      handler: async (ctx, { script, wait }) => {
        const hashX = fromHex(script)
        const find = async () => (await ctx.moment.status(hashX)).status
        const status = await ctx.client.subscribeScript(hashX, script, find)
        if (wait === true) await held.wait(ctx.signal)
        return status
      },
    }),
    defineMethod({
      ...KIT_METHOD,
      name: 'blockchain.scripthash.unsubscribe',
      over: 'stream',
      params: z.object({ script: z.string() }),
      handler: (ctx, { script }) => ctx.client.unsubscribeScript(fromHex(script)),
    }),
    ...outpointMethods,
  ]
}

export interface KitOptions {
  readonly listeners?: readonly ListenTarget[]
  readonly shared?: Partial<SharedOptions>
  readonly manager?: Partial<ManagerOptions>
  readonly subscriptions?: Partial<SubscriptionOptions>
  readonly clock?: Clock
  readonly log?: Logger
  readonly moments?: HandMoments
  /** In addition to those of the kit. */
  readonly methods?: readonly RpcMethod[]
  readonly maxSend?: number
}

const TCP: ListenTarget = { kind: 'tcp', host: '127.0.0.1', port: 0 }

/** A whole session layer over moments and methods by hand, on real sockets. */
export class SessionKit {
  readonly moments: HandMoments
  readonly held = new Held()
  readonly clock = new HandClock()
  readonly shared: SharedSession
  readonly manager: SessionManager
  readonly subscriptions: Subscriptions
  readonly notifier: Notifier
  readonly clients: WireClient[] = []

  constructor(options: KitOptions = {}) {
    const log = options.log ?? silentLogger()
    const clock = options.clock ?? this.clock
    let requests = 0
    const requestId = () => `r${++requests}`
    this.moments = options.moments ?? new HandMoments()
    this.subscriptions = new Subscriptions({ maxPerSession: 0, maxTotal: 0, ...options.subscriptions })
    const { moments, subscriptions } = this
    const daemon = new FakeDaemon()
    this.notifier = new Notifier(DEFAULT_NOTIFIER, { moments, subscriptions, daemon, clock, log })
    const registry = new MethodRegistry({}, [...kitMethods(this.held), ...(options.methods ?? [])])
    const envelope = new Envelope(
      { maxSend: options.maxSend ?? 8_100_000, maxBatch: 100 },
      { registry, log, requestId },
    )
    this.shared = new SharedSession(
      { ...DEFAULT_TIMES, costs: DEFAULT_COSTS, anonymous: false, ...options.shared },
      {
        registry,
        envelope,
        moments,
        daemon,
        server: new FakeServer(),
        subscriptions,
        notifier: this.notifier,
        clock,
        log,
        requestId,
      },
    )
    this.manager = new SessionManager(
      {
        ...DEFAULT_MANAGER,
        // All clients of a test are one host.
        maxHandshakingPerHost: 0,
        listeners: options.listeners ?? [TCP],
        groups: DEFAULT_GROUPS,
        connection: LIMITS,
        ...options.manager,
      },
      this.shared,
    )
  }

  async start(): Promise<this> {
    await this.manager.start(new AbortController().signal)
    return this
  }

  port(kind = 'tcp'): number {
    return this.manager.addresses.find((address) => address.kind === kind)!.port
  }

  async connect(kind: WireKind = 'tcp'): Promise<WireClient> {
    const client = await WireClient.connect({ kind, port: this.port(kind) })
    this.clients.push(client)
    return client
  }

  /** A client that is past its first request. */
  async active(kind: WireKind = 'tcp'): Promise<WireClient> {
    const client = await this.connect(kind)
    await client.request('server.version', ['kit', [1, 4]])
    return client
  }

  /** Settles once `holds`; looks again after each turn of the event loop. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise((resolve) => setImmediate(resolve))
  }

  async stop(): Promise<void> {
    for (const client of this.clients) client.destroy()
    this.held.release()
    await this.until(() => this.manager.counts.active + this.manager.counts.handshaking === 0)
    await this.manager.stop()
  }
}
