import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { Child } from '../bench/support/child.ts'
import type { ChainOrder, ChainTip } from '../support/crash-node.ts'
import { CrashServer, dumpIndex } from '../support/crash-server.ts'

const MAIN = resolve(import.meta.dirname, '../../dist/main.js')
const LOADER = createRequire(import.meta.url).resolve('tsx')

const undo: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

it.each([
  ['while it catches up', 60, 0],
  ['at the tip', 600, 60],
])(
  'stops with StorageError full when the system takes no more bytes %s, and goes on once it does',
  async (_when, mostKb, more) => {
    const directory = await mkdtemp(join(tmpdir(), 'valence-full-'))
    undo.push(() => rm(directory, { recursive: true, force: true }))
    const chain = new Child(new URL('../support/crash-node.ts', import.meta.url), ['--import', LOADER])
    undo.push(() => chain.stop())
    const order = (what: ChainOrder): Promise<ChainTip> => chain.ask<ChainTip>(what, 60_000)
    await order({ kind: 'start', directory: join(directory, 'node'), seed: 5 })
    let tip = await order({ kind: 'grow', blocks: 30, txs: 15, fan: 40 })
    const environment = async (name: string): Promise<Record<string, string>> => {
      const DB_DIRECTORY = join(directory, name)
      await mkdir(DB_DIRECTORY, { recursive: true })
      return { ...tip.environment, DB_DIRECTORY, SERVICES: 'tcp://127.0.0.1:0,rpc://127.0.0.1:0', CACHE_MB: '16' }
    }
    const settled = async (name: string): Promise<unknown> => {
      const server = CrashServer.start(MAIN, await environment(name))
      undo.push(() => server.end())
      await server.at(tip.height)
      await server.stop()
      return dumpIndex(MAIN, await environment(name))
    }

    const limited = CrashServer.start(MAIN, await environment('index'), mostKb)
    undo.push(() => limited.end())
    if (more > 0) {
      await limited.at(tip.height)
      tip = await order({ kind: 'grow', blocks: more, txs: 15, fan: 40 })
    }
    expect(await limited.ended(), limited.tail).toBe(1)
    expect(limited.tail).toMatch(/"code":"full"/)
    expect(await settled('index')).toEqual(await settled('fresh'))
  },
)
