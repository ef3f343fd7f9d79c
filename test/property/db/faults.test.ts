import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Disk, realDisk } from '../../../src/db/disk.ts'
import { IndexDatabase } from '../../../src/db/index-db.ts'
import { StorageError } from '../../../src/errors.ts'
import { toHex } from '../../../src/lib/bytes.ts'
import { type BuiltBlock, RandomChain, seededRandom } from '../../support/chain-builder.ts'
import {
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

/** A disk that fails once, at write number `at` and in one of the ways in which disks and processes fail. */
function failingDisk(at: number, how: 'before' | 'after' | 'half'): { readonly disk: Disk; failed: boolean } {
  const state = { disk: realDisk, failed: false }
  let writes = 0
  const write = async (
    act: () => Promise<void>,
    half: () => Promise<void> = () => Promise.resolve(),
  ): Promise<void> => {
    const fails = writes++ === at
    if (fails && how === 'half') await half()
    if (!fails || how === 'after') await act()
    if (!fails) return
    state.failed = true
    throw new Error('the disk fails')
  }
  state.disk = {
    ...realDisk,
    commit: (batch) => write(() => realDisk.commit(batch)),
    writeAt: (file, bytes, position) =>
      write(
        () => realDisk.writeAt(file, bytes, position),
        () => realDisk.writeAt(file, bytes.subarray(0, bytes.length >> 1), position),
      ),
    sync: (file) => write(() => realDisk.sync(file)),
    truncate: (file, length) => write(() => realDisk.truncate(file, length)),
  }
  return state
}

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('mine' as const), txs: fc.integer({ min: 0, max: 6 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('fork' as const), depth: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('flush' as const) }) },
)

describe('a write that fails at any moment', () => {
  it('leaves a database that stands at one of the blocks on its way, complete, and goes on from there', async () => {
    let failures = 0
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 2 ** 31 }),
        fc.array(step, { minLength: 4, maxLength: 25 }),
        fc.integer({ min: 4, max: 60 }),
        fc.constantFrom('before' as const, 'after' as const, 'half' as const),
        fc.record({
          spends: fc.constantFrom<Spends>('told', 'looked up'),
          ahead: fc.constantFrom(0, 3, 1000),
          pendingBytes: fc.constantFrom(9_000, 64 << 20),
        }),
        async (seed, steps, at, how, { spends, ahead, pendingBytes }) => {
          await withDirectory(async (directory) => {
            let chain = new RandomChain(seededRandom(seed))
            const options = indexOptions(directory, chain, { reorgLimit: 5, pendingBytes })
            const chains = new Map<string, readonly BuiltBlock[]>([['', []]])
            const remember = (): void => void chains.set(toHex(chain.tip.hash), chain.blocks.slice())
            const faults = failingDisk(at, how)
            const db = await IndexDatabase.open(options, { disk: faults.disk })
            try {
              remember()
              await advanceTo(db, chain.blocks, chain.height + ahead, spends)
              for (const each of steps) {
                if (each.kind === 'mine') chain.mine({ txs: each.txs, scripts: 4 })
                if (each.kind === 'fork') {
                  chain = chain.fork(Math.max(0, chain.height - each.depth, db.deepestFork))
                  while (db.tip.height > chain.height) await db.rollBack()
                }
                remember()
                await advanceTo(db, chain.blocks, chain.height + ahead, spends)
                if (each.kind === 'flush') await db.flush()
              }
            } catch (error) {
              if (!(error instanceof StorageError)) throw error
            }
            await db.close().catch((error: unknown) => {
              if (!(error instanceof StorageError)) throw error
            })
            if (faults.failed) failures += 1
            await withIndex(options, async (again) => {
              // A fork rolls back block by block, so it may stand at any block of any chain.
              const found = [...chains.values()]
                .flatMap((blocks) => blocks.map((_, i) => blocks.slice(0, i + 1)))
                .find((blocks) => toHex(blocks.at(-1)!.hash) === toHex(again.tip.hash))
              const blocks = found ?? []
              expect(again.tip.height).toBe(blocks.length - 1)
              if (blocks.length > 0) {
                const view = viewOf(again, new ChainModel(blocks))
                await expectViewIs(view, new ChainModel(blocks), chain.blocks)
                view.release()
              }
              while (
                again.tip.height >= 0 &&
                toHex(again.tip.hash) !== toHex(chain.blocks[again.tip.height]?.hash ?? again.tip.hash.slice(1))
              ) {
                await again.rollBack()
              }
              await advanceTo(again, chain.blocks, chain.height, spends)
              await again.listOutputs()
              const after = await dumpOf(again)
              await withDirectory((other) =>
                withIndex(indexOptions(other, chain), async (fresh) => {
                  await advanceTo(fresh, chain.blocks)
                  await fresh.listOutputs()
                  expect(after).toEqual(await dumpOf(fresh))
                }),
              )
            })
          })
        },
      ),
      { numRuns: 40 },
    )
    expect(failures).toBeGreaterThan(2)
  })
})
