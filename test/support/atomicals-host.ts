import { AtomicalsInterest } from '../../src/atomicals/interest.ts'
import { BITCOIN_ADDRESSES } from '../../src/chain/address.ts'
import { parseBlock, txAt, txidAt } from '../../src/chain/block.ts'
import { headerHash } from '../../src/chain/headers.ts'
import { parseWholeTx, serializeTx } from '../../src/chain/tx.ts'
import type { ChainView } from '../../src/db/view.ts'
import { DaemonError, ParseError, RpcError } from '../../src/errors.ts'
import { fromHex, toDisplayHex } from '../../src/lib/bytes.ts'
import { silentLogger } from '../../src/log.ts'
import { LiveMoment } from '../../src/mempool/live-moment.ts'
import { Mempool } from '../../src/mempool/mempool.ts'
import { ScriptCache } from '../../src/mempool/script-cache.ts'
import { type Json, MAX_DEPTH, readJsonText, writeJson } from '../../src/rpc/json.ts'
import { writtenIfLong } from '../../src/rpc/json-in-turns.ts'
import type { RpcContext } from '../../src/rpc/method.ts'
import { atomicalsMethods } from '../../src/rpc/methods/atomicals/table.ts'
import { electrumMethods, withMethods } from '../../src/rpc/methods/table.ts'
import { MethodRegistry } from '../../src/rpc/registry.ts'
import { CORPUS_HEIGHTS, type CorpusBlock, fixture } from './atomicals-replay.ts'
import { FakeClient, FakeDaemon, FakeServer } from './fake-context.ts'

/** A node that has the blocks of the corpus and its mempool. */
export class CorpusNode extends FakeDaemon {
  readonly #raws = new Map<string, Uint8Array>()
  readonly #mempool: { readonly txid: string; readonly hex: string }[] = []
  tip = ''
  /** How many transactions were asked for. */
  asked = 0
  /** How many were to be sent. */
  broadcasts = 0

  add({ hex, hash }: Pick<CorpusBlock, 'hex' | 'hash'>): void {
    const block = parseBlock(fromHex(hex))
    for (let i = 0; i < block.txCount; i++) this.#raws.set(toDisplayHex(txidAt(block, i)), serializeTx(txAt(block, i)))
    this.tip = hash
  }

  fillMempool(): void {
    this.#mempool.push(
      ...(JSON.parse(fixture('corpus-a', 'mempool.json').toString()) as { txid: string; hex: string }[]),
    )
  }

  override chainInfo() {
    return Promise.resolve({
      chain: 'regtest',
      blocks: 0,
      headers: 0,
      bestBlockHash: this.tip,
      initialBlockDownload: false,
      pruned: false,
    })
  }

  override mempoolIds(): Promise<never> {
    // The fake that this stands on answers never; what is answered here is what the interface says.
    return Promise.resolve({ txids: this.#mempool.map(({ txid }) => txid), sequence: undefined } as never)
  }

  /** Whatever can be asked for by its id, as a node with an index of transactions. */
  override confirmedTransaction(txid: string): Promise<Uint8Array<ArrayBuffer>> {
    return this.rawTransaction(txid)
  }

  override async mempoolTransactions(txids?: readonly string[]): Promise<never> {
    return (txids ?? []).map((id) => {
      const found = this.#mempool.find(({ txid }) => txid === id)
      return found === undefined ? undefined : fromHex(found.hex)
    }) as never
  }

  /** Refuses everything, with bitcoind's codes: garbage, what is confirmed, and the rest for what it spends. */
  override broadcast(raw: string): Promise<never> {
    this.broadcasts += 1
    return Promise.reject(this.#refusal(raw))
  }

  #refusal(raw: string): DaemonError {
    try {
      const { txid } = parseWholeTx(fromHex(raw))
      if (this.#raws.has(toDisplayHex(txid))) return new DaemonError(-27, 'Transaction outputs already in utxo set')
      return new DaemonError(-25, 'bad-txns-inputs-missingorspent')
    } catch (error) {
      if (error instanceof ParseError) return new DaemonError(-22, 'TX decode failed')
      throw error
    }
  }

  override rawTransaction(txid: string): Promise<Uint8Array<ArrayBuffer>> {
    this.asked += 1
    const raw = this.#raws.get(txid)
    if (raw === undefined) return Promise.reject(new DaemonError(-5, 'No such mempool or blockchain transaction'))
    return Promise.resolve(Uint8Array.from(raw))
  }
}

export interface HostAnswer {
  readonly result?: Json
  readonly error?: number
  readonly message?: string
  /** What was charged. */
  readonly cost: number
}

/** What the recording calls its chain. */
export const CORPUS_SETTINGS = {
  coin: 'BitcoinRegtest',
  network: 'regtest',
  addresses: BITCOIN_ADDRESSES.regtest,
  heights: CORPUS_HEIGHTS,
}

/** Answers requests as a session would, out of one view of the corpus. */
export class AtomicalsHost {
  readonly #registry = new MethodRegistry({}, withMethods(electrumMethods(), atomicalsMethods(CORPUS_SETTINGS)))
  readonly #moment: LiveMoment
  readonly #node: CorpusNode

  private constructor(moment: LiveMoment, node: CorpusNode) {
    this.#moment = moment
    this.#node = node
  }

  static async over(view: ChainView, node: CorpusNode): Promise<AtomicalsHost> {
    node.tip = toDisplayHex(headerHash(view.header(view.tip.height)!))
    const mempool = new Mempool({}, { log: silentLogger(), interest: new AtomicalsInterest() })
    await mempool.refresh(view, node, new AbortController().signal)
    const parts = { view, mempool: mempool.snapshot(), scripts: new ScriptCache({ maxBytes: 1 << 24 }) }
    return new AtomicalsHost(new LiveMoment({ historyLimit: 10_000 }, parts), node)
  }

  async ask(method: string, params: unknown): Promise<HostAnswer> {
    const { text, ...answer } = await this.write(method, params)
    return text === undefined ? answer : { ...answer, result: readJsonText(text, 10 * MAX_DEPTH) }
  }

  /** ask() with the result as the text that is sent. */
  async write(method: string, params: unknown): Promise<Omit<HostAnswer, 'result'> & { readonly text?: string }> {
    let cost = 0
    const server = new FakeServer()
    const ctx: RpcContext = {
      client: new FakeClient(server),
      moment: this.#moment,
      daemon: this.#node,
      server,
      signal: new AbortController().signal,
      charge: (more) => {
        cost += more
      },
    }
    try {
      const answer = await this.#registry.dispatch(method, params, ctx)
      return { text: writeJson(await writtenIfLong(answer, ctx)), cost }
    } catch (error) {
      if (error instanceof RpcError) return { error: error.code, message: error.message, cost }
      if (error instanceof DaemonError) return { error: 2, cost }
      throw error
    }
  }
}
