import { describe, expect, it } from 'vitest'
import type { TxOutput } from '../../../src/chain/tx.ts'
import { IndexDatabase } from '../../../src/db/index-db.ts'
import { isAllSpent } from '../../../src/db/keys.ts'
import { GATHERED, HEAD_ALL_SPENT, HEADS, HISTORY } from '../../../src/db/layout.ts'
import { openLevelStore } from '../../../src/db/level-store.ts'
import type { OpenStore, Store } from '../../../src/db/store.ts'
import { StorageError } from '../../../src/errors.ts'
import { toHex } from '../../../src/lib/bytes.ts'
import { buildCoinbase, RandomChain, scriptOf, seededRandom } from '../../support/chain-builder.ts'
import { advanceTo, dumpOf, gather, indexOptions, withDirectory, withIndex } from '../../support/chain-index.ts'
import { ChainModel } from '../../support/chain-model.ts'

/** Scripts that take two steps. */
const SCRIPTS = 4500
const NEVER = new AbortController().signal

/** A chain with a block that pays that many scripts, and some blocks that pay and spend a few. */
function wideChain(): RandomChain {
  const chain = new RandomChain(seededRandom(5))
  const outputs: TxOutput[] = Array.from({ length: SCRIPTS }, (_, n) => ({ value: 1000n, script: scriptOf(n) }))
  chain.mineExactly([buildCoinbase(1, 1, outputs)])
  mineFew(chain)
  return chain
}

/** Five blocks: some scripts have more done than a head takes, most of the others nothing. */
function mineFew(chain: RandomChain): void {
  for (let i = 0; i < 5; i++) chain.mine({ txs: 40, scripts: 5 })
  chain.mine({ txs: 100, scripts: SCRIPTS })
}

class Opened {
  store: Store | undefined
  readonly openStore: OpenStore = async (directory, options, disk) => {
    this.store = await openLevelStore(directory, options, disk)
    return this.store
  }

  async rows(): Promise<{ readonly heads: number; readonly rows: number; readonly mark: boolean }> {
    const store = this.store!
    return {
      heads: (await store.rows(HEADS.range())).length,
      rows: (await store.rows(HISTORY.range())).length,
      mark: store.getSync(GATHERED.keyBytes({})) !== undefined,
    }
  }
}

async function expectHistories(db: IndexDatabase, chain: RandomChain): Promise<void> {
  const model = new ChainModel(chain.blocks)
  const view = db.acquireView()
  try {
    for (const [i, hashX] of [...model.hashXs, new Uint8Array(11)].entries()) {
      if (i % 20 > 0 && model.history(hashX).length === 1) continue
      expect(await view.history(hashX, 1_000_000)).toEqual(model.history(hashX))
    }
  } finally {
    view.release()
  }
}

/** Runs `use` with an index of a wide chain, all of whose blocks are too deep to be taken back. */
function withWide(use: (db: IndexDatabase, chain: RandomChain, opened: Opened) => Promise<void>): Promise<void> {
  return withDirectory(async (directory) => {
    const chain = wideChain()
    const opened = new Opened()
    await withIndex(
      indexOptions(directory, chain),
      async (db) => {
        await advanceTo(db, chain.blocks, chain.height + 1000)
        await db.flush()
        await use(db, chain, opened)
      },
      opened,
    )
  })
}

describe('gathering histories', () => {
  it('leaves one row for each script but for the long ones, and does so from then on', () =>
    withWide(async (db, chain, opened) => {
      const before = await dumpOf(db)
      expect(await opened.rows()).toMatchObject({ heads: 0, mark: false })
      expect(await gather(db)).toBe(2)
      expect(await dumpOf(db)).toEqual(before)
      const gathered = await opened.rows()
      expect(gathered).toMatchObject({ mark: true })
      expect(gathered.heads).toBeGreaterThanOrEqual(SCRIPTS)
      expect(gathered.rows).toBeGreaterThan(0)
      expect(gathered.rows).toBeLessThan(50)
      await expectHistories(db, chain)
      expect(await gather(db)).toBe(0)
      mineFew(chain)
      await advanceTo(db, chain.blocks)
      await expectHistories(db, chain)
      await db.flush()
      await expectHistories(db, chain)
      expect((await opened.rows()).mark).toBe(true)
      expect((await opened.rows()).rows).toBeLessThan(200)
    }))

  it('leaves rows that no head names out of histories, and a dump tells of them', () =>
    withWide(async (db, chain, opened) => {
      await gather(db)
      const before = await dumpOf(db)
      const [[head] = []] = await opened.store!.rows({ ...HEADS.range(), limit: 1 })
      const row = { key: HISTORY.keyBytes({ hashX: head!.slice(1), first: 3 }), value: new Uint8Array(0) }
      const batch = opened.store!.batch()
      batch.put(row.key, row.value)
      await batch.write()
      mineFew(chain)
      await advanceTo(db, chain.blocks)
      await db.flush()
      await expectHistories(db, chain)
      for (let i = 0; i < 6; i++) await db.rollBack()
      const line = `row ${toHex(row.key)} `
      expect((await dumpOf(db)).filter((each) => !before.includes(each))).toEqual([line])
    }))

  it('knows of most scripts from one key that nothing is unspent, and a dump tells where that is wrong', () =>
    withWide(async (db, chain, opened) => {
      await gather(db)
      const before = await dumpOf(db)
      const model = new ChainModel(chain.blocks)
      const heads = await opened.store!.rows(HEADS.range())
      const [spent, unspent] = [
        heads.filter(([, value]) => isAllSpent(value)),
        heads.filter(([, value]) => !isAllSpent(value)),
      ]
      expect(spent.length).toBeGreaterThan(10)
      for (const [key] of spent) expect(model.utxos(key.slice(1))).toEqual([])
      const [key, value] = unspent.find(([each]) => model.utxos(each.slice(1)).length > 0)!
      const batch = opened.store!.batch()
      batch.put(key, Uint8Array.of(value[0]! | HEAD_ALL_SPENT, ...value.subarray(1)))
      await batch.write()
      chain.mine({ txs: 0, scripts: 1 })
      await advanceTo(db, chain.blocks)
      await db.flush()
      const [first] = model.history(key.slice(1))
      const line = `withheld ${toHex(key.slice(1))} ${first!.txNum}`
      expect((await dumpOf(db)).filter((each) => each.startsWith('withheld') || !before.includes(each))).toContain(line)
    }))

  it('goes on while blocks come and go, and where it was left when it was closed', () =>
    withDirectory(async (directory) => {
      const chain = wideChain()
      const options = indexOptions(directory, chain)
      let db = await IndexDatabase.open(options)
      try {
        await advanceTo(db, chain.blocks, chain.height + 1000)
        await db.flush()
        mineFew(chain)
        await advanceTo(db, chain.blocks)
        const gathering = db.gatherHistories(() => undefined, NEVER)
        expect((await gathering.next()).done).toBe(false)
        await expectHistories(db, chain)
        await db.rollBack()
        await advanceTo(db, chain.blocks)
        mineFew(chain)
        await advanceTo(db, chain.blocks)
        await db.flush()
        await expectHistories(db, chain)
        await db.close()
        db = await IndexDatabase.open(options)
        await expectHistories(db, chain)
        expect(await gather(db)).toBeGreaterThan(0)
        await expectHistories(db, chain)
        for (let i = 0; i < 8; i++) await db.rollBack()
        await advanceTo(db, chain.blocks)
        await expectHistories(db, chain)
      } finally {
        await db.close()
      }
    }))

  it('begins anew when many blocks have come that need not be taken back', () =>
    withWide(async (db, chain, opened) => {
      for (const whole of [false, true]) {
        await advanceTo(db, chain.blocks, chain.height + 1000)
        await db.flush()
        expect((await opened.rows()).mark).toBe(false)
        await expectHistories(db, chain)
        if (whole) await gather(db)
        else await db.gatherHistories(() => undefined, NEVER).next()
        expect((await opened.rows()).mark).toBe(whole)
        mineFew(chain)
      }
      await advanceTo(db, chain.blocks, chain.height + 1000)
      await db.flush()
      expect((await opened.rows()).mark).toBe(false)
      await expectHistories(db, chain)
      await gather(db)
      await expectHistories(db, chain)
    }))

  it('is ended by its signal and by a database that is closed, and a write that fails ends all writing', () =>
    withWide(async (db, chain, opened) => {
      const stop = new AbortController()
      const stopped = db.gatherHistories(() => undefined, stop.signal)
      await stopped.next()
      stop.abort()
      expect(await stopped.next()).toMatchObject({ done: true })
      const store = opened.store!
      const batch = store.batch.bind(store)
      store.batch = () => {
        const spent = batch()
        return {
          ...spent,
          write: async () => {
            await spent.discard()
            throw new StorageError('full', 'no room')
          },
        }
      }
      await expect(gather(db)).rejects.toMatchObject({ code: 'full' })
      expect(await gather(db)).toBe(0)
      store.batch = batch
      chain.mine({ txs: 1, scripts: 1 })
      await expect(advanceTo(db, chain.blocks)).rejects.toMatchObject({ code: 'full' })
    }))
})
