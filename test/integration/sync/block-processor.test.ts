import { stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { IndexDatabase } from '../../../src/db/index-db.ts'
import { ChainError, DaemonError, DaemonUnavailableError, isAbort, StorageError } from '../../../src/errors.ts'
import { copyOf, toDisplayHex, toHex } from '../../../src/lib/bytes.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentLogger } from '../../../src/log.ts'
import { BlockProcessor } from '../../../src/sync/block-processor.ts'
import type { AppliedBlock, ChainListener } from '../../../src/sync/follower.ts'
import type { SyncPosition } from '../../../src/sync/progress.ts'
import { outpointOf, RandomChain, seededRandom, spentTxOuts } from '../../support/chain-builder.ts'
import { advanceTo, dumpOf, expectViewIs, indexOptions, viewOf, withDirectory } from '../../support/chain-index.ts'
import { ChainModel } from '../../support/chain-model.ts'
import { FakeDaemon } from '../../support/fake-daemon.ts'

const PLAN = { txs: 4, scripts: 5 }

class Recorder implements ChainListener {
  readonly applied_: { txids: string; spent: string[]; touched: Set<string>; isLast: boolean }[] = []
  readonly rolledBack_: Set<string>[] = []

  applied({ txids, spentOutpoints, touched, isLast }: AppliedBlock): void {
    this.applied_.push({
      txids: toHex(txids),
      spent: [...spentOutpoints].map(toHex),
      touched: new Set(touched),
      isLast,
    })
  }

  rolledBack({ touched }: { readonly touched: Iterable<string> }): void {
    this.rolledBack_.push(new Set(touched))
  }
}

interface World {
  readonly db: IndexDatabase
  readonly daemon: FakeDaemon
  readonly processor: BlockProcessor
  readonly heard: Recorder
  readonly positions: (SyncPosition | 'finish')[]
  readonly catchUp: (signal?: AbortSignal) => Promise<void>
  /** Compares every answer with a model of the daemon's chain. */
  readonly expectSynced: () => Promise<void>
}

async function world(told: boolean, blocks: number, use: (world: World) => Promise<void>): Promise<void> {
  const reorgLimit = 10
  const chain = new RandomChain(seededRandom(blocks + reorgLimit))
  for (let i = 0; i < blocks; i++) chain.mine(PLAN)
  await withDirectory(async (directory) => {
    const db = await IndexDatabase.open(indexOptions(directory, chain, { reorgLimit }))
    const daemon = new FakeDaemon(chain)
    daemon.abilities = { rest: true, spentTxOuts: told, zmq: undefined }
    const heard = new Recorder()
    const positions: (SyncPosition | 'finish')[] = []
    const progress = {
      update: (position: SyncPosition) => void positions.push(position),
      finish: () => void positions.push('finish'),
    }
    const processor = new BlockProcessor({}, { db, daemon, clock: systemClock, log: silentLogger(), progress })
    try {
      await use({
        db,
        daemon,
        processor,
        heard,
        positions,
        catchUp: (signal = new AbortController().signal) => processor.catchUp(heard, signal),
        expectSynced: async () => {
          const view = processor.view()
          await expectViewIs(view, new ChainModel(daemon.chain.blocks), daemon.chain.blocks)
          await processor.persist()
          await expectViewIs(view, new ChainModel(daemon.chain.blocks), daemon.chain.blocks)
          view.release()
          expect(db.flushedHeight).toBe(daemon.chain.height)
          expect(db.listsOutputs).toBe(!told)
        },
      })
    } finally {
      await db.close()
    }
  })
}

describe.each([
  ['told by the node', true],
  ['looked up', false],
])('where what blocks spend is %s,', (_how, told) => {
  const withWorld = (blocks: number, use: (world: World) => Promise<void>) => world(told, blocks, use)

  describe('a catch-up', () => {
    it('brings an empty index to the tip of the node, and to disk when it is told to', () =>
      withWorld(30, async ({ catchUp, expectSynced }) => {
        await catchUp()
        await expectSynced()
      }))

    it('tells of every block its ids, what it spends, whom it touches, and whether another one is known', () =>
      withWorld(12, async ({ catchUp, heard, daemon, db }) => {
        await catchUp()
        const { blocks } = daemon.chain
        expect(heard.applied_.map(({ txids }) => txids)).toEqual(
          blocks.map((block) => block.txs.map((tx) => toHex(tx.txid)).join('')),
        )
        expect(heard.applied_.map(({ spent }) => spent)).toEqual(
          blocks.map(({ txs }) =>
            txs.slice(1).flatMap((tx) => tx.inputs.map((input) => toHex(outpointOf(input.prevTxid, input.prevIndex)))),
          ),
        )
        const [below, all] = [new ChainModel(blocks.slice(0, -1)), new ChainModel(blocks)]
        const changed = all.hashXs.filter((hashX) => all.history(hashX).length !== below.history(hashX).length)
        expect(heard.applied_.at(-1)!.touched).toEqual(
          new Set(changed.map((hashX) => Buffer.from(hashX).toString('latin1'))),
        )
        expect(heard.applied_.map(({ isLast }) => isLast)).toEqual(blocks.map((_, height) => height === 12))
        expect(db.tip.height).toBe(12)
      }))

    it('tells where it stands after every block, and when it ends', () =>
      withWorld(5, async ({ catchUp, positions, db }) => {
        await catchUp()
        expect(positions).toHaveLength(7)
        expect(positions[2]).toMatchObject({ height: 2, target: 5 })
        expect(positions[5]).toEqual({ height: 5, txCount: db.tip.txCount, target: 5 })
        expect(positions[6]).toBe('finish')
      }))

    it('does nothing where there is nothing to do', () =>
      withWorld(3, async ({ catchUp, daemon, heard }) => {
        await catchUp()
        daemon.calls.length = 0
        heard.applied_.length = 0
        await catchUp()
        expect(daemon.calls).toEqual(['height', 'blockHashes'])
        expect(heard.applied_).toEqual([])
      }))

    it('sees blocks that the node found meanwhile', () =>
      withWorld(3, async ({ catchUp, daemon, expectSynced }) => {
        let more = 4
        daemon.before = (call) => {
          if (call === 'rawBlock' && more-- > 0) daemon.chain.mine(PLAN)
        }
        await catchUp()
        expect(daemon.chain.height).toBe(7)
        await expectSynced()
      }))

    it('asks for a few blocks at a time', () =>
      withWorld(40, async ({ catchUp, daemon }) => {
        daemon.before = () => new Promise((resolve) => setImmediate(resolve))
        await catchUp()
        expect(daemon.mostUnderWay).toBe(4)
      }))
  })

  describe('a reorganisation', () => {
    it('rolls back to the fork and goes on along the other branch', () =>
      withWorld(20, async ({ catchUp, daemon, expectSynced, heard }) => {
        await catchUp()
        const lost = daemon.chain.blocks.slice(16)
        daemon.chain = daemon.chain.fork(15)
        for (let i = 0; i < 8; i++) daemon.chain.mine(PLAN)
        await catchUp()
        await expectSynced()
        expect(heard.rolledBack_).toHaveLength(lost.length)
        const all = new ChainModel([...daemon.chain.blocks.slice(0, 16), ...lost])
        const touched = all.hashXs.filter((hashX) => all.history(hashX).some(({ height }) => height > 15))
        expect(new Set(heard.rolledBack_.flatMap((each) => [...each]))).toEqual(
          new Set(touched.map((hashX) => Buffer.from(hashX).toString('latin1'))),
        )
      }))

    it('is followed to a shorter chain too', () =>
      withWorld(20, async ({ catchUp, daemon, expectSynced }) => {
        await catchUp()
        daemon.chain = daemon.chain.fork(14)
        daemon.chain.mine(PLAN)
        await catchUp()
        expect(daemon.chain.height).toBe(15)
        await expectSynced()
      }))

    it('is followed when the node merely takes blocks back', () =>
      withWorld(20, async ({ catchUp, daemon, expectSynced, db }) => {
        await catchUp()
        daemon.chain = daemon.chain.fork(17)
        await catchUp()
        expect(db.tip.height).toBe(17)
        await expectSynced()
      }))

    it('in the middle of a catch-up ends on the new branch', () =>
      withWorld(60, async ({ catchUp, daemon, expectSynced, db }) => {
        let fetched = 0
        daemon.before = (call) => {
          if (call !== 'rawBlock' || (fetched += 1) !== 58) return
          daemon.chain = daemon.chain.fork(52)
          for (let i = 0; i < 9; i++) daemon.chain.mine(PLAN)
        }
        await catchUp()
        expect(db.tip.height).toBe(61)
        await expectSynced()
      }))

    it('as deep as the limit is followed; one block more stops before anything is written', () =>
      withWorld(20, async ({ catchUp, daemon, expectSynced, db }) => {
        await catchUp()
        daemon.chain = daemon.chain.fork(10)
        for (let i = 0; i < 12; i++) daemon.chain.mine(PLAN)
        await catchUp()
        await expectSynced()
        const before = await dumpOf(db)
        daemon.chain = daemon.chain.fork(11)
        for (let i = 0; i < 12; i++) daemon.chain.mine(PLAN)
        const stopped = catchUp()
        await expect(stopped).rejects.toThrow(ChainError)
        await expect(stopped).rejects.toThrow(
          /reorganisation of 11 blocks, from height 22 to 11, and only 10 can be taken back \(REORG_LIMIT\): .*index again$/,
        )
        expect(await dumpOf(db)).toEqual(before)
      }))

    it('twice in a row, and back to the first branch, is followed each time', () =>
      withWorld(20, async ({ catchUp, daemon, expectSynced }) => {
        await catchUp()
        const first = daemon.chain
        const second = first.fork(13)
        for (let i = 0; i < 9; i++) second.mine(PLAN)
        const third = second.fork(16)
        for (let i = 0; i < 4; i++) third.mine(PLAN)
        for (const chain of [second, third, first, third, second]) {
          daemon.chain = chain
          await catchUp()
          await expectSynced()
        }
      }))

    it('deeper than undo was kept stops before anything is written, although the limit is higher now', () =>
      withDirectory(async (directory) => {
        const chain = new RandomChain(seededRandom(5))
        for (let i = 0; i < 20; i++) chain.mine(PLAN)
        const first = await IndexDatabase.open(indexOptions(directory, chain, { reorgLimit: 3 }))
        await advanceTo(first, chain.blocks)
        expect(first.deepestFork).toBe(17)
        await first.flush()
        expect(first.deepestFork).toBe(17)
        await first.close()
        const db = await IndexDatabase.open(indexOptions(directory, chain, { reorgLimit: 10 }))
        try {
          expect(db.deepestFork).toBe(17)
          const daemon = new FakeDaemon(chain.fork(16))
          for (let i = 0; i < 6; i++) daemon.chain.mine(PLAN)
          const processor = new BlockProcessor({}, { db, daemon, clock: systemClock, log: silentLogger() })
          await expect(processor.catchUp(new Recorder(), new AbortController().signal)).rejects.toThrow(ChainError)
          expect(toHex(db.tip.hash)).toBe(toHex(chain.tip.hash))
        } finally {
          await db.close()
        }
      }))

    it('is not taken for one while the node is far behind on the same chain', () =>
      withWorld(30, async ({ catchUp, daemon, db }) => {
        await catchUp()
        daemon.chain = daemon.chain.fork(5)
        await expect(catchUp()).rejects.toThrow(DaemonUnavailableError)
        expect(db.tip.height).toBe(30)
      }))

    it.each([
      ['on the same chain', 0],
      ['on a branch of its own', 2],
    ])('is not taken for one while a node that does not know our branch is behind %s', (_which, mined) =>
      withWorld(20, async ({ catchUp, daemon, db, heard, expectSynced }) => {
        await catchUp()
        const ours = daemon.chain
        daemon.left = undefined
        daemon.chain = ours.fork(15)
        for (let i = 0; i < mined; i++) daemon.chain.mine(PLAN)
        await expect(catchUp()).rejects.toThrow(DaemonUnavailableError)
        daemon.left = 'known'
        await expect(catchUp()).rejects.toThrow(/at height 1[57] and has to catch up with the index at 20/)
        expect(db.tip.height).toBe(20)
        expect(heard.rolledBack_).toEqual([])
        // It goes to ours, or finds more blocks of its own.
        if (mined === 0) daemon.chain = ours
        else for (let i = 0; i < 4; i++) daemon.chain.mine(PLAN)
        await catchUp()
        await expectSynced()
      }),
    )

    it('is not taken for one while a node that has verified our branch before is on its way there', () =>
      withWorld(20, async ({ catchUp, daemon, db }) => {
        await catchUp()
        daemon.left = 'verified'
        daemon.chain = daemon.chain.fork(15)
        await expect(catchUp()).rejects.toThrow(DaemonUnavailableError)
        expect(db.tip.height).toBe(20)
      }))

    it('is followed to a lower height by the node that has found a better branch than ours', () =>
      withWorld(20, async ({ catchUp, daemon, expectSynced }) => {
        await catchUp()
        daemon.left = 'verified'
        daemon.chain = daemon.chain.fork(15)
        daemon.chain.mine(PLAN)
        await catchUp()
        await expectSynced()
      }))

    it('is looked for at the best of several nodes', () =>
      withWorld(20, async ({ catchUp, daemon, heard, expectSynced }) => {
        await catchUp()
        const ours = daemon.chain
        daemon.chain = ours.fork(15)
        daemon.preferBest = () => {
          daemon.chain = ours
          daemon.turn += 1
          return Promise.resolve(true)
        }
        ours.mine(PLAN)
        await catchUp()
        await expectSynced()
        expect(heard.rolledBack_).toEqual([])
      }))

    it('is not seen in the answers of two nodes', () =>
      withWorld(20, async ({ catchUp, daemon, heard, expectSynced }) => {
        await catchUp()
        const ours = daemon.chain
        const other = ours.fork(15)
        for (let i = 0; i < 6; i++) other.mine(PLAN)
        // One that is away by the time that it is asked for its tips.
        daemon.before = (call) => {
          if (call !== 'blockHashes' || daemon.turn > 0) return
          daemon.turn = 1
          daemon.chain = other
          daemon.before = () => {
            if (daemon.turn === 1) [daemon.chain, daemon.turn] = [ours, 2]
          }
        }
        await catchUp()
        await expectSynced()
        expect(heard.rolledBack_).toEqual([])
      }))

    it.each([
      ['takes back more blocks than can be followed', false],
      ['is on its way down, one block after the other,', true],
    ])('does not stop anything while a node %s and has no other chain', (_what, moving) =>
      withWorld(30, async ({ catchUp, daemon, db, expectSynced }) => {
        await catchUp()
        const ours = daemon.chain
        daemon.chain = ours.fork(moving ? 21 : 19)
        daemon.before = (call) => {
          if (call === 'blockHashes' && moving) daemon.chain = ours.fork(19)
        }
        await expect(catchUp()).rejects.toThrow(DaemonUnavailableError)
        expect(db.tip.height).toBe(30)
        daemon.before = () => undefined
        daemon.chain = ours
        await catchUp()
        await expectSynced()
      }),
    )

    it('leaves views of the old branch as they were', () =>
      withWorld(12, async ({ catchUp, daemon, db, expectSynced }) => {
        await catchUp()
        const old = daemon.chain
        const view = viewOf(db, new ChainModel(old.blocks))
        daemon.chain = old.fork(7)
        for (let i = 0; i < 9; i++) daemon.chain.mine(PLAN)
        await catchUp()
        await expectSynced()
        await expectViewIs(view, new ChainModel(old.blocks), [...old.blocks, ...daemon.chain.blocks])
        view.release()
      }))
  })

  describe('an answer of the node that is not the block', () => {
    const lies: Record<string, (raw: Uint8Array, daemon: FakeDaemon) => Uint8Array> = {
      'is another block': (_raw, daemon) => daemon.chain.at(3).raw,
      'has another transaction than its header says': (raw) => {
        const changed = copyOf(raw)
        changed[changed.length - 1]! ^= 1
        return changed
      },
      'is cut short': (raw) => raw.subarray(0, raw.length - 1),
      'is empty': () => new Uint8Array(0),
    }

    for (const [name, lie] of Object.entries(lies)) {
      it(`is refused when it ${name}, and what came before stays`, () =>
        withWorld(15, async ({ catchUp, daemon, db, expectSynced }) => {
          const bad = toDisplayHex(daemon.chain.at(9).hash)
          daemon.tamper = (raw, hash) => (hash === bad ? lie(raw, daemon) : raw)
          await expect(catchUp()).rejects.toThrow(DaemonUnavailableError)
          expect(db.tip.height).toBe(8)
          expect(db.flushedHeight).toBe(8)
          daemon.tamper = (raw) => raw
          await catchUp()
          await expectSynced()
        }))
    }

    it('is not asked for again at once when the chain does not go on from ours', () =>
      withWorld(15, async ({ catchUp, daemon, db }) => {
        await catchUp()
        const other = daemon.chain.fork(13)
        for (let i = 0; i < 5; i++) other.mine(PLAN)
        const hashes = daemon.blockHashes.bind(daemon)
        // Agrees with our tip, then offers blocks of another branch.
        daemon.blockHashes = async (start, count, signal) => {
          const own = await hashes(start, count, signal)
          if (start <= 15) return own
          daemon.chain = other
          const theirs = await hashes(start, count, signal)
          daemon.chain = chain
          return theirs
        }
        const chain = daemon.chain
        daemon.height = () => Promise.resolve(18)
        await expect(catchUp()).rejects.toThrow(DaemonUnavailableError)
        expect(db.tip.height).toBe(15)
      }))
  })

  describe('an index whose files have lost their end', () => {
    it.each([
      ['on the chain of the node', 0],
      ['on a branch that the node has left', 3],
    ])('is given the rows again by the node, %s', (_which, depth) =>
      withDirectory(async (directory) => {
        const chain = new RandomChain(seededRandom(8))
        for (let i = 0; i < 20; i++) chain.mine(PLAN)
        const daemon = new FakeDaemon(chain)
        daemon.abilities = { rest: true, spentTxOuts: told, zmq: undefined }
        const follow = async (): Promise<string[]> => {
          const db = await IndexDatabase.open(indexOptions(directory, chain))
          try {
            const processor = new BlockProcessor({}, { db, daemon, clock: systemClock, log: silentLogger() })
            await processor.catchUp(new Recorder(), new AbortController().signal)
            await processor.persist()
            await processor.stop()
            const view = processor.view()
            await expectViewIs(view, new ChainModel(daemon.chain.blocks), daemon.chain.blocks)
            view.release()
            return await dumpOf(db)
          } finally {
            await db.close()
          }
        }
        const before = await follow()
        const { size } = await stat(join(directory, 'txids'))
        await truncate(join(directory, 'txids'), size >> 1)
        await truncate(join(directory, 'inputs'), 8)
        if (depth > 0) {
          daemon.chain = chain.fork(20 - depth)
          for (let i = 0; i <= depth; i++) daemon.chain.mine(PLAN)
        }
        const after = await follow()
        if (depth === 0) expect(after).toEqual(before)
      }),
    )
  })

  describe('a node that changes what it can do', () => {
    it('is followed: outputs are listed once they are needed, and from then on', () =>
      withWorld(12, async ({ catchUp, daemon, db, processor }) => {
        const expectView = async (): Promise<void> => {
          const view = processor.view()
          await expectViewIs(view, new ChainModel(daemon.chain.blocks), daemon.chain.blocks)
          view.release()
          await processor.persist()
        }
        await catchUp()
        for (const spentTxOuts of [!told, told, true, false]) {
          daemon.abilities = { rest: true, spentTxOuts, zmq: undefined }
          for (let i = 0; i < 3; i++) daemon.chain.mine(PLAN)
          await catchUp()
          await expectView()
        }
        expect(db.listsOutputs).toBe(true)
        daemon.chain = daemon.chain.fork(daemon.chain.height - 7)
        daemon.chain.mine(PLAN)
        await catchUp()
        await expectView()
      }))
  })

  describe('a catch-up that does not come to its end', () => {
    it('keeps what it has done when the node goes away, and goes on from there', () =>
      withWorld(40, async ({ catchUp, daemon, db, expectSynced, heard }) => {
        let fetched = 0
        daemon.before = (call) => {
          if (call === 'rawBlock' && ++fetched > 25) throw new DaemonUnavailableError('away')
        }
        await expect(catchUp()).rejects.toThrow('away')
        expect(db.tip.height).toBe(24)
        expect(db.flushedHeight).toBe(24)
        daemon.before = () => undefined
        await catchUp()
        await expectSynced()
        expect(heard.applied_).toHaveLength(41)
      }))

    it('hears of a block that the node has thrown away', () =>
      withWorld(5, async ({ catchUp, daemon }) => {
        daemon.tamper = () => Promise.reject(new DaemonError(-1, 'Block not available (pruned data)'))
        await expect(catchUp()).rejects.toThrow('pruned')
      }))

    it('stops at once on abort, also while the node does not answer', () =>
      withWorld(10, async ({ catchUp, daemon, db }) => {
        const stop = new AbortController()
        const original = daemon.rawBlock.bind(daemon)
        let fetched = 0
        daemon.rawBlock = (hash, signal) => {
          if (++fetched < 6) return original(hash, signal)
          return new Promise((_resolve, reject) => {
            signal!.addEventListener('abort', () => reject(signal!.reason as Error), { once: true })
            setImmediate(() => stop.abort())
          })
        }
        const error: unknown = await catchUp(stop.signal).catch((reason: unknown) => reason)
        expect(isAbort(error)).toBe(true)
        expect(db.tip.height).toBeLessThan(10)
      }))

    it('does not begin when it is aborted before', () =>
      withWorld(2, async ({ catchUp, daemon }) => {
        await expect(catchUp(AbortSignal.abort())).rejects.toThrow(/abort/i)
        expect(daemon.calls).toEqual([])
      }))
  })
})

describe('what the node tells of spent outputs', () => {
  it('is refused when what it spends is not what the block spends', () =>
    world(true, 15, async ({ catchUp, daemon, db, expectSynced }) => {
      const bad = toDisplayHex(daemon.chain.at(9).hash)
      const lies = [
        (spent: Uint8Array) => spent.subarray(0, spent.length - 1),
        () => new Uint8Array(0),
        () => spentTxOuts(daemon.chain.blocks.slice(0, 6)),
      ]
      for (const lie of lies) {
        daemon.tamperSpent = (spent, hash) => (hash === bad ? lie(spent) : spent)
        await expect(catchUp()).rejects.toThrow(DaemonUnavailableError)
        expect(db.tip.height).toBe(8)
      }
      daemon.tamperSpent = (spent) => spent
      await catchUp()
      await expectSynced()
    }))

  it('stops everything when it names another script than the output has', () =>
    world(true, 15, async ({ catchUp, daemon, processor }) => {
      const bad = toDisplayHex(daemon.chain.at(14).hash)
      daemon.tamperSpent = (spent, hash) => {
        const changed = copyOf(spent)
        if (hash === bad) changed[changed.length - 1]! ^= 1
        return changed
      }
      await catchUp()
      await expect(processor.persist()).rejects.toThrow(ChainError)
      await expect(processor.persist()).rejects.toThrow(StorageError)
    }))
})
