import { describe, expect, it } from 'vitest'
import { silentLogger } from '../../../src/log.ts'
import { LiveMoment } from '../../../src/mempool/live-moment.ts'
import { Mempool } from '../../../src/mempool/mempool.ts'
import { ScriptCache } from '../../../src/mempool/script-cache.ts'
import { atomicalTopic, nameTopic } from '../../../src/rpc/methods/atomicals/topics.ts'
import type { Topic, TopicStatus } from '../../../src/rpc/topic.ts'
import { TopicWatch } from '../../../src/session/topic-watch.ts'
import { AtomicalsChain, markerOutput, spend } from '../../support/atomicals-chain.ts'
import { scriptOf } from '../../support/chain-builder.ts'
import { withDirectory } from '../../support/chain-index.ts'

const WORK = '1234'
const PRICE = 5_000
const PAYEE = scriptOf(77)

/** Topics over a chain, looked at when the notifier would: it is told what was touched, and of every new tip. */
class Followers {
  readonly #chain: AtomicalsChain
  readonly #watch = new TopicWatch()
  readonly #told = new Map<Topic, string>()

  constructor(chain: AtomicalsChain) {
    this.#chain = chain
  }

  async follow(...topics: readonly Topic[]): Promise<void> {
    this.#chain.takeTouched()
    for (const topic of topics) {
      const found = await this.#find(topic)
      this.#watch.add(topic, found, this.#chain.height)
      this.#told.set(topic, found.status)
    }
  }

  /** Keys of the topics that are others at this tip, and of which nobody is told. */
  async missed(): Promise<string[]> {
    const touched = this.#chain.takeTouched()
    const due = new Set(this.#watch.among({ newTip: true, touched, stirred: new Set() }))
    for (const key of this.#watch.unsettled(this.#chain.height)) due.add(key)
    const missed: string[] = []
    for (const [topic, told] of this.#told) {
      const found = await this.#find(topic)
      if (due.has(topic.key)) this.#watch.settle(topic.key, found, this.#chain.height)
      else if (found.status !== told) missed.push(topic.method)
      this.#told.set(topic, found.status)
    }
    return missed
  }

  async #find(topic: Topic): Promise<TopicStatus> {
    const view = this.#chain.db.acquireView()
    const mempool = new Mempool({}, { log: silentLogger() }).snapshot()
    const scripts = new ScriptCache({ maxBytes: 0 })
    const moment = new LiveMoment({ historyLimit: 1_000 }, { view, mempool, scripts })
    try {
      return await topic.find({ moment, signal: new AbortController().signal, charge: () => {} })
    } finally {
      view.release()
    }
  }
}

/** A realm under whose name others are to be had for a price. */
async function realmWithPrices(chain: AtomicalsChain) {
  const rules = { subrealms: { rules: [{ p: '.*', o: { [Buffer.from(PAYEE).toString('hex')]: { v: PRICE } } }] } }
  const payload = { args: { request_realm: 'top', bitworkc: WORK }, ...rules }
  const realm = await chain.mint('nft', payload, { work: WORK })
  await chain.mineEmpty(3)
  const claim = () => {
    const args = { request_subrealm: 'sub', parent_realm: realm.compact, claim_type: 'rule' }
    return chain.mint('nft', { args })
  }
  const payFor = (id: string) =>
    chain.mine(spend({ from: [chain.fund()], to: [markerOutput('p', id), { value: BigInt(PRICE), script: PAYEE }] }))
  const status = async (id: string) => (await (await chain.queries()).request(id))?.status?.status
  const name = nameTopic({ kind: 'subrealm', parent: realm.id, name: 'sub' })
  return { claim, payFor, status, name }
}

function on(use: (chain: AtomicalsChain) => Promise<void>): () => Promise<void> {
  return () =>
    withDirectory(async (directory) => {
      const chain = await AtomicalsChain.open(directory)
      await use(chain)
      await chain.close()
    })
}

describe('followers of a subrealm', () => {
  it(
    'are told when its name goes to a later claim, however late that is paid for and settled',
    on(async (chain) => {
      const { claim, payFor, status, name } = await realmWithPrices(chain)
      const first = await claim()
      const followers = new Followers(chain)
      await followers.follow(atomicalTopic(first.id), name)
      await chain.mineEmpty(6)
      const second = await claim()
      await payFor(second.id)
      const seen = new Set<unknown>()
      for (let i = 0; i < 20; i++) {
        await chain.mine()
        expect(await followers.missed(), `height ${chain.height}`).toEqual([])
        seen.add(await status(first.id))
      }
      expect([...seen]).toEqual(['pending_awaiting_payment', 'pending_by_other', 'claimed_by_other'])
    }),
  )

  it(
    'are told when it goes to a claim that was made after it had expired',
    on(async (chain) => {
      const { claim, payFor, status, name } = await realmWithPrices(chain)
      const first = await claim()
      const followers = new Followers(chain)
      await followers.follow(atomicalTopic(first.id), name)
      for (let i = 0; i < 130; i++) {
        await chain.mine()
        expect(await followers.missed(), `height ${chain.height}`).toEqual([])
      }
      expect(await status(first.id)).toBe('expired_payment_not_received')
      const second = await claim()
      expect(await followers.missed()).toEqual([])
      await payFor(second.id)
      for (let i = 0; i < 20; i++) {
        expect(await followers.missed(), `height ${chain.height}`).toEqual([])
        await chain.mine()
      }
      expect(await status(first.id)).toBe('claimed_by_other')
    }),
  )

  it(
    'are told when the block is lost that its payment is in, which comes too late on the other branch',
    on(async (chain) => {
      const { claim, payFor, status, name } = await realmWithPrices(chain)
      const only = await claim()
      const followers = new Followers(chain)
      await followers.follow(atomicalTopic(only.id), name)
      // The commit is a block below the reveal: this one is the fifteenth after it.
      for (let i = 0; i < 13; i++) await chain.mine()
      await payFor(only.id)
      await chain.mine()
      expect(await followers.missed()).toEqual([])
      await chain.mine()
      expect([await followers.missed(), await status(only.id)]).toEqual([[], 'verified'])
      await chain.lose(3)
      await payFor(only.id)
      expect([await followers.missed(), await status(only.id)]).toEqual([[], 'expired_payment_not_received'])
    }),
  )
})
