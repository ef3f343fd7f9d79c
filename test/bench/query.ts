/**
 * Requests a second in closed loops, as ratios to a Node server that only parses and answers with null, behind the same
 * client in the same run: `npm run bench:query`. test/bench/README.md has cases, settings and marks.
 */
import type { Manifest } from './chain/manifest.ts'
import { BATCH_SIZE, coldCases, type QueryCase, warmCases } from './query/cases.ts'
import type { LoadAnswer, LoadQuestion } from './query/load.ts'
import { BenchServer } from './support/bench-server.ts'
import { Child } from './support/child.ts'
import { startEcho } from './support/echo.ts'
import { ElectrumProbe } from './support/electrum-probe.ts'
import { benchOptions, env, numberFrom } from './support/options.ts'
import { readThrough } from './support/page-cache.ts'
import { type PreparedChain, startPreparedChain } from './support/prepared-chain.ts'
import { memory } from './support/process-stats.ts'
import { figure, MB, note, print, printJson, printTable, whole } from './support/report.ts'

type Grid = readonly [connections: number, depth: number]

const WIDE_GRIDS: readonly Grid[] = [
  [10, 10],
  [20, 50],
]
const LONG_GRID: Grid = [4, 2]
const ONE_AT_A_TIME: Grid = [1, 1]
const COLD_GRID: Grid = [10, 10]

const MARK_P99_MS = 1
const COLD_LIMIT_S = 60
/** How the node is asked for transactions itself: as many connections as the server has. */
const NODE_CONNECTIONS = 8
const NODE_TXS = 10_000
const NODE_LIMIT_MS = 5000
/** Histories whose length is compared with what the chain's maker counted. */
const CHECKED = { single: 200, few: 50, warm: 5, hot: 1 } as const

const options = benchOptions()
const seconds = numberFrom('BENCH_SECONDS', 2)
const warmSeconds = numberFrom('BENCH_WARM_SECONDS', 0.5)
const wanted = env('BENCH_CASES')?.split(',')

const isWanted = ({ name }: QueryCase): boolean => wanted === undefined || wanted.includes(name)

/** Speed of wrong answers means nothing. Throws if a history has not the length it should have. */
async function checkHistories(port: number, manifest: Manifest): Promise<void> {
  const probe = await ElectrumProbe.connect(port)
  const probed = [
    ...manifest.single.slice(-CHECKED.single),
    ...manifest.few.slice(0, CHECKED.few),
    ...manifest.warm.slice(0, CHECKED.warm),
    ...manifest.hot.slice(-CHECKED.hot),
  ]
  for (const { scripthash, history } of probed) {
    const items = await probe.request<readonly unknown[]>('blockchain.scripthash.get_history', scripthash)
    if (items.length !== history) throw new Error(`${scripthash}: ${items.length} transactions instead of ${history}`)
  }
  probe.end()
  note(`${probed.length} histories are as long as they should be`)
}

/** The same transactions as `cold tx` of the node itself, as it is asked where there need be no txindex. */
async function askNode({ node, manifest }: PreparedChain, ours: number): Promise<void> {
  const transactions = manifest.transactions.slice(-NODE_TXS)
  const heights = [...new Set(transactions.map(({ height }) => height))]
  const hashes = await node.rpc.batch<string>(
    'getblockhash',
    heights.map((height) => [height]),
  )
  const blockOf = new Map(heights.map((height, i) => [height, hashes[i]]))
  const waiting = transactions.values()
  const begun = performance.now()
  let asked = 0
  const lane = async (): Promise<void> => {
    for (const { txid, height } of waiting) {
      if (performance.now() - begun > NODE_LIMIT_MS) return
      await node.rpc.call('getrawtransaction', txid, false, blockOf.get(height))
      asked += 1
    }
  }
  await Promise.all(Array.from({ length: NODE_CONNECTIONS }, lane))
  const theirs = (asked / (performance.now() - begun)) * 1000
  note(`the node answers getrawtransaction with the block's hash ${whole(theirs)} times a second`)
  print(`mark cold tx not slower than the node: ${ours >= theirs ? 'met' : 'MISSED'} (${figure(ours / theirs)} of it)`)
}

interface Target {
  readonly port: number
  readonly pid: number
}

interface Outcome extends LoadAnswer {
  readonly name: string
  readonly grid: string
  readonly mark: number | undefined
  /** Requests a second, and processor time of a request, in terms of the echo server's. */
  readonly rateToEcho: number
  readonly costToEcho: number
}

class Bench {
  readonly outcomes: Outcome[] = []
  readonly #client: Child
  readonly #echo: Target
  readonly #echoAnswers = new Map<string, LoadAnswer>()

  constructor(client: Child, echo: Target) {
    this.#client = client
    this.#echo = echo
  }

  async run(target: BenchServer, entry: QueryCase, grid: Grid, once: boolean): Promise<Outcome> {
    const echo = await this.#echoAt(grid)
    const begun = performance.now()
    const answer = await this.#load(target, entry, grid, once)
    const window = [begun, performance.now()].map((at) => ((at - target.startedAt) / 1000).toFixed(1)).join(' to ')
    const outcome = {
      ...answer,
      name: entry.name,
      grid: grid.join('x'),
      mark: entry.mark,
      rateToEcho: answer.perSecond / echo.perSecond,
      costToEcho: answer.serverMicros / echo.serverMicros,
    }
    this.outcomes.push(outcome)
    // For profile.ts, which can look at so many seconds of the server's life alone.
    note(`${entry.name} ${grid.join('x')}: ${whole(answer.perSecond)} a second (${window} s)`)
    if (answer.errors > 0) throw new Error(`${entry.name}: ${answer.errors} errors like ${answer.errorSample}`)
    if (answer.closed > 0) throw new Error(`${entry.name}: the server closed ${answer.closed} connections`)
    return outcome
  }

  /** Asks everything once, as far as that gets in the time of a cold case. */
  async prime(target: Target, entry: QueryCase): Promise<void> {
    await this.#load(target, entry, COLD_GRID, true)
  }

  async #echoAt(grid: Grid): Promise<LoadAnswer> {
    const key = grid.join('x')
    const known = this.#echoAnswers.get(key)
    if (known !== undefined) return known
    const answer = await this.#load(
      this.#echo,
      { requests: ['{"jsonrpc":"2.0","method":"server.ping","params":[],"id":'] },
      grid,
      false,
    )
    this.#echoAnswers.set(key, answer)
    this.outcomes.push({ ...answer, name: 'echo', grid: key, mark: undefined, rateToEcho: 1, costToEcho: 1 })
    return answer
  }

  async #load(
    target: Target,
    { requests, ends }: Pick<QueryCase, 'requests' | 'ends'>,
    [connections, depth]: Grid,
    once: boolean,
  ) {
    const limit = once ? COLD_LIMIT_S : seconds
    const question: LoadQuestion = {
      port: target.port,
      pid: target.pid,
      connections,
      depth,
      requests,
      ends,
      once,
      warmSeconds,
      seconds: limit,
    }
    return this.#client.ask<LoadAnswer>(question, (limit + warmSeconds + 120) * 1000)
  }
}

function tableOf(outcomes: readonly Outcome[]): string[][] {
  const head = [
    'case',
    'grid',
    'req/s',
    'of echo',
    'p50 ms',
    'p99 ms',
    'server µs',
    'of echo',
    'MB/s',
    'cores s/c/other',
  ]
  const rows = outcomes.map((o) => [
    o.name,
    o.grid,
    whole(o.perSecond),
    figure(o.rateToEcho),
    figure(o.p50Ms),
    figure(o.p99Ms),
    figure(o.serverMicros),
    figure(o.costToEcho),
    figure(o.megabytesPerSecond),
    [o.serverCores, o.clientCores, o.otherCores].map((cores) => cores.toFixed(2)).join('/'),
  ])
  return [head, ...rows]
}

function printMarks(outcomes: readonly Outcome[]): void {
  const best = new Map<string, Outcome>()
  for (const outcome of outcomes) {
    if (outcome.mark !== undefined && outcome.perSecond > (best.get(outcome.name)?.perSecond ?? 0)) {
      best.set(outcome.name, outcome)
    }
  }
  for (const { name, perSecond, mark = 0 } of best.values()) {
    print(`mark ${name} ${whole(mark)}/s: ${perSecond >= mark ? 'met' : 'MISSED'} (${whole(perSecond)})`)
  }
  const [calls, batch] = ['calls100', 'batch100'].map((wanted) => outcomes.find(({ name }) => name === wanted))
  if (calls !== undefined && batch !== undefined) {
    const ratio = (batch.perSecond * BATCH_SIZE) / calls.perSecond
    const cost = batch.serverMicros / BATCH_SIZE / calls.serverMicros
    print(
      `mark a batch of ${BATCH_SIZE} histories beats ${BATCH_SIZE} calls: ${ratio > 1 ? 'met' : 'MISSED'} ` +
        `(${figure(ratio)} of their speed at ${figure(cost)} of their processor time)`,
    )
  }
  for (const { name, grid, p99Ms } of outcomes) {
    if (grid !== ONE_AT_A_TIME.join('x') || name === 'echo' || name === 'batch100') continue
    print(
      `mark ${name} one at a time p99 ${MARK_P99_MS} ms: ${p99Ms < MARK_P99_MS ? 'met' : 'MISSED'} (${figure(p99Ms)})`,
    )
  }
}

const chain = await startPreparedChain(options)
const client = new Child(new URL('query/load-child.ts', import.meta.url))
const echo = await startEcho()
let server: BenchServer | undefined
try {
  server = await BenchServer.startIndexed(options, chain.node)
  await checkHistories(server.port, chain.manifest)
  const bench = new Bench(client, echo)
  // Before anything else has been asked for.
  for (const entry of coldCases(chain.manifest).filter(isWanted)) {
    // Cold is what nobody has asked for, not what the system has thrown out of its memory.
    for (const directory of [server.database, chain.directory]) await readThrough(directory)
    const { perSecond } = await bench.run(server, entry, COLD_GRID, true)
    if (entry.name === 'cold tx') await askNode(chain, perSecond)
  }
  for (const entry of warmCases(chain.manifest).filter(isWanted)) {
    if (entry.primed === true) await bench.prime(server, entry)
    const usual = entry.long === true ? [LONG_GRID] : [...WIDE_GRIDS, ONE_AT_A_TIME]
    const grids = entry.grid === undefined ? usual : [entry.grid]
    for (const grid of grids) await bench.run(server, entry, grid, false)
  }
  printTable(tableOf(bench.outcomes))
  printMarks(bench.outcomes)
  const { resident, peak } = memory(server.pid)
  print(`the server holds ${whole(resident / MB)} MB, at most ${whole(peak / MB)} MB`)
  printJson('query', { outcomes: bench.outcomes, resident, peak })
} finally {
  await server?.stop()
  await echo.stop()
  await client.stop()
  await chain.stop()
}
