/**
 * Which functions of the server took the time: `npx tsx test/bench/profile.ts DIRECTORY` of the CPU profiles that a bench
 * left there (BENCH_PROFILE=DIRECTORY). Self time, by function and file; then, for the own code, time with all it calls.
 * With two more arguments only from so many seconds of the server's life to so many: benches say when they did what.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { print, printTable } from './support/report.ts'

interface ProfileNode {
  readonly id: number
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  readonly children?: readonly number[]
}

interface Profile {
  readonly nodes: readonly ProfileNode[]
  readonly samples: readonly number[]
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[]
}

const ROWS = 45
const NOT_WORK = new Set(['(idle)', '(root)'])

function nameOf({ callFrame: { functionName, url, lineNumber } }: ProfileNode): string {
  const file = /(?:dist|src|node_modules)\/.*|node:.*/.exec(url)?.[0] ?? url
  return `${functionName === '' ? '(anonymous)' : functionName} ${file}${file === '' ? '' : `:${lineNumber + 1}`}`
}

function summarize(
  profile: Profile,
  from: number,
  to: number,
): { total: number; self: Map<string, number>; all: Map<string, number> } {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]))
  const parents = new Map(profile.nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node.id])))
  const times = new Map<number, number>()
  let now = 0
  for (const [i, id] of profile.samples.entries()) {
    const micros = profile.timeDeltas[i] ?? 0
    now += micros / 1e6
    if (now >= from && now < to) times.set(id, (times.get(id) ?? 0) + micros)
  }
  const self = new Map<string, number>()
  const all = new Map<string, number>()
  let total = 0
  for (const [id, micros] of times) {
    const node = nodes.get(id)
    if (node === undefined || NOT_WORK.has(node.callFrame.functionName)) continue
    total += micros
    add(self, nameOf(node), micros)
    const seen = new Set<string>()
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
      const name = nameOf(nodes.get(at)!)
      if (!seen.has(name)) add(all, name, micros)
      seen.add(name)
    }
  }
  return { total, self, all }
}

function add(sums: Map<string, number>, name: string, micros: number): void {
  sums.set(name, (sums.get(name) ?? 0) + micros)
}

function printTop(title: string, sums: ReadonlyMap<string, number>, total: number): void {
  const top = [...sums].sort((a, b) => b[1] - a[1]).slice(0, ROWS)
  printTable([
    [title, 'ms', '%'],
    ...top.map(([name, micros]) => [name, (micros / 1000).toFixed(0), ((100 * micros) / total).toFixed(1)]),
  ])
}

const [directory, from = 0, to = Number.POSITIVE_INFINITY] = process.argv.slice(2)
if (directory === undefined) throw new Error('which directory?')
for (const file of readdirSync(directory).filter((name) => name.endsWith('.cpuprofile'))) {
  const { total, self, all } = summarize(
    JSON.parse(readFileSync(join(directory, file), 'utf8')) as Profile,
    Number(from),
    Number(to),
  )
  print(`${file}: ${(total / 1e6).toFixed(2)} s of work`)
  printTop('self', self, total)
  const own = new Map([...all].filter(([name]) => / (?:dist|src)\//.test(name)))
  printTop('with all it calls', own, total)
}
