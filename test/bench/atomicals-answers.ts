/**
 * The Atomicals methods on an index with a million atomicals and a token with 100,000 holders, and what a start reads of
 * it: `npm run bench:answers`. test/bench/README.md says what the marks are.
 */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { compactOfIdText } from '../../src/atomicals/id-text.ts'
import { AtomicalsIndexer } from '../../src/atomicals/indexer.ts'
import { ATOMICALS_SPACES } from '../../src/atomicals/layout.ts'
import { IndexDatabase } from '../../src/db/index-db.ts'
import { rangeOf } from '../../src/db/layout.ts'
import { openLevelStore } from '../../src/db/level-store.ts'
import type { Store } from '../../src/db/store.ts'
import { toDisplayHex } from '../../src/lib/bytes.ts'
import { sha256 } from '../../src/lib/hash.ts'
import { heightsFrom } from '../support/atomicals-chain.ts'
import { AtomicalsHost, CorpusNode } from '../support/atomicals-host.ts'
import { manyAtomicals, NAMED, nameOf, scriptOf, TOKEN } from './support/many-atomicals.ts'
import { env, numberFrom, wholeFrom } from './support/options.ts'
import { memory } from './support/process-stats.ts'
import { figure, MB, note, print, printJson, printTable, quantile, whole } from './support/report.ts'

const ATOMICALS = wholeFrom('BENCH_ATOMICALS', 1_000_000)
const HOLDERS = wholeFrom('BENCH_HOLDERS', 100_000)
const CALLS = wholeFrom('BENCH_CALLS', 50)
/** Calls of a method end after so long, however few there were. */
const CASE_MS = numberFrom('BENCH_SECONDS', 3) * 1000
const MARK_MS = 50
const DELAY_MARK_MS = 25
/** What a busy machine adds to the longest delay is no fault of the answer: one call in ten may meet it. */
const DELAY_QUANTILE = 0.9

const token = compactOfIdText(TOKEN)
const random = (below: number, call: number): number => (call * 7_919 + 13) % below
const scripthash = toDisplayHex(sha256(scriptOf(7)))

const CASES: readonly (readonly [name: string, method: string, params: (call: number) => readonly unknown[]])[] = [
  ['holders, first 50', 'get_holders', () => [token, 50, 0]],
  ['holders, 1,000 by cursor', 'get_holders', () => [token, 1_000, 0, '']],
  ['holders, 50 behind half of them', 'get_holders', () => [token, 50, Math.floor(HOLDERS / 2)]],
  ['ft info', 'get_ft_info', () => [token]],
  ['location of the token', 'get_location', () => [token]],
  ['get', 'get', (call) => [random(ATOMICALS, call)]],
  ['state', 'get_state', (call) => [random(ATOMICALS, call)]],
  ['list, 50', 'list', (call) => [50, random(ATOMICALS, call), true]],
  ['list, the last 50', 'list', () => [50, -50, true]],
  ['numbers, 50,000', 'get_numbers', (call) => [50_000, random(ATOMICALS, call), false]],
  ['find realms, 1,000', 'find_realms', () => ['', false, 1_000, 0]],
  ['find realms, from the last', 'find_realms', () => ['name', true, 100, 0]],
  ['find realms, behind 50,000', 'find_realms', () => ['', false, 100, 50_000]],
  ['find realms, verified, behind 50,000', 'find_realms', () => ['', false, 100, 50_000, true]],
  ['realm by name', 'get_by_realm', (call) => [nameOf(random(ATOMICALS / NAMED, call) * NAMED + NAMED)]],
  ['tokens of a script', 'get_ft_balances_scripthash', () => [scripthash]],
  ['global', 'get_global', () => [100]],
]

interface Measured {
  readonly name: string
  readonly calls: number
  readonly p50: number
  readonly most: number
  /** Of the longest delays of the event loop in each call. */
  readonly delay: number
  readonly rss: number
  readonly cost: number
  readonly bytes: number
}

async function measure(host: AtomicalsHost, [name, method, params]: (typeof CASES)[number]): Promise<Measured> {
  const times: number[] = []
  const delays: number[] = []
  let cost = 0
  let bytes = 0
  const delay = monitorEventLoopDelay({ resolution: 1 })
  const end = performance.now() + CASE_MS
  for (let call = 0; call < CALLS && (call === 0 || performance.now() < end); call++) {
    delay.reset()
    delay.enable()
    const begun = performance.now()
    const answer = await host.write(`blockchain.atomicals.${method}`, params(call))
    times.push(performance.now() - begun)
    delay.disable()
    delays.push(delay.max / 1e6)
    if (answer.text === undefined) throw new Error(`${name}: ${answer.message ?? 'no result'}`)
    cost = Math.max(cost, answer.cost)
    bytes = Math.max(bytes, answer.text.length)
  }
  const most = Math.max(...times)
  const [p50, longest] = [quantile(times, 0.5), quantile(delays, DELAY_QUANTILE)]
  return { name, calls: times.length, p50, most, delay: longest, rss: process.memoryUsage.rss() / MB, cost, bytes }
}

async function measureWarm(indexer: AtomicalsIndexer, stores: readonly Store[]) {
  const before = memory(process.pid)
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const begun = performance.now()
  for (const store of stores) await indexer.warm(store)
  delay.disable()
  const ms = performance.now() - begun
  const after = memory(process.pid)
  const mapped = (after.mapped - before.mapped) / MB
  return { ms, delay: delay.max / 1e6, rss: (after.resident - before.resident) / MB, mapped }
}

async function printSizes(stores: readonly Store[]): Promise<Record<string, number>> {
  const sizes: Record<string, number> = {}
  for (const store of stores) {
    for (const { name, prefix } of ATOMICALS_SPACES) sizes[name] = await store.size(rangeOf(Uint8Array.of(prefix)))
  }
  printTable([['', 'MB on disk'], ...Object.entries(sizes).map(([name, size]) => [name, figure(size / MB)])])
  return sizes
}

const begun = performance.now()
const cache = env('BENCH_CACHE') ?? join(tmpdir(), 'valence-bench')
const options = await manyAtomicals({ atomicals: ATOMICALS, holders: HOLDERS, cache })
note(`${whole(ATOMICALS)} atomicals in ${figure((performance.now() - begun) / 1000)} s`)

const indexer = new AtomicalsIndexer({ heights: heightsFrom() })
const stores: Store[] = []
const db = await IndexDatabase.open(options, {
  indexers: [indexer],
  openStore: async (...args) => {
    const store = await openLevelStore(...args)
    stores.push(store)
    return store
  },
})
try {
  const sizes = await printSizes(stores)
  const warm = await measureWarm(indexer, stores)
  const view = db.acquireView()
  const rows: Measured[] = []
  try {
    const host = await AtomicalsHost.over(view, new CorpusNode())
    for (const one of CASES) await host.write(`blockchain.atomicals.${one[1]}`, one[2](0))
    for (const one of CASES) rows.push(await measure(host, one))
  } finally {
    view.release()
  }
  print(`${whole(ATOMICALS)} atomicals, a token with ${whole(HOLDERS)} holders; ${CALLS} calls each at most`)
  printTable([
    ['', 'calls', 'p50 ms', 'most ms', 'loop delay ms', 'RSS MB', 'cost', 'KB', 'mark'],
    ...rows.map(({ name, calls, p50, most, delay, rss, cost, bytes }) => [
      name,
      String(calls),
      figure(p50),
      figure(most),
      figure(delay),
      whole(rss),
      figure(cost),
      whole(bytes / 1000),
      p50 <= MARK_MS && delay <= DELAY_MARK_MS ? 'met' : 'MISSED',
    ]),
  ])
  print(
    `the filter of a start: ${figure(warm.ms)} ms, loop delay ${figure(warm.delay)} ms, ` +
      `${whole(warm.rss)} MB more, ${whole(warm.mapped)} of them mapped files`,
  )
  printJson('atomicals-answers', { atomicals: ATOMICALS, holders: HOLDERS, rows, warm, sizes })
} finally {
  await db.close()
}
