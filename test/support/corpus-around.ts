import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AtomicalsInterest } from '../../src/atomicals/interest.ts'
import type { ChainView } from '../../src/db/view.ts'
import { toDisplayHex } from '../../src/lib/bytes.ts'
import { silentLogger } from '../../src/log.ts'
import { LiveMoment } from '../../src/mempool/live-moment.ts'
import { Mempool } from '../../src/mempool/mempool.ts'
import { ScriptCache } from '../../src/mempool/script-cache.ts'
import { Envelope, type EnvelopeOptions, type EnvelopeSession, type RequestHost } from '../../src/rpc/envelope.ts'
import type { RpcContext } from '../../src/rpc/method.ts'
import { atomicalsMethods } from '../../src/rpc/methods/atomicals/table.ts'
import { electrumMethods, withMethods } from '../../src/rpc/methods/table.ts'
import { MethodRegistry } from '../../src/rpc/registry.ts'
import { objectReply, validateUrn } from '../../src/session/http/objects.ts'
import { type HttpCaller, proxyCall, refusalOf } from '../../src/session/http/proxy.ts'
import type { SharedSession } from '../../src/session/shared.ts'
import type { HttpReply, HttpRequest } from '../../src/session/transports/connection.ts'
import { CORPUS_SETTINGS, CorpusNode } from './atomicals-host.ts'
import { corpusBlocks, Replay } from './atomicals-replay.ts'
import { FakeClient, FakeServer } from './fake-context.ts'

const PROXY = /^\/proxy(-list|-object)?\//
const URN = '/urn/'
const VALIDATE = '/urn/validate/'

/** All methods over the chain of corpus A, with its mempool, for envelopes and for addresses of the HTTP proxy. */
export class CorpusAround {
  readonly #directory: string
  readonly #replay: Replay
  readonly #view: ChainView
  readonly #ctx: Omit<RpcContext, 'client'>
  readonly #server = new FakeServer()
  readonly #registry = new MethodRegistry({}, withMethods(electrumMethods(), atomicalsMethods(CORPUS_SETTINGS)))
  #requests = 0

  private constructor(directory: string, replay: Replay, view: ChainView, moment: LiveMoment, node: CorpusNode) {
    this.#directory = directory
    this.#replay = replay
    this.#view = view
    const { signal } = new AbortController()
    this.#ctx = { moment, daemon: node, server: this.#server, signal, charge: () => {} }
  }

  static async open(): Promise<CorpusAround> {
    const directory = await mkdtemp(join(tmpdir(), 'valence-test-'))
    const replay = await Replay.open(directory)
    const node = new CorpusNode()
    for (const block of corpusBlocks().filter(({ branch }) => branch === 'main' || branch.endsWith('-b'))) {
      await replay.add(block)
      node.add(block)
    }
    await replay.db.flush()
    const view = replay.db.acquireView()
    node.tip = toDisplayHex(view.tip.hash)
    node.fillMempool()
    const mempool = new Mempool({}, { log: silentLogger(), interest: new AtomicalsInterest() })
    await mempool.refresh(view, node, new AbortController().signal)
    const parts = { view, mempool: mempool.snapshot(), scripts: new ScriptCache({ maxBytes: 1 << 24 }) }
    return new CorpusAround(directory, replay, view, new LiveMoment({ historyLimit: 10_000 }, parts), node)
  }

  session(options: EnvelopeOptions): EnvelopeSession {
    const client = new FakeClient(this.#server)
    const host: RequestHost = { run: (_call, job) => job({ ...this.#ctx, client }), failed: () => {} }
    return this.#envelope(options).open(host)
  }

  /** What an HTTP session answers at `/proxy/…` and `/urn/…`. */
  async http(request: HttpRequest): Promise<HttpReply> {
    const shared = {
      registry: this.#registry,
      server: this.#server,
      envelope: this.#envelope({ maxSend: 100_000, maxBatch: 10 }),
      log: silentLogger(),
      requestId: () => this.#requestId(),
    } as unknown as SharedSession
    const caller: HttpCaller = {
      call: (_method, shape, job) => {
        const client = new FakeClient(this.#server)
        client.stream = false
        client.shape = shape
        return job({ ...this.#ctx, client })
      },
      failed: () => {},
      refused: (error, method) => refusalOf(error, method, shared).reply,
    }
    const around = { shared, caller }
    const { path } = request
    if (path.startsWith(VALIDATE)) return validateUrn(decodeURIComponent(path.slice(VALIDATE.length)))
    if (path.startsWith(URN)) return objectReply(decodeURIComponent(path.slice(URN.length)), request, around)
    const [prefix = '', kind] = PROXY.exec(path) ?? []
    const shape = kind === '-list' ? 'list' : kind === '-object' ? 'object' : undefined
    return proxyCall({ method: path.slice(prefix.length), shape }, request, around)
  }

  async close(): Promise<void> {
    this.#view.release()
    await this.#replay.close()
    await rm(this.#directory, { recursive: true, force: true })
  }

  #envelope(options: EnvelopeOptions): Envelope {
    const parts = { registry: this.#registry, log: silentLogger(), requestId: () => this.#requestId() }
    return new Envelope(options, parts)
  }

  #requestId(): string {
    return `r${this.#requests++}`
  }
}
