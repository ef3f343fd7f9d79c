/**
 * Requests a CPU second from bytes to bytes (envelope, json-rpc-2.0, registry, handler, cache) over an index in memory
 * that answers in a turn of its own: what the server adds to sockets and to the database.
 * `npx tsx test/bench/handlers.ts [case…]`
 */
import { performance } from 'node:perf_hooks'
import { UtxoList } from '../../src/db/utxo-list.ts'
import type { ChainView, HistoryItem, Tip, Utxo } from '../../src/db/view.ts'
import { concat, fromDisplayHex, toDisplayHex, toHex } from '../../src/lib/bytes.ts'
import { sha256 } from '../../src/lib/hash.ts'
import { silentLogger } from '../../src/log.ts'
import { MomentHub } from '../../src/mempool/hub.ts'
import { Mempool } from '../../src/mempool/mempool.ts'
import type { PendingCall, RequestHost } from '../../src/rpc/envelope.ts'
import type { RpcContext } from '../../src/rpc/method.ts'
import { FakeContext, FakeMoment } from '../support/fake-context.ts'
import { electrumEnvelope } from '../support/rpc-host.ts'

const BLOCKS = 2100
const TXS_PER_BLOCK = 2500
const BUSY = 11_000
const SCRIPTS = 10_000

const headers = Array.from({ length: BLOCKS }, (_, i) => concat(sha256(Buffer.from(`header ${i}`)), new Uint8Array(48)))
const headerBytes = concat(...headers)
const blockIds = concat(...Array.from({ length: TXS_PER_BLOCK }, (_, i) => sha256(Buffer.from(`tx ${i}`))))
const busy = toHex(sha256(Buffer.from('busy')))
const busyKey = fromDisplayHex(busy).subarray(0, 11).toString()

function items(hashX: Uint8Array): number {
  return hashX.toString() === busyKey ? BUSY : 2
}

const turn = <T>(value: T): Promise<T> => new Promise((resolve) => setImmediate(resolve, value))

const view: ChainView = {
  tip: { height: BLOCKS - 1, hash: sha256(headers.at(-1) ?? new Uint8Array()), txCount: 1 } satisfies Tip,
  header: (height) => headers[height],
  headers: (start, count) => {
    const bytes = headerBytes.subarray(start * 80, (start + count) * 80)
    return { count: bytes.length / 80, bytes }
  },
  headerProof: () => Promise.reject(new Error('not measured')),
  blockTxids: () => turn(blockIds),
  row: () => undefined,
  rows: () => turn([]),
  findTransaction: () => turn({ txNum: 5, height: 100, position: 5 }),
  history: (hashX) =>
    turn(
      Array.from({ length: items(hashX) }, (_, i): HistoryItem => {
        return { txNum: i, height: 1000 + i, txid: concat(hashX, Uint8Array.of(i, i >>> 8), new Uint8Array(19)) }
      }),
    ),
  async *historyFrom() {},
  recentHistory: () => undefined,
  utxos: (hashX) =>
    turn(
      Array.from({ length: items(hashX) }, (_, i): Utxo => {
        const txid = concat(hashX, Uint8Array.of(i, i >>> 8), new Uint8Array(19))
        return { txNum: i, height: 1000 + i, txid, vout: 1, value: 123_456n }
      }),
    ),
  unspent: async (hashX) => UtxoList.of(await view.utxos(hashX)),
  balance: () => turn({ value: 0n, outputs: 0 }),
  findSpender: () => turn(undefined),
  unspentOutputs: (outpoints) => turn(outpoints.map(() => undefined)),
  page: () => turn([]),
  lowestPast: 0,
  rowsAt: () => Promise.reject(new Error('not measured')),
  release: () => {},
}

const hub = new MomentHub({ historyLimit: 81_817 }, { mempool: new Mempool({}, { log: silentLogger() }) })
hub.publish(view, { newTip: true, touched: new Set() })

const raw = new Uint8Array(250)

/** A client without limits. */
class Host implements RequestHost {
  readonly #ctx = new FakeContext(new FakeMoment([1]))

  constructor() {
    this.#ctx.charge = () => {}
    this.#ctx.daemon.rawTransaction = () => turn(raw)
  }

  run(_call: PendingCall, job: (ctx: RpcContext) => Promise<unknown>): Promise<unknown> {
    return hub.with((moment) => job(Object.assign(this.#ctx, { moment })))
  }

  failed(failure: { readonly message: string }): void {
    throw new Error(failure.message)
  }
}

const scripts = Array.from({ length: SCRIPTS }, (_, i) => toHex(sha256(Buffer.from(`script ${i}`))))
const txids = Array.from({ length: TXS_PER_BLOCK }, (_, i) => toDisplayHex(blockIds.subarray(i * 32, i * 32 + 32)))

interface Case {
  readonly name: string
  readonly count: number
  readonly warm: boolean
  readonly params: (i: number) => readonly unknown[]
  readonly method: string
}

const byScript = (name: string, method: string): Case[] => {
  const one = { method: `blockchain.scripthash.${method}`, params: (i: number) => [scripts[i % SCRIPTS]] }
  return [
    { ...one, name: `cold ${name}`, count: SCRIPTS, warm: false },
    { ...one, name, count: 60_000, warm: true },
  ]
}

const CASES: readonly Case[] = [
  { name: 'ping', method: 'server.ping', count: 200_000, warm: true, params: () => [] },
  { name: 'features', method: 'server.features', count: 100_000, warm: true, params: () => [] },
  { name: 'headers', method: 'blockchain.headers.subscribe', count: 100_000, warm: true, params: () => [] },
  ...byScript('balance', 'get_balance'),
  ...byScript('history', 'get_history'),
  ...byScript('unspent', 'listunspent'),
  ...byScript('subscribe', 'subscribe'),
  {
    name: 'merkle',
    method: 'blockchain.transaction.get_merkle',
    count: 40_000,
    warm: true,
    params: (i) => [txids[i % TXS_PER_BLOCK], 7 + (i % 50)],
  },
  {
    name: 'id_from_pos',
    method: 'blockchain.transaction.id_from_pos',
    count: 40_000,
    warm: true,
    params: (i) => [7 + (i % 50), i % TXS_PER_BLOCK, true],
  },
  {
    name: 'tx',
    method: 'blockchain.transaction.get',
    count: 40_000,
    warm: true,
    params: (i) => [txids[i % 1000]],
  },
  { name: 'headers2016', method: 'blockchain.block.headers', count: 3000, warm: true, params: () => [0, 2016] },
  { name: 'history11k', method: 'blockchain.scripthash.get_history', count: 300, warm: true, params: () => [busy] },
  { name: 'unspent11k', method: 'blockchain.scripthash.listunspent', count: 300, warm: true, params: () => [busy] },
]

const wanted = process.argv.slice(2)
const host = new Host()
const session = electrumEnvelope({ maxSend: 8_100_000 }).open(host)

async function run(messages: readonly Uint8Array[]): Promise<number> {
  let next = 0
  let bytes = 0
  const one = async (): Promise<void> => {
    for (let message = messages[next++]; message !== undefined; message = messages[next++]) {
      bytes += Buffer.byteLength((await session.handle(message))?.toString() ?? '')
    }
  }
  const begun = performance.now()
  const { user, system } = process.cpuUsage()
  await Promise.all(Array.from({ length: 50 }, one))
  const used = process.cpuUsage({ user, system })
  if (bytes === 0 || performance.now() === begun) throw new Error('nothing was measured')
  return messages.length / ((used.user + used.system) / 1e6)
}

for (const { name, method, params, count, warm } of CASES) {
  if (wanted.length > 0 && !wanted.includes(name)) continue
  const messages = Array.from({ length: count }, (_, i) =>
    Buffer.from(`{"jsonrpc":"2.0","method":"${method}","params":${JSON.stringify(params(i))},"id":${i}}`),
  )
  if (warm) await run(messages)
  const rates: number[] = []
  for (let round = 0; round < (warm ? 5 : 1); round++) rates.push(await run(messages))
  const rate = rates.sort((a, b) => a - b)[Math.floor(rates.length / 2)] ?? 0
  process.stdout.write(`${name}: ${Math.round(rate)} requests per CPU second\n`)
}
