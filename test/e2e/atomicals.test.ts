import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ATOMICALS, LOCATIONS } from '../../src/atomicals/layout.ts'
import { realDisk } from '../../src/db/disk.ts'
import { HEADS, HISTORY } from '../../src/db/layout.ts'
import { openLevelStore } from '../../src/db/level-store.ts'
import { fromHex, fromLatin1 } from '../../src/lib/bytes.ts'
import { sha256d } from '../../src/lib/hash.ts'
import { RegtestNode } from '../../src/regtest/node.ts'
import { CORPUS_ENVIRONMENT, corpusBlocks } from '../support/atomicals-replay.ts'
import { ServerProcess } from '../support/server-process.ts'

const MAIN = resolve(import.meta.dirname, '../../dist/main.js')
const blocks = corpusBlocks()

interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** The built server over the built-in node of another process, which has corpus A as far as it was given. */
describe('the server with Atomicals', () => {
  let directory = ''
  let node: RegtestNode

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'valence-atomicals-'))
    node = new RegtestNode({ directory: join(directory, 'node') })
    await node.start(AbortSignal.timeout(60_000))
  })

  afterEach(async () => {
    await node.stop()
    await rm(directory, { recursive: true, force: true })
  })

  const environment = (name: string, more: Readonly<Record<string, string>> = {}): Record<string, string> => ({
    NET: 'regtest',
    DAEMON_URL: node.url,
    DAEMON_COOKIE_FILE: node.cookieFile,
    DB_DIRECTORY: join(directory, name),
    SERVICES: 'tcp://127.0.0.1:0,rpc://127.0.0.1:0',
    CACHE_MB: '16',
    REORG_LIMIT: '400',
    DAEMON_POLL_INTERVAL_BLOCKS: '20',
    ...CORPUS_ENVIRONMENT,
    ...more,
  })

  function give(count: number): void {
    for (const { hex } of blocks.splice(0, count))
      expect([null, 'inconclusive']).toContain(node.submitBlock(fromHex(hex)))
  }

  function index(name: string, ...words: readonly string[]): Promise<Outcome> {
    const env = { PATH: process.env['PATH'] ?? '', ...environment(name) }
    return new Promise((settle) => {
      execFile(process.execPath, [MAIN, 'index', ...words], { env, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
        settle({ code: error === null ? 0 : Number(error.code), stdout, stderr })
      })
    })
  }

  async function heightOf(server: ServerProcess): Promise<number> {
    const { index: at } = (await server.admin('getinfo')) as { readonly index: { readonly height: number } }
    return at.height
  }

  it('has the index of an undisturbed server after kills in between, and the check finds nothing but what is spoilt', async () => {
    give(130)
    let kills = 0
    while (blocks.length > 0) {
      const server = ServerProcess.start(environment('killed'))
      await server.ready()
      give(45)
      // In the middle of what it was just given.
      const aim = node.height - 5
      while ((await heightOf(server)) < aim) continue
      await server.stop('SIGKILL')
      kills += 1
    }
    expect(kills).toBeGreaterThan(3)
    for (const name of ['killed', 'undisturbed']) {
      const server = ServerProcess.start(environment(name))
      await server.ready()
      while ((await heightOf(server)) < node.height) continue
      await server.stop()
    }
    const killed = await index('killed', 'dump')
    expect(killed.stdout).toMatch(/^height 310\n/)
    expect(killed).toEqual(await index('undisturbed', 'dump'))

    const good = await index('killed', 'check')
    expect(good.stdout).toBe('the index agrees with 311 blocks with 4004 transactions of the node\n')
    expect(good.code).toBe(0)

    const store = await openLevelStore(join(directory, 'killed', 'index'), { cacheBytes: 1 << 20 }, realDisk)
    const batch = store.batch()
    const [location] = await store.rows({ ...LOCATIONS.range(), limit: 1 })
    const [atomical] = await store.rows({ ...ATOMICALS.range(), limit: 1 })
    const hashX = sha256d(fromLatin1(ATOMICALS.readKey(atomical![0]).id)).subarray(0, 11)
    batch.del(location![0])
    for (const space of [HISTORY, HEADS]) {
      for (const [key] of await store.rows(space.range(hashX))) batch.del(key)
    }
    await batch.write()
    await store.close()
    const bad = await index('killed', 'check')
    expect(bad.stdout).toMatch(/^whole index: atomicals locations\n {2}missing: /m)
    expect(bad.stdout).toMatch(/^height \d+: history\n {2}missing: /m)
    expect(bad.code).toBe(1)
    expect((await readdir(join(directory, 'killed'))).filter((name) => name.startsWith('check-'))).toEqual([])
  })

  it('serves an index without Atomicals only where they are off, and says so', async () => {
    const plain = ServerProcess.start(environment('plain', { ATOMICALS: 'off' }))
    await plain.ready()
    await plain.stop()
    const refused = ServerProcess.start(environment('plain'))
    expect(await refused.ended()).not.toBe(0)
    const said = refused.errors + refused.log.map((line) => JSON.stringify(line)).join('\n')
    expect(said).toContain('without the index')
    expect(said).toContain('ATOMICALS is on now')
    const dump = await index('plain', 'dump')
    expect(dump.code).not.toBe(0)
    expect(dump.stderr).toContain('ATOMICALS is on now')
    const again = ServerProcess.start(environment('plain', { ATOMICALS: 'off' }))
    await again.ready()
    await again.stop()
  })
})
