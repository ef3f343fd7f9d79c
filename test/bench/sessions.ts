/**
 * Many idle sessions, what they cost, and how soon all of them hear of a block that concerns them: `npm run
 * bench:sessions`. test/bench/README.md has settings and marks.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { fromHex, toDisplayHex, toHex } from '../../src/lib/bytes.ts'
import type { Manifest } from './chain/manifest.ts'
import { Wallet } from './chain/wallet.ts'
import type { FollowersAnswer, Heard } from './sessions/followers.ts'
import type { FollowersCommand } from './sessions/followers-child.ts'
import { Pings } from './sessions/pings.ts'
import { Announcements } from './support/announcements.ts'
import { BenchServer } from './support/bench-server.ts'
import { Child } from './support/child.ts'
import { startEcho } from './support/echo.ts'
import type { NodeProcess } from './support/node-process.ts'
import { benchOptions, wholeFrom } from './support/options.ts'
import { readThrough } from './support/page-cache.ts'
import { startPreparedChain } from './support/prepared-chain.ts'
import { cpuSeconds, memory } from './support/process-stats.ts'
import { figure, note, print, printJson, printTable, quantile, whole } from './support/report.ts'

const MARKS = { kilobytesPerSession: 20, setupSeconds: 1, lastNotificationMs: 500, pingP99Ms: 25 } as const
const PARALLEL = 50
/** Sessions, of those that count, that come and go first: a process that has served nobody yet has other needs of memory. */
const WARM_UP_SHARE = 1 / 4
/** Until memory that was only needed for the setting up has been given back: V8 goes by what the last seconds needed. */
const REST_MS = 20_000
/** The same for one that has little to give back. */
const ECHO_REST_MS = 3000
const HEAR_LIMIT_MS = 120_000
const SETUP_LIMIT_MS = 300_000
const FEE = 2000

const options = benchOptions()
const count = wholeFrom('BENCH_SESSIONS', 2000)
const subscriptions = wholeFrom('BENCH_SUBSCRIPTIONS', 5)

interface Setup extends FollowersAnswer {
  readonly kilobytesPerSession: number
  /** Of them, pages of mapped files, as LevelDB's are: the system's cache, not what a session holds. */
  readonly mappedPerSession: number
  readonly cpuSeconds: number
}

interface Target {
  readonly pid: number
  readonly port: number
  readonly restMs: number
  /** Where it has files to read. */
  readonly database?: string
}

function askFollowers<T>(child: Child, command: FollowersCommand, limitMs: number): Promise<T> {
  return child.ask<T>(command, limitMs)
}

/** A quarter of them come and go. */
async function warmUp(child: Child, port: number, manifest: Manifest): Promise<void> {
  const scripthashes = followed(manifest).slice(0, count * WARM_UP_SHARE)
  const question = { do: 'open', port, scripthashes, parallel: PARALLEL } as const
  await askFollowers<FollowersAnswer>(child, question, SETUP_LIMIT_MS)
  await askFollowers<undefined>(child, { do: 'end' }, SETUP_LIMIT_MS)
}

/** What each session follows; `skip`: so many sets of them, for scripts that nobody has asked for. */
function followed({ single }: Manifest, skip = 0): string[][] {
  const first = skip * count * subscriptions
  if (single.length < first + count * subscriptions) throw new Error('the chain has not so many scripts')
  return Array.from({ length: count }, (_, i) =>
    single.slice(first + i * subscriptions, first + (i + 1) * subscriptions).map(({ scripthash }) => scripthash),
  )
}

async function setUp(
  child: Child,
  { pid, port, restMs, database }: Target,
  manifest: Manifest,
  skip = 0,
): Promise<Setup> {
  const scripthashes = followed(manifest, skip)
  await delay(restMs)
  if (database !== undefined) await readThrough(database)
  const before = memory(pid)
  const cpu = cpuSeconds(pid)
  const question = { do: 'open', port, scripthashes, parallel: PARALLEL } as const
  const answer = await askFollowers<FollowersAnswer>(child, question, SETUP_LIMIT_MS)
  if (answer.errors > 0) throw new Error(`${answer.errors} requests were answered with an error`)
  const used = cpuSeconds(pid) - cpu
  await delay(restMs)
  const { resident, mapped } = memory(pid)
  return {
    ...answer,
    kilobytesPerSession: (resident - before.resident) / 1024 / count,
    mappedPerSession: (mapped - before.mapped) / 1024 / count,
    cpuSeconds: used,
  }
}

interface Round {
  readonly bytes: number
  readonly txs: number
  /** Until the node took the block, from when it was sent. */
  readonly acceptedMs: number
  /** After the node announced the block. */
  readonly headers: Times
  readonly scripts: Times
  readonly cpuSeconds: number
  /** Of another client's pings, from the announcement to the last notification. */
  readonly ping: { readonly p50Ms: number; readonly p99Ms: number; readonly longestMs: number }
}

interface Times {
  readonly count: number
  readonly firstMs: number
  readonly p50Ms: number
  readonly lastMs: number
}

function timesOf(heard: readonly number[], since: number): Times {
  const after = heard.map((at) => at - since)
  return {
    count: after.length,
    firstMs: quantile(after, 0),
    p50Ms: quantile(after, 0.5),
    lastMs: quantile(after, 1),
  }
}

/** One block with a transaction for each session that pays all that it follows. `first`: of the wallet's outputs. */
async function mineForAll(
  child: Child,
  server: Omit<Target, 'restMs'>,
  node: NodeProcess,
  manifest: Manifest,
  first: number,
) {
  const wallet = new Wallet(manifest)
  const txs = Array.from({ length: count }, (_, i) => {
    const output = wallet.outputs[first + i]
    if (output === undefined) throw new Error('the wallet has not so many outputs')
    const value = Math.floor((output.value - FEE) / subscriptions)
    const followed = manifest.single.slice(i * subscriptions, (i + 1) * subscriptions)
    return wallet.spend(
      output,
      followed.map(({ script }) => ({ value, script: fromHex(script) })),
    )
  })
  const block = await wallet.block(node.rpc, txs)
  const hex = toHex(block.raw)
  const announcements = await Announcements.listen(node.zmqEndpoint)
  try {
    const pings = await Pings.start(server.port)
    const cpu = cpuSeconds(server.pid)
    const command = { do: 'hear', headers: count, scripts: count * subscriptions, limitMs: HEAR_LIMIT_MS } as const
    const hearing = askFollowers<Heard>(child, command, HEAR_LIMIT_MS + 10_000)
    const sent = performance.timeOrigin + performance.now()
    const refusal = await node.rpc.call<string | null>('submitblock', hex)
    const acceptedMs = performance.timeOrigin + performance.now() - sent
    if (refusal !== null) throw new Error(`the block is refused: ${refusal}`)
    const { headers, scripts, closed } = await hearing
    const announced = announcements.timeOf(toDisplayHex(block.hash))
    if (announced === undefined) throw new Error('the node did not announce the block')
    if (closed > 0) throw new Error(`the server closed ${closed} sessions`)
    if (headers.length !== count || scripts.length !== count * subscriptions) {
      throw new Error(
        `${headers.length} and ${scripts.length} notifications instead of ${count} and ${count * subscriptions}`,
      )
    }
    const used = cpuSeconds(server.pid) - cpu
    const ping = await pings.stop(announced, Math.max(...headers, ...scripts))
    return {
      bytes: block.raw.length,
      txs: block.txCount,
      acceptedMs,
      headers: timesOf(headers, announced),
      scripts: timesOf(scripts, announced),
      cpuSeconds: used,
      ping: { p50Ms: quantile(ping, 0.5), p99Ms: quantile(ping, 0.99), longestMs: quantile(ping, 1) },
    } satisfies Round
  } finally {
    await announcements.close()
  }
}

interface Results {
  readonly echo: Setup
  readonly own: Setup
  /** All of them once more after all have gone: nothing is cold, and what is not theirs is there already. */
  readonly again: Setup
  /** And then with other scripts: cold ones, of a server that has been in use. */
  readonly later: Setup
  readonly rounds: readonly Round[]
}

function report({ echo, own, again, later, rounds }: Results): void {
  const row = (name: string, setup: Setup): string[] => [
    name,
    figure(setup.seconds),
    whole(count / setup.seconds),
    figure(setup.p50Ms),
    figure(setup.p99Ms),
    figure(setup.cpuSeconds),
    figure(setup.kilobytesPerSession),
    figure(setup.mappedPerSession),
  ]
  print(`${whole(count)} sessions that follow headers and ${subscriptions} scripts each`)
  printTable([
    ['', 'set up s', 'a second', 'p50 ms', 'p99 ms', 'CPU s', 'KB each', 'mapped'],
    row('echo', echo),
    row('server', own),
    row('again', again),
    row('later', later),
  ])
  print(
    `server to echo: time ${figure(own.seconds / echo.seconds)}, CPU ${figure(own.cpuSeconds / echo.cpuSeconds)}, ` +
      `memory ${figure(own.kilobytesPerSession / echo.kilobytesPerSession)}`,
  )
  for (const { bytes, txs, acceptedMs, headers, scripts, cpuSeconds: cpu, ping } of rounds) {
    print(
      `block of ${whole(txs)} transactions, ${whole(bytes / 1000)} KB, taken by the node in ${whole(acceptedMs)} ms; ` +
        'after its announcement:',
    )
    const times = (name: string, list: Times): string =>
      `  ${whole(list.count)} ${name}: first ${whole(list.firstMs)}, p50 ${whole(list.p50Ms)}, last ${whole(list.lastMs)} ms`
    print(times('headers', headers))
    print(times('statuses', scripts))
    const { p50Ms, p99Ms, longestMs } = ping
    print(`  meanwhile a ping: p50 ${figure(p50Ms)}, p99 ${figure(p99Ms)}, longest ${figure(longestMs)} ms`)
    print(`  CPU of the server ${figure(cpu)} s`)
  }
  const verdict = (met: boolean): string => (met ? 'met' : 'MISSED')
  const last = Math.max(...rounds.flatMap((round) => [round.headers.lastMs, round.scripts.lastMs]))
  for (const [what, { seconds }] of [
    ['what was asked for before', again],
    ['other scripts, in a server that has run', later],
    ['the first of a process', own],
  ] as const) {
    print(
      `mark set up in ${MARKS.setupSeconds} s, ${what}: ${verdict(seconds <= MARKS.setupSeconds)} (${figure(seconds)})`,
    )
  }
  print(
    `mark ${MARKS.kilobytesPerSession} KB a session: ${verdict(own.kilobytesPerSession <= MARKS.kilobytesPerSession)}`,
  )
  print(`mark last notification after ${MARKS.lastNotificationMs} ms: ${verdict(last < MARKS.lastNotificationMs)}`)
  const slowest = Math.max(...rounds.map(({ ping }) => ping.p99Ms))
  print(`mark ping p99 meanwhile ${MARKS.pingP99Ms} ms: ${verdict(slowest < MARKS.pingP99Ms)}`)
  printJson('sessions', { echo, own, again, later, rounds })
}

const chain = await startPreparedChain(options)
const { node, manifest } = chain
const children: Child[] = []
const followers = (): Child => {
  const child = new Child(new URL('sessions/followers-child.ts', import.meta.url))
  children.push(child)
  return child
}
let server: BenchServer | undefined
try {
  const echo = await startEcho()
  let echoSetup: Setup
  try {
    const clients = followers()
    await warmUp(clients, echo.port, manifest)
    echoSetup = await setUp(clients, { pid: echo.pid, port: echo.port, restMs: ECHO_REST_MS }, manifest)
  } finally {
    await echo.stop()
  }
  server = await BenchServer.startIndexed(options, node, { MAX_SESSIONS: String(2 * count) })
  const clients = followers()
  await warmUp(clients, server.port, manifest)
  const target = { pid: server.pid, port: server.port, restMs: REST_MS, database: server.database }
  const own = await setUp(clients, target, manifest)
  note(`sessions are set up (${((performance.now() - server.startedAt) / 1000).toFixed(1)} s)`)
  // The first block meets code that has never run, the second one does not.
  const rounds = [
    await mineForAll(clients, server, node, manifest, 0),
    await mineForAll(clients, server, node, manifest, count),
  ]
  note(`all have heard (${((performance.now() - server.startedAt) / 1000).toFixed(1)} s)`)
  await askFollowers<undefined>(clients, { do: 'end' }, SETUP_LIMIT_MS)
  const again = await setUp(clients, target, manifest)
  await askFollowers<undefined>(clients, { do: 'end' }, SETUP_LIMIT_MS)
  const later = await setUp(clients, target, manifest, 1)
  report({ echo: echoSetup, own, again, later, rounds })
} finally {
  for (const child of children) await child.stop()
  await server?.stop()
  await chain.stop()
}
