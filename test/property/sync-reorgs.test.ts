import { setImmediate as nextTurn } from 'node:timers/promises'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Disk, realDisk } from '../../src/db/disk.ts'
import { IndexDatabase } from '../../src/db/index-db.ts'
import { DaemonError, DaemonUnavailableError } from '../../src/errors.ts'
import { toHex } from '../../src/lib/bytes.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/log.ts'
import { BlockProcessor } from '../../src/sync/block-processor.ts'
import { type BuiltBlock, RandomChain, seededRandom } from '../support/chain-builder.ts'
import { dumpOf, expectViewIs, indexOptions, withDirectory } from '../support/chain-index.ts'
import { ChainModel } from '../support/chain-model.ts'
import { FakeDaemon } from '../support/fake-daemon.ts'

/** The node goes `back` by so many blocks and on by `on`: fewer of them is a shorter chain with more work. */
const move = fc.record({ back: fc.nat(9), on: fc.integer({ min: 1, max: 8 }) })

/** One look at the node; what it does meanwhile, at which of the calls of the catch-up. */
const look = fc.record({
  before: fc.array(move, { maxLength: 2 }),
  meanwhile: fc.array(fc.record({ call: fc.nat(30), move }), { maxLength: 3 }),
  persists: fc.boolean(),
})

/** Looks of which two find another branch for sure, whatever chance brings in the other runs. */
const FORKS = {
  first: { before: [], meanwhile: [], persists: false },
  between: { before: [{ back: 9, on: 4 }], meanwhile: [], persists: true },
  during: { before: [{ back: 2, on: 3 }], meanwhile: [{ call: 3, move: { back: 4, on: 6 } }], persists: false },
}

const plan = { txs: 2, scripts: 4 }

/** A node with every chain that it ever had. */
class Moves {
  readonly daemon: FakeDaemon
  /** Chains that were left, and the one of now. */
  readonly chains: (readonly BuiltBlock[])[] = []

  constructor(chain: RandomChain) {
    this.daemon = new FakeDaemon(chain)
  }

  apply({ back, on }: { readonly back: number; readonly on: number }): void {
    const { chain } = this.daemon
    const next = back === 0 ? chain : chain.fork(Math.max(0, chain.height - back))
    for (let i = 0; i < on; i++) next.mine(plan)
    this.daemon.chain = next
    this.chains.push([...next.blocks])
  }

  /** The blocks up to the one with this hash. */
  upTo(height: number, hash: Uint8Array): readonly BuiltBlock[] {
    if (height < 0) return []
    const found = this.chains.find((chain) => toHex(chain[height]?.hash ?? new Uint8Array(0)) === toHex(hash))
    if (found === undefined) throw new Error(`a view stands at ${height}, on no block of the node`)
    return found.slice(0, height + 1)
  }
}

/** Catches up; asks again, as the follower does, where the node was on its way to another branch. */
async function followed(processor: BlockProcessor): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      const listener = { applied: () => undefined, rolledBack: () => undefined }
      await processor.catchUp(listener, new AbortController().signal)
      return
    } catch (error) {
      if (!(error instanceof DaemonUnavailableError || error instanceof DaemonError) || attempt === 10) throw error
    }
  }
}

/** Takes views as long as it is let, and compares what each of them answers with a model of the chain of its tip. */
async function readAll(processor: BlockProcessor, moves: Moves, isOver: () => boolean): Promise<number> {
  let views = 0
  while (!isOver()) {
    const view = processor.view()
    try {
      const model = new ChainModel(moves.upTo(view.tip.height, view.tip.hash))
      for (const hashX of model.hashXs.slice(0, 3)) {
        expect(await view.history(hashX, 1000)).toEqual(model.history(hashX))
        await nextTurn()
        expect(await view.utxos(hashX)).toEqual(model.utxos(hashX))
      }
      expect(view.tip.txCount).toBe(model.txCount)
      views += 1
    } finally {
      view.release()
    }
    await nextTurn()
  }
  return views
}

describe('a node that reorganises at any time', () => {
  it('is followed to what a naive model has, and requests meanwhile see one chain each', async () => {
    let [read, reorgs] = [0, 0]
    await fc.assert(
      fc.asyncProperty(
        fc.nat(2 ** 31 - 1),
        fc.array(look, { minLength: 1, maxLength: 4 }),
        fc.boolean(),
        fc.constantFrom(6_000, 64 << 20),
        async (seed, looks, told, pendingBytes) => {
          await withDirectory(async (directory) => {
            const moves = new Moves(new RandomChain(seededRandom(seed)))
            const { daemon } = moves
            daemon.abilities = { rest: true, spentTxOuts: told, zmq: undefined }
            moves.apply({ back: 0, on: 12 })
            // Flushes that take their time: reorganisations come while they are under way.
            const commit = async (write: () => Promise<void>): Promise<void> => {
              for (let i = 0; i < 5; i++) await nextTurn()
              await write()
            }
            const disk: Disk = { ...realDisk, commit }
            const db = await IndexDatabase.open(indexOptions(directory, daemon.chain, { pendingBytes }), { disk })
            const processor = new BlockProcessor({}, { db, daemon, clock: systemClock, log: silentLogger() })
            let over = false
            const reading = readAll(processor, moves, () => over)
            // It is waited for below; until then nobody minds.
            reading.catch(() => undefined)
            try {
              for (const { before, meanwhile, persists } of looks) {
                for (const each of before) moves.apply(each)
                let calls = 0
                daemon.before = async () => {
                  await nextTurn()
                  const at = calls++
                  for (const each of meanwhile) if (each.call === at) moves.apply(each.move)
                }
                await followed(processor)
                if (persists) await processor.persist()
              }
              daemon.before = () => undefined
              await followed(processor)
              expect(toHex(db.tip.hash)).toBe(toHex(daemon.chain.tip.hash))
              const { blocks } = daemon.chain
              const view = processor.view()
              await expectViewIs(view, new ChainModel(blocks), blocks)
              view.release()
              await db.listOutputs()
              const dump = await dumpOf(db)
              await withDirectory(async (other) => {
                const fresh = await IndexDatabase.open(indexOptions(other, daemon.chain))
                const again = new BlockProcessor({}, { db: fresh, daemon, clock: systemClock, log: silentLogger() })
                await followed(again)
                await fresh.listOutputs()
                expect(dump).toEqual(await dumpOf(fresh))
                await fresh.close()
              })
            } finally {
              over = true
              reorgs += processor.rolledBack.reorgs
              try {
                read += await reading
              } finally {
                await processor.stop()
                await db.close()
              }
            }
          })
        },
      ),
      {
        numRuns: 8,
        endOnFailure: true,
        examples: [[1, [FORKS.first, FORKS.between, FORKS.during], true, 6_000]],
      },
    )
    expect(read).toBeGreaterThan(20)
    expect(reorgs).toBeGreaterThanOrEqual(2)
  })
})
