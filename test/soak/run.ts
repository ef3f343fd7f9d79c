import { setMaxListeners } from 'node:events'
import { resolve } from 'node:path'
import { memory } from '../bench/support/process-stats.ts'
import { SeededRandom } from '../support/crash-random.ts'
import { runIndex } from '../support/crash-server.ts'
import type { ProxyClient } from '../support/proxy-client.ts'
import type { ServerProcess } from '../support/server-process.ts'
import { TaprootKey } from '../support/taproot.ts'
import { WireClient } from '../support/wire-client.ts'
import { Bank } from './chain/bank.ts'
import { Minting } from './chain/minting.ts'
import { SoakNode } from './chain/node.ts'
import { Oracle } from './chain/oracle.ts'
import type { Tally } from './clients/conversation.ts'
import { operate, sessionOf } from './clients/operator.ts'
import { receive } from './clients/visitors.ts'
import type { Topic } from './clients/watcher.ts'
import { Ledger } from './figures/ledger.ts'
import { readMetrics, sumOf } from './figures/metrics.ts'
import type { Findings } from './findings.ts'
import type { SoakOptions } from './options.ts'
import { MinuteLine, megabytes } from './report.ts'
import { complaints, type SoakServer, startServer } from './server.ts'
import { difference, pause, within } from './waits.ts'
import { Watch } from './watch.ts'

const MAIN = resolve(import.meta.dirname, '../../dist/main.js')
const KEYS = 150
const FIRST_BLOCKS = 220
/** Rounds from one other branch to the next, and from one restart of the node. */
const REORG_EVERY = 12
const RESTART_EVERY = 37
const DEEPEST = 3
/** Until everything is gone that the last client has left: newcomers who say nothing have HANDSHAKE_TIMEOUT. */
const LEAVE_MS = 120_000
const MINUTE_MS = 60_000
/** Of rounds, in which something of what is made on the chain may fail: an output may be spent by who was replaced. */
const FAILING_SHARE = 0.1

/** What a soak consists of while it runs. */
export class Soak {
  readonly #options: SoakOptions
  readonly #findings: Findings
  readonly #say: (line: string) => void
  readonly #random: SeededRandom
  readonly #node: SoakNode
  readonly #server: SoakServer
  readonly #ledger: Ledger
  readonly #oracle: Oracle
  readonly #keys = Array.from({ length: KEYS }, (_, i) => new TaprootKey(`key ${i}`))
  readonly #topics: Topic[] = [{ method: 'blockchain.atomicals.global.subscribe', params: [] }]
  readonly #tally: Tally
  readonly #over = new AbortController()
  #rounds = 0
  #reorgs = 0
  #failed: string[] = []

  private constructor(options: SoakOptions, findings: Findings, say: (line: string) => void, parts: Parts) {
    this.#options = options
    this.#findings = findings
    this.#say = say
    this.#random = new SeededRandom(options.seed)
    this.#node = parts.node
    this.#server = parts.server
    this.#ledger = new Ledger(parts.server.process, findings, options.bounds)
    const own = ['bank', 'soak owner', 'soak funding'].map((name) => new TaprootKey(name))
    this.#oracle = new Oracle(
      () => this.#node.rpc,
      [...this.#keys, ...own].map(({ scripthash }) => scripthash),
    )
    this.#tally = {
      answers: 0,
      counts: new Map(),
      wrong: (text) => findings.add(text),
      late: (text) => this.#late(text),
      sessionOf: (from) => sessionOf(this.#server.process, from),
    }
    // Every visitor waits for it.
    setMaxListeners(0, this.#over.signal)
    findings.enough.addEventListener('abort', () => this.#over.abort(), { once: true })
  }

  /** Runs a whole soak in `directory`; what is wrong is in `findings`. Settles when all that was started has ended. */
  static async run(
    options: SoakOptions,
    directory: string,
    findings: Findings,
    say: (line: string) => void,
  ): Promise<void> {
    const node = await SoakNode.start(options.bitcoind, directory)
    let server: SoakServer | undefined
    try {
      const bank = new TaprootKey('bank')
      await node.mine(FIRST_BLOCKS, bank.address)
      server = await startServer(options, node.environment, directory, findings)
      const soak = new Soak(options, findings, say, { node, server })
      await soak.#live()
      await soak.#end()
    } finally {
      await server?.process.stop('SIGKILL')
      await node.stop()
    }
  }

  async #live(): Promise<void> {
    await this.#oracle.follow()
    await this.#ledger.quiet()
    const purse = await WireClient.connect({ kind: 'tcp', port: this.#server.ports.tcp, onMessage: () => {} })
    const { answerMs } = this.#options.bounds
    const ask = (method: string, params: readonly unknown[]) => within(answerMs, method, purse.request(method, params))
    const api: ProxyClient = {
      call: async <T>(method: string, ...params: unknown[]) => (await ask(method, params)) as T,
    }
    await ask('server.version', ['soak', '1.6'])
    const bank = new Bank(api, this.#random)
    await bank.look(FIRST_BLOCKS)
    const minting = await this.#mint(api, bank)
    const surroundings = { oracle: this.#oracle, random: this.#random, findings: this.#findings }
    const watched = [...this.#keys, minting.wallet.owner, minting.wallet.funding]
    const watch = await Watch.start(this.#options, surroundings, this.#server.ports, watched)
    this.#topics.push({ method: 'blockchain.atomicals.subscribe', params: [minting.token] })
    const { scripthash } = minting.wallet.owner
    this.#topics.push({ method: 'blockchain.atomicals.scripthash.subscribe', params: [scripthash] })
    for (const topic of this.#topics) await watch.followTopic(topic)
    await this.#comings(bank, minting, watch)
    await watch.close()
    await purse.close()
  }

  /** Everything at once, until the time is over. */
  async #comings(bank: Bank, minting: Minting, watch: Watch): Promise<void> {
    const { signal } = this.#over
    const { minutes, rate, most, bounds } = this.#options
    const timer = setTimeout(() => this.#over.abort(), minutes * MINUTE_MS)
    const known = {
      oracle: this.#oracle,
      keys: this.#keys,
      busiest: bank.key,
      atomicals: minting.ids,
      random: new SeededRandom(this.#options.seed + 1),
    }
    const visit = { ports: this.#server.ports, known, tally: this.#tally, answerMs: bounds.answerMs, signal }
    const chores = [
      receive(visit, rate, most),
      operate(this.#server.process, new SeededRandom(this.#options.seed + 2), this.#findings, signal),
      this.#look(watch, signal),
      this.#mineOn(bank, minting, watch, signal),
    ].map((chore) => this.#fatal(chore))
    await Promise.all(chores)
    clearTimeout(timer)
  }

  /** Ends all when one of them cannot go on. */
  async #fatal(chore: Promise<void>): Promise<void> {
    try {
      await chore
    } catch (error) {
      this.#findings.fatal(`the soak cannot go on: ${error instanceof Error ? (error.stack ?? '') : String(error)}`)
    }
  }

  async #mint(api: ProxyClient, bank: Bank): Promise<Minting> {
    const until = async <T>(what: string, ask: () => Promise<T | undefined>): Promise<T> => {
      let found: T | undefined
      const missing = await difference(this.#options.bounds.settleMs, async () => {
        found = await ask()
        return found === undefined ? what : undefined
      })
      if (missing !== undefined || found === undefined) throw new Error(`not in time: ${missing}`)
      return found
    }
    const world = { api, give: bank.give.bind(bank), until }
    const minting = new Minting(world, this.#oracle, this.#random, this.#keys)
    await minting.deploy()
    await this.#node.mine(6, bank.key.address)
    await this.#oracle.follow()
    return minting
  }

  /** Transactions and blocks, and comparisons whenever nothing moves. */
  async #mineOn(bank: Bank, minting: Minting, watch: Watch, signal: AbortSignal): Promise<void> {
    const { process } = this.#server
    await watch.compare(process, minting, this.#topics, 'at the beginning')
    while (!signal.aborted) {
      const began = performance.now()
      const round = ++this.#rounds
      await this.#trade(bank, minting)
      await watch.compare(process, minting, this.#topics, 'with a mempool')
      const to = this.#random.pick(this.#keys).address
      if (round % REORG_EVERY === 0) await this.#reorganize(to)
      else await this.#node.mine(1, to)
      await watch.compare(
        process,
        minting,
        this.#topics,
        round % REORG_EVERY === 0 ? 'on another branch' : 'with a block',
      )
      if (round % RESTART_EVERY === 0) await this.#restartNode(bank)
      await pause(Math.max(100, 1000 * this.#options.blockSeconds - (performance.now() - began)), signal)
    }
  }

  /** Payments, replacements and Atomicals. That some of it fails after a branch has gone is in the nature of it. */
  async #trade(bank: Bank, minting: Minting): Promise<void> {
    const pay = () => {
      const payees = Array.from({ length: this.#random.between(1, 4) }, () => this.#random.pick(this.#keys))
      return bank.give(...payees.map(({ script }) => ({ script, value: 10_000 + this.#random.between(0, 10_000) })))
    }
    for (const deed of [pay, pay, pay, () => bank.replace(this.#keys), () => minting.operate()]) {
      try {
        await deed()
      } catch (error) {
        this.#failed.push(String(error))
      }
    }
  }

  async #reorganize(address: string): Promise<void> {
    this.#reorgs += 1
    const between = () => (this.#random.chance(0.5) ? pause(500, this.#over.signal) : Promise.resolve())
    await this.#node.reorganize(this.#random.between(1, DEEPEST), address, between)
  }

  async #restartNode(bank: Bank): Promise<void> {
    await this.#node.restart(() => pause(this.#random.between(0, 3_000), this.#over.signal))
    await this.#oracle.follow()
    await bank.look(this.#oracle.height)
  }

  async #look(watch: Watch, signal: AbortSignal): Promise<void> {
    for (let minute = 1; ; minute++) {
      await pause(MINUTE_MS, signal)
      if (signal.aborted) return
      const sample = await this.#ledger.sample()
      this.#say(
        new MinuteLine(minute)
          .add(`height ${this.#oracle.height}`, `reorgs ${this.#reorgs}`, `node restarts ${this.#node.restarts}`)
          .add(`${(this.#tally.counts.get('open') ?? 0) + watch.size} clients`, `${this.#answersOf(watch)} answers`)
          .add(`${watch.comparisons} comparisons`)
          .addSample(sample)
          .add(`${this.#findings.all.length} wrong`).text,
      )
    }
  }

  /** A server without a processor accepts a newcomer a turn, as every Node does, and crowds stand before him. */
  #late(text: string): void {
    if (!this.#ledger.isStarved) return this.#findings.add(text)
    const { counts } = this.#tally
    counts.set('late without processor', (counts.get('late without processor') ?? 0) + 1)
    return undefined
  }

  #answersOf(watch: Watch): string {
    return (this.#tally.answers + watch.answers).toLocaleString('en-US')
  }

  /** Nobody is there any more. */
  async #end(): Promise<void> {
    const { process, environment } = this.#server
    const left = await difference(LEAVE_MS, () => this.#ledger.leftOvers())
    if (left !== undefined) this.#findings.add(`left when all clients had gone: ${left}`)
    this.#say(this.#ledger.judgeHeap())
    await pause(1000 * this.#options.restSeconds, this.#findings.enough)
    const { anonymous } = memory(process.pid)
    const rested = await this.#ledger.sample()
    this.#say(
      new MinuteLine('at rest').add(`memory ${megabytes(anonymous)} MB before the collection`).addSample(rested).text,
    )
    if (this.#failed.length > FAILING_SHARE * this.#rounds * 5) {
      this.#findings.add(
        `${this.#failed.length} deeds in ${this.#rounds} rounds failed, the last: ${this.#failed.at(-1)}`,
      )
    }
    const refused = sumOf(await readMetrics(process), 'valence_refusals_total')
    const kinds = [...this.#tally.counts].filter(([name]) => name !== 'open').map(([name, count]) => `${name} ${count}`)
    this.#say(
      `visitors: ${kinds.join(', ')}; ${refused} connections cut at the door; ${this.#failed.length} deeds failed`,
    )
    await this.#stopServer(process)
    await this.#checkIndex(environment)
  }

  async #stopServer(process: ServerProcess): Promise<void> {
    const code = await process.stop()
    if (code !== 0) this.#findings.add(`the server stopped with ${code}`)
    for (const line of complaints(process)) this.#findings.add(`the server says on standard error: ${line}`)
  }

  async #checkIndex(environment: Readonly<Record<string, string>>): Promise<void> {
    try {
      const { stdout } = await runIndex(this.#options.server ?? MAIN, ['check'], environment)
      this.#say(`index check: ${stdout.trim().split('\n').at(-1)}`)
    } catch (error) {
      this.#findings.add(error instanceof Error ? error.message : String(error))
    }
  }
}

interface Parts {
  readonly node: SoakNode
  readonly server: SoakServer
}
