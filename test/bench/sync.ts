/**
 * A full sync by the built server, against what the same node and machine can do in the same run: `npm run bench:sync`.
 * test/bench/README.md says what is measured and what the marks are.
 */
import { runFloor } from './floor/floor.ts'
import { BenchServer } from './support/bench-server.ts'
import { settledSizeOf, sizeOf } from './support/disk-size.ts'
import { ElectrumProbe } from './support/electrum-probe.ts'
import { benchOptions, env } from './support/options.ts'
import { readThrough } from './support/page-cache.ts'
import { type PreparedChain, startPreparedChain } from './support/prepared-chain.ts'
import { cpuSeconds, memory } from './support/process-stats.ts'
import { figure, MB, note, print, printJson, printTable, whole } from './support/report.ts'

const MARKS = { seconds: 14, withAtomicals: 16, ofPlain: 1.1, ofFloor: 0.65, memory: 600 * MB, disk: 140 * MB } as const

const options = benchOptions()
/** `off` leaves out what the server is held against: for profiles. */
const withFloor = env('BENCH_FLOOR') !== 'off'

interface Figures {
  readonly seconds: number
  readonly cpuSeconds: number
  readonly peakMemory: number
  readonly diskBytes?: number
}

interface SyncFigures extends Figures {
  readonly nodeCpuSeconds: number
  readonly diskBytes: number
  /** Once the server has put its files in order, which it does while it serves. */
  readonly settledBytes: number
  readonly settledCpuSeconds: number
}

async function sync({ node, manifest, directory }: PreparedChain, atomicals: 'on' | 'off'): Promise<SyncFigures> {
  await readThrough(directory)
  const nodeCpu = cpuSeconds(node.pid)
  const server = await BenchServer.start(options, node, { ATOMICALS: atomicals })
  try {
    const probe = await ElectrumProbe.connect(server.port)
    const { height } = await probe.request<{ height: number }>('blockchain.headers.subscribe')
    const seconds = (performance.now() - server.startedAt) / 1000
    probe.end()
    if (height !== manifest.tip.height) throw new Error(`the server is at height ${height}, not ${manifest.tip.height}`)
    const atReady = {
      cpuSeconds: cpuSeconds(server.pid),
      nodeCpuSeconds: cpuSeconds(node.pid) - nodeCpu,
      diskBytes: await sizeOf(server.database),
    }
    const settledBytes = await settledSizeOf(server.database)
    const settledCpuSeconds = cpuSeconds(server.pid)
    return { ...atReady, seconds, settledBytes, settledCpuSeconds, peakMemory: memory(server.pid).peak }
  } finally {
    await server.stop()
  }
}

async function measureFloors({ node, directory }: PreparedChain) {
  note('fetching')
  await readThrough(directory)
  const fetch = await runFloor('fetch', node)
  const withSpent = await runFloor('fetch with spent outputs', node)
  note('the floor: fetching, parsing and storing')
  await readThrough(directory)
  return { fetch, 'fetch with spent': withSpent, floor: await runFloor('index', node) }
}

const chain = await startPreparedChain(options)
try {
  const { totals } = chain.manifest
  print(`${whole(totals.blocks)} blocks, ${whole(totals.txs)} transactions, ${whole(totals.bytes / MB)} MB`)
  const floors = withFloor ? await measureFloors(chain) : undefined
  const asked = env('ATOMICALS')
  note('the server')
  const own = await sync(chain, asked === 'on' ? 'on' : 'off')
  if (asked === undefined) note('the server with Atomicals')
  const withAtomicals = asked === undefined ? await sync(chain, 'on') : undefined
  const row = (name: string, figures: Figures): string[] => [
    name,
    figure(figures.seconds),
    figure(figures.cpuSeconds),
    whole(totals.bytes / MB / figures.seconds),
    whole(totals.txs / figures.seconds),
    whole((totals.inputs + totals.outputs) / figures.seconds),
    whole(figures.peakMemory / MB),
    figures.diskBytes === undefined ? '' : whole(figures.diskBytes / MB),
  ]
  printTable([
    ['', 'wall s', 'CPU s', 'MB/s', 'tx/s', 'in+out/s', 'peak MB', 'disk MB'],
    ...Object.entries(floors ?? {}).map(([name, figures]) => row(name, figures)),
    row(asked === 'on' ? 'server with Atomicals' : 'server', own),
    ...(withAtomicals === undefined ? [] : [row('server with Atomicals', withAtomicals)]),
  ])
  print(`CPU of the node meanwhile: ${figure(own.nodeCpuSeconds)} s`)
  const verdict = (met: boolean): string => (met ? 'met' : 'MISSED')
  if (floors !== undefined) {
    const ofFloor = own.seconds / floors.floor.seconds
    print(`server to floor: wall ${figure(ofFloor)}, CPU ${figure(own.cpuSeconds / floors.floor.cpuSeconds)}`)
    print(`server to fetch: wall ${figure(own.seconds / floors.fetch.seconds)}`)
    print(`mark ${MARKS.ofFloor} of the floor's wall: ${verdict(ofFloor <= MARKS.ofFloor)}`)
  }
  print(`mark wall ${MARKS.seconds} s: ${verdict(own.seconds <= MARKS.seconds)}`)
  print(`mark peak ${MARKS.memory / MB} MB: ${verdict(own.peakMemory < MARKS.memory)}`)
  const settled = `${whole(own.settledBytes / MB)} MB once in order, after ${figure(own.settledCpuSeconds)} CPU s in all`
  print(`mark disk ${MARKS.disk / MB} MB: ${verdict(own.settledBytes < MARKS.disk)} (${settled})`)
  if (withAtomicals !== undefined) {
    const wall = withAtomicals.seconds / own.seconds
    const cpu = withAtomicals.cpuSeconds / own.cpuSeconds
    print(`with Atomicals to without: wall ${figure(wall)}, CPU ${figure(cpu)}`)
    print(`mark ${MARKS.ofPlain} of both: ${verdict(Math.max(wall, cpu) <= MARKS.ofPlain)}`)
    print(`mark wall ${MARKS.withAtomicals} s with Atomicals: ${verdict(withAtomicals.seconds <= MARKS.withAtomicals)}`)
  }
  printJson('sync', { ...own, withAtomicals, floors, totals })
} finally {
  await chain.stop()
}
