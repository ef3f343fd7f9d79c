import { describe, expect, it } from 'vitest'
import { HOLDERS, NAMES, NUMBERS } from '../../../src/atomicals/layout.ts'
import type { KeySpace } from '../../../src/db/layout.ts'
import type { ChainView } from '../../../src/db/view.ts'
import { corpusBlocks, Replay } from '../../support/atomicals-replay.ts'
import { withDirectory } from '../../support/chain-index.ts'

const START = new Uint8Array(0)

/** All rows of a space, page by page. */
async function byPages<K, V>(view: ChainView, space: KeySpace<K, V>, limit: number, reverse: boolean): Promise<K[]> {
  const keys: K[] = []
  for (let beyond: Uint8Array | undefined; ; ) {
    const page = await view.page(space, START, { limit, reverse, beyond })
    keys.push(...page.map(({ key }) => key))
    const last = page.at(-1)
    if (last === undefined || page.length < limit) return keys
    beyond = space.keyBytes(last.key).subarray(1)
  }
}

async function expectPages<K, V>(view: ChainView, space: KeySpace<K, V>): Promise<number> {
  const all = (await view.rows(space, START)).map(({ key }) => key)
  for (const limit of [1, 7, 1_000]) {
    expect(await byPages(view, space, limit, false)).toEqual(all)
    expect(await byPages(view, space, limit, true)).toEqual(all.toReversed())
  }
  return all.length
}

describe('pages of a view', () => {
  it('have every row once, whatever of them is flushed, and taken away since', () =>
    withDirectory(async (path) => {
      const replay = await Replay.open(path)
      const blocks = corpusBlocks().filter(({ branch }) => branch === 'main' || branch.endsWith('-b'))
      for (const [i, block] of blocks.entries()) {
        await replay.add(block)
        // What stands above the last flush is in memory: tokens that moved since leave rows to be passed over.
        if (i === 200) await replay.db.flush()
        if (i !== 120 && i !== 200 && i !== blocks.length - 1) continue
        const view = replay.db.acquireView()
        const counts = [
          await expectPages(view, NUMBERS),
          await expectPages(view, HOLDERS),
          await expectPages(view, NAMES),
        ]
        expect(Math.min(...counts)).toBeGreaterThan(5)
        view.release()
      }
      await replay.close()
    }))
})
