import { describe, expect, it, vi } from 'vitest'
import { scriptHashOf, scriptHashToHex } from '../../../src/chain/script.ts'
import type { Tx } from '../../../src/chain/tx.ts'
import type { ChainView } from '../../../src/db/view.ts'
import { toDisplayHex } from '../../../src/lib/bytes.ts'
import { silentLogger } from '../../../src/log.ts'
import { MomentHub } from '../../../src/mempool/hub.ts'
import { Mempool } from '../../../src/mempool/mempool.ts'
import { writeJson } from '../../../src/rpc/json.ts'
import type { AtomicalsShape } from '../../../src/rpc/method.ts'
import { atomicalsMethods } from '../../../src/rpc/methods/atomicals/table.ts'
import { electrumMethods, withMethods } from '../../../src/rpc/methods/table.ts'
import { MethodRegistry } from '../../../src/rpc/registry.ts'
import { AtomicalsChain, compactAt, out, spend } from '../../support/atomicals-chain.ts'
import { CORPUS_SETTINGS } from '../../support/atomicals-host.ts'
import { scriptOf } from '../../support/chain-builder.ts'
import { withDirectory } from '../../support/chain-index.ts'
import { FakeContext } from '../../support/fake-context.ts'

/** Rows of what was paid to a script, by place: what sits there. */
type Told = Readonly<Record<string, unknown>>

/** Payees that nothing but the transactions of the test touches. */
const ALICE = scriptOf(501)
const BOB = scriptOf(502)

/** Asks for the outputs of scripts while blocks come and go, of answers that are kept as the server keeps them. */
class Wallet {
  readonly chain: AtomicalsChain
  readonly #hub = new MomentHub({ historyLimit: 1000 }, { mempool: new Mempool({}, { log: silentLogger() }) })
  readonly #registry = new MethodRegistry({}, withMethods(electrumMethods(), atomicalsMethods(CORPUS_SETTINGS)))
  #view: ChainView | undefined
  readonly context = new FakeContext()

  constructor(chain: AtomicalsChain) {
    this.chain = chain
    this.publish()
  }

  /** What the index has by now is what is answered from. */
  publish(touched: Set<string> = this.chain.takeTouched()): void {
    this.#view = this.chain.db.acquireView()
    this.#hub.publish(this.#view, { newTip: true, touched })
  }

  /** What is told now, and how many rows were read for it. */
  async told(script: Uint8Array, shape?: AtomicalsShape): Promise<{ readonly told: Told; readonly reads: number }> {
    const row = vi.spyOn(this.#view!, 'row')
    const text = await this.#hub.with(async (moment) => {
      const context = Object.assign(this.context, { moment })
      context.client.shape = shape
      const hash = scriptHashToHex(scriptHashOf(script))
      return writeJson(await this.#registry.dispatch('blockchain.scripthash.listunspent', [hash], context))
    })
    const reads = row.mock.calls.length
    row.mockRestore()
    const rows = JSON.parse(text) as {
      readonly tx_hash: string
      readonly tx_pos: number
      readonly atomicals: unknown
    }[]
    return { told: Object.fromEntries(rows.map((it) => [`${it.tx_hash}i${it.tx_pos}`, it.atomicals])), reads }
  }

  /** Asked as often as it takes for an answer to be kept, if it ever is. */
  async expectTold(script: Uint8Array, told: Told): Promise<void> {
    expect((await this.told(script)).told).toEqual(told)
    expect(await this.told(script)).toEqual({ told, reads: 0 })
  }

  close(): void {
    this.#hub.close()
  }
}

function on(use: (chain: AtomicalsChain, wallet: Wallet) => Promise<void>): () => Promise<void> {
  return () =>
    withDirectory(async (directory) => {
      const chain = await AtomicalsChain.open(directory)
      const wallet = new Wallet(chain)
      try {
        await use(chain, wallet)
      } finally {
        wallet.close()
        await chain.close()
      }
    })
}

const at = (tx: Tx, vout = 0): string => `${toDisplayHex(tx.txid)}i${vout}`
const to = (script: Uint8Array, satoshis: number) => ({ script, value: BigInt(satoshis) })

/** A token of which one mint of 1000 is to be had, verified; and two mints of it, of which the first in a block counts. */
async function rivals(chain: AtomicalsChain) {
  const args = { request_ticker: 'tok', bitworkc: '1234', mint_height: 0, mint_amount: 1000, max_mints: 1 }
  const { compact } = await chain.mint('dft', { args }, { work: '1234' })
  await chain.mineEmpty(3)
  const mint = async (script: Uint8Array) => {
    const commit = await chain.commit()
    const payload = { args: { mint_ticker: 'tok' } }
    return spend({ from: [out(commit)], to: [to(script, 1000)], op: 'dmt', payload })
  }
  return { compact, alices: await mint(ALICE), bobs: await mint(BOB) }
}

describe('the kept list of outputs of a script', () => {
  it(
    'has what a block brought and what the next one moved away',
    on(async (chain, wallet) => {
      await wallet.expectTold(ALICE, {})
      const commit = await chain.commit()
      const nft = spend({ from: [out(commit)], to: [to(ALICE, 700)], op: 'nft', payload: { a: 1 } })
      await chain.mine(nft)
      wallet.publish()
      await wallet.expectTold(ALICE, { [at(nft)]: { [compactAt(commit)]: 700 } })

      const plain = spend({ from: [chain.fund()], to: [to(ALICE, 900)] })
      await chain.mine(plain)
      wallet.publish()
      await wallet.expectTold(ALICE, { [at(nft)]: { [compactAt(commit)]: 700 }, [at(plain)]: {} })

      const moved = spend({ from: [out(nft)], to: [to(BOB, 600)] })
      await chain.mine(moved)
      wallet.publish()
      await wallet.expectTold(ALICE, { [at(plain)]: {} })
      await wallet.expectTold(BOB, { [at(moved)]: { [compactAt(commit)]: 600 } })

      await chain.rollBack()
      await chain.mine()
      wallet.publish()
      await wallet.expectTold(ALICE, { [at(nft)]: { [compactAt(commit)]: 700 }, [at(plain)]: {} })
      await wallet.expectTold(BOB, {})
    }),
  )

  it(
    'is another one when the same transactions come in another order, in one block or in two',
    on(async (chain, wallet) => {
      const { compact, alices, bobs } = await rivals(chain)
      const expectMinted = async (first: 'alice' | 'bob') => {
        await wallet.expectTold(ALICE, { [at(alices)]: first === 'alice' ? { [compact]: 1000 } : {} })
        await wallet.expectTold(BOB, { [at(bobs)]: first === 'bob' ? { [compact]: 1000 } : {} })
      }
      await chain.mine(alices, bobs)
      wallet.publish()
      await expectMinted('alice')

      await chain.rollBack()
      await chain.mine(bobs, alices)
      wallet.publish()
      await expectMinted('bob')

      await chain.rollBack()
      await chain.mine(alices)
      await chain.mine(bobs)
      wallet.publish()
      await expectMinted('alice')

      await chain.rollBack()
      await chain.rollBack()
      await chain.mine(bobs)
      await chain.mine(alices)
      wallet.publish()
      await expectMinted('bob')
    }),
  )

  it(
    'shows no more at an output when the mint before it is lost, and the other way round',
    on(async (chain, wallet) => {
      const { compact, alices, bobs } = await rivals(chain)
      await chain.mine(alices)
      await chain.mine(bobs)
      wallet.publish()
      await wallet.expectTold(BOB, { [at(bobs)]: {} })
      // Only the block of the other mint stays away.
      await chain.rollBack()
      await chain.rollBack()
      await chain.mine()
      await chain.mine(bobs)
      wallet.publish()
      await wallet.expectTold(BOB, { [at(bobs)]: { [compact]: 1000 } })
      await wallet.expectTold(ALICE, {})
      await chain.rollBack()
      await chain.rollBack()
      await chain.mine(alices)
      await chain.mine(bobs)
      wallet.publish()
      await wallet.expectTold(BOB, { [at(bobs)]: {} })
    }),
  )

  it(
    'is kept for each form that clients ask for',
    on(async (chain, wallet) => {
      const commit = await chain.commit()
      const nft = spend({ from: [out(commit)], to: [to(ALICE, 700)], op: 'nft', payload: { a: 1 } })
      await chain.mine(nft)
      wallet.publish()
      const asObject = { [at(nft)]: { [compactAt(commit)]: 700 } }
      const asList = { [at(nft)]: [compactAt(commit)] }
      for (let i = 0; i < 2; i++) {
        expect((await wallet.told(ALICE, 'object')).told).toEqual(asObject)
        expect((await wallet.told(ALICE, 'list')).told).toEqual(asList)
        expect((await wallet.told(ALICE)).told).toEqual(asObject)
      }
      expect(await wallet.told(ALICE, 'list')).toEqual({ told: asList, reads: 0 })
      expect(await wallet.told(ALICE, 'object')).toEqual({ told: asObject, reads: 0 })
    }),
  )

  it(
    'costs the same whether it is kept or not',
    on(async (chain, wallet) => {
      await chain.mine(spend({ from: [chain.fund()], to: [to(ALICE, 900), to(ALICE, 800)] }))
      wallet.publish()
      const costs: number[] = []
      for (let i = 0; i < 3; i++) {
        wallet.context.cost = 0
        await wallet.told(ALICE)
        costs.push(wallet.context.cost)
      }
      expect(costs[0]).toBeGreaterThan(1)
      expect(new Set(costs).size).toBe(1)
    }),
  )
})
