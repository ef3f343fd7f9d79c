import type { SeededRandom } from '../support/crash-random.ts'
import type { ServerProcess } from '../support/server-process.ts'
import type { TaprootKey } from '../support/taproot.ts'
import type { Minting } from './chain/minting.ts'
import type { Oracle } from './chain/oracle.ts'
import type { Ports } from './clients/visit.ts'
import { type Topic, Watcher } from './clients/watcher.ts'
import { readMetrics, sumOf } from './figures/metrics.ts'
import type { Findings } from './findings.ts'
import type { SoakOptions } from './options.ts'
import { difference } from './waits.ts'

const KINDS = ['tcp', 'ssl', 'ws', 'wss'] as const
/** Scripts that every watcher follows. */
const KEYS_EACH = 30
/** Scripts that are asked about after each change, of those that it concerns, and of all others. */
const CHECKED = { touched: 10, others: 2 } as const

/** The clients who stay, and what they compare whenever nothing moves. */
export class Watch {
  comparisons = 0
  readonly #watchers: Watcher[]
  readonly #oracle: Oracle
  readonly #random: SeededRandom
  readonly #findings: Findings
  readonly #settleMs: number

  private constructor(
    watchers: Watcher[],
    { oracle, random, findings }: WatchSurroundings,
    { bounds: { settleMs } }: SoakOptions,
  ) {
    this.#watchers = watchers
    this.#oracle = oracle
    this.#random = random
    this.#findings = findings
    this.#settleMs = settleMs
  }

  static async start(
    options: SoakOptions,
    surroundings: WatchSurroundings,
    ports: Ports,
    keys: readonly TaprootKey[],
  ): Promise<Watch> {
    const watchers: Watcher[] = []
    const { random, findings } = surroundings
    const onLost = ({ name }: Watcher): void => findings.add(`${name} was cut off`)
    for (let i = 0; i < options.watchers; i++) {
      const kind = KINDS[i % KINDS.length]!
      const own = Array.from(
        { length: KEYS_EACH },
        (_, k) => keys[(i * 7 + k * 3 + random.between(0, 2)) % keys.length]!,
      )
      const { answerMs } = options.bounds
      const asked = { kind, port: ports[kind], keys: [...new Set(own)], answerMs }
      watchers.push(await Watcher.connect(asked, i, onLost))
    }
    return new Watch(watchers, surroundings, options)
  }

  get size(): number {
    return this.#watchers.length
  }

  get answers(): number {
    return this.#watchers.reduce((sum, { answers }) => sum + answers, 0)
  }

  /** All follow it from now on. */
  async followTopic(topic: Topic): Promise<void> {
    for (const watcher of this.#watchers) await watcher.followTopic(topic)
  }

  /** Holds everything that clients know against the oracle, which follows the node first. Nothing may move meanwhile. */
  async compare(server: ServerProcess, minting: Minting, topics: readonly Topic[], when: string): Promise<void> {
    const touched = await this.#oracle.follow()
    const wrong = await difference(this.#settleMs, async () => {
      for (const watcher of this.#watchers) {
        const found = watcher.checkTip(this.#oracle)
        if (found !== undefined) return found
      }
      const mempool = sumOf(await readMetrics(server), 'valence_mempool_transactions')
      return mempool === this.#oracle.mempoolSize
        ? undefined
        : `the mempool has ${mempool} transactions, the node's ${this.#oracle.mempoolSize}`
    })
    if (wrong !== undefined) return this.#wrong(when, wrong)
    for (const key of this.#someOf(touched)) await this.#compareScript(key, when)
    const ofAtomicals = await difference(this.#settleMs, () => minting.check())
    if (ofAtomicals !== undefined) this.#wrong(when, ofAtomicals)
    for (const topic of topics) await this.#compareTopic(topic, when)
    this.comparisons += 1
    return undefined
  }

  async close(): Promise<void> {
    for (const watcher of this.#watchers) await watcher.close()
  }

  #someOf(touched: ReadonlySet<string>): ReadonlySet<TaprootKey> {
    const all = [...new Set(this.#watchers.flatMap(({ keys }) => keys))]
    const concerned = all.filter(({ scripthash }) => touched.has(scripthash))
    const pick = (from: readonly TaprootKey[], count: number) =>
      Array.from({ length: from.length === 0 ? 0 : count }, () => this.#random.pick(from))
    return new Set([...pick(concerned, CHECKED.touched), ...pick(all, CHECKED.others)])
  }

  /** By everybody who follows it. */
  async #compareScript(key: TaprootKey, when: string): Promise<void> {
    for (const watcher of this.#watchers.filter(({ keys }) => keys.includes(key))) {
      const found = await difference(this.#settleMs, () => watcher.check(key, this.#oracle))
      if (found !== undefined) this.#wrong(when, found)
    }
  }

  /** Everybody was told what somebody is told who asks now. */
  async #compareTopic(topic: Topic, when: string): Promise<void> {
    const asker = this.#random.pick(this.#watchers)
    const found = await difference(this.#settleMs, async () => {
      const now = JSON.stringify(await asker.ask(topic.method, ...topic.params))
      const other = this.#watchers.find((watcher) => JSON.stringify(watcher.toldOf(topic)) !== now)
      if (other === undefined) return undefined
      return `${other.name} was told ${JSON.stringify(other.toldOf(topic))} of ${topic.method} ${topic.params.join()}, it is ${now}`
    })
    if (found !== undefined) this.#wrong(when, found)
  }

  #wrong(when: string, what: string): void {
    this.#findings.add(`at height ${this.#oracle.height}, ${when}: ${what}`)
  }
}

export interface WatchSurroundings {
  readonly oracle: Oracle
  readonly random: SeededRandom
  readonly findings: Findings
}
