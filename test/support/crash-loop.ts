import { readdirSync, statSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import { Child } from '../bench/support/child.ts'
import type { ChainOrder, ChainTip } from './crash-node.ts'
import { SeededRandom } from './crash-random.ts'
import { CrashServer, dumpIndex, type IndexDigest, runIndex } from './crash-server.ts'
import { tearIndex } from './crash-torn.ts'

/** What a server is doing, about, when it is killed. */
const PHASES = ['opening', 'sync', 'flush', 'gathering', 'reorganisation', 'rollback'] as const
export type Phase = (typeof PHASES)[number]

export interface KillLoopOptions {
  readonly rounds: number
  /** Rounds that there are however long they take. */
  readonly least?: number
  /** No further round is begun after so long. */
  readonly seconds: number
  readonly seed: number
  /** main.js of the server. */
  readonly main: string
  /** Rounds from one comparison with an undisturbed index to the next; there is one at the end besides. */
  readonly compareEvery: number
  /** Transactions of a block and outputs of a transaction, at most about. */
  readonly txs: number
  readonly fan: number
  readonly say: (line: string) => void
}

export interface KillLoopReport {
  readonly rounds: number
  readonly kills: Readonly<Record<Phase, number>>
  /** Kills after which something was torn besides. */
  readonly torn: number
  readonly comparisons: number
  readonly digest: IndexDigest
  readonly fresh: IndexDigest
}

const ORDER_LIMIT_MS = 120_000
/** Reorganisations can add up while no server is there to follow them. */
const DEEPEST = 10
const REORG_LIMIT = 60
const WATCH_LIMIT_MS = 4000

/**
 * Kills servers again and again while their node mines and reorganises, tears what a loss of power could tear, and
 * compares the index with that of an undisturbed server. Throws if a server does not go on by itself, if the indexes
 * differ, and if `index check` finds something. The directories are kept then, and named.
 */
export async function runKillLoop(options: KillLoopOptions): Promise<KillLoopReport> {
  const directory = await mkdtemp(join(tmpdir(), 'valence-crash-'))
  const loop = new KillLoop(options, directory)
  try {
    const report = await loop.run()
    await rm(directory, { recursive: true, force: true })
    return report
  } catch (error) {
    throw new Error(`seed ${options.seed}, round ${loop.round}, kept in ${directory}: ${loop.doing}`, { cause: error })
  } finally {
    await loop.close()
  }
}

class KillLoop {
  round = 0
  /** What the round does, as words. */
  doing = ''
  readonly #options: KillLoopOptions
  readonly #random: SeededRandom
  readonly #directory: string
  readonly #index: string
  readonly #chain: Child
  readonly #kills: Record<Phase, number> = {
    opening: 0,
    sync: 0,
    flush: 0,
    gathering: 0,
    reorganisation: 0,
    rollback: 0,
  }
  #torn = 0
  /** Files were cut shorter than they have to be, and no server was let complete them for certain. */
  #mayBeShort = false
  #comparisons = 0
  #tip: ChainTip | undefined
  /** Whether the node tells what blocks spend: where it does not, the index lists outputs from then on. */
  #tells = true
  #server: CrashServer | undefined

  constructor(options: KillLoopOptions, directory: string) {
    this.#options = options
    this.#random = new SeededRandom(options.seed)
    this.#directory = directory
    this.#index = join(directory, 'index-under-test')
    const loader = createRequire(import.meta.url).resolve('tsx')
    const runsSources = process.execArgv.some((flag) => flag.includes('tsx'))
    this.#chain = new Child(new URL('crash-node.ts', import.meta.url), runsSources ? [] : ['--import', loader])
  }

  async run(): Promise<KillLoopReport> {
    const { rounds, least = 0, seconds, seed, compareEvery, txs, fan } = this.#options
    const deadline = performance.now() + seconds * 1000
    await mkdir(this.#index, { recursive: true })
    await this.#order({ kind: 'start', directory: join(this.#directory, 'node'), seed })
    await this.#order({ kind: 'grow', blocks: REORG_LIMIT, txs, fan })
    let compared: { readonly digest: IndexDigest; readonly fresh: IndexDigest } | undefined
    while (this.round < rounds && (this.round < least || performance.now() < deadline)) {
      this.round += 1
      compared = undefined
      await this.#kill(this.#random.pick(PHASES))
      if (this.round % compareEvery === 0) compared = await this.#compare()
    }
    compared ??= await this.#compare()
    this.doing = 'index check'
    // The other way would ask for every output by itself.
    await this.#tell(true)
    await runIndex(this.#options.main, ['check'], this.#environment(this.#index, 16))
    const { round, ...counts } = { round: this.round, kills: this.#kills, torn: this.#torn }
    return { rounds: round, ...counts, comparisons: this.#comparisons, ...compared }
  }

  async close(): Promise<void> {
    await this.#server?.end()
    await this.#chain.stop()
  }

  async #kill(phase: Phase): Promise<void> {
    const random = this.#random
    this.doing = phase
    // Only what was caught up with in bulk is gathered.
    if (random.chance(phase === 'gathering' ? 0.6 : 0.12)) {
      await rm(this.#index, { recursive: true, force: true })
      await mkdir(this.#index)
      this.#mayBeShort = false
      this.doing += ', from nothing'
    }
    if (random.chance(0.3)) await this.#tell(!this.#tells)
    if (phase !== 'opening' || random.chance(0.5)) await this.#growSome(phase === 'flush' ? 40 : 20)
    const server = this.#start()
    if (phase === 'opening') await delay(random.between(0, 700))
    else if (phase === 'sync') await this.#duringSync(server)
    else if (phase === 'flush') await this.#duringFlush(server)
    else if (phase === 'gathering') await this.#duringGathering(server)
    else await this.#duringReorganisation(server, phase)
    await server.kill()
    this.#kills[phase] += 1
    if (random.chance(0.6)) await this.#tear()
    this.#options.say(`round ${this.round}: ${this.doing}`)
  }

  async #duringSync(server: CrashServer): Promise<void> {
    await server.said('index opened')
    const moves = this.#random.chance(0.5) ? this.#move() : Promise.resolve()
    await delay(this.#random.between(0, 1000))
    await moves
  }

  /** Kills when the files grow, which they do before the batch that counts on them is written, or while it is. */
  async #duringFlush(server: CrashServer): Promise<void> {
    await server.said('index opened')
    const inBatch = this.#random.chance(0.5)
    const files = () => sizesOf(this.#index, /^(txids|inputs|inputstarts)$/)
    const seen = await this.#watch(server, inBatch ? () => this.#logSizes() : files)
    if (seen) await this.#soon(inBatch ? 5 : 15)
  }

  /** Kills when the histories of scripts are put under one key each, or, where they are already, at some block. */
  async #duringGathering(server: CrashServer): Promise<void> {
    await server.said('serving')
    const moves = this.#random.chance(0.3) ? this.#move() : Promise.resolve()
    await this.#watch(server, () => this.#logSizes())
    await this.#soon(50)
    await moves
  }

  async #duringReorganisation(server: CrashServer, phase: Phase): Promise<void> {
    await server.said('serving')
    const empty = this.#random.chance(0.5)
    const depth = this.#random.between(1, DEEPEST)
    this.doing += `, ${empty ? 'empty' : 'full'} branch of ${depth}`
    const moving = this.#order({ kind: 'reorganize', depth, empty })
    if (phase === 'rollback') {
      await this.#watch(server, () => this.#logSizes())
      await this.#soon(10)
    } else {
      await delay(this.#random.between(0, 400))
    }
    await moving
  }

  #logSizes(): string {
    return sizesOf(join(this.#index, 'index'), /\.log$/)
  }

  /** Settles once what `look` gives changes: true; false if it does not for long. */
  async #watch(server: CrashServer, look: () => string): Promise<boolean> {
    const deadline = performance.now() + WATCH_LIMIT_MS
    const first = look()
    while (performance.now() < deadline && !server.exited) {
      if (look() !== first) return true
      await nextTurn()
    }
    return false
  }

  /** Some fractions of milliseconds, to a few of them: shorter than a timer can. */
  async #soon(mostMs: number): Promise<void> {
    const end = performance.now() + this.#random.unit() * mostMs
    while (performance.now() < end) await nextTurn()
  }

  async #tear(): Promise<void> {
    const { done, short } = await tearIndex(this.#index, this.#random, this.#mayBeShort)
    this.#mayBeShort ||= short
    if (done.length === 0) return
    this.#torn += 1
    this.doing += `; ${done.join('; ')}`
  }

  /** Makes the node tell what blocks spend, or not. */
  async #tell(tells: boolean): Promise<void> {
    if (this.#tells === tells) return
    this.#tells = tells
    this.doing += tells ? ', node tells spent outputs' : ', node does not tell spent outputs'
    await this.#order({ kind: 'restart', spentTxOuts: tells })
  }

  async #move(): Promise<void> {
    if (this.#random.chance(0.5)) await this.#growSome(5)
    const depth = this.#random.between(1, DEEPEST)
    await this.#order({ kind: 'reorganize', depth, empty: this.#random.chance(0.5) })
  }

  async #growSome(most: number): Promise<void> {
    const { txs, fan } = this.#options
    await this.#order({ kind: 'grow', blocks: this.#random.between(1, most), txs: this.#random.between(0, txs), fan })
  }

  /** Lets the index and a new one catch up with the node at rest, and compares them. */
  async #compare(): Promise<{ readonly digest: IndexDigest; readonly fresh: IndexDigest }> {
    const other = join(this.#directory, 'undisturbed')
    await rm(other, { recursive: true, force: true })
    await mkdir(other)
    // Whether outputs are listed depends on the past; one block from a node that does not tell, and both indexes do.
    await this.#tell(false)
    await this.#order({ kind: 'grow', blocks: 1, txs: 3, fan: 5 })
    this.doing = 'catching up after the kills'
    const digest = await this.#settled(this.#index, 16)
    this.doing = 'indexing anew'
    const fresh = await this.#settled(other, 64)
    this.#comparisons += 1
    this.#mayBeShort = false
    if (digest.digest !== fresh.digest || digest.outputs !== fresh.outputs) {
      throw new Error(`the index is ${JSON.stringify(digest)}, an undisturbed one ${JSON.stringify(fresh)}`)
    }
    this.#options.say(`after ${this.round} rounds: height ${digest.height}, both digests ${digest.digest}`)
    return { digest, fresh }
  }

  async #settled(directory: string, cacheMb: number): Promise<IndexDigest> {
    const environment = this.#environment(directory, cacheMb)
    for (let attempt = 0; ; attempt++) {
      this.#server = CrashServer.start(this.#options.main, environment)
      await this.#server.at(this.#now.height)
      await this.#server.stop()
      const digest = await dumpIndex(this.#options.main, environment)
      if (digest.hash === this.#now.hash) return digest
      // Another branch of the same height: it is left once the server has asked the node.
      if (attempt >= 3) throw new Error(`the index stays at ${digest.hash}, the node is at ${this.#now.hash}`)
    }
  }

  #start(): CrashServer {
    this.#server = CrashServer.start(this.#options.main, this.#environment(this.#index, 16))
    return this.#server
  }

  get #now(): ChainTip {
    if (this.#tip === undefined) throw new Error('the chain was not started')
    return this.#tip
  }

  #environment(directory: string, cacheMb: number): Record<string, string> {
    return {
      ...this.#now.environment,
      DB_DIRECTORY: directory,
      SERVICES: 'tcp://127.0.0.1:0,rpc://127.0.0.1:0',
      CACHE_MB: String(cacheMb),
      REORG_LIMIT: String(REORG_LIMIT),
    }
  }

  async #order(order: ChainOrder): Promise<void> {
    this.#tip = await this.#chain.ask<ChainTip>(order, ORDER_LIMIT_MS)
  }
}

/** Names and sizes of the files whose names fit. */
function sizesOf(directory: string, names: RegExp): string {
  try {
    const files = readdirSync(directory).filter((name) => names.test(name))
    return files.map((name) => `${name} ${statSync(join(directory, name)).size}`).join()
  } catch (error) {
    // LevelDB takes files away at any time.
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return ''
    throw error
  }
}
