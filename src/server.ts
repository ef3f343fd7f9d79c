import { join } from 'node:path'
import type { Coin } from './coins/coin.ts'
import { coinOf } from './coins/registry.ts'
import type { Settings } from './config/settings.ts'
import { Bitcoind } from './daemon/bitcoind.ts'
import type { IndexDatabase } from './db/index-db.ts'
import type { Indexer } from './db/indexer.ts'
import { ConfigError, isAbort, PrunedNodeError } from './errors.ts'
import { atomicalsHeights, coinIndexers, mempoolInterest, openIndex } from './index-opening.ts'
import { type Clock, steadyClock, systemClock } from './lib/clock.ts'
import { IdleCollection, threadNursery } from './lib/idle-collection.ts'
import type { Service } from './lib/service.ts'
import type { Logger } from './log.ts'
import { MomentHub } from './mempool/hub.ts'
import { Mempool } from './mempool/mempool.ts'
import { CacheTallies, exposition } from './metrics.ts'
import { RegtestNode } from './regtest/node.ts'
import { regtestAdminMethods } from './regtest-admin.ts'
import { sharedSession } from './server/clients.ts'
import { certificateFiles, managerOptions } from './server/listening.ts'
import { adminOptions, connectionLimits, daemonOptions, hubOptions, indexMemory } from './server/options.ts'
import { BannerFiles, serverInfo } from './server-info.ts'
import { MetricsServer, metricsAdminMethod } from './server-metrics/server.ts'
import type { MetricSource } from './server-metrics/source.ts'
import { METRICS } from './server-metrics/table.ts'
import { DaemonTally, EventLoopDelay } from './server-metrics/tallies.ts'
import { buildPeers } from './server-peers.ts'
import { AdminServer } from './session/admin.ts'
import { sessionAdminMethods } from './session/admin-methods.ts'
import { SessionManager } from './session/manager.ts'
import { peerAdminMethods } from './session/peers/admin-methods.ts'
import type { PeerManager } from './session/peers/manager.ts'
import { BlockProcessor } from './sync/block-processor.ts'
import { Follower } from './sync/follower.ts'
import { type StatusTerminal, SyncProgress } from './sync/progress.ts'

/** Blocks that the built-in node begins with: coinbases mature after 100, so the faucet has ten to give from. */
const INITIAL_REGTEST_BLOCKS = 110

export interface Surroundings {
  readonly log: Logger
  /** Aborts when the server is to stop. */
  readonly stop: AbortSignal
  /** Where progress is shown on a line of its own; undefined without a terminal. */
  readonly terminal: StatusTerminal | undefined
}

/** Runs the server until it is told to stop. Settles with why it could not go on, or undefined after an orderly stop. */
export async function runServer(settings: Settings, { log, stop, terminal }: Surroundings): Promise<unknown> {
  let failure: unknown
  const ending = new AbortController()
  stop.addEventListener('abort', () => ending.abort(), { once: true })
  if (stop.aborted) ending.abort()
  const fail = (error: unknown): void => {
    failure ??= error
    ending.abort()
  }
  const ended = new Promise<void>((resolve) => ending.signal.addEventListener('abort', () => resolve(), { once: true }))
  for (const note of settings.notes) log.warn(note)
  const server = new Server(settings, { log, terminal, fail, stop: () => ending.abort() })
  try {
    await server.start(ending.signal)
    await ended
  } catch (error) {
    if (!(ending.signal.aborted && isAbort(error))) fail(error)
  }
  await server.stop().catch(fail)
  if (failure === undefined) log.info('stopped')
  return failure
}

interface ServerCollaborators {
  readonly log: Logger
  readonly terminal: StatusTerminal | undefined
  /** Told once of a fault after which the server cannot go on. */
  readonly fail: (error: unknown) => void
  /** Begins an orderly stop. */
  readonly stop: () => void
}

/** Everything there is, built in order: the node and the index first, then who reads them, then who answers. */
class Server {
  readonly #settings: Settings
  readonly #around: ServerCollaborators
  readonly #coin: Coin
  /** Index, nodes and whoever moves the index, in the order of their start; stopped in reverse. */
  readonly #back: Service[] = []
  /** Who answers clients; stopped first, so that what was asked is still answered. */
  readonly #front: Service[] = []
  /** Counted from the beginning, whoever reads it. */
  readonly #caches = new CacheTallies()
  readonly #daemonTally = new DaemonTally()

  constructor(settings: Settings, collaborators: ServerCollaborators) {
    this.#settings = settings
    this.#around = collaborators
    this.#coin = coinOf(settings.coin, settings.net)
  }

  async start(signal: AbortSignal): Promise<void> {
    const { log } = this.#around
    const settings = this.#settings
    const coin = this.#coin
    const clock = systemClock
    // Ages of sessions, and when servers are looked into.
    const steady = steadyClock(clock)
    const reorgLimit = settings.reorgLimit ?? coin.reorgLimit
    const indexers = coinIndexers({ settings, coin })
    await this.#collectWhenIdle(clock, signal)
    const db = await this.#openIndex(indexers)
    const node = await this.#builtInNode(signal)
    const daemon = new Bitcoind(daemonOptions(settings, coin, node), { log, clock, observer: this.#daemonTally })

    const mempool = new Mempool({}, { log, interest: mempoolInterest(indexers) })
    const hub = new MomentHub(hubOptions(settings), { mempool, caches: this.#caches })
    let search: PeerManager | undefined
    const banners = new BannerFiles(settings, { log })
    await banners.look()
    const info = serverInfo(
      { ...settings, coin, reorgLimit, reported: settings.reportServices },
      { daemon, banners, peers: () => search },
    )
    const shared = sharedSession(
      { settings, coin },
      { daemon, moments: hub, server: info, caches: this.#caches, clock: steady, log },
    )
    const listening = await managerOptions(settings, log)
    const manager = new SessionManager(listening, shared)
    const peers = buildPeers(
      { settings, coin, connection: connectionLimits(settings) },
      { log, clock: steady, counter: manager.counter, sessions: manager.dialled, moments: hub, info },
    )
    search = peers

    let follower: Follower | undefined
    let processor: BlockProcessor | undefined
    const administrators = { refused: 0, idle: 0, timedOut: 0 }
    const metrics = this.#metrics({
      tally: shared.tally,
      sessions: manager,
      notifier: shared.notifier,
      subscriptions: shared.subscriptions,
      index: db,
      moments: hub,
      mempool,
      follower: () => follower?.status(),
      rolledBack: () => processor?.rolledBack ?? { reorgs: 0, blocks: 0 },
      peers,
      administrators,
    })
    const admin = new AdminServer(adminOptions(settings), {
      daemon,
      server: info,
      clock,
      log,
      requestId: shared.requestId,
      counts: administrators,
      methods: [
        ...sessionAdminMethods({
          shared,
          manager,
          stop: this.#around.stop,
          info: () => ({
            coin: coin.name,
            net: coin.net,
            index: { height: db.tip.height, transactions: db.tip.txCount },
            sync: follower?.status() ?? { state: 'waiting for bitcoind' },
            peers: peers.summary,
          }),
        }),
        ...peerAdminMethods(peers),
        metricsAdminMethod(metrics),
        ...(node === undefined ? [] : regtestAdminMethods(node)),
      ],
    })

    // Started once there is a chain to hold other servers against; who is asked by clients has to stop before them.
    this.#front.push(peers)
    if (this.#settings.services.some(({ kind }) => kind === 'rpc')) await this.#start(admin, this.#front, signal)
    for (const { kind, host, port } of settings.services) {
      if (kind !== 'metrics') continue
      await this.#start(new MetricsServer({ host, port }, { log, text: metrics }), this.#front, signal)
    }
    await this.#start(manager, this.#front, signal)
    const use = manager.secureWith.bind(manager)
    const certificate = certificateFiles(settings, listening, { clock, log, use })
    if (certificate !== undefined) await this.#start(certificate, this.#front, signal)
    hub.listen(
      once(() => {
        void manager.opening.then(() => log.info('serving'))
        peers.start(signal).catch(this.#around.fail)
      }),
      signal,
    )
    await this.#start(daemon, this.#back, signal)
    await this.#checkNode(daemon, signal)
    processor = new BlockProcessor(
      {},
      { db, daemon, clock, log, progress: new SyncProgress({ terminal: this.#around.terminal }, { log, clock }) },
    )
    follower = new Follower(
      { blockPollMs: settings.pollBlocks, mempoolPollMs: settings.pollMempool },
      {
        chain: processor,
        mempool,
        hub,
        daemon,
        notices: daemon.notices,
        clock,
        log,
        fatal: this.#around.fail,
        told: () => shared.notifier.idle(),
      },
    )
    await this.#start(follower, this.#back, signal)
  }

  /** The text of all metrics, made when it is asked for. */
  #metrics(source: Omit<MetricSource, 'caches' | 'daemon' | 'loop'>): () => string {
    const loop = new EventLoopDelay()
    this.#back.push({ name: 'event loop delay', start: () => Promise.resolve(), stop: async () => loop.stop() })
    const whole: MetricSource = { ...source, caches: this.#caches, daemon: this.#daemonTally, loop }
    return () => exposition(METRICS, whole)
  }

  /** Stops whatever was started. Throws once all of it has been tried. */
  async stop(): Promise<void> {
    const failures: unknown[] = []
    for (const service of [...this.#front, ...this.#back.toReversed()]) {
      try {
        await service.stop()
      } catch (error) {
        this.#around.log.error({ err: error, service: service.name }, 'did not stop in order')
        failures.push(error)
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'some parts did not stop in order')
  }

  async #start(service: Service, running: Service[], signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    running.push(service)
    await service.start(signal)
  }

  /** Only where Node was started as `npm start` does. */
  async #collectWhenIdle(clock: Clock, signal: AbortSignal): Promise<void> {
    const nursery = threadNursery()
    if (nursery === undefined) this.#around.log.debug('started without --expose-gc: bursts of work leave memory behind')
    else await this.#start(new IdleCollection(nursery, clock), this.#back, signal)
  }

  async #openIndex(indexers: readonly Indexer[]): Promise<IndexDatabase> {
    const place = { settings: this.#settings, coin: this.#coin }
    const db = await openIndex(place, indexMemory(this.#settings), indexers)
    db.warm()
    this.#back.push({ name: 'index', start: () => Promise.resolve(), stop: () => db.close() })
    const atomicals = atomicalsHeights(place) ?? 'off'
    this.#around.log.info({ directory: place.settings.dbDirectory, height: db.tip.height, atomicals }, 'index opened')
    return db
  }

  /** The regtest node of our own, where no bitcoind is named. */
  async #builtInNode(signal: AbortSignal): Promise<RegtestNode | undefined> {
    if (this.#settings.daemonUrls !== undefined) return undefined
    const { log } = this.#around
    const directory = join(this.#settings.dbDirectory, 'regtest-node')
    const options = { directory, initialBlocks: INITIAL_REGTEST_BLOCKS, policy: 'ordinary' } as const
    const node = new RegtestNode(options, { log })
    await this.#start(node, this.#back, signal)
    log.warn(
      { height: node.height },
      'DAEMON_URL is not set: serving a built-in regtest node. This is not the Bitcoin network; its coins are worth nothing',
    )
    return node
  }

  async #checkNode(daemon: Bitcoind, signal: AbortSignal): Promise<void> {
    const { chain, pruned } = await daemon.chainInfo(signal)
    if (chain !== this.#coin.daemonChain) {
      const { net, daemonChain } = this.#coin
      throw new ConfigError([
        `NET is ${net} ("${daemonChain}" to bitcoind), and bitcoind at ${daemon.address} is on the network "${chain}": ` +
          'correct NET or DAEMON_URL',
      ])
    }
    if (pruned) {
      throw new PrunedNodeError(
        `bitcoind at ${daemon.address} is pruned: the index needs every block; run it without prune`,
      )
    }
  }
}

function once(work: () => void): () => void {
  let done = false
  return () => {
    if (!done) work()
    done = true
  }
}
