/**
 * How soon the built server serves a full block, tells everybody whom it concerns, and how it answers meanwhile: `npm run
 * bench:tip`. test/bench/README.md has settings and marks.
 */
import { toDisplayHex, toHex } from '../../src/lib/bytes.ts'
import type { AddressFacts } from './chain/manifest.ts'
import type { FollowersAnswer, Heard } from './sessions/followers.ts'
import type { FollowersCommand } from './sessions/followers-child.ts'
import { BenchServer } from './support/bench-server.ts'
import { Child } from './support/child.ts'
import type { NodeProcess } from './support/node-process.ts'
import { benchOptions, wholeFrom } from './support/options.ts'
import { readThrough } from './support/page-cache.ts'
import { startPreparedChain } from './support/prepared-chain.ts'
import { cpuSeconds, untilAtRest } from './support/process-stats.ts'
import { figure, note, print, printJson, printTable, quantile, whole } from './support/report.ts'
import { FullBlocks } from './tip/full-blocks.ts'
import type { Observed, ObserverCommand } from './tip/observer-child.ts'

const MARKS = { servedMs: 100, lastNotificationMs: 300, pingP99Ms: 25 } as const
const PARALLEL = 50
const LIMIT_MS = 120_000

const options = benchOptions()
const sessions = wholeFrom('BENCH_SESSIONS', 1000)
const subscriptions = wholeFrom('BENCH_SUBSCRIPTIONS', 5)
/** As many full blocks as the wallet's outputs last for. */
const blocks = wholeFrom('BENCH_TIP_BLOCKS', 4)

/** Milliseconds after the announcement. */
interface Round {
  readonly txs: number
  readonly bytes: number
  readonly acceptedMs: number
  readonly servedMs: number
  readonly firstHeaderMs: number
  readonly lastHeaderMs: number
  readonly firstStatusMs: number
  readonly lastStatusMs: number
  readonly pingP99Ms: number
  readonly longestPingMs: number
  readonly cpuSeconds: number
}

interface Stage {
  readonly clients: Child
  readonly observer: Child
  readonly server: BenchServer
  readonly node: NodeProcess
  readonly followed: readonly AddressFacts[]
  readonly full: FullBlocks
}

const now = (): number => performance.timeOrigin + performance.now()

async function mine({ clients, observer, server, node, followed, full }: Stage): Promise<Round> {
  const block = await full.wallet.block(node.rpc, full.transactions(followed))
  const hex = toHex(block.raw)
  const asked = followed[followed.length - 1]
  if (asked === undefined) throw new Error('nothing is followed')
  const { port, pid } = server
  const { zmqEndpoint } = node
  await untilAtRest([pid, node.pid])
  await readThrough(server.database)
  const watching = { do: 'begin', port, zmqEndpoint, scripthash: asked.scripthash, height: block.height } as const
  await observer.ask<undefined>(watching satisfies ObserverCommand, LIMIT_MS)
  const cpu = cpuSeconds(pid)
  const command = { do: 'hear', headers: sessions, scripts: followed.length, limitMs: LIMIT_MS } as const
  const hearing = clients.ask<Heard>(command satisfies FollowersCommand, LIMIT_MS + 10_000)
  const sent = now()
  const refusal = await node.rpc.call<string | null>('submitblock', hex)
  const acceptedMs = now() - sent
  if (refusal !== null) throw new Error(`the block is refused: ${refusal}`)
  const { headers, scripts, closed } = await hearing
  if (closed > 0) throw new Error(`the server closed ${closed} sessions`)
  if (headers.length !== sessions || scripts.length !== followed.length) {
    throw new Error(`${headers.length} and ${scripts.length} notifications, not ${sessions} and ${followed.length}`)
  }
  const used = cpuSeconds(pid) - cpu
  const question = { do: 'end', hash: toDisplayHex(block.hash), last: Math.max(...headers, ...scripts) } as const
  const seen = await observer.ask<Observed>(question satisfies ObserverCommand, LIMIT_MS)
  const { announced, served, pings } = seen
  return {
    txs: block.txCount,
    bytes: block.raw.length,
    acceptedMs,
    servedMs: served - announced,
    firstHeaderMs: quantile(headers, 0) - announced,
    lastHeaderMs: quantile(headers, 1) - announced,
    firstStatusMs: quantile(scripts, 0) - announced,
    lastStatusMs: quantile(scripts, 1) - announced,
    pingP99Ms: quantile(pings, 0.99),
    longestPingMs: quantile(pings, 1),
    cpuSeconds: used,
  }
}

function report(rounds: readonly Round[]): void {
  print(`${whole(sessions)} sessions that follow headers and ${whole(sessions * subscriptions)} scripts, all paid`)
  const rows: readonly (readonly [name: string, of: (round: Round) => number])[] = [
    ['transactions', (round) => round.txs],
    ['bytes', (round) => round.bytes],
    ['taken by the node, ms', (round) => round.acceptedMs],
    ['in a history, ms', (round) => round.servedMs],
    ['first header, ms', (round) => round.firstHeaderMs],
    ['last header, ms', (round) => round.lastHeaderMs],
    ['first status, ms', (round) => round.firstStatusMs],
    ['last status, ms', (round) => round.lastStatusMs],
    ['ping p99, ms', (round) => round.pingP99Ms],
    ['longest ping, ms', (round) => round.longestPingMs],
    ['CPU of the server, s', (round) => round.cpuSeconds],
  ]
  const text = (value: number): string => (value >= 1000 ? whole(value) : figure(value))
  const median = (of: (round: Round) => number): number => quantile(rounds.map(of), 0.5)
  printTable([
    ['after the announcement', ...rounds.map((_, i) => `block ${i + 1}`), 'median'],
    ...rows.map(([name, of]) => [name, ...rounds.map((round) => text(of(round))), text(median(of))]),
  ])
  const verdict = (value: number, mark: number): string => (value <= mark ? 'met' : 'MISSED')
  const [served, last] = [median((round) => round.servedMs), median((round) => round.lastStatusMs)]
  const ping = median((round) => round.pingP99Ms)
  print(`mark in a history after ${MARKS.servedMs} ms: ${verdict(served, MARKS.servedMs)}`)
  print(`mark last notification after ${MARKS.lastNotificationMs} ms: ${verdict(last, MARKS.lastNotificationMs)}`)
  print(`mark ping p99 meanwhile ${MARKS.pingP99Ms} ms: ${verdict(ping, MARKS.pingP99Ms)}`)
  printJson('tip', { sessions, subscriptions, rounds })
}

const chain = await startPreparedChain(options)
const { node, manifest } = chain
const clients = new Child(new URL('sessions/followers-child.ts', import.meta.url))
const observer = new Child(new URL('tip/observer-child.ts', import.meta.url))
let server: BenchServer | undefined
try {
  server = await BenchServer.startIndexed(options, node, { MAX_SESSIONS: String(2 * sessions) })
  const followed = manifest.single.slice(0, sessions * subscriptions)
  const scripthashes = Array.from({ length: sessions }, (_, i) =>
    followed.slice(i * subscriptions, (i + 1) * subscriptions).map(({ scripthash }) => scripthash),
  )
  const question: FollowersCommand = { do: 'open', port: server.port, scripthashes, parallel: PARALLEL }
  const { errors } = await clients.ask<FollowersAnswer>(question, LIMIT_MS)
  if (errors > 0) throw new Error(`${errors} requests were answered with an error`)
  const stage: Stage = { clients, observer, server, node, followed, full: new FullBlocks(manifest) }
  const since = (): string => ((performance.now() - (server?.startedAt ?? 0)) / 1000).toFixed(1)
  note(`sessions are set up (${since()} s)`)
  const rounds: Round[] = []
  for (let i = 0; i < blocks; i++) {
    rounds.push(await mine(stage))
    note(`block ${i + 1} is heard of (${since()} s)`)
  }
  report(rounds)
} finally {
  await clients.stop()
  await observer.stop()
  await server?.stop()
  await chain.stop()
}
