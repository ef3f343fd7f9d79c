import { mkdir, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseBlock } from '../../../src/chain/block.ts'
import { hashXOf } from '../../../src/chain/script.ts'
import { struct, u8, varint } from '../../../src/db/codec.ts'
import { type Disk, realDisk } from '../../../src/db/disk.ts'
import { IndexDatabase } from '../../../src/db/index-db.ts'
import type { Indexer } from '../../../src/db/indexer.ts'
import { KeySpace, STATE, UNDO } from '../../../src/db/layout.ts'
import { openLevelStore } from '../../../src/db/level-store.ts'
import { SCHEMA_VERSION } from '../../../src/db/migrations.ts'
import type { OpenStore, StoreOptions } from '../../../src/db/store.ts'
import type { ChainView } from '../../../src/db/view.ts'
import { ChainError, InvariantError, StorageError } from '../../../src/errors.ts'
import { fromLatin1, toHex } from '../../../src/lib/bytes.ts'
import {
  type BuiltBlock,
  buildBlock,
  buildCoinbase,
  buildTx,
  outpointOf,
  RandomChain,
  scriptOf,
  seededRandom,
} from '../../support/chain-builder.ts'
import {
  advanceTo,
  dumpOf,
  expectViewIs,
  gather,
  indexOptions,
  viewOf,
  withDirectory,
  withIndex,
} from '../../support/chain-index.ts'
import { ChainModel } from '../../support/chain-model.ts'

const PLAN = { txs: 5, scripts: 5 }

function chainOf(blocks: number, seed = 1): RandomChain {
  const chain = new RandomChain(seededRandom(seed))
  for (let i = 0; i < blocks; i++) chain.mine(PLAN)
  return chain
}

const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'it did not fail',
    (error: unknown) => error,
  )

function advance(db: IndexDatabase, block: BuiltBlock, nodeHeight = block.height): Promise<unknown> {
  return db.advance(parseBlock(block.raw), nodeHeight)
}

describe('opening the index', () => {
  it('goes on where it was closed', () =>
    withDirectory(async (directory) => {
      const chain = chainOf(12)
      const options = indexOptions(directory, chain)
      await withIndex(options, async (db) => {
        expect(db.tip).toMatchObject({ height: -1, txCount: 0 })
        await advanceTo(db, chain.blocks)
      })
      for (let i = 0; i < 5; i++) chain.mine(PLAN)
      await withIndex(options, async (db) => {
        expect(db.tip.height).toBe(12)
        await advanceTo(db, chain.blocks)
        const view = db.acquireView()
        await expectViewIs(view, new ChainModel(chain.blocks), chain.blocks)
        view.release()
        while (db.tip.height > 8) await db.rollBack()
      })
      await withIndex(options, async (db) => {
        const view = db.acquireView()
        await expectViewIs(view, new ChainModel(chain.blocks.slice(0, 9)), chain.blocks)
        view.release()
        expect(await db.size()).toBeGreaterThan(0)
      })
    }))

  it('cuts off ids that no batch counts', () =>
    withDirectory(async (directory) => {
      const chain = chainOf(6)
      const options = indexOptions(directory, chain)
      await withIndex(options, (db) => advanceTo(db, chain.blocks))
      const file = join(directory, 'txids')
      const { size } = await stat(file)
      await writeFile(file, Buffer.alloc(45, 7), { flag: 'a' })
      await withIndex(options, async (db) => {
        const view = db.acquireView()
        await expectViewIs(view, new ChainModel(chain.blocks), chain.blocks)
        view.release()
      })
      expect((await stat(file)).size).toBe(size)
    }))

  it.each([
    ['txids', 100],
    ['txids', 0],
    ['inputstarts', 30],
    ['inputs', 77],
  ])('reads and writes nothing while %s has only %d bytes, and goes on once it was given the blocks', (name, length) =>
    withDirectory(async (directory) => {
      const chain = chainOf(9)
      const options = indexOptions(directory, chain)
      const before = await withIndex(options, async (db) => {
        await advanceTo(db, chain.blocks)
        return dumpOf(db)
      })
      await truncate(join(directory, name), length)
      await withIndex(options, async (db) => {
        expect(() => db.acquireView()).toThrow(StorageError)
        const next = chain.fork().mine(PLAN)
        for (const call of [() => advance(db, next), () => db.rollBack(), () => dumpOf(db)]) {
          expect(await failure(call())).toMatchObject({ name: 'StorageError', code: 'corrupt' })
        }
        const { height } = db.lacking!
        expect(await failure(db.restore(parseBlock(chain.at(height - 1).raw)))).toBeInstanceOf(ChainError)
        await db.restore(parseBlock(chain.at(height).raw))
        expect(db.lacking).toEqual({ height: height + 1, hash: chain.at(height + 1).hash })
      })
      await withIndex(options, async (db) => {
        for (let { lacking } = db; lacking !== undefined; lacking = db.lacking) {
          await db.restore(parseBlock(chain.at(lacking.height).raw))
        }
        expect(await dumpOf(db)).toEqual(before)
        expect(await failure(db.restore(parseBlock(chain.at(9).raw)))).toBeInstanceOf(ChainError)
        await db.rollBack()
      })
      await withIndex(options, async (db) => expect(db.lacking).toBeUndefined())
    }),
  )

  it('refuses a database that is open elsewhere', () =>
    withDirectory((directory) =>
      withIndex(indexOptions(directory, chainOf(0)), async () => {
        const error = await failure(IndexDatabase.open(indexOptions(directory, chainOf(0))))
        expect(error).toMatchObject({ name: 'StorageError', code: 'locked' })
      }),
    ))

  const others: readonly (readonly [string, string, object])[] = [
    ['another network', 'network', { net: 'signet' }],
    ['another coin', 'network', { coin: 'Namecoin' }],
    ['another genesis', 'network', { genesisHash: new Uint8Array(32).fill(5) }],
    ['settings that change what rows mean', 'settings', { settings: { atomicals: 'on' } }],
  ]
  for (const [what, code, changes] of others) {
    it(`refuses ${what}, and leaves the database as it was`, () =>
      withDirectory(async (directory) => {
        const chain = chainOf(3)
        await withIndex(indexOptions(directory, chain), (db) => advanceTo(db, chain.blocks))
        const error = await failure(IndexDatabase.open(indexOptions(directory, chain, changes)))
        expect(error).toMatchObject({ name: 'StorageError', code })
        expect(String(error)).toContain(`the index in ${directory} (DB_DIRECTORY) `)
        await withIndex(indexOptions(directory, chain), async (db) => expect(db.tip.height).toBe(3))
      }))
  }

  it('without a block becomes that of another network: nothing is lost, and a first start with the wrong one is mended', () =>
    withDirectory(async (directory) => {
      const chain = chainOf(3)
      await withIndex(indexOptions(directory, chain, { net: 'signet' }), () => Promise.resolve())
      await withIndex(indexOptions(directory, chain), (db) => advanceTo(db, chain.blocks))
      const error = await failure(IndexDatabase.open(indexOptions(directory, chain, { net: 'signet' })))
      expect(error).toMatchObject({ code: 'network' })
    }))

  it('takes the same settings in any order', () =>
    withDirectory(async (directory) => {
      const chain = chainOf(1)
      const settings = { atomicals: 'on', limit: '5' }
      await withIndex(indexOptions(directory, chain, { settings }), (db) => advanceTo(db, chain.blocks))
      const turned = { limit: '5', atomicals: 'on' }
      await withIndex(indexOptions(directory, chain, { settings: turned }), async (db) => expect(db.tip.height).toBe(1))
    }))

  it('refuses other indexes than it was made with', () =>
    withDirectory(async (directory) => {
      const chain = chainOf(1)
      await withIndex(indexOptions(directory, chain), (db) => advanceTo(db, chain.blocks))
      const more = { name: 'more', spaces: [], wantsGenesis: false, apply: () => undefined }
      const opening = IndexDatabase.open(indexOptions(directory, chain), { indexers: [more] })
      expect(await failure(opening)).toMatchObject({ code: 'settings' })
    }))

  it.each([
    ['newer', SCHEMA_VERSION + 1, 'newer program'],
    ['older', SCHEMA_VERSION - 1, 'index again'],
  ])('refuses a %s schema and says what to do', (_name, schema, remedy) =>
    withDirectory(async (directory) => {
      const options = indexOptions(directory, chainOf(0))
      await withIndex(options, () => Promise.resolve())
      const store = await openLevelStore(join(directory, 'index'), { cacheBytes: 1 << 20 }, realDisk)
      const state = STATE.readValue(store.getSync(STATE.keyBytes({}))!)
      const batch = store.batch()
      batch.put(STATE.keyBytes({}), STATE.valueBytes({ ...state, schema }))
      await batch.write()
      await store.close()
      const error = await failure(IndexDatabase.open(options))
      expect(error).toMatchObject({ name: 'StorageError', code: 'version' })
      expect(String(error)).toContain(remedy)
    }),
  )

  it('refuses the directory of another program', () =>
    withDirectory(async (directory) => {
      await mkdir(join(directory, 'hist'))
      await mkdir(join(directory, 'utxo'))
      expect(await failure(IndexDatabase.open(indexOptions(directory, chainOf(0))))).toMatchObject({ code: 'foreign' })
    }))

  it('refuses a LevelDB that another program has filled', () =>
    withDirectory(async (directory) => {
      const store = await openLevelStore(join(directory, 'index'), { cacheBytes: 1 << 20 }, realDisk)
      const batch = store.batch()
      batch.put(Uint8Array.of(1), Uint8Array.of(1))
      await batch.write()
      await store.close()
      expect(await failure(IndexDatabase.open(indexOptions(directory, chainOf(0))))).toMatchObject({ code: 'foreign' })
    }))

  it('refuses headers that do not end where the state says', () =>
    withDirectory(async (directory) => {
      const chain = chainOf(4)
      await withIndex(indexOptions(directory, chain), (db) => advanceTo(db, chain.blocks))
      const store = await openLevelStore(join(directory, 'index'), { cacheBytes: 1 << 20 }, realDisk)
      const batch = store.batch()
      batch.del(Uint8Array.of('H'.charCodeAt(0), 0, 0, 0, 2))
      await batch.write()
      await store.close()
      expect(await failure(IndexDatabase.open(indexOptions(directory, chain)))).toMatchObject({ code: 'corrupt' })
    }))
})

describe('advancing', () => {
  it('refuses a block that does not stand on the tip, and another genesis', () =>
    withDirectory(async (directory) => {
      const chain = chainOf(3)
      await withIndex(indexOptions(directory, chain), async (db) => {
        expect(await failure(advance(db, chainOf(0, 99).mine(PLAN)))).toBeInstanceOf(ChainError)
        await advanceTo(db, chain.blocks.slice(0, 2))
        expect(await failure(advance(db, chain.at(3)))).toBeInstanceOf(ChainError)
        expect(db.tip.height).toBe(1)
      })
    }))

  it('refuses spends of outputs that are not there, or twice, with nothing changed', () =>
    withDirectory(async (directory) => {
      const chain = chainOf(3)
      await withIndex(indexOptions(directory, chain), async (db) => {
        await advanceTo(db, chain.blocks)
        const before = await dumpOf(db)
        const coinbase = buildCoinbase(4, 77, [{ value: 50n, script: scriptOf(1) }])
        const outside = new ChainModel(chain.blocks).utxos(hashXOf(scriptOf(0)))[0]!
        const spend = (txid: Uint8Array, vout: number, salt = 0) =>
          buildTx(
            [{ prevTxid: txid, prevIndex: vout, script: new Uint8Array(0), sequence: salt, witness: [] }],
            [
              { value: 5n, script: scriptOf(2) },
              { value: 0n, script: Uint8Array.of(0x6a) },
            ],
          )
        const first = spend(outside.txid, outside.vout)
        const bad = {
          'an unknown transaction': [spend(new Uint8Array(32).fill(9), 0)],
          'no such output of a known transaction': [spend(outside.txid, 99)],
          'no such output of the same block': [first, spend(first.txid, 2)],
          'an unspendable output': [first, spend(first.txid, 1)],
          'an output twice': [first, spend(outside.txid, outside.vout, 1)],
          'an output of the same block twice': [first, spend(first.txid, 0), spend(first.txid, 0, 1)],
          'an output before it is made': [spend(first.txid, 0), first],
        }
        for (const [name, txs] of Object.entries(bad)) {
          const block = buildBlock(4, chain.tip.hash, [coinbase, ...txs])
          expect(await failure(advance(db, block)), name).toBeInstanceOf(ChainError)
        }
        expect(await dumpOf(db)).toEqual(before)
        await advance(db, buildBlock(4, chain.tip.hash, [coinbase, first, spend(first.txid, 0)]))
        expect(db.tip.height).toBe(4)
      })
    }))

  it('lets the later of two equal coinbases count, and gives the earlier one back (BIP30)', () =>
    withDirectory(async (directory) => {
      const chain = new RandomChain(seededRandom(3))
      const twin = buildCoinbase(1, 0, [{ value: 7n, script: scriptOf(1) }])
      const other = (height: number) => buildCoinbase(height, 1, [{ value: 9n, script: scriptOf(2) }])
      chain.mineExactly([twin])
      chain.mineExactly([other(2)])
      chain.mineExactly([twin])
      await withIndex(indexOptions(directory, chain), async (db) => {
        await advanceTo(db, chain.blocks.slice(0, 3))
        const before = await dumpOf(db)
        await advanceTo(db, chain.blocks)
        const view = db.acquireView()
        expect(await view.findTransaction(twin.txid)).toEqual({ txNum: 2, height: 3, position: 0 })
        expect((await view.utxos(hashXOf(scriptOf(1)))).map(({ height }) => height)).toEqual([3])
        expect((await view.history(hashXOf(scriptOf(1)), 10)).map(({ height }) => height)).toEqual([1, 3])
        await expectViewIs(view, new ChainModel(chain.blocks), chain.blocks)
        view.release()
        await db.rollBack()
        expect(await dumpOf(db)).toEqual(before)
      })
    }))

  it('does not index the coinbase of genesis', () =>
    withDirectory(async (directory) => {
      const chain = chainOf(1)
      await withIndex(indexOptions(directory, chain), async (db) => {
        await advanceTo(db, chain.blocks)
        const view = db.acquireView()
        const genesis = chain.at(0).txs[0]!
        expect(await view.blockTxids(0)).toEqual(new Uint8Array(0))
        expect(await view.findTransaction(genesis.txid)).toBeUndefined()
        expect(await view.unspentOutputs([outpointOf(genesis.txid, 0)])).toEqual([undefined])
        view.release()
      })
    }))

  it('has one writer at a time', () =>
    withDirectory(async (directory) => {
      const chain = chainOf(2)
      await withIndex(indexOptions(directory, chain), async (db) => {
        const first = advance(db, chain.at(0))
        expect(await failure(advance(db, chain.at(1)))).toBeInstanceOf(InvariantError)
        await first
        await advance(db, chain.at(1))
      })
    }))

  it('keeps blocks in memory until they are due, and goes on while they are written', () =>
    withDirectory(async (directory) => {
      const chain = chainOf(40)
      let gate = Promise.resolve()
      let open = (): void => undefined
      const disk: Disk = { ...realDisk, commit: (write) => gate.then(write) }
      const db = await IndexDatabase.open(indexOptions(directory, chain, { pendingBytes: 250_000 }), { disk })
      try {
        for (const block of chain.blocks.slice(0, 2)) await advance(db, block, 1000)
        gate = new Promise((resolve) => {
          open = resolve
        })
        for (let begun = false; !begun; ) {
          await advance(db, chain.at(db.tip.height + 1), 1000)
          const due = db.pendingBytes >= 50_000
          begun = await db.flushIfDue()
          expect(begun).toBe(due)
        }
        const at = db.tip.height
        expect(at).toBeGreaterThan(3)
        // The flush hangs; blocks still come, and views see them.
        for (const block of chain.blocks.slice(at + 1, at + 4)) await advance(db, block, 1000)
        expect(db.flushedHeight).toBe(0)
        const model = new ChainModel(chain.blocks.slice(0, at + 4))
        const view = db.acquireView()
        await expectViewIs(view, model, chain.blocks)
        const flushing = db.flush()
        open()
        await flushing
        expect([db.flushedHeight, db.pendingBytes]).toEqual([at + 3, 0])
        await expectViewIs(view, model, chain.blocks)
        view.release()
      } finally {
        open()
        await db.close()
      }
    }))
})

describe('an index that a coin adds', () => {
  const NOTES = new KeySpace<{ readonly id: number }, { readonly sum: number; readonly fundedBy: number }>({
    name: 'notes',
    prefix: 'n',
    key: struct({ id: u8 }),
    value: struct({ sum: varint, fundedBy: varint }),
    sentence: 'Of this test.',
  })
  const LISTED = 'elevenbytes'
  /** Counts transactions by their position, notes who funded the last input, and lists every second transaction. */
  const notes: Indexer = {
    name: 'notes',
    spaces: [NOTES],
    wantsGenesis: false,
    apply: (context) => {
      const { block, overlay, firstTxNum, spent, headers, height } = context
      expect(headers.count).toBe(height)
      for (let tx = 0; tx < block.txCount; tx++) {
        const before = overlay.get(NOTES, { id: tx })?.sum ?? 0
        const input = (block.inputStart[tx + 1] ?? 0) - 1
        const own = spent.places[input] === ''
        expect(spent.hashXs[input] === '').toBe(tx === 0)
        const funder = context.fundedBy(input)
        expect(funder === undefined).toBe(own)
        overlay.put(NOTES, { id: tx }, { sum: before + 1, fundedBy: funder ?? 0 })
        if ((firstTxNum + tx) % 2 === 0) context.list(LISTED, firstTxNum + tx)
      }
    },
  }

  it('opens its store with the cache and the size of tables that it is given', () =>
    withDirectory(async (directory) => {
      const asked: StoreOptions[] = []
      const openStore: OpenStore = (path, options, disk) => {
        asked.push(options)
        return openLevelStore(path, options, disk)
      }
      const options = indexOptions(directory, chainOf(2), { cacheBytes: 1 << 20, tableBytes: 128 << 20 })
      await (await IndexDatabase.open(options, { openStore })).close()
      expect(asked).toEqual([{ cacheBytes: 1 << 20, tableBytes: 128 << 20, shared: false }])
    }))

  it.each([
    ['while catching up', 1000],
    ['at the tip', 0],
  ])('reads and writes through its overlay, adds to histories, and is taken back: %s', (_when, beyond) =>
    withDirectory(async (directory) => {
      const chain = chainOf(24)
      const options = indexOptions(directory, chain, { reorgLimit: 200, pendingBytes: 200_000 })
      await withIndex(
        options,
        async (db) => {
          await advanceTo(db, chain.blocks.slice(0, 21), 20 + beyond, 'told')
          const check = async (blocks: readonly BuiltBlock[]): Promise<void> => {
            const model = new ChainModel(blocks)
            const positions = blocks.slice(1).map(({ txs }) => txs.length)
            const view = viewOf(db, model)
            for (const id of [0, 2, 5]) {
              expect(view.row(NOTES, { id })?.sum).toBe(positions.filter((count) => count > id).length)
            }
            expect((await view.rows(NOTES, new Uint8Array(0))).map(({ key }) => key.id)).toEqual(
              Array.from({ length: Math.max(...positions) }, (_, id) => id),
            )
            const last = blocks.at(-1)!.txs.at(-1)!
            const made = model.position(last.inputs.at(-1)!.prevTxid)!
            const row = view.row(NOTES, { id: blocks.at(-1)!.txs.length - 1 })
            expect(row?.fundedBy).toBe(made.height === blocks.length - 1 ? 0 : made.txNum)
            const listed = await view.history(fromLatin1(LISTED), 1000)
            const even = Array.from({ length: model.txCount }, (_, txNum) => txNum).filter((txNum) => txNum % 2 === 0)
            expect(listed.map(({ txNum }) => txNum)).toEqual(even)
            await expectViewIs(view, model, chain.blocks)
            view.release()
          }
          await check(chain.blocks.slice(0, 21))
          await db.flush()
          const before = await dumpOf(db)
          await advanceTo(db, chain.blocks, chain.height, 'told')
          await check(chain.blocks)
          await db.flush()
          await check(chain.blocks)
          while (db.tip.height > 20) await db.rollBack()
          await check(chain.blocks.slice(0, 21))
          expect(await dumpOf(db)).toEqual(before)
        },
        { indexers: [notes] },
      )
    }),
  )

  it.each([
    ['which the first block of the other kind begins', 0],
    ['which was begun before the first block of the other kind', 1],
  ])('sees its rows of blocks too deep to be taken back while a flush writes them, %s', (_which, pendingBytes) =>
    withDirectory(async (directory) => {
      const [reorgLimit, deep] = [6, 9]
      const chain = chainOf(deep)
      // A block without transactions leaves most rows as the blocks before it wrote them.
      chain.mine({ ...PLAN, txs: 0 })
      for (let i = 0; i < 4; i++) chain.mine(PLAN)
      let gate = Promise.resolve()
      let open = (): void => undefined
      const disk: Disk = { ...realDisk, commit: (write) => gate.then(write) }
      const options = indexOptions(directory, chain, { reorgLimit, ...(pendingBytes > 0 && { pendingBytes }) })
      const db = await IndexDatabase.open(options, { disk, indexers: [notes] })
      try {
        const nodeHeight = deep + reorgLimit
        const sums = (view: ChainView, height: number): void => {
          const counts = chain.blocks.slice(1, height + 1).map(({ txs }) => txs.length)
          const ids = Array.from({ length: Math.max(...counts) }, (_, id) => id)
          expect(ids.map((id) => view.row(NOTES, { id })?.sum)).toEqual(
            ids.map((id) => counts.filter((count) => count > id).length),
          )
        }
        for (const block of chain.blocks.slice(0, deep + 1)) await advance(db, block, nodeHeight)
        gate = new Promise((resolve) => {
          open = resolve
        })
        expect(await db.flushIfDue()).toBe(pendingBytes > 0)
        // From the first of these on the flush hangs.
        for (const block of chain.blocks.slice(deep + 1)) {
          await advance(db, block, nodeHeight)
          const view = db.acquireView()
          sums(view, block.height)
          view.release()
        }
        expect(db.flushedHeight).toBeLessThan(deep)
        open()
        await db.flush()
        const view = db.acquireView()
        sums(view, chain.height)
        view.release()
        while (db.tip.height > deep) await db.rollBack()
        const before = db.acquireView()
        sums(before, deep)
        before.release()
      } finally {
        open()
        await db.close()
      }
    }),
  )
})

describe('rolling back', () => {
  it('is possible for the reorg limit and not beyond, and rows for more are pruned', () =>
    withDirectory(async (directory) => {
      const chain = chainOf(30)
      const options = indexOptions(directory, chain, { reorgLimit: 4 })
      await withIndex(options, async (db) => {
        await advanceTo(db, chain.blocks.slice(0, 20))
        await db.flush()
        expect(db.deepestFork).toBe(15)
        for (const block of chain.blocks.slice(20)) {
          await advance(db, block)
          await db.flush()
        }
        expect(db.deepestFork).toBe(26)
      })
      expect(await undoHeights(directory)).toEqual([27, 28, 29, 30])
      await withIndex(options, async (db) => {
        expect(db.deepestFork).toBe(26)
        for (let i = 0; i < 4; i++) await db.rollBack()
        expect(await failure(db.rollBack())).toBeInstanceOf(ChainError)
        expect(db.tip.height).toBe(26)
        const view = db.acquireView()
        await expectViewIs(view, new ChainModel(chain.blocks.slice(0, 27)), chain.blocks)
        view.release()
      })
      expect(await undoHeights(directory)).toEqual([])
    }))

  it('leaves nothing in the history of a script that a block touched more than a thousand times', () =>
    withDirectory(async (directory) => {
      const chain = chainOf(3)
      const { height } = chain
      chain.mine({ txs: 1100, scripts: 1 })
      await withIndex(indexOptions(directory, chain), async (db) => {
        for (const gathers of [false, true]) {
          await advanceTo(db, chain.blocks)
          await db.flush()
          if (gathers) await gather(db)
          await db.rollBack()
          const view = db.acquireView()
          await expectViewIs(view, new ChainModel(chain.blocks.slice(0, height + 1)), chain.blocks)
          view.release()
        }
      })
    }))

  it('leaves no node of the lost chain in proofs of headers', () =>
    withDirectory(async (directory) => {
      const chain = new RandomChain(seededRandom(8))
      for (let i = 0; i < 520; i++) chain.mine({ txs: 0, scripts: 1 })
      await withIndex(indexOptions(directory, chain, { reorgLimit: 20 }), async (db) => {
        const prove = async (model: ChainModel): Promise<void> => {
          const view = db.acquireView()
          const top = view.tip.height
          for (const height of [3, 505, top]) {
            expect(await view.headerProof(height, top)).toEqual(model.headerProof(height, top))
          }
          view.release()
        }
        await advanceTo(db, chain.blocks)
        await prove(new ChainModel(chain.blocks))
        const other = chain.fork(508)
        while (db.tip.height > 508) await db.rollBack()
        for (let i = 0; i < 30; i++) other.mine({ txs: 0, scripts: 1 })
        await advanceTo(db, other.blocks)
        await prove(new ChainModel(other.blocks))
      })
    }))

  it('prunes at the next block what a lower limit leaves over', () =>
    withDirectory(async (directory) => {
      const chain = chainOf(12)
      await withIndex(indexOptions(directory, chain, { reorgLimit: 9 }), (db) => advanceTo(db, chain.blocks))
      expect((await undoHeights(directory)).length).toBe(9)
      chain.mine(PLAN)
      await withIndex(indexOptions(directory, chain, { reorgLimit: 2 }), (db) => advanceTo(db, chain.blocks))
      expect(await undoHeights(directory)).toEqual([12, 13])
    }))

  it('is not possible for blocks that were too deep when they came', () =>
    withDirectory(async (directory) => {
      const chain = chainOf(8)
      await withIndex(indexOptions(directory, chain), async (db) => {
        await advanceTo(db, chain.blocks, 1000)
        expect(db.deepestFork).toBe(8)
        await db.flush()
        expect(db.deepestFork).toBe(8)
        expect(await failure(db.rollBack())).toBeInstanceOf(ChainError)
        chain.mine(PLAN)
        await advanceTo(db, chain.blocks)
        expect(db.deepestFork).toBe(8)
        await db.rollBack()
        const view = db.acquireView()
        await expectViewIs(view, new ChainModel(chain.blocks.slice(0, 9)), chain.blocks)
        view.release()
      })
    }))

  it('is not possible below blocks that were too deep when they came, nor once the index is opened again', () =>
    withDirectory(async (directory) => {
      const chain = chainOf(20)
      const options = indexOptions(directory, chain, { reorgLimit: 6 })
      await withIndex(options, (db) => advanceTo(db, chain.blocks.slice(0, 11)))
      expect(await undoHeights(directory)).toEqual([5, 6, 7, 8, 9, 10])
      // The node was far ahead when these came, as after some days without the server.
      await withIndex(options, (db) => advanceTo(db, chain.blocks.slice(0, 13), 40))
      await withIndex(options, async (db) => {
        expect(db.deepestFork).toBe(12)
        await advanceTo(db, chain.blocks.slice(0, 15))
        expect(db.deepestFork).toBe(12)
      })
      expect(await undoHeights(directory)).toEqual([13, 14])
      await withIndex(options, async (db) => {
        expect(db.deepestFork).toBe(12)
        for (let i = 0; i < 2; i++) await db.rollBack()
        expect(await failure(db.rollBack())).toBeInstanceOf(ChainError)
        const view = db.acquireView()
        await expectViewIs(view, new ChainModel(chain.blocks.slice(0, 13)), chain.blocks)
        view.release()
      })
    }))

  it('refuses an undo row that is for another block', () =>
    withDirectory(async (directory) => {
      const chain = chainOf(3)
      await withIndex(indexOptions(directory, chain), (db) => advanceTo(db, chain.blocks))
      const store = await openLevelStore(join(directory, 'index'), { cacheBytes: 1 << 20 }, realDisk)
      const batch = store.batch()
      batch.put(UNDO.keyBytes({ height: 3 }), store.getSync(UNDO.keyBytes({ height: 2 }))!)
      await batch.write()
      await store.close()
      await withIndex(indexOptions(directory, chain), async (db) => {
        expect(await failure(db.rollBack())).toBeInstanceOf(ChainError)
        expect(db.tip.height).toBe(3)
      })
    }))

  it('ends at the empty index', () =>
    withDirectory((directory) =>
      withIndex(indexOptions(directory, chainOf(0)), async (db) => {
        expect(await failure(db.rollBack())).toBeInstanceOf(ChainError)
      }),
    ))
})

async function undoHeights(directory: string): Promise<number[]> {
  const store = await openLevelStore(join(directory, 'index'), { cacheBytes: 1 << 20 }, realDisk)
  const rows = await store.rows(UNDO.range())
  await store.close()
  return rows.map(([key]) => UNDO.readKey(key).height)
}

describe('a write that fails', () => {
  for (const [what, call] of [
    ['the batch', 'commit'],
    ['the ids', 'writeAt'],
    ['the sync of the ids', 'sync'],
  ] as const) {
    it(`stops all writing, loses nothing that was on disk and keeps views: ${what}`, () =>
      withDirectory(async (directory) => {
        const chain = chainOf(9)
        let broken = false
        const refuse = (): Promise<never> => Promise.reject(Object.assign(new Error('x'), { code: 'ENOSPC' }))
        const disk: Disk = {
          ...realDisk,
          [call]: (...args: readonly never[]) => {
            const real: (...given: readonly never[]) => Promise<void> = realDisk[call]
            return broken ? refuse() : real(...args)
          },
        }
        const db = await IndexDatabase.open(indexOptions(directory, chain), { disk })
        await advanceTo(db, chain.blocks.slice(0, 6))
        await db.flush()
        await advanceTo(db, chain.blocks)
        broken = true
        expect(await failure(db.flush())).toMatchObject({ name: 'StorageError', code: 'full' })
        broken = false
        expect(await failure(db.flush())).toMatchObject({ name: 'StorageError', code: 'full' })
        expect(await failure(db.rollBack())).toMatchObject({ name: 'StorageError', code: 'full' })
        const view = db.acquireView()
        await expectViewIs(view, new ChainModel(chain.blocks), chain.blocks)
        view.release()
        await db.close()
        await withIndex(indexOptions(directory, chain), async (again) => {
          expect(again.tip.height).toBe(5)
          await advanceTo(again, chain.blocks)
          const later = again.acquireView()
          await expectViewIs(later, new ChainModel(chain.blocks), chain.blocks)
          later.release()
        })
      }))
  }
})

describe('views', () => {
  it('are counted, released once and not used afterwards', () =>
    withDirectory(async (directory) => {
      const chain = chainOf(3)
      await withIndex(indexOptions(directory, chain), async (db) => {
        await advanceTo(db, chain.blocks)
        const views = [db.acquireView(), db.acquireView()]
        await db.flush()
        expect(db.outstandingViews).toBe(2)
        views[0]!.release()
        expect(() => views[0]!.release()).toThrow(InvariantError)
        expect(db.outstandingViews).toBe(1)
        const hashX = hashXOf(scriptOf(1))
        for (const use of [
          () => views[0]!.history(hashX, 1),
          () => views[0]!.utxos(hashX),
          () => views[0]!.balance(hashX),
          () => views[0]!.findTransaction(new Uint8Array(32)),
          () => views[0]!.blockTxids(1),
          () => views[0]!.unspentOutputs([new Uint8Array(36)]),
        ]) {
          await expect(use()).rejects.toThrow(InvariantError)
        }
        await expectViewIs(views[1]!, new ChainModel(chain.blocks), chain.blocks)
        views[1]!.release()
        expect(db.outstandingViews).toBe(0)
      })
    }))

  it('taken while a flush is under way are of one piece', () =>
    withDirectory(async (directory) => {
      const chain = chainOf(20)
      const taken: (() => void)[] = []
      const disk: Disk = {
        ...realDisk,
        commit: async (write) => {
          taken.forEach((take) => take())
          await write()
          taken.forEach((take) => take())
        },
      }
      const db = await IndexDatabase.open(indexOptions(directory, chain), { disk })
      const views = [] as ReturnType<IndexDatabase['acquireView']>[]
      await advanceTo(db, chain.blocks, 10_000)
      taken.push(() => void views.push(db.acquireView()))
      await db.flush()
      expect(views).toHaveLength(2)
      for (const view of views) {
        await expectViewIs(view, new ChainModel(chain.blocks), chain.blocks)
        view.release()
      }
      const old = chain.blocks.slice()
      const longer = chain.fork()
      longer.mine(PLAN)
      await advanceTo(db, longer.blocks)
      await db.flush()
      views.length = 0
      await db.rollBack()
      expect(views.map((view) => view.tip.height)).toEqual([21, 21])
      for (const view of views) {
        await expectViewIs(view, new ChainModel(longer.blocks), longer.blocks)
        view.release()
      }
      expect(toHex(db.blockHash(20)!)).toBe(toHex(old[20]!.hash))
      expect(db.blockHash(21)).toBeUndefined()
      taken.length = 0
      await db.close()
    }))

  it('are not given by a database that is closed, nor is it written', () =>
    withDirectory(async (directory) => {
      const chain = chainOf(1)
      const db = await IndexDatabase.open(indexOptions(directory, chain))
      await db.close()
      await db.close()
      expect(() => db.acquireView()).toThrow(InvariantError)
      expect(await failure(advance(db, chain.at(0)))).toBeInstanceOf(InvariantError)
    }))

  it('ask for outpoints of 36 bytes', () =>
    withDirectory((directory) =>
      withIndex(indexOptions(directory, chainOf(0)), async (db) => {
        const view = db.acquireView()
        await expect(view.unspentOutputs([new Uint8Array(35)])).rejects.toThrow(RangeError)
        view.release()
      }),
    ))
})
