import { describe, expect, it } from 'vitest'
import { corpusBlocks, corpusConfig, type ExpectedRow, expectedRows, Replay } from '../../support/atomicals-replay.ts'
import { withDirectory } from '../../support/chain-index.ts'

const blocks = corpusBlocks()
const finalChain = blocks.filter(({ branch }) => branch === 'main' || branch.endsWith('-b'))

/** Hashes as the reference answered them. */
function answered(rows: readonly ExpectedRow[]): Map<number, string> {
  const hashes = new Map<number, string>()
  for (const { method, via, params, result } of rows) {
    // Height 0 is answered with the tip.
    if (method !== 'blockchain.atomicals.get_block_hash' || via !== undefined || Number(params[0]) === 0) continue
    const hash = (result as { result: string | null } | undefined)?.result
    if (typeof hash === 'string') hashes.set(Number(params[0]), hash)
  }
  return hashes
}

async function dumpOf(replay: Replay): Promise<string[]> {
  const lines: string[] = []
  for await (const line of replay.db.canonicalDump()) lines.push(line)
  return lines
}

describe('corpus A, replayed without a node', () => {
  it('has the Atomicals hash of every block of the final chain', () =>
    withDirectory(async (directory) => {
      const replay = await Replay.open(directory)
      for (const block of finalChain) await replay.add(block)
      const wanted = answered(expectedRows('expected'))
      expect(wanted.size).toBeGreaterThan(200)
      expect(await replay.hashes()).toEqual(wanted)
      await replay.close()
    }))

  it('has the Atomicals hash of every lost branch, and afterwards the rows of a fresh sync', () =>
    withDirectory((live) =>
      withDirectory(async (fresh) => {
        const followed = await Replay.open(live)
        const marks = new Map(corpusConfig().marks.map((mark) => [mark.arrival, mark]))
        let lost = 0
        for (const [arrived, block] of blocks.entries()) {
          await followed.add(block)
          const mark = marks.get(arrived + 1)
          if (mark?.atomicals_block_hash === undefined) continue
          lost += 1
          const tip = await followed.block(mark.height)
          expect({ mark: mark.mark, ...tip }).toEqual({
            mark: mark.mark,
            hash: mark.atomicals_block_hash,
            count: mark.atomical_count,
          })
        }
        expect(lost).toBe(3)
        const synced = await Replay.open(fresh)
        for (const block of finalChain) await synced.add(block)
        expect(await dumpOf(followed)).toEqual(await dumpOf(synced))
        await followed.close()
        await synced.close()
      }),
    ))
})
