import { queryObjects } from 'node:v8'
import { describe, expect, it, type MockInstance, vi } from 'vitest'
import { LOCATIONS } from '../../../src/atomicals/layout.ts'
import { type PagedRows, ViewRows } from '../../../src/atomicals/rows.ts'
import { UnconfirmedBlock } from '../../../src/atomicals/unconfirmed.ts'
import type { Tx } from '../../../src/chain/tx.ts'
import type { Daemon } from '../../../src/daemon/daemon.ts'
import { TXID_KEY_SIZE } from '../../../src/db/layout.ts'
import type { ChainView } from '../../../src/db/view.ts'
import { toDisplayHex } from '../../../src/lib/bytes.ts'
import { KeptList, type KeptTx } from '../../../src/mempool/kept.ts'
import type { Moment } from '../../../src/mempool/moment.ts'
import { UnconfirmedAtomicals, type UnconfirmedRows } from '../../../src/rpc/methods/atomicals/unconfirmed.ts'
import { AtomicalsChain, heightsFrom, out, spend } from '../../support/atomicals-chain.ts'
import { withDirectory } from '../../support/chain-index.ts'

/** A chain with an NFT, a mempool put together by hand, and what is asked of them. */
class World {
  readonly chain: AtomicalsChain
  readonly unconfirmed = new UnconfirmedAtomicals({ heights: heightsFrom() })
  /** What the node has, by txid as displayed. */
  readonly node = new Map<string, Uint8Array>()
  readonly #row: MockInstance<ChainView['row']>
  #order = 0

  constructor(chain: AtomicalsChain, view: ChainView) {
    this.chain = chain
    this.#row = vi.spyOn(view, 'row')
  }

  /** Reads of the view, which every transaction that is applied makes. */
  get reads(): number {
    return this.#row.mock.calls.length
  }

  kept(tx: Tx, raw: 'with bytes' | 'without' = 'with bytes'): KeptTx {
    const txid = toDisplayHex(tx.txid)
    this.node.set(txid, tx.raw)
    this.#order += 1
    return { txid, order: this.#order, raw: raw === 'without' ? undefined : tx.raw }
  }

  async of(
    view: ChainView,
    list: KeptList,
    signal = new AbortController().signal,
  ): Promise<UnconfirmedRows | undefined> {
    const moment = {
      tip: view.tip,
      view,
      mempool: { kept: list, orderOf: (txid: string) => list.txs.find((tx) => tx.txid === txid)?.order },
    } as unknown as Moment
    const daemon = {
      mempoolTransactions: (txids: readonly string[]) => Promise.resolve(txids.map((txid) => this.node.get(txid))),
    } as unknown as Daemon
    return this.unconfirmed.of({ moment, daemon, signal })
  }
}

function on(use: (world: World, view: ChainView, nft: Tx) => Promise<void>): () => Promise<void> {
  return () =>
    withDirectory(async (directory) => {
      const chain = await AtomicalsChain.open(directory)
      const { tx } = await chain.mint('nft', { a: 1 })
      const view = chain.db.acquireView()
      await use(new World(chain, view), view, tx)
      view.release()
      await chain.close()
    })
}

/** True if something sits at output 0. */
function isHeld(rows: UnconfirmedRows | undefined, view: ChainView, tx: Tx): boolean {
  const over: PagedRows | undefined = rows?.over(new ViewRows(view))
  const row = over?.get(LOCATIONS, { txid: tx.txid.subarray(0, TXID_KEY_SIZE), vout: 0 })
  return row !== undefined && row.held.length > 0 && row.spentBy === undefined
}

/** Moves what sits at output 0 of each to the next. */
function line(from: Tx, length: number): Tx[] {
  const txs: Tx[] = []
  for (let i = 0, last = from; i < length; i++) {
    last = spend({ from: [out(last)], to: [900 - i] })
    txs.push(last)
  }
  return txs
}

describe('what the mempool does to Atomicals', () => {
  it(
    'is worked out once for a mempool, and only for what came since for the next',
    on(async (world, view, nft) => {
      const [first, second, third] = line(nft, 3)
      const one = world.kept(first!)
      const two = world.kept(second!)
      const short = new KeptList([one])
      const long = new KeptList([one, two])
      const before = await world.of(view, short)
      const reads = world.reads
      expect(reads).toBeGreaterThan(0)
      await world.of(view, short)
      await world.of(view, new KeptList([one]))
      expect(world.reads).toBe(reads)
      const after = await world.of(view, long)
      expect(world.reads).toBeLessThan(2 * reads)
      const asked = world.reads
      expect(await world.of(view, long)).toBeDefined()
      expect(world.reads).toBe(asked)
      expect([isHeld(before, view, first!), isHeld(before, view, second!)]).toEqual([true, false])
      expect([isHeld(after, view, first!), isHeld(after, view, second!)]).toEqual([false, true])
      // Who still has the older moment, and asks again.
      const again = world.reads
      const older = await world.of(view, short)
      expect(world.reads).toBe(again)
      expect([isHeld(older, view, first!), isHeld(older, view, second!)]).toEqual([true, false])
      const rest = await world.of(view, new KeptList([one, two, world.kept(third!)]))
      expect(isHeld(rest, view, third!)).toBe(true)
    }),
  )

  it(
    'is nothing where nothing matters, without a look',
    on(async (world, view) => {
      expect(await world.of(view, KeptList.EMPTY)).toBeUndefined()
      expect(world.reads).toBe(0)
    }),
  )

  it(
    'is taken back with transactions that go',
    on(async (world, view, nft) => {
      const [first, second] = line(nft, 2)
      const rival = spend({ from: [out(nft)], to: [700] })
      const one = world.kept(first!)
      expect(isHeld(await world.of(view, new KeptList([one, world.kept(second!)])), view, second!)).toBe(true)
      const evicted = await world.of(view, new KeptList([one]))
      expect([isHeld(evicted, view, first!), isHeld(evicted, view, second!)]).toEqual([true, false])
      const replaced = await world.of(view, new KeptList([world.kept(rival)]))
      expect([first!, second!, rival].map((tx) => isHeld(replaced, view, tx))).toEqual([false, false, true])
    }),
  )

  it(
    'comes out the same where a parent came after its child, as after a reorganisation',
    on(async (world, view, nft) => {
      const txs = line(nft, 4)
      const [a, b, c, d] = txs.map((tx) => world.kept(tx))
      const last = txs[3]!
      expect(isHeld(await world.of(view, new KeptList([d!, b!, a!, c!])), view, last)).toBe(true)
      expect(isHeld(await world.of(view, new KeptList([d!, c!])), view, last)).toBe(false)
      const whole = await world.of(view, new KeptList([d!, c!, b!, a!]))
      expect(txs.map((tx) => isHeld(whole, view, tx))).toEqual([false, false, false, true])
    }),
  )

  it(
    'takes what is not kept from the node, and says busy where the node has it no longer',
    on(async (world, view, nft) => {
      const [first, second] = line(nft, 2)
      const list = new KeptList([world.kept(first!, 'without'), world.kept(second!)])
      const raw = world.node.get(toDisplayHex(first!.txid))!
      world.node.delete(toDisplayHex(first!.txid))
      await expect(world.of(view, list)).rejects.toMatchObject({ code: -102 })
      world.node.set(toDisplayHex(first!.txid), raw)
      expect(isHeld(await world.of(view, list), view, second!)).toBe(true)
    }),
  )

  it(
    'is gone on with by the next who asks when a request ends in the middle',
    on(async (world, view, nft) => {
      const txs = line(nft, 200)
      const list = new KeptList(txs.map((tx) => world.kept(tx)))
      const ending = new AbortController()
      const asked = [world.of(view, list, ending.signal), world.of(view, list), world.of(view, list)]
      setImmediate(() => setImmediate(() => ending.abort()))
      const [gone, ...others] = await Promise.allSettled(asked)
      expect(gone).toMatchObject({ status: 'rejected', reason: { name: 'AbortError' } })
      for (const other of others) {
        if (other.status !== 'fulfilled') throw other.reason
        expect(isHeld(other.value, view, txs.at(-1)!)).toBe(true)
      }
    }),
  )

  it(
    'is no more for a mempool than it has, also where a longer one is worked out and given up',
    on(async (world, view, nft) => {
      const txs = line(nft, 200)
      const all = txs.map((tx) => world.kept(tx))
      const short = new KeptList(all.slice(0, 3))
      expect(isHeld(await world.of(view, short), view, txs[2]!)).toBe(true)
      const ending = new AbortController()
      const longer = world.of(view, new KeptList(all), ending.signal)
      setImmediate(() => setImmediate(() => ending.abort()))
      await expect(longer).rejects.toMatchObject({ name: 'AbortError' })
      const again = await world.of(view, short)
      expect([isHeld(again, view, txs[2]!), isHeld(again, view, txs[3]!)]).toEqual([true, false])
    }),
  )

  it(
    'is forgotten once another is asked for, however many there were',
    on(async (world, view, nft) => {
      const lists = Array.from(
        { length: 20 },
        (_, i) => new KeptList([world.kept(spend({ from: [out(nft)], to: [900 - i] }))]),
      )
      for (const list of lists) expect(await world.of(view, list)).toBeDefined()
      expect(queryObjects(UnconfirmedBlock, { format: 'count' })).toBeLessThan(5)
    }),
  )
})
