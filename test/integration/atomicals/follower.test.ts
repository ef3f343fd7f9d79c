import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { ATOMICALS_SPACES } from '../../../src/atomicals/layout.ts'
import { AtomicalsQueries } from '../../../src/atomicals/queries.ts'
import { coinOf } from '../../../src/coins/registry.ts'
import { type Environment, readSettings } from '../../../src/config/settings.ts'
import { Bitcoind } from '../../../src/daemon/bitcoind.ts'
import type { IndexDatabase } from '../../../src/db/index-db.ts'
import { STATE } from '../../../src/db/layout.ts'
import { openIndex } from '../../../src/index-opening.ts'
import { fromDisplayHex, fromHex, fromLatin1, toDisplayHex } from '../../../src/lib/bytes.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { sha256d } from '../../../src/lib/hash.ts'
import { silentLogger } from '../../../src/log.ts'
import { MomentHub } from '../../../src/mempool/hub.ts'
import { Mempool } from '../../../src/mempool/mempool.ts'
import { RegtestNode } from '../../../src/regtest/node.ts'
import { BlockProcessor } from '../../../src/sync/block-processor.ts'
import { Follower } from '../../../src/sync/follower.ts'
import {
  CORPUS_ENVIRONMENT,
  type CorpusBlock,
  corpusBlocks,
  corpusConfig,
  expectedRows,
} from '../../support/atomicals-replay.ts'

/** Corpus A as a node has it: the index follows by the ordinary daemon client, through reorganisations and restarts. */

const undo: (() => unknown)[] = []

afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

const blocks = corpusBlocks()
const never = new AbortController().signal

async function directoryOf(name: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), `atomicals-${name}-`))
  undo.push(() => rm(directory, { recursive: true }))
  return directory
}

async function nodeWith(some: readonly CorpusBlock[]): Promise<RegtestNode> {
  const node = new RegtestNode({ directory: await directoryOf('node') })
  await node.start(never)
  undo.push(() => node.stop())
  give(node, some)
  return node
}

/** Blocks of a branch that is not the best yet are inconclusive. */
function give(node: RegtestNode, some: readonly CorpusBlock[]): void {
  for (const { hex } of some) expect([null, 'inconclusive']).toContain(node.submitBlock(fromHex(hex)))
}

/** What follows the node between one start and stop. */
class Station {
  readonly hub: MomentHub
  readonly #node: RegtestNode
  readonly #db: IndexDatabase
  readonly #daemon: Bitcoind
  readonly #follower: Follower
  readonly #failures: unknown[] = []

  private constructor(node: RegtestNode, db: IndexDatabase, daemon: Bitcoind) {
    const log = silentLogger()
    const mempool = new Mempool({}, { log })
    this.#node = node
    this.#db = db
    this.#daemon = daemon
    this.hub = new MomentHub({ historyLimit: 10_000 }, { mempool })
    this.#follower = new Follower(
      { mempoolPollMs: 60_000 },
      {
        chain: new BlockProcessor({}, { db, daemon, clock: systemClock, log }),
        mempool,
        hub: this.hub,
        daemon,
        notices: daemon.notices,
        clock: systemClock,
        log,
        fatal: (error) => void this.#failures.push(error),
      },
    )
  }

  static async start(directory: string, node: RegtestNode, environment: Environment): Promise<Station> {
    const db = await opened(directory, environment)
    db.warm()
    const options = { urls: [node.url], cookieFile: node.cookieFile, zmq: node.zmqEndpoint }
    const daemon = new Bitcoind(options, { log: silentLogger(), clock: systemClock })
    await daemon.start(never)
    const station = new Station(node, db, daemon)
    await station.#follower.start(never)
    return station
  }

  /** Settles once the node's tip is served. */
  async settled(): Promise<void> {
    const isThere = (): boolean =>
      this.#failures.length > 0 || toDisplayHex(this.#db.tip.hash) === this.#node.bestBlockHash
    const heard = new AbortController()
    await new Promise<void>((resolve) => {
      const check = (): void => {
        if (isThere() && this.hub.ready) resolve()
      }
      this.hub.listen(check, heard.signal)
      check()
    })
    heard.abort()
    expect(this.#failures).toEqual([])
  }

  block(height: number): Promise<{ readonly hash: string; readonly count: number } | undefined> {
    return this.hub.with(({ view }) => {
      const row = AtomicalsQueries.of(view).block(height)
      return row === undefined ? undefined : { hash: toDisplayHex(row.hash), count: row.count }
    })
  }

  async stop(): Promise<void> {
    await this.#follower.stop()
    await this.#daemon.stop()
    expect(this.#db.outstandingViews).toBe(0)
    await this.#db.close()
    expect(this.#failures).toEqual([])
  }
}

function opened(directory: string, environment: Environment): Promise<IndexDatabase> {
  const settings = readSettings({ ...environment, NET: 'regtest', DB_DIRECTORY: directory, REORG_LIMIT: '400' })
  const memory = { cacheBytes: 8 << 20, pendingBytes: 64 << 20 }
  return openIndex({ settings, coin: coinOf(settings.coin, settings.net) }, memory)
}

/** All rows of an index that nobody has open. */
async function dumpOf(directory: string, environment: Environment): Promise<string[]> {
  const db = await opened(directory, environment)
  const lines: string[] = []
  for await (const line of db.canonicalDump()) lines.push(line)
  await db.close()
  return lines
}

const stateRow = `row ${STATE.prefix.toString(16)}`

describe('an index that follows a node with corpus A', () => {
  it('has the hash of every lost branch, is stopped in between, and ends as one that was never disturbed', async () => {
    const marks = corpusConfig().marks.filter(({ atomicals_block_hash: hash }) => hash !== undefined)
    expect(marks).toHaveLength(3)
    const node = await nodeWith([])
    const directory = await directoryOf('index')
    let given = 0
    for (const mark of marks) {
      const station = await Station.start(directory, node, CORPUS_ENVIRONMENT)
      // Once while the node is ahead, and block by block from then on.
      give(node, blocks.slice(given, mark.arrival - 2))
      await station.settled()
      for (const block of blocks.slice(mark.arrival - 2, mark.arrival)) {
        give(node, [block])
        await station.settled()
      }
      given = mark.arrival
      expect(await station.block(mark.height)).toEqual({ hash: mark.atomicals_block_hash, count: mark.atomical_count })
      await station.stop()
    }
    const followed = await Station.start(directory, node, CORPUS_ENVIRONMENT)
    give(node, blocks.slice(given))
    await followed.settled()

    const wrong: number[] = []
    let compared = 0
    for (const { method, via, params, result } of expectedRows('expected')) {
      if (method !== 'blockchain.atomicals.get_block_hash' || via !== undefined || Number(params[0]) === 0) continue
      const hash = (result as { result: string | null } | undefined)?.result
      if (typeof hash !== 'string') continue
      compared += 1
      if ((await followed.block(Number(params[0])))?.hash !== hash) wrong.push(Number(params[0]))
    }
    expect(compared).toBeGreaterThan(200)
    expect(wrong).toEqual([])
    await followed.stop()

    const fresh = await directoryOf('fresh')
    const undisturbed = await Station.start(fresh, node, CORPUS_ENVIRONMENT)
    await undisturbed.settled()
    await undisturbed.stop()
    expect(await dumpOf(directory, CORPUS_ENVIRONMENT)).toEqual(await dumpOf(fresh, CORPUS_ENVIRONMENT))
  })

  it('answers histories of ids by double SHA-256 from the moments it serves', async () => {
    const node = await nodeWith(blocks)
    const station = await Station.start(await directoryOf('index'), node, CORPUS_ENVIRONMENT)
    await station.settled()
    let compared = 0
    await station.hub.with(async (moment) => {
      const queries = AtomicalsQueries.of(moment.view)
      const names = new Set<string>()
      for (let number = 0; ; number++) {
        const id = queries.idOfNumber(number)
        if (id === undefined) break
        names.add(toDisplayHex(sha256d(fromLatin1(id))))
      }
      for (const { method, via, params, result } of expectedRows('expected')) {
        const scripthash = params[0]
        if (method !== 'blockchain.scripthash.get_history' || via !== undefined || !Array.isArray(result)) continue
        if (typeof scripthash !== 'string' || !names.has(scripthash)) continue
        const { confirmed } = await moment.history(fromDisplayHex(scripthash).subarray(0, 11))
        expect(confirmed.map(({ txid, height }) => ({ tx_hash: toDisplayHex(txid), height }))).toEqual(result)
        compared += 1
      }
    })
    expect(compared).toBe(15)
    await station.stop()
  })

  it('keeps nothing of Atomicals where they are off, and everything else all the same', async () => {
    const node = await nodeWith(blocks)
    const dumps: string[][] = []
    for (const environment of [CORPUS_ENVIRONMENT, { ...CORPUS_ENVIRONMENT, ATOMICALS: 'off' }]) {
      const directory = await directoryOf('index')
      const station = await Station.start(directory, node, environment)
      await station.settled()
      expect((await station.block(300)) !== undefined).toBe(environment === CORPUS_ENVIRONMENT)
      await station.stop()
      dumps.push(await dumpOf(directory, environment))
    }
    const own = new Set(ATOMICALS_SPACES.map(({ prefix }) => `row ${prefix.toString(16)}`))
    const [on = [], off = []] = dumps
    expect(off.filter((line) => own.has(line.slice(0, 6)))).toEqual([])
    // The state row says what an index was made with.
    const common = (lines: readonly string[]): string[] =>
      lines.filter((line) => !own.has(line.slice(0, 6)) && !line.startsWith(stateRow))
    const without = new Set(common(off))
    const withThem = new Set(common(on))
    expect([...without].filter((line) => !withThem.has(line))).toEqual([])
    const more = [...withThem].filter((line) => !without.has(line))
    expect(more.length).toBeGreaterThan(700)
    expect(more.filter((line) => !line.startsWith('history '))).toEqual([])
  })
})
