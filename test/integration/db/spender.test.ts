import { describe, expect, it } from 'vitest'
import { hashXOf } from '../../../src/chain/script.ts'
import { buildCoinbase, buildTx, outpointOf, RandomChain, scriptOf, seededRandom } from '../../support/chain-builder.ts'
import { advanceTo, indexOptions, withDirectory, withIndex } from '../../support/chain-index.ts'

const BUSY = scriptOf(1)
const TXS = 600

/** A coinbase with many outputs, and a block that spends all of them, each to the same script. */
function busyChain(): RandomChain {
  const chain = new RandomChain(seededRandom(7))
  const coins = Array.from({ length: TXS }, () => ({ value: 1000n, script: scriptOf(2) }))
  const funding = buildCoinbase(chain.height + 1, 0, coins)
  chain.mineExactly([funding])
  const spends = coins.map((_, vout) => {
    const input = { prevTxid: funding.txid, prevIndex: vout, script: new Uint8Array(0), sequence: 0, witness: [] }
    return buildTx([input], [{ value: 900n, script: BUSY }])
  })
  chain.mineExactly([buildCoinbase(chain.height + 1, 0, [{ value: 1n, script: scriptOf(3) }]), ...spends])
  return chain
}

describe('the search for who spends an output', () => {
  it('goes through what the script has done a little at a time, says how much, and can be ended', () =>
    withDirectory(async (directory) => {
      const chain = busyChain()
      await withIndex(indexOptions(directory, chain), async (db) => {
        await advanceTo(db, chain.blocks)
        const view = db.acquireView()
        const search = (looked?: (transactions: number) => void) =>
          view.findSpender(hashXOf(BUSY), outpointOf(new Uint8Array(32).fill(9), 0), 0, looked)
        const counts: number[] = []
        let turns = 0
        let searching = true
        const turn = (): void => {
          turns++
          if (searching) setImmediate(turn)
        }
        setImmediate(turn)
        expect(await search((count) => counts.push(count))).toBe(undefined)
        searching = false
        expect(counts.reduce((sum, count) => sum + count, 0)).toBe(TXS)
        expect(Math.max(...counts)).toBeLessThanOrEqual(100)
        expect(turns).toBeGreaterThanOrEqual(4)
        let told = 0
        const stop = (): void => {
          if (++told === 2) throw new Error('enough')
        }
        await expect(search(stop)).rejects.toThrow('enough')
        expect(await search()).toBe(undefined)
        view.release()
      })
    }))
})
