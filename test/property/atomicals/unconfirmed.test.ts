import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { idText } from '../../../src/atomicals/id-text.ts'
import { AtomicalsInterest } from '../../../src/atomicals/interest.ts'
import { ATOMICALS, ATOMICALS_SPACES, BLOCKS, HOLDERS, NAMES, SUBNAMES } from '../../../src/atomicals/layout.ts'
import { AtomicalsQueries } from '../../../src/atomicals/queries.ts'
import { type PagedRows, ViewRows } from '../../../src/atomicals/rows.ts'
import { UnconfirmedBlock } from '../../../src/atomicals/unconfirmed.ts'
import type { Tx } from '../../../src/chain/tx.ts'
import type { AnyKeySpace, KeySpace } from '../../../src/db/layout.ts'
import type { ChainView } from '../../../src/db/view.ts'
import { fromLatin1, toLatin1 } from '../../../src/lib/bytes.ts'
import { AtomicalsChain, compactAt, heightsFrom, idAt, spend } from '../../support/atomicals-chain.ts'
import { outpointOf, seededRandom } from '../../support/chain-builder.ts'
import { withDirectory } from '../../support/chain-index.ts'
import { RandomAtomicals } from '../../support/random-atomicals.ts'

const heights = heightsFrom()

/** Applies transactions as if each came after the one before; those that do not matter are left out. */
async function applyAll(
  chain: AtomicalsChain,
  view: ChainView,
  txs: readonly Tx[],
): Promise<{ block: UnconfirmedBlock; left: number }> {
  const interest = new AtomicalsInterest({ filter: chain.indexer })
  const block = UnconfirmedBlock.on(view, heights)
  if (block === undefined) throw new Error('the protocol has not begun')
  const orders = new Map(txs.map(({ txid }, i) => [toLatin1(txid), i + 1]))
  const kept = new Set<string>()
  let left = 0
  for (const [i, tx] of txs.entries()) {
    const matters =
      interest.marks(tx.raw) ||
      tx.inputs.some(
        ({ prevTxid, prevIndex }) =>
          kept.has(toLatin1(prevTxid)) || interest.carries(view, outpointOf(prevTxid, prevIndex)),
      )
    if (!matters) {
      left += 1
      continue
    }
    kept.add(toLatin1(tx.txid))
    const [first] = tx.inputs
    const commitOrder = first === undefined ? undefined : orders.get(toLatin1(first.prevTxid))
    // The coinbase is the first of a block.
    await block.apply({ tx, order: i + 1, commitOrder }, view)
  }
  return { block, left }
}

type Texts = Map<string, string>

function erased(space: AnyKeySpace): KeySpace<unknown, unknown> {
  return space as unknown as KeySpace<unknown, unknown>
}

async function textsOf(chain: AtomicalsChain): Promise<Texts> {
  const texts: Texts = new Map()
  for (const space of ATOMICALS_SPACES.map(erased)) {
    if (space.name === BLOCKS.name) continue
    for (const { key, value } of await chain.rows(space)) texts.set(space.keyText(key), space.valueText(value))
  }
  return texts
}

/** Rows that a source has under keys. */
function readTexts(rows: PagedRows, keys: Iterable<string>): Texts {
  const spaces = new Map(ATOMICALS_SPACES.map((space) => [space.prefix, erased(space)]))
  const texts: Texts = new Map()
  for (const key of keys) {
    const space = spaces.get(key.charCodeAt(0))!
    const value = rows.get(space, space.readKey(fromLatin1(key)))
    if (value !== undefined) texts.set(key, space.valueText(value))
  }
  return texts
}

describe('unconfirmed transactions', () => {
  it('leave the same rows as a block of them, and each beginning of them the same as a block of that', () =>
    fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 1 << 30 }), (seed) =>
        withDirectory(async (directory) => {
          const chain = await AtomicalsChain.open(directory, heights)
          const maker = new RandomAtomicals(chain, seededRandom(seed))
          await maker.token('aa')
          await maker.token('bb')
          for (let i = 0; i < 3; i++) await maker.block()
          const before = await textsOf(chain)
          const txs = Array.from({ length: 4 }, () => maker.txs()).flat()
          const view = chain.db.acquireView()
          const { block, left } = await applyAll(chain, view, txs)
          expect(block.applied + left).toBe(txs.length)

          // A part of them first, read through the rows of all.
          const part = Math.floor(txs.length / 2)
          const { block: first } = await applyAll(chain, view, txs.slice(0, part))
          await chain.mine(...txs.slice(0, part))
          const partly = await textsOf(chain)
          const base = new ViewRows(view)
          const keys = new Set([...before.keys(), ...partly.keys()])
          expect(readTexts(block.rows(base, first.applied), keys)).toEqual(partly)
          await chain.rollBack()

          await chain.mine(...txs)
          const mined = await textsOf(chain)
          const all = block.rows(base, block.applied)
          expect(readTexts(all, new Set([...before.keys(), ...partly.keys(), ...mined.keys()]))).toEqual(mined)

          // What was made of names and mints, by itself.
          for (const [upTo, texts] of [
            [first.applied, partly],
            [block.applied, mined],
          ] as const) {
            for (const space of [ATOMICALS, NAMES, SUBNAMES].map(erased)) {
              const written = new Map(
                [...block.written(space, upTo)].map(({ key, value }) => [space.keyText(key), space.valueText(value)]),
              )
              const ofSpace = [...texts].filter(([key]) => key.charCodeAt(0) === space.prefix)
              const changed = ofSpace.filter(([key, text]) => before.get(key) !== text)
              expect(ofSpace).toEqual(expect.arrayContaining([...written]))
              expect([...written]).toEqual(expect.arrayContaining(changed))
            }
          }

          // Lists, page by page and in both directions.
          const ids = new Set((await chain.rows(HOLDERS)).map(({ key }) => key.id))
          const [now, then] = [new AtomicalsQueries({ height: chain.height }, all), await chain.queries()]
          for (const id of ids) {
            expect(await now.holders(id)).toEqual(await then.holders(id))
            const [one] = await now.holdersPage(id, 1)
            expect(one).toEqual((await then.holdersPage(id, 1))[0])
            expect(await now.holdersPage(id, 2, one?.location)).toEqual(await then.holdersPage(id, 2, one?.location))
            const start = fromLatin1(id)
            expect((await all.page(HOLDERS, start, { limit: 3, reverse: true })).map(({ key }) => key)).toEqual(
              (await then.holders(id))
                .map(({ location }) => ({ id, location }))
                .reverse()
                .slice(0, 3),
            )
          }
          for (const tx of txs) {
            for (const vout of tx.outputs.keys()) {
              expect(now.location(idText(tx.txid, vout))).toEqual(then.location(idText(tx.txid, vout)))
            }
          }
          view.release()
          await chain.close()
        }),
      ),
      { numRuns: 10, endOnFailure: true },
    ))

  it('claim names in the order of their commits, and see one another as in one block', () =>
    withDirectory(async (directory) => {
      const chain = await AtomicalsChain.open(directory, heights)
      const args = { request_realm: 'abc', bitworkc: '12' }
      const work = { args: { ...args, bitworkc: '1234' } }
      const commits = Array.from({ length: 2 }, () => spend({ from: [chain.fund()], to: [50_000], work: '1234' }))
      const reveals = commits.map((commit) =>
        spend({ from: [{ txid: commit.txid, vout: 0 }], to: [1_000], op: 'nft', payload: work }),
      )
      const view = chain.db.acquireView()
      // The later commit is revealed first.
      const { block } = await applyAll(chain, view, [...commits, reveals[1]!, reveals[0]!])
      const queries = new AtomicalsQueries({ height: chain.height + 1 }, block.rows(new ViewRows(view), block.applied))
      const { candidates, holder } = await queries.name('realm', 'abc')
      expect(candidates.map(({ id }) => id)).toEqual(commits.map((commit) => idAt(commit)))
      expect(holder).toEqual({ status: 'pending', id: idAt(commits[0]!) })
      expect((await queries.request(idAt(commits[1]!)))?.status).toMatchObject({ status: 'pending_claimed_by_other' })
      expect(block.listedUnder(idAt(commits[0]!), block.applied)).toEqual([reveals[0]!.txid])
      expect(compactAt(commits[0]!)).toMatch(/^1234/)
      view.release()
      await chain.close()
    }))
})
