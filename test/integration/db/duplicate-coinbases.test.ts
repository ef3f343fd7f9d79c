import { describe, expect, it } from 'vitest'
import { hashXOf } from '../../../src/chain/script.ts'
import { buildCoinbase, buildTx, RandomChain, scriptOf, seededRandom } from '../../support/chain-builder.ts'
import {
  advanceBy,
  advanceTo,
  dumpOf,
  expectViewIs,
  indexOptions,
  type Spends,
  viewOf,
  withDirectory,
  withIndex,
} from '../../support/chain-index.ts'
import { ChainModel } from '../../support/chain-model.ts'

/**
 * Mainnet has two coinbases twice: that of block 91722 again in 91880, that of 91812 again in 91842 (BIP30 came after).
 * The reference, whose outputs wait in a cache by outpoint while it catches up, has the later output alone as unspent,
 * with the later height, and lists both blocks in the history.
 */
const HEIGHTS = { first: [3, 9], second: [5, 7] } as const
const SCRIPTS = { first: scriptOf(101), second: scriptOf(102) }
const [first, second] = (['first', 'second'] as const).map((name) =>
  buildCoinbase(HEIGHTS[name][0], 0, [{ value: 50_0000_0000n, script: SCRIPTS[name] }]),
) as [ReturnType<typeof buildCoinbase>, ReturnType<typeof buildCoinbase>]

/** The chain up to the fourth of those blocks. */
function chainWithTwins(): RandomChain {
  const chain = new RandomChain(seededRandom(30))
  while (chain.height < 9) {
    const height = chain.height + 1
    if (height === 3 || height === 9) chain.mineExactly([first])
    else if (height === 5 || height === 7) chain.mineExactly([second])
    else chain.mine({ txs: 0, scripts: 3 })
  }
  return chain
}

const ways = (['told', 'looked up'] as const).flatMap((spends) =>
  [
    { flushes: 'in one flush', each: false, ahead: 1000 },
    { flushes: 'in one flush that can be taken back', each: false, ahead: 0 },
    { flushes: 'flushed one by one', each: true, ahead: 0 },
    { flushes: 'flushed one by one, far below the tip', each: true, ahead: 1000 },
  ].map((way) => ({ spends, ...way })),
) satisfies { readonly spends: Spends }[]

describe('coinbases that come twice (BIP30)', () => {
  it.each(ways)('count once as unspent and twice in the history: $spends, $flushes', ({ spends, each, ahead }) =>
    withDirectory(async (directory) => {
      const chain = chainWithTwins()
      await withIndex(indexOptions(directory, chain), async (db) => {
        if (spends === 'looked up') await db.listOutputs()
        const dumps: string[][] = []
        while (db.tip.height < chain.height) {
          await advanceBy(db, chain.blocks.slice(0, db.tip.height + 2), chain.height + ahead, spends)
          if (each) dumps.push(await dumpOf(db))
        }
        const view = viewOf(db, new ChainModel(chain.blocks))
        for (const [tx, script, heights] of [
          [first, SCRIPTS.first, HEIGHTS.first],
          [second, SCRIPTS.second, HEIGHTS.second],
        ] as const) {
          const history = await view.history(hashXOf(script), 10)
          expect(history.map(({ height }) => height)).toEqual(heights)
          expect(history.map(({ txid }) => txid)).toEqual([tx.txid, tx.txid])
          const unspent = await view.utxos(hashXOf(script))
          expect(unspent).toMatchObject([{ txid: tx.txid, vout: 0, height: heights[1], value: 50_0000_0000n }])
          expect(await view.balance(hashXOf(script))).toEqual({ value: 50_0000_0000n, outputs: 1 })
          expect(await view.findTransaction(tx.txid)).toMatchObject({ height: heights[1], position: 0 })
          for (const height of heights) expect(await view.blockTxids(height)).toEqual(tx.txid)
        }
        await expectViewIs(view, new ChainModel(chain.blocks), chain.blocks)
        view.release()
        if (each && ahead === 0) {
          for (let at = dumps.length - 2; at >= 0; at--) {
            await db.rollBack()
            expect(await dumpOf(db)).toEqual(dumps[at])
          }
          await advanceTo(db, chain.blocks, chain.height, spends)
        }
        const input = { prevTxid: first.txid, prevIndex: 0, script: new Uint8Array(0), sequence: 0, witness: [] }
        const spender = buildTx([input], [{ value: 1n, script: scriptOf(1) }])
        chain.mineExactly([buildCoinbase(10, 5, [{ value: 1n, script: scriptOf(2) }]), spender])
        await advanceTo(db, chain.blocks, chain.height + ahead, spends)
        const after = viewOf(db, new ChainModel(chain.blocks))
        expect(await after.utxos(hashXOf(SCRIPTS.first))).toEqual([])
        expect((await after.history(hashXOf(SCRIPTS.first), 10)).map(({ height }) => height)).toEqual([3, 9, 10])
        await expectViewIs(after, new ChainModel(chain.blocks), chain.blocks)
        after.release()
      })
    }),
  )
})
