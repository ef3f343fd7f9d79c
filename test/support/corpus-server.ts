import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { headerHash } from '../../src/chain/headers.ts'
import type { ChainView } from '../../src/db/view.ts'
import type { Awaitable } from '../../src/lib/awaitable.ts'
import { fromHex, toDisplayHex } from '../../src/lib/bytes.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/log.ts'
import { LiveMoment } from '../../src/mempool/live-moment.ts'
import { Mempool } from '../../src/mempool/mempool.ts'
import type { Moment, MomentSource } from '../../src/mempool/moment.ts'
import { ScriptCache } from '../../src/mempool/script-cache.ts'
import { Envelope } from '../../src/rpc/envelope.ts'
import { atomicalsMethods } from '../../src/rpc/methods/atomicals/table.ts'
import { electrumMethods, withMethods } from '../../src/rpc/methods/table.ts'
import { MethodRegistry } from '../../src/rpc/registry.ts'
import { DEFAULT_COSTS, unlimited } from '../../src/session/cost.ts'
import { DEFAULT_GROUPS } from '../../src/session/groups.ts'
import { DEFAULT_MANAGER, SessionManager } from '../../src/session/manager.ts'
import { DEFAULT_NOTIFIER, Notifier } from '../../src/session/notifier.ts'
import { DEFAULT_TIMES, SharedSession } from '../../src/session/shared.ts'
import { Subscriptions } from '../../src/session/subscriptions.ts'
import { CORPUS_SETTINGS, CorpusNode } from './atomicals-host.ts'
import { corpusBlocks, fixture, Replay } from './atomicals-replay.ts'
import { FakeServer } from './fake-context.ts'
import { LIMITS } from './transport-kit.ts'

const HOST = '127.0.0.1'

/** Also has what is in the mempool, for those who ask for it by its id. */
class FullNode extends CorpusNode {
  readonly #unconfirmed = new Map(mempoolOfCorpus().map(({ txid, hex }) => [txid, hex]))

  override rawTransaction(txid: string): Promise<Uint8Array<ArrayBuffer>> {
    const hex = this.#unconfirmed.get(txid)
    return hex === undefined ? super.rawTransaction(txid) : Promise.resolve(Uint8Array.from(fromHex(hex)))
  }
}

function mempoolOfCorpus(): readonly { readonly txid: string; readonly hex: string }[] {
  return JSON.parse(fixture('corpus-a', 'mempool.json').toString()) as { txid: string; hex: string }[]
}

/** As the recording was set up. */
class RecordedServer extends FakeServer {
  override readonly donationAddress = 'bcrt1qcorpusdonation'
}

/** One moment for ever. */
class OneMoment implements MomentSource {
  readonly ready = true
  readonly #moment: Moment

  constructor(moment: Moment) {
    this.#moment = moment
  }

  async with<T>(use: (moment: Moment) => Awaitable<T>): Promise<T> {
    return use(this.#moment)
  }

  use<T>(use: (moment: Moment) => Awaitable<T>): Awaitable<T> {
    return use(this.#moment)
  }

  listen(): void {}
}

/** The corpus with its mempool behind the sockets of the real session layer: TCP, WebSocket, HTTP. No limits of cost. */
export class CorpusServer {
  readonly manager: SessionManager
  readonly #replay: Replay
  readonly #view: ChainView
  readonly #directory: string

  private constructor(parts: { manager: SessionManager; replay: Replay; view: ChainView; directory: string }) {
    this.manager = parts.manager
    this.#replay = parts.replay
    this.#view = parts.view
    this.#directory = parts.directory
  }

  static async start(): Promise<CorpusServer> {
    const directory = await mkdtemp(join(tmpdir(), 'valence-test-'))
    const replay = await Replay.open(directory)
    const node = new FullNode()
    for (const block of corpusBlocks()) {
      await replay.add(block)
      node.add(block)
    }
    node.fillMempool()
    const view = replay.db.acquireView()
    node.tip = toDisplayHex(headerHash(view.header(view.tip.height)!))
    const mempool = new Mempool({}, { log: silentLogger() })
    await mempool.refresh(view, node, new AbortController().signal)
    const parts = { view, mempool: mempool.snapshot(), scripts: new ScriptCache({ maxBytes: 1 << 24 }) }
    const manager = managerOver(new LiveMoment({ historyLimit: 10_000 }, parts), node)
    await manager.start(new AbortController().signal)
    return new CorpusServer({ manager, replay, view, directory })
  }

  port(kind: 'tcp' | 'ws' | 'http'): number {
    return this.manager.addresses.find((address) => address.kind === kind)!.port
  }

  async stop(): Promise<void> {
    await this.manager.stop()
    this.#view.release()
    await this.#replay.close()
    await rm(this.#directory, { recursive: true, force: true })
  }
}

function managerOver(moment: Moment, daemon: CorpusNode): SessionManager {
  const log = silentLogger()
  const clock = systemClock
  let requests = 0
  const requestId = () => `r${++requests}`
  const moments = new OneMoment(moment)
  const subscriptions = new Subscriptions({ maxPerSession: 0, maxTotal: 0 })
  const notifier = new Notifier(DEFAULT_NOTIFIER, { moments, subscriptions, daemon, clock, log })
  const registry = new MethodRegistry({}, withMethods(electrumMethods(), atomicalsMethods(CORPUS_SETTINGS)))
  const envelope = new Envelope({ maxSend: 0, maxBatch: 100 }, { registry, log, requestId })
  const server = new RecordedServer()
  const shared = new SharedSession(
    { ...DEFAULT_TIMES, costs: unlimited(DEFAULT_COSTS), anonymous: false },
    { registry, envelope, moments, daemon, server, subscriptions, notifier, clock, log, requestId },
  )
  return new SessionManager(
    {
      ...DEFAULT_MANAGER,
      maxHandshakingPerHost: 0,
      listeners: (['tcp', 'ws', 'http'] as const).map((kind) => ({ kind, host: HOST, port: 0 })),
      groups: DEFAULT_GROUPS,
      connection: LIMITS,
    },
    shared,
  )
}
