import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { IndexDatabase } from '../../../src/db/index-db.ts'
import type { ChainView } from '../../../src/db/view.ts'
import { RandomChain, seededRandom } from '../../support/chain-builder.ts'
import {
  advanceTo,
  dumpOf,
  expectViewIs,
  gather,
  indexOptions,
  inMemory,
  type Spends,
  viewOf,
  withDirectory,
  withIndex,
} from '../../support/chain-index.ts'
import { ChainModel } from '../../support/chain-model.ts'

const plan = fc.record({ txs: fc.integer({ min: 0, max: 8 }), scripts: fc.integer({ min: 1, max: 6 }) })
const seed = fc.integer({ min: 0, max: 2 ** 31 })
const spending = fc.constantFrom<Spends>('told', 'looked up')

describe('the index', () => {
  it('answers every question as a naive model of the chain does, flushed or not', async () => {
    await fc.assert(
      fc.asyncProperty(
        seed,
        fc.array(plan, { minLength: 1, maxLength: 8 }),
        fc.nat(9),
        spending,
        fc.constantFrom(0, 1000),
        fc.boolean(),
        async (start, plans, flushAt, spends, beyond, gathers) => {
          const chain = new RandomChain(seededRandom(start))
          for (const each of plans) chain.mine(each)
          await withDirectory((directory) =>
            withIndex(indexOptions(directory, chain), async (db) => {
              const nodeHeight = chain.height + beyond
              await advanceTo(db, chain.blocks.slice(0, flushAt), nodeHeight, spends)
              await db.flush()
              if (gathers) await gather(db)
              await advanceTo(db, chain.blocks, nodeHeight, spends)
              const view = viewOf(db, new ChainModel(chain.blocks))
              await expectViewIs(view, new ChainModel(chain.blocks), chain.blocks)
              await db.flush()
              const later = viewOf(db, new ChainModel(chain.blocks))
              await expectViewIs(later, new ChainModel(chain.blocks), chain.blocks)
              if (gathers) await gather(db)
              const last = viewOf(db, new ChainModel(chain.blocks))
              await expectViewIs(last, new ChainModel(chain.blocks), chain.blocks)
              last.release()
              await expectViewIs(view, new ChainModel(chain.blocks), chain.blocks)
              view.release()
              later.release()
            }),
          )
        },
      ),
      { numRuns: 25 },
    )
  })

  it('is what it was before once all blocks are taken back', async () => {
    await fc.assert(
      fc.asyncProperty(
        seed,
        fc.array(plan, { minLength: 1, maxLength: 6 }),
        fc.array(plan, { minLength: 1, maxLength: 6 }),
        fc.boolean(),
        spending,
        fc.constantFrom('never', 'before', 'after'),
        async (start, below, above, flushEach, spends, gathers) => {
          const chain = new RandomChain(seededRandom(start))
          for (const each of below) chain.mine(each)
          await withDirectory((directory) =>
            withIndex(
              indexOptions(directory, chain),
              async (db) => {
                const advance = () => advanceTo(db, chain.blocks, chain.height, spends)
                await advance()
                const before = await dumpOf(db)
                if (gathers === 'before') await gather(db)
                const height = db.tip.height
                for (const each of above) {
                  chain.mine(each)
                  await advance()
                  if (flushEach) await db.flush()
                }
                const after = await dumpOf(db)
                if (gathers === 'after') await gather(db)
                expect(after).not.toEqual(before)
                while (db.tip.height > height) await db.rollBack()
                expect(await dumpOf(db)).toEqual(before)
                await advance()
                expect(await dumpOf(db)).toEqual(after)
                while (db.tip.height >= 0) await db.rollBack()
                expect((await dumpOf(db)).filter((line) => !line.startsWith('row 53'))).toEqual([])
              },
              inMemory(),
            ),
          )
        },
      ),
      { numRuns: 25 },
    )
  })

  it('has the same rows by meaning however blocks were flushed and whether or not they can be taken back', async () => {
    await fc.assert(
      fc.asyncProperty(
        seed,
        fc.array(plan, { minLength: 2, maxLength: 10 }),
        fc.nat(10),
        fc.nat(10),
        async (start, plans, cut, gathers) => {
          const chain = new RandomChain(seededRandom(start))
          for (const each of plans) chain.mine(each)
          const dumps: string[][] = []
          for (const [nodeHeight, flushEach, spends, pendingBytes] of [
            [chain.height, true, 'looked up', 64 << 20],
            [chain.height + 1_000, false, 'looked up', 64 << 20],
            [chain.height + cut, false, 'looked up', 64 << 20],
            [chain.height + cut, true, 'told', 64 << 20],
            [chain.height + cut, false, 'told', 9_000],
            [chain.height + 1_000, false, 'told', 9_000],
          ] as const) {
            await withDirectory((directory) =>
              withIndex(
                indexOptions(directory, chain, { reorgLimit: 5, pendingBytes }),
                async (db) => {
                  for (let count = 1; count <= chain.blocks.length; count++) {
                    await advanceTo(db, chain.blocks.slice(0, count), nodeHeight, spends)
                    if (flushEach) await db.flush()
                    if (count === gathers) await gather(db)
                  }
                  await db.listOutputs()
                  dumps.push(await dumpOf(db))
                },
                inMemory(),
              ),
            )
          }
          for (const dump of dumps) expect(dump).toEqual(dumps[0])
        },
      ),
      { numRuns: 25 },
    )
  })

  it('follows any walk of new blocks, reorganisations, flushes and restarts, and old views keep their answers', async () => {
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.record({ kind: fc.constant('mine' as const), plan }) },
      {
        weight: 2,
        arbitrary: fc.record({ kind: fc.constant('fork' as const), depth: fc.integer({ min: 1, max: 5 }) }),
      },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('flush' as const) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen' as const) }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('gather' as const) }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('view' as const) }) },
    )
    await fc.assert(
      fc.asyncProperty(
        seed,
        fc.array(step, { minLength: 3, maxLength: 25 }),
        spending,
        async (start, steps, spends) => {
          await withDirectory(async (directory) => {
            let chain = new RandomChain(seededRandom(start))
            const all = [...chain.blocks]
            const options = indexOptions(directory, chain)
            let db = await IndexDatabase.open(options)
            let views: { view: ChainView; model: ChainModel }[] = []
            const settle = async (): Promise<void> => {
              for (const { view, model } of views) {
                await expectViewIs(view, model, all)
                view.release()
              }
              views = []
            }
            try {
              await advanceTo(db, chain.blocks, chain.height, spends)
              for (const each of steps) {
                if (each.kind === 'mine') {
                  all.push(chain.mine(each.plan))
                  await advanceTo(db, chain.blocks, chain.height, spends)
                } else if (each.kind === 'fork') {
                  const height = Math.max(0, chain.height - each.depth)
                  while (db.tip.height > height) await db.rollBack()
                  chain = chain.fork(height)
                } else if (each.kind === 'flush') {
                  await db.flush()
                } else if (each.kind === 'gather') {
                  await gather(db)
                } else if (each.kind === 'reopen') {
                  await settle()
                  await db.close()
                  db = await IndexDatabase.open(options)
                } else {
                  const model = new ChainModel([...chain.blocks])
                  views.push({ view: viewOf(db, model), model })
                }
                expect(db.tip.height).toBe(chain.height)
              }
              const model = new ChainModel([...chain.blocks])
              views.push({ view: viewOf(db, model), model })
              await settle()
              expect(db.outstandingViews).toBe(0)
            } finally {
              await db.close()
            }
          })
        },
      ),
      { numRuns: 30 },
    )
  })
})
