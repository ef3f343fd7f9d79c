import { describe, expect, it } from 'vitest'
import { Deploys } from '../../../src/atomicals/deploys.ts'
import { idText } from '../../../src/atomicals/id-text.ts'
import { AtomicalsQueries } from '../../../src/atomicals/queries.ts'
import { ViewRows } from '../../../src/atomicals/rows.ts'
import { holdingsOf } from '../../../src/atomicals/steps/spend.ts'
import { type Judged, Trial } from '../../../src/atomicals/trial.ts'
import { parseBlock, txAt } from '../../../src/chain/block.ts'
import { fromHex } from '../../../src/lib/bytes.ts'
import { CORPUS_HEIGHTS, corpusBlocks, Replay } from '../../support/atomicals-replay.ts'
import { withDirectory } from '../../support/chain-index.ts'

/** What a trial and the activity log of the index both say. */
interface Movements {
  readonly spent: readonly string[]
  readonly outputs: readonly string[]
  readonly burnt: readonly string[]
  readonly clean: boolean
}

function movementsOf({ spent, coloured }: Judged): Movements {
  return {
    spent: spent
      .flatMap(holdingsOf)
      .map(({ input, id, value }) => `${input} ${id} ${value}`)
      .sort(),
    outputs: coloured.outputs.map(({ output, id, value }) => `${output} ${id} ${value}`).sort(),
    burnt: [...coloured.blueprint.burnt].map(([id, value]) => `${id} ${value}`).sort(),
    clean: coloured.blueprint.clean,
  }
}

describe('a trial of corpus A', () => {
  it('says of every transaction, before its block and with those before it applied, what the index then does', () =>
    withDirectory(async (path) => {
      const replay = await Replay.open(path)
      let moving = 0
      let burning = 0
      let mints = 0
      for (const block of corpusBlocks()) {
        while (replay.db.tip.height >= block.height) await replay.db.rollBack()
        if (block.height < CORPUS_HEIGHTS.start) {
          await replay.add(block)
          continue
        }
        const parsed = parseBlock(fromHex(block.hex))
        const before = replay.db.acquireView()
        const trial = new Trial(
          { heights: CORPUS_HEIGHTS },
          { view: before, rows: new ViewRows(before), deploys: new Deploys() },
        )
        const tried: { judged: Judged; minted: string | undefined }[] = []
        for (let i = 1; i < parsed.txCount; i++) {
          const tx = txAt(parsed, i)
          const judged = await trial.judge(tx)
          tried.push({ judged, minted: (await trial.mintOf(judged))?.id })
          await trial.apply(tx)
        }
        before.release()
        await replay.add(block)
        const after = replay.db.acquireView()
        const queries = AtomicalsQueries.of(after)
        const firstTxNum = after.tip.txCount - parsed.txCount
        for (const [i, { judged, minted }] of tried.entries()) {
          const activity = queries.activity(firstTxNum + 1 + i)
          const expected: Movements = {
            spent: (activity?.spent ?? []).map(({ input, id, value }) => `${input} ${id} ${value}`).sort(),
            outputs: (activity?.outputs ?? []).map(({ output, id, value }) => `${output} ${id} ${value}`).sort(),
            burnt: (activity?.burnt ?? []).map(({ id, value }) => `${id} ${value}`).sort(),
            clean: activity?.clean ?? true,
          }
          expect(movementsOf(judged)).toEqual(expected)
          if (activity?.op !== 'mint-dft') expect(minted).toBe(activity?.minted)
          if (minted !== undefined) {
            mints += 1
            const held = queries.location(idText(judged.tx.txid, 0))?.held ?? []
            const isDeployed = queries.atomical(minted)?.type === 'dft'
            expect(held.some(({ id }) => id === minted)).toBe(!isDeployed)
          }
          if (expected.spent.length > 0) moving += 1
          if (expected.burnt.length > 0) burning += 1
        }
        after.release()
      }
      await replay.db.close()
      expect(moving).toBeGreaterThan(400)
      expect(burning).toBeGreaterThan(20)
      expect(mints).toBeGreaterThan(500)
    }))
})
