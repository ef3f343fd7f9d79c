import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Disk, realDisk } from '../../../src/db/disk.ts'
import { IndexDatabase } from '../../../src/db/index-db.ts'
import type { IndexOptions } from '../../../src/db/index-options.ts'
import type { IndexView } from '../../../src/db/index-view.ts'
import { type BuiltBlock, RandomChain, seededRandom } from '../../support/chain-builder.ts'
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
import { tally, tallyIn, tallyOf } from '../../support/tally-indexer.ts'

const PLAN = { txs: 3, scripts: 4 }
const COLLABORATORS = { indexers: [tally] }

/** A disk whose commits hang until somebody needs their end. */
class HangingDisk {
  readonly disk: Disk = { ...realDisk, commit: (write) => this.#turn().then(write) }
  #waiting: (() => void)[] = []
  #open = 0

  /** Lets all commits through until `work` has settled, and those that hang. */
  async through<T>(work: () => Promise<T>): Promise<T> {
    this.#open += 1
    for (const go of this.#waiting.splice(0)) go()
    try {
      return await work()
    } finally {
      this.#open -= 1
    }
  }

  #turn(): Promise<void> {
    return this.#open > 0 ? Promise.resolve() : new Promise((resolve) => this.#waiting.push(resolve))
  }
}

/** A node, an index that follows it by and by, and views that are kept on the way. */
class Walk {
  #node: RandomChain
  readonly #all: BuiltBlock[]
  readonly #options: IndexOptions
  readonly #slow = new HangingDisk()
  readonly #spends: Spends
  readonly #db: IndexDatabase[] = []
  #views: { readonly view: IndexView; readonly blocks: readonly BuiltBlock[] }[] = []
  /** The last block that the flush which was begun last writes, and blocks since then. */
  #flushes = -1
  #unflushed = 0
  #wasRevocable = false
  /** What came while a flush was under way; boundaries are blocks with which revocable ones begin or end. */
  during = { blocks: 0, views: 0, boundaries: 0, reorgs: 0 }

  constructor(node: RandomChain, options: IndexOptions, spends: Spends) {
    this.#node = node
    this.#all = [...node.blocks]
    this.#options = options
    this.#spends = spends
  }

  get db(): IndexDatabase {
    return this.#db[0]!
  }

  async open(): Promise<void> {
    const collaborators = { ...COLLABORATORS, disk: this.#slow.disk }
    this.#db[0] = await this.#slow.through(() => IndexDatabase.open(this.#options, collaborators))
    this.#unflushed = 0
    this.#flushes = this.db.tip.height
  }

  async close(): Promise<void> {
    for (const { view } of this.#views.splice(0)) view.release()
    await this.#slow.through(() => this.db.close())
  }

  get #flushing(): boolean {
    return this.db.flushedHeight < this.#flushes
  }

  mine(count: number): void {
    for (let i = 0; i < count; i++) this.#all.push(this.#node.mine(PLAN))
  }

  /** The next blocks of the node, as many as there are. */
  async take(count: number): Promise<void> {
    for (let i = 0; i < count && this.db.tip.height < this.#node.height; i++) await this.#advance()
  }

  async #advance(): Promise<void> {
    const height = this.db.tip.height + 1
    const revocable = height > this.#node.height - this.#options.reorgLimit
    const turns = revocable !== this.#wasRevocable
    const advance = () => advanceBy(this.db, this.#node.blocks.slice(0, height + 1), this.#node.height, this.#spends)
    // It waits for the flush before if it has to begin another one; and where outputs are listed, once.
    if ((turns && this.#unflushed > 0) || !this.db.listsOutputs) {
      await this.#slow.through(advance)
      if (turns) this.#begun(height - 1)
    } else {
      await advance()
    }
    this.#wasRevocable = revocable
    this.#unflushed += 1
    if (!this.#flushing) return
    this.during.blocks += 1
    if (turns) this.during.boundaries += 1
  }

  #begun(height: number): void {
    if (this.#unflushed > 0) this.#flushes = height
    this.#unflushed = 0
  }

  /** Begins a flush, once the one before has ended, and lets it hang while so many more blocks come. */
  async begin(more: number): Promise<void> {
    // Genesis alone is nothing that would be due.
    if (this.#unflushed > 0 && this.db.tip.height > 0) {
      expect(await this.#slow.through(() => this.db.flushIfDue())).toBe(true)
      this.#begun(this.db.tip.height)
    }
    await this.take(more)
  }

  async flush(): Promise<void> {
    await this.#slow.through(() => this.db.flush())
    this.#begun(this.db.tip.height)
  }

  /** The node goes to another branch: back by so many blocks from where the index is, on by so many. */
  async reorganise(back: number, on: number): Promise<void> {
    const tip = this.db.tip.height
    const fork = Math.max(0, this.db.deepestFork, tip - back)
    if (fork >= tip) return
    if (this.#flushing) this.during.reorgs += 1
    this.#node = this.#node.fork(fork)
    this.mine(on)
    await this.#slow.through(async () => {
      while (this.db.tip.height > fork) await this.db.rollBack()
    })
    this.#unflushed = 0
    this.#flushes = this.db.flushedHeight
    this.#wasRevocable = true
  }

  async look(keeps: boolean): Promise<void> {
    const blocks = this.#node.blocks.slice(0, this.db.tip.height + 1)
    const view = viewOf(this.db, new ChainModel(blocks))
    this.#views.push({ view, blocks })
    if (this.#flushing) this.during.views += 1
    expect(await tallyIn(view)).toEqual(tallyOf(blocks))
    if (!keeps) await this.settle()
  }

  /** Every view that was kept answers as it did. */
  async settle(): Promise<void> {
    for (const { view, blocks } of this.#views.splice(0)) {
      try {
        expect(await tallyIn(view)).toEqual(tallyOf(blocks))
        await expectViewIs(view, new ChainModel(blocks), blocks.slice(-6))
      } finally {
        view.release()
      }
    }
  }

  /** On to the node's tip; then every row is that of an index which nothing made wait. */
  async end(): Promise<void> {
    await this.take(Number.POSITIVE_INFINITY)
    await this.look(true)
    await this.#slow.through(() => this.db.listOutputs())
    const dump = await this.#slow.through(() => dumpOf(this.db))
    await this.settle()
    await withDirectory((directory) =>
      withIndex(
        { ...this.#options, directory, pendingBytes: 64 << 20 },
        async (fresh) => {
          await advanceTo(fresh, this.#node.blocks, this.#node.height)
          expect(dump).toEqual(await dumpOf(fresh))
        },
        COLLABORATORS,
      ),
    )
  }
}

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('take' as const), count: fc.integer({ min: 1, max: 5 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('mine' as const), count: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('begin' as const), count: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('flush' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('look' as const), keeps: fc.boolean() }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('fork' as const), back: fc.nat(6), on: fc.integer({ min: 1, max: 7 }) }),
  },
)

describe('an index with rows of its own on a disk that takes its time', () => {
  it('misses nothing while blocks, reorganisations and questions go on during a flush, and ends as any other', async () => {
    const total = { blocks: 0, views: 0, boundaries: 0, reorgs: 0 }
    await fc.assert(
      fc.asyncProperty(
        fc.nat(2 ** 31 - 1),
        fc.integer({ min: 5, max: 12 }),
        fc.integer({ min: 1, max: 6 }),
        fc.constantFrom<Spends>('told', 'told', 'looked up'),
        fc.array(step, { minLength: 10, maxLength: 30 }),
        (seed, first, reorgLimit, spends, steps) =>
          withDirectory(async (directory) => {
            const node = new RandomChain(seededRandom(seed))
            // Every flush that is asked for is due.
            const walk = new Walk(node, indexOptions(directory, node, { reorgLimit, pendingBytes: 1 }), spends)
            walk.mine(first)
            await walk.open()
            try {
              for (const each of steps) {
                if (each.kind === 'take') await walk.take(each.count)
                else if (each.kind === 'mine') walk.mine(each.count)
                else if (each.kind === 'begin') await walk.begin(each.count)
                else if (each.kind === 'flush') await walk.flush()
                else if (each.kind === 'look') await walk.look(each.keeps)
                else if (each.kind === 'fork') await walk.reorganise(each.back, each.on)
                else {
                  await walk.settle()
                  await walk.close()
                  await walk.open()
                }
              }
              await walk.end()
              expect(walk.db.outstandingViews).toBe(0)
            } finally {
              await walk.close()
              for (const name of ['blocks', 'views', 'boundaries', 'reorgs'] as const) total[name] += walk.during[name]
            }
          }),
      ),
      { numRuns: 40 },
    )
    expect(total.blocks).toBeGreaterThan(60)
    expect(total.views).toBeGreaterThan(5)
    expect(total.reorgs).toBeGreaterThan(0)
    expect(total.boundaries).toBeGreaterThan(5)
  })
})
