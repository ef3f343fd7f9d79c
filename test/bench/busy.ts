/**
 * Queries while a full block comes in, as ratios to the same queries at rest in the same run: `npm run bench:busy`.
 * test/bench/README.md has settings and marks.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { toHex } from '../../src/lib/bytes.ts'
import type { Manifest } from './chain/manifest.ts'
import { type QueryCase, warmCases } from './query/cases.ts'
import type { LoadAnswer, LoadQuestion } from './query/load.ts'
import { BenchServer } from './support/bench-server.ts'
import { Child } from './support/child.ts'
import { ElectrumProbe } from './support/electrum-probe.ts'
import type { NodeProcess } from './support/node-process.ts'
import { benchOptions, env, numberFrom } from './support/options.ts'
import { readThrough } from './support/page-cache.ts'
import { startPreparedChain } from './support/prepared-chain.ts'
import { untilAtRest } from './support/process-stats.ts'
import { figure, note, print, printJson, printTable, whole } from './support/report.ts'
import { FullBlocks } from './tip/full-blocks.ts'

const MARKS = { rate: 0.9, p99Ms: 25 } as const
const GRID = { connections: 10, depth: 10 } as const
/** A full block each, of which the wallet's outputs last for four. */
const USUAL_CASES = 'ping,balance1,history1,merkle'
/** Scripts that are asked for and that the block pays, so that what is kept of them is outdated. */
const PAID = 5000
/** How long after the begin of what is measured the block is handed to the node. */
const HAND_OVER_MS = 300
const SERVED_LIMIT_MS = 20_000

const options = benchOptions()
/** So long for one block: sixty times mainnet's pace. */
const seconds = numberFrom('BENCH_SECONDS', 10)
const warmSeconds = numberFrom('BENCH_WARM_SECONDS', 0.5)
const wanted = (env('BENCH_CASES') ?? USUAL_CASES).split(',')

interface Stage {
  readonly client: Child
  readonly server: BenchServer
  readonly node: NodeProcess
  readonly manifest: Manifest
  readonly full: FullBlocks
}

interface Outcome {
  readonly name: string
  readonly rest: LoadAnswer
  readonly busy: LoadAnswer
  /** Of the rate at rest. */
  readonly ratio: number
}

async function load({ client, server }: Stage, entry: QueryCase): Promise<LoadAnswer> {
  const { requests, ends, name } = entry
  const { port, pid } = server
  const question: LoadQuestion = { port, pid, ...GRID, requests, ends, once: false, warmSeconds, seconds }
  const answer = await client.ask<LoadAnswer>(question, (seconds + warmSeconds + 120) * 1000)
  if (answer.errors > 0) throw new Error(`${name}: ${answer.errors} errors like ${answer.errorSample}`)
  if (answer.closed > 0) throw new Error(`${name}: the server closed ${answer.closed} connections`)
  return answer
}

/** Hands over a block in the middle of the load. Throws unless it is served before the load has ended. */
async function loadWithBlock(stage: Stage, entry: QueryCase): Promise<LoadAnswer> {
  const { node, manifest, full, server } = stage
  const block = await full.wallet.block(node.rpc, full.transactions(manifest.single.slice(-PAID)))
  const hex = toHex(block.raw)
  await untilAtRest([server.pid, node.pid])
  await readThrough(server.database)
  let served = Number.POSITIVE_INFINITY
  const probe = await ElectrumProbe.connect(server.port, (_method, [tip]) => {
    if ((tip as { readonly height: number }).height >= block.height) served = performance.now()
  })
  try {
    await probe.request('blockchain.headers.subscribe')
    const loading = load(stage, entry)
    // Heard of below.
    loading.catch(() => {})
    await delay(warmSeconds * 1000 + HAND_OVER_MS)
    const refusal = await node.rpc.call<string | null>('submitblock', hex)
    if (refusal !== null) throw new Error(`the block is refused: ${refusal}`)
    const answer = await loading
    const ended = performance.now()
    while (served === Number.POSITIVE_INFINITY && performance.now() - ended < SERVED_LIMIT_MS) await delay(10)
    if (served > ended)
      throw new Error(`${entry.name}: the block was served after the load; BENCH_SECONDS is too short`)
    return answer
  } finally {
    probe.end()
  }
}

async function measure(stage: Stage, entry: QueryCase): Promise<Outcome> {
  await untilAtRest([stage.server.pid, stage.node.pid])
  await readThrough(stage.server.database)
  const rest = await load(stage, entry)
  const busy = await loadWithBlock(stage, entry)
  const ratio = busy.perSecond / rest.perSecond
  note(`${entry.name}: ${whole(rest.perSecond)} a second at rest, ${figure(ratio)} of that with a block`)
  return { name: entry.name, rest, busy, ratio }
}

function report(outcomes: readonly Outcome[]): void {
  print(`a full block in ${seconds} s of load`)
  printTable([
    [
      'case',
      'req/s at rest',
      'with a block',
      'ratio',
      'p99 ms at rest',
      'with a block',
      'cores s/c/other',
      'with a block',
    ],
    ...outcomes.map(({ name, rest, busy, ratio }) => [
      name,
      whole(rest.perSecond),
      whole(busy.perSecond),
      figure(ratio),
      figure(rest.p99Ms),
      figure(busy.p99Ms),
      coresOf(rest),
      coresOf(busy),
    ]),
  ])
  for (const { name, busy, ratio } of outcomes) {
    print(`mark ${name} with a block ${MARKS.rate} of the rate at rest: ${ratio >= MARKS.rate ? 'met' : 'MISSED'}`)
    print(`mark ${name} with a block p99 ${MARKS.p99Ms} ms: ${busy.p99Ms <= MARKS.p99Ms ? 'met' : 'MISSED'}`)
  }
  printJson('busy', { outcomes })
}

function coresOf({ serverCores, clientCores, otherCores }: LoadAnswer): string {
  return [serverCores, clientCores, otherCores].map((cores) => cores.toFixed(2)).join('/')
}

const chain = await startPreparedChain(options)
const client = new Child(new URL('query/load-child.ts', import.meta.url))
let server: BenchServer | undefined
try {
  server = await BenchServer.startIndexed(options, chain.node)
  const { node, manifest } = chain
  const stage: Stage = { client, server, node, manifest, full: new FullBlocks(manifest) }
  const outcomes: Outcome[] = []
  for (const entry of warmCases(manifest).filter(({ name }) => wanted.includes(name))) {
    outcomes.push(await measure(stage, entry))
  }
  report(outcomes)
} finally {
  await server?.stop()
  await client.stop()
  await chain.stop()
}
