import type { Daemon, TransactionPlace } from '../../src/daemon/daemon.ts'
import { UtxoList } from '../../src/db/utxo-list.ts'
import type { ChainView, HistoryItem, OutputInfo, Tip, Utxo } from '../../src/db/view.ts'
import { DaemonError, ERROR_CODES, RpcError } from '../../src/errors.ts'
import { type Awaitable, after } from '../../src/lib/awaitable.ts'
import { concat, equalBytes, fromHex, toDisplayHex, toHex, toLatin1 } from '../../src/lib/bytes.ts'
import { sha256, sha256d } from '../../src/lib/hash.ts'
import { merkleBranch, merkleRoot } from '../../src/lib/merkle.ts'
import { HistoryList } from '../../src/mempool/history-list.ts'
import { KeptList } from '../../src/mempool/kept.ts'
import type {
  MempoolItem,
  MempoolOutput,
  MempoolSpender,
  MempoolUtxo,
  MempoolView,
  Moment,
  StatusOfHistory,
} from '../../src/mempool/moment.ts'
import { OutputTexts } from '../../src/mempool/output-texts.ts'
import {
  type AtomicalsShape,
  compareVersions,
  type ProtocolVersion,
  type RpcClient,
  type RpcContext,
  type ServerInfo,
} from '../../src/rpc/method.ts'
import type { FoundOutpoint, OutpointRef } from '../../src/rpc/outpoint.ts'
import type { Topic, TopicStatus } from '../../src/rpc/topic.ts'

/** 32 bytes that differ for each text. */
export function someHash(text: string): Uint8Array {
  return sha256(Buffer.from(text))
}

export interface FakeScript {
  readonly confirmed?: readonly HistoryItem[]
  readonly utxos?: readonly Utxo[]
  readonly mempool?: readonly MempoolItem[]
  readonly mempoolUtxos?: readonly MempoolUtxo[]
  readonly delta?: bigint
}

/** A chain in memory: headers of any bytes, ids of the transactions of each block, and scripts as told. */
export class FakeMoment implements Moment {
  /** Txids of each block, by height. */
  readonly blocks: Uint8Array[][] = []
  readonly headerBytes: Uint8Array[] = []
  readonly scripts = new Map<string, FakeScript>()
  /** Who spends an outpoint (36 bytes, Latin-1) in a block. */
  readonly spenders = new Map<string, HistoryItem>()
  /** What outpoints (36 bytes, Latin-1) pay that are unspent in the chain. */
  readonly unspentOutputs = new Map<string, OutputInfo>()
  /** Outputs of mempool transactions by txid. */
  readonly mempoolOutputs = new Map<string, readonly MempoolOutput[]>()
  /** Who spends an outpoint (36 bytes, Latin-1) in the mempool. */
  readonly mempoolSpenders = new Map<string, MempoolSpender>()
  historyLimit = 1000
  /** How often the ids of a block were read. */
  idReads = 0
  released = 0
  histogram: readonly (readonly [number, number])[] = []
  newest: readonly { txid: string; fee: bigint; vsize: number }[] = []

  constructor(transactionsPerBlock: readonly number[]) {
    for (const [height, count] of transactionsPerBlock.entries()) {
      this.blocks.push(Array.from({ length: count }, (_, i) => someHash(`tx ${height} ${i}`)))
      this.headerBytes.push(concat(someHash(`header ${height}`), someHash('more'), new Uint8Array(16).fill(height)))
    }
  }

  setScript(hashX: Uint8Array, script: FakeScript): void {
    this.scripts.set(toLatin1(hashX), script)
  }

  script(hashX: Uint8Array): FakeScript {
    return this.scripts.get(toLatin1(hashX)) ?? {}
  }

  get tip(): Tip {
    const height = this.blocks.length - 1
    return { height, hash: sha256d(this.headerBytes[height]!), txCount: this.blocks.flat().length }
  }

  readonly view: ChainView = fakeView(this)
  readonly mempool: MempoolView = fakeMempool(this)

  async history(hashX: Uint8Array) {
    const { confirmed = [], mempool = [] } = this.script(hashX)
    if (confirmed.length > this.historyLimit) throw new RpcError(ERROR_CODES.historyTooLong.code, 'history too long')
    return { confirmed: HistoryList.of(confirmed), mempool, memo: { text: undefined } }
  }

  async balance(hashX: Uint8Array) {
    const { delta = 0n } = this.script(hashX)
    const { utxos = [] } = this.script(hashX)
    return { confirmed: (await this.view.balance(hashX)).value, unconfirmed: delta, outputs: utxos.length }
  }

  async unspent(hashX: Uint8Array) {
    const { utxos = [], mempoolUtxos = [] } = this.script(hashX)
    return { confirmed: UtxoList.of(utxos), mempool: mempoolUtxos, texts: new OutputTexts() }
  }

  async outputs(hashX: Uint8Array) {
    return UtxoList.of(this.script(hashX).utxos ?? [])
  }

  async status(hashX: Uint8Array): Promise<StatusOfHistory> {
    const { confirmed, mempool } = await this.history(hashX)
    const texts = [...confirmed.map((it) => ({ ...it, txid: toDisplayHex(it.txid) })), ...mempool]
    const text = texts.map(({ txid, height }) => `${txid}:${height}:`).join('')
    const status = text === '' ? null : toHex(sha256(Buffer.from(text)))
    return { status, characters: text.length, confirmed: confirmed.length }
  }
}

function fakeView(moment: FakeMoment): ChainView {
  return {
    get tip() {
      return moment.tip
    },
    header: (height) => moment.headerBytes[height],
    headers: (start, count) => {
      const part = moment.headerBytes.slice(start, start + count)
      return { count: part.length, bytes: concat(...part) }
    },
    headerProof: async (height, checkpoint) => {
      const leaves = concat(...moment.headerBytes.slice(0, checkpoint + 1).map((header) => sha256d(header)))
      return { branch: merkleBranch(leaves, height), root: merkleRoot(leaves) }
    },
    blockTxids: async (height) => {
      moment.idReads++
      const txids = moment.blocks[height]
      return txids === undefined ? undefined : concat(...txids)
    },
    findTransaction: async (txid) => {
      const height = moment.blocks.findIndex((txids) => txids.some((id) => equalBytes(id, txid)))
      if (height === -1) return undefined
      const position = moment.blocks[height]!.findIndex((id) => equalBytes(id, txid))
      return { txNum: moment.blocks.slice(0, height).flat().length + position, height, position }
    },
    history: async (hashX, limit) => (moment.script(hashX).confirmed ?? []).slice(0, limit + 1),
    historyFrom: async function* (hashX, from) {
      yield (moment.script(hashX).confirmed ?? []).filter(({ txNum }) => txNum >= from)
    },
    recentHistory: () => undefined,
    utxos: async (hashX) => moment.script(hashX).utxos ?? [],
    unspent: async (hashX) => UtxoList.of(moment.script(hashX).utxos ?? []),
    balance: async (hashX) => {
      const { utxos = [] } = moment.script(hashX)
      return { value: utxos.reduce((sum, { value }) => sum + value, 0n), outputs: utxos.length }
    },
    row: () => undefined,
    rows: async () => [],
    findSpender: async (_hashX, outpoint) => moment.spenders.get(toLatin1(outpoint)),
    unspentOutputs: async (outpoints) => outpoints.map((outpoint) => moment.unspentOutputs.get(toLatin1(outpoint))),
    page: async () => [],
    lowestPast: 0,
    rowsAt: () => Promise.reject(new Error('not a part of this fake')),
    release: () => {
      moment.released++
    },
  }
}

function fakeMempool(moment: FakeMoment): MempoolView {
  return {
    complete: true,
    regained: true,
    whole: true,
    size: 0,
    has: (txid) => moment.mempoolOutputs.has(txid),
    items: (hashX) => moment.script(hashX).mempool ?? [],
    utxos: (hashX) => moment.script(hashX).mempoolUtxos ?? [],
    isSpent: () => false,
    kept: KeptList.EMPTY,
    orderOf: () => undefined,
    spenderOf: (outpoint) => moment.mempoolSpenders.get(toLatin1(outpoint)),
    output: (txid, vout) => moment.mempoolOutputs.get(txid)?.[vout],
    balanceDelta: (hashX) => moment.script(hashX).delta ?? 0n,
    feeHistogram: () => moment.histogram,
    recent: (count) => moment.newest.slice(0, count),
  }
}

/** A bitcoind that knows what it was told, and writes down what it was asked. */
export class FakeDaemon implements Daemon {
  readonly abilities = { rest: false, spentTxOuts: false, zmq: undefined }
  readonly address = 'fake'
  readonly calls: (readonly unknown[])[] = []
  /** Raw hex by txid, and the block in which each may be looked for (undefined: the mempool). */
  readonly transactions = new Map<string, { readonly raw: string; readonly block: string | undefined }>()
  verbose = '{"hex":"00","value":0.10000000}'
  fee: number | undefined = 0.00012
  relayFee = 0.00001
  /** Thrown by everything that is asked next. */
  failure: Error | undefined

  async #answer<T>(call: readonly unknown[], answer: () => T): Promise<T> {
    this.calls.push(call)
    if (this.failure !== undefined) throw this.failure
    return answer()
  }

  bestBlockHash = toHex(someHash('best block'))
  chainInfo() {
    return this.#answer(['chainInfo'], () => ({
      chain: 'regtest',
      blocks: 0,
      headers: 0,
      bestBlockHash: this.bestBlockHash,
      initialBlockDownload: false,
      pruned: false,
    }))
  }
  networkInfo() {
    return this.#answer(['networkInfo'], () => ({ version: 310000, subversion: '/Fake/', relayFee: this.relayFee }))
  }
  mempoolInfo() {
    return this.#answer(['mempoolInfo'], () => ({
      size: 1,
      loaded: true,
      mempoolMinFee: 0.00002,
      minRelayTxFee: 0.00001,
      incrementalRelayFee: 0.000001,
    }))
  }
  async height(): Promise<never> {
    throw new Error('not a part of this fake')
  }
  readonly turn = 0
  async preferBest(): Promise<never> {
    throw new Error('not a part of this fake')
  }
  async chainTips(): Promise<never> {
    throw new Error('not a part of this fake')
  }
  async blockHashes(): Promise<never> {
    throw new Error('not a part of this fake')
  }
  async rawBlock(): Promise<never> {
    throw new Error('not a part of this fake')
  }
  async spentTxOuts(): Promise<never> {
    throw new Error('not a part of this fake')
  }
  async unspentOutputs(): Promise<never> {
    throw new Error('not a part of this fake')
  }
  async mempoolIds(): Promise<never> {
    throw new Error('not a part of this fake')
  }
  async mempoolTransactions(): Promise<never> {
    throw new Error('not a part of this fake')
  }
  #find(txid: string, block: string | undefined): string {
    const found = this.transactions.get(txid)
    if (found !== undefined && found.block === block) return found.raw
    throw new DaemonError(-5, 'No such mempool or blockchain transaction')
  }
  rawTransaction(txid: string, block?: string) {
    return this.#answer(['rawTransaction', txid, block], () => fromHex(this.#find(txid, block)))
  }
  /** What its index of transactions has, if it has one: raw hex by txid. */
  index: ReadonlyMap<string, string> | undefined
  async indexedTransaction(txid: string) {
    if (this.index === undefined) return undefined
    return this.#answer(['indexedTransaction', txid], () => {
      const raw = this.index?.get(txid)
      return raw === undefined ? undefined : fromHex(raw)
    })
  }
  confirmedTransaction(txid: string, place: TransactionPlace) {
    return this.#answer(['confirmedTransaction', txid, place], () => fromHex(this.#find(txid, place.blockHash)))
  }
  verboseTransaction(txid: string, block?: string) {
    return this.#answer(['verboseTransaction', txid, block], () => {
      this.#find(txid, block)
      return this.verbose
    })
  }
  broadcast(raw: string) {
    return this.#answer(['broadcast', raw], () => toHex(someHash(raw)))
  }
  packageResult = {
    packageMessage: 'success',
    errors: [] as { txid: string; error: string }[],
    raw: { package_msg: 'success' } as unknown,
  }
  broadcastPackage(raws: readonly string[]) {
    return this.#answer(['broadcastPackage', raws], () => this.packageResult)
  }
  testMempoolAccept(raws: readonly string[]) {
    return this.#answer(['testMempoolAccept', raws], () =>
      raws.map((raw, i) => ({
        txid: toHex(someHash(raw)),
        wtxid: toHex(someHash(raw)),
        allowed: i === 0,
        reason: i === 0 ? undefined : 'min relay fee not met',
      })),
    )
  }
  estimateFee(target: number, mode?: string) {
    return this.#answer(['estimateFee', target, mode], () => this.fee)
  }
}

/** A client that remembers what was done to it. */
export class FakeClient implements RpcClient {
  readonly id = 1
  protocol: ProtocolVersion = [1, 4, 0]
  software: string | undefined
  stream = true
  address = '203.0.113.5'
  isPeer = false
  shape: AtomicalsShape | undefined
  followsHeaders = false
  readonly scripts = new Map<string, { readonly alias: string; readonly status: string | null }>()
  readonly outpoints = new Map<string, FoundOutpoint>()
  #identified = false
  readonly #server: Pick<ServerInfo, 'protocolMin' | 'protocolMax'>

  constructor(server: Pick<ServerInfo, 'protocolMin' | 'protocolMax'>) {
    this.#server = server
  }

  chooseShape(shape: AtomicalsShape): void {
    this.shape = shape
  }

  identify(software: string, { min, max }: { min: ProtocolVersion; max: ProtocolVersion }): ProtocolVersion {
    if (this.#identified) throw new RpcError(ERROR_CODES.badRequest.code, 'server.version already sent')
    this.#identified = true
    const { protocolMin, protocolMax } = this.#server
    const chosen = compareVersions(max, protocolMax) < 0 ? max : protocolMax
    if (compareVersions(chosen, min) < 0 || compareVersions(chosen, protocolMin) < 0) {
      throw new RpcError(ERROR_CODES.badRequest.code, 'unsupported protocol version')
    }
    this.software = software
    this.protocol = chosen
    return chosen
  }

  transactionsSent = 0

  sentTransactions(count: number): void {
    this.transactionsSent += count
  }

  becomePeer(): boolean {
    const isFirst = !this.isPeer
    this.isPeer = true
    return isFirst
  }

  subscribeHeaders(): void {
    this.followsHeaders = true
  }
  subscribeScript(hashX: Uint8Array, alias: string, find: () => Awaitable<string | null>): Awaitable<string | null> {
    return after(find(), (status) => {
      this.scripts.set(toLatin1(hashX), { alias, status })
      return status
    })
  }
  unsubscribeScript(hashX: Uint8Array): boolean {
    return this.scripts.delete(toLatin1(hashX))
  }
  readonly topics = new Map<string, TopicStatus>()
  async subscribeTopic({ key }: Topic, find: () => Promise<TopicStatus>): Promise<TopicStatus> {
    const found = await find()
    this.topics.set(key, found)
    return found
  }
  unsubscribeTopic(key: string): boolean {
    return this.topics.delete(key)
  }
  async subscribeOutpoint({ txid, vout }: OutpointRef, find: () => Promise<FoundOutpoint>): Promise<FoundOutpoint> {
    const found = await find()
    this.outpoints.set(`${txid}:${vout}`, found)
    return found
  }
  unsubscribeOutpoint({ txid, vout }: OutpointRef): boolean {
    return this.outpoints.delete(`${txid}:${vout}`)
  }
}

export class FakeServer implements ServerInfo {
  readonly software = 'Valence 0.1.0'
  readonly protocolMin: ProtocolVersion = [1, 4, 0]
  readonly protocolMax: ProtocolVersion = [1, 7, 0]
  readonly genesisHash = '0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206'
  readonly reorgLimit = 200
  readonly donationAddress: string = 'bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq'
  features() {
    return { hosts: { 'electrum.example.org': { tcp_port: 50001 } }, services: ['tcp://electrum.example.org:50001'] }
  }
  async banner() {
    return 'Welcome.'
  }
  peers() {
    return [['192.0.2.7', 'other.example.org', ['v1.6', 's50002']]] as const
  }
}

/** A context for one handler after the other; `cost` is what was charged since it was last set to 0. */
export class FakeContext implements RpcContext {
  readonly moment: FakeMoment
  readonly daemon = new FakeDaemon()
  readonly server = new FakeServer()
  readonly client = new FakeClient(this.server)
  readonly abort = new AbortController()
  readonly signal = this.abort.signal
  cost = 0
  /** Past it charge() throws -101, like a session's. */
  hardLimit = Number.POSITIVE_INFINITY

  constructor(moment: FakeMoment = new FakeMoment([1, 2, 3])) {
    this.moment = moment
  }

  charge(cost: number): void {
    this.cost += cost
    if (this.cost > this.hardLimit) {
      throw new RpcError(ERROR_CODES.excessiveUsage.code, 'excessive resource usage')
    }
  }
}
