import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type * as IndexDb from '../../../src/db/index-db.ts'
import { copyOf } from '../../../src/lib/bytes.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentLogger } from '../../../src/log.ts'
import type * as Processors from '../../../src/sync/block-processor.ts'
import { RandomChain, seededRandom } from '../../support/chain-builder.ts'
import { advanceTo, dumpOf, indexOptions, withDirectory, withIndex } from '../../support/chain-index.ts'
import { compileSources } from '../../support/compiled.ts'
import { FakeDaemon } from '../../support/fake-daemon.ts'

const PLAN = { txs: 4, scripts: 5 }
const BLOCKS = 20
/** As block-processor.ts has it. */
const PRACTISED = 8

interface Compiled {
  readonly IndexDatabase: typeof IndexDb.IndexDatabase
  readonly BlockProcessor: typeof Processors.BlockProcessor
}

let compiled: Compiled
let remove = (): Promise<void> => Promise.resolve()

beforeAll(async () => {
  const sources = await compileSources('practice')
  remove = sources.remove
  compiled = {
    ...(await sources.load<Pick<Compiled, 'IndexDatabase'>>('db/index-db.js')),
    ...(await sources.load<Pick<Compiled, 'BlockProcessor'>>('sync/block-processor.js')),
  }
})

afterAll(() => remove())

interface World {
  readonly daemon: FakeDaemon
  readonly db: IndexDb.IndexDatabase
  readonly processor: Processors.BlockProcessor
  readonly catchUp: () => Promise<void>
  /** Of the calls for blocks so far. */
  readonly fetched: () => number
  /** Settles once so many blocks have been asked for. */
  readonly fetches: (count: number) => Promise<void>
  readonly hanging: Hanging
}

/** Questions for blocks that are never answered, until it is over with that. */
class Hanging {
  aborted = 0
  readonly over: () => void

  constructor(daemon: FakeDaemon) {
    const answer = daemon.rawBlock.bind(daemon)
    daemon.rawBlock = (_hash, signal) =>
      new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => {
          this.aborted += 1
          reject(new DOMException('over', 'AbortError'))
        })
      })
    this.over = () => {
      daemon.rawBlock = answer
    }
  }
}

/** A processor with a parsing thread that has just come to the tip of an index on disk: it practises. */
async function restarted(use: (world: World) => Promise<void>, { hangs = false } = {}): Promise<void> {
  const chain = new RandomChain(seededRandom(BLOCKS))
  for (let i = 0; i < BLOCKS; i++) chain.mine(PLAN)
  await withDirectory(async (directory) => {
    const options = indexOptions(join(directory, 'a'), chain, { reorgLimit: 10 })
    await withIndex(options, (index) => advanceTo(index, chain.blocks, chain.height, 'told'))
    const daemon = new FakeDaemon(chain)
    daemon.abilities = { rest: true, spentTxOuts: true, zmq: undefined }
    // From here on it knows them by their hashes. What it gives is given away to the thread.
    await daemon.blockHashes(0, BLOCKS + 1)
    let asked = (): void => {}
    const fetched = (): number => daemon.calls.filter((call) => call === 'rawBlock').length
    daemon.tamper = copyOf
    daemon.before = () => asked()
    const fetches = async (count: number): Promise<void> => {
      while (fetched() < count) await new Promise<void>((resolve) => (asked = resolve))
    }
    const hanging = new Hanging(daemon)
    if (!hangs) hanging.over()
    const db = await compiled.IndexDatabase.open(options)
    const processor = new compiled.BlockProcessor({}, { db, daemon, clock: systemClock, log: silentLogger() })
    const listener = { applied: () => {}, rolledBack: () => {} }
    const catchUp = (): Promise<void> => processor.catchUp(listener, new AbortController().signal)
    try {
      await catchUp()
      await use({ daemon, db, processor, catchUp, fetched, fetches, hanging })
    } finally {
      await processor.stop()
      await db.close()
    }
    // Whatever happened above: the index is the one that never saw a thread.
    const expected = await withIndex(indexOptions(join(directory, 'b'), chain, { reorgLimit: 10 }), async (index) => {
      await advanceTo(index, chain.blocks, chain.height, 'told')
      return dumpOf(index)
    })
    expect(await withIndex(options, dumpOf)).toEqual(expected)
  })
}

describe('practice of the parsing thread after a start', () => {
  it('takes the latest blocks once, and the index is what it is without', () =>
    restarted(async ({ daemon, db, processor, catchUp, fetched, fetches }) => {
      await fetches(PRACTISED)
      daemon.chain.mine(PLAN)
      await catchUp()
      expect(db.tip.height).toBe(BLOCKS + 1)
      await catchUp()
      expect(fetched()).toBe(PRACTISED + 1)
      await processor.persist()
    }))

  it('keeps a new block from nothing: it goes on without the one that is practised on', () =>
    restarted(async ({ daemon, db, processor, catchUp, fetched, fetches }) => {
      await fetches(1)
      const before = fetched()
      daemon.chain.mine(PLAN)
      await catchUp()
      expect(db.tip.height).toBe(BLOCKS + 1)
      // One that was asked for in the same moment, and the new one: no further practice.
      expect(fetched() - before).toBeLessThanOrEqual(2)
      await processor.persist()
    }))

  it('waits for no answer of the node when a block comes', () =>
    restarted(
      async ({ daemon, db, processor, catchUp, hanging }) => {
        expect(hanging.aborted).toBe(0)
        hanging.over()
        daemon.chain.mine(PLAN)
        await catchUp()
        expect(db.tip.height).toBe(BLOCKS + 1)
        expect(hanging.aborted).toBe(1)
        await processor.persist()
      },
      { hangs: true },
    ))

  it('waits for none when all is to stop', () =>
    restarted(
      async ({ processor, hanging, fetched }) => {
        await processor.stop()
        expect(hanging.aborted).toBe(1)
        expect(fetched()).toBe(0)
      },
      { hangs: true },
    ))
})
