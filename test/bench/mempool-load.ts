/**
 * Many transactions sent to the node: how soon the server serves them, and how soon those who follow hear of them.
 * `npm run bench:mempool`. test/bench/README.md has settings and marks.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { toDisplayHex, toHex } from '../../src/lib/bytes.ts'
import { sha256 } from '../../src/lib/hash.ts'
import type { Manifest } from './chain/manifest.ts'
import { KIND } from './chain/scripts.ts'
import { Wallet } from './chain/wallet.ts'
import { BenchServer } from './support/bench-server.ts'
import { ElectrumProbe } from './support/electrum-probe.ts'
import type { NodeProcess } from './support/node-process.ts'
import { benchOptions, isOn, wholeFrom } from './support/options.ts'
import { startPreparedChain } from './support/prepared-chain.ts'
import { cpuSeconds, memory } from './support/process-stats.ts'
import { figure, MB, print, printJson, quantile, whole } from './support/report.ts'

const MARK_P50_MS = { zmq: 300, polling: 1000 } as const
/** Numbers of addresses that the chain does not know. */
const FRESH = 0x7000_0000
const FEE = 3000
const SERVED_LIMIT_MS = 180_000
const HEARD_LIMIT_MS = 30_000
const LOOK_MS = 50

const options = benchOptions()
const zmq = isOn('BENCH_ZMQ')
const mark = zmq ? MARK_P50_MS.zmq : MARK_P50_MS.polling
const count = wholeFrom('BENCH_MEMPOOL_TXS', 10_000)
const batch = wholeFrom('BENCH_MEMPOOL_BATCH', 100)
const samples = Math.min(count, wholeFrom('BENCH_MEMPOOL_SAMPLES', 200))

interface Sample {
  /** Which transaction. */
  readonly number: number
  readonly scripthash: string
}

/** Transactions with one input and two outputs to new addresses; some of them to be watched. */
function makeTransactions(manifest: Manifest): { readonly hexes: string[]; readonly watched: Sample[] } {
  const wallet = new Wallet(manifest)
  if (wallet.outputs.length < count) throw new Error('the wallet has not so many outputs')
  const step = Math.floor(count / samples)
  const watched: Sample[] = []
  const hexes = wallet.outputs.slice(-count).map((output, number) => {
    const value = Math.floor((output.value - FEE) / 2)
    const to = wallet.scripts.script(FRESH + 2 * number, KIND.p2wpkh)
    const change = wallet.scripts.script(FRESH + 2 * number + 1, KIND.p2tr)
    if (number % step === 0) watched.push({ number, scripthash: toDisplayHex(sha256(to)) })
    const tx = wallet.spend(output, [
      { value, script: to },
      { value, script: change },
    ])
    return toHex(tx.raw)
  })
  return { hexes, watched }
}

/** Sends all; when the node had taken each, by performance.now(). */
async function push({ rpc }: NodeProcess, hexes: readonly string[]): Promise<Float64Array> {
  const takenAt = new Float64Array(hexes.length)
  for (let i = 0; i < hexes.length; i += batch) {
    const part = hexes.slice(i, i + batch).map((hex) => [hex])
    const answers = await rpc.batch<string>('sendrawtransaction', part)
    for (const answer of answers) if (answer instanceof Error) throw answer
    takenAt.fill(performance.now(), i, i + part.length)
  }
  return takenAt
}

/** Settles with how many are still not served. */
async function untilServed(probe: ElectrumProbe, watched: readonly Sample[]): Promise<number> {
  const deadline = performance.now() + SERVED_LIMIT_MS
  let left = watched
  for (;;) {
    const found = await Promise.all(
      left.map(({ scripthash }) => probe.request<readonly unknown[]>('blockchain.scripthash.get_mempool', scripthash)),
    )
    left = left.filter((_, i) => found[i]?.length === 0)
    if (left.length === 0 || performance.now() > deadline) return left.length
    await delay(LOOK_MS)
  }
}

async function untilHeard(heard: ReadonlyMap<string, number>, expected: number): Promise<void> {
  const deadline = performance.now() + HEARD_LIMIT_MS
  while (heard.size < expected && performance.now() < deadline) await delay(LOOK_MS)
}

const chain = await startPreparedChain(options)
let server: BenchServer | undefined
try {
  const { hexes, watched } = makeTransactions(chain.manifest)
  server = await BenchServer.startIndexed(options, chain.node, zmq ? {} : { DAEMON_ZMQ: '' })
  const heard = new Map<string, number>()
  const probe = await ElectrumProbe.connect(server.port, (_, [scripthash]) => {
    if (typeof scripthash === 'string' && !heard.has(scripthash)) heard.set(scripthash, performance.now())
  })
  for (const { scripthash } of watched) await probe.request('blockchain.scripthash.subscribe', scripthash)
  const cpu = cpuSeconds(server.pid)
  const before = memory(server.pid).resident
  const begun = performance.now()
  const takenAt = await push(chain.node, hexes)
  const pushSeconds = (performance.now() - begun) / 1000
  const pushed = performance.now()
  const unserved = await untilServed(probe, watched)
  const servedAfter = (performance.now() - pushed) / 1000
  await untilHeard(heard, watched.length)
  const lags = watched.flatMap(({ number, scripthash }) => {
    const at = heard.get(scripthash)
    return at === undefined ? [] : [at - takenAt[number]!]
  })
  const figures = {
    txs: count,
    pushSeconds,
    unserved,
    servedAfter,
    watched: watched.length,
    heard: lags.length,
    p50Ms: quantile(lags, 0.5),
    p99Ms: quantile(lags, 0.99),
    cpuSeconds: cpuSeconds(server.pid) - cpu,
    bytesPerTx: (memory(server.pid).resident - before) / count,
  }
  probe.end()
  print(
    `${whole(count)} transactions taken by the node in ${figure(pushSeconds)} s (${whole(count / pushSeconds)} a second)`,
  )
  print(
    `all served ${figure(servedAfter)} s after the last was taken; ${unserved} of ${watched.length} samples were not`,
  )
  print(`${lags.length} of ${watched.length} notified: p50 ${whole(figures.p50Ms)} ms, p99 ${whole(figures.p99Ms)} ms`)
  print(
    `CPU of the server ${figure((figures.cpuSeconds / count) * 1e6)} µs a transaction; memory ${figure((figures.bytesPerTx * count) / MB)} MB more`,
  )
  const met = unserved === 0 && lags.length === watched.length && figures.p50Ms < mark
  print(`mark all notified, p50 ${mark} ms ${zmq ? 'with' : 'without'} ZMQ: ${met ? 'met' : 'MISSED'}`)
  printJson('mempool-load', figures)
} finally {
  await server?.stop()
  await chain.stop()
}
