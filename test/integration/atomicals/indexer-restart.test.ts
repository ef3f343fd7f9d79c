import { describe, expect, it } from 'vitest'
import { heightSettings, rulesAt } from '../../../src/atomicals/height-rules.ts'
import { AtomicalsIndexer } from '../../../src/atomicals/indexer.ts'
import { parseBlock } from '../../../src/chain/block.ts'
import { IndexDatabase } from '../../../src/db/index-db.ts'
import type { IndexOptions } from '../../../src/db/index-options.ts'
import { openLevelStore } from '../../../src/db/level-store.ts'
import type { Store } from '../../../src/db/store.ts'
import { StorageError } from '../../../src/errors.ts'
import { AtomicalsChain, heightsFrom, out, spend } from '../../support/atomicals-chain.ts'
import type { BuiltBlock } from '../../support/chain-builder.ts'
import { dumpOf, withDirectory } from '../../support/chain-index.ts'

/** A chain where NFTs are minted, moved and moved again. */
async function blocksOf(directory: string): Promise<readonly BuiltBlock[]> {
  const chain = await AtomicalsChain.open(directory)
  let last = (await chain.mint('nft', { a: 1 })).tx
  for (let i = 0; i < 6; i++) {
    last = spend({ from: [out(last), chain.fund()], to: [900, 1_000] })
    await chain.mine(last)
  }
  await chain.close()
  return chain.blocks
}

async function open(directory: string, genesis: BuiltBlock, heights = heightsFrom()) {
  const options: IndexOptions = {
    directory,
    coin: 'Bitcoin',
    net: 'regtest',
    genesisHash: genesis.hash,
    reorgLimit: 100,
    cacheBytes: 1 << 20,
    pendingBytes: 1 << 20,
    settings: heightSettings(heights),
  }
  const indexer = new AtomicalsIndexer({ heights, filterBits: 1 << 12 })
  const stores: Store[] = []
  const db = await IndexDatabase.open(options, {
    indexers: [indexer],
    openStore: async (...wanted) => {
      const store = await openLevelStore(...wanted)
      stores.push(store)
      return store
    },
  })
  return { db, indexer, store: stores[0]! }
}

async function add(db: IndexDatabase, blocks: readonly BuiltBlock[]): Promise<void> {
  for (const block of blocks) await db.advance(parseBlock(block.raw), block.height)
  await db.flush()
}

describe('the Atomicals index after a restart', () => {
  it.each([
    ['with', 'its filter filled again', 3],
    ['with', 'what a block that is taken back had spent', 1],
    ['while', 'the filter is filled', 1],
    ['without', 'its filter filled again', 3],
  ] as const)('goes on as before %s %s', (when, _what, lost) =>
    withDirectory((made) =>
      withDirectory((once) =>
        withDirectory(async (twice) => {
          const blocks = await blocksOf(made)
          const whole = await open(once, blocks[0]!)
          await add(whole.db, blocks)
          const before = await open(twice, blocks[0]!)
          await add(before.db, blocks.slice(0, 6))
          await before.db.close()
          const after = await open(twice, blocks[0]!)
          const warming = when === 'without' ? undefined : after.indexer.warm(after.store)
          if (when === 'with') await warming
          // Outputs that were spent before the restart are unspent again after a reorganisation.
          for (let i = 0; i < lost; i++) await after.db.rollBack()
          await warming
          await add(after.db, blocks.slice(6 - lost))
          expect(await dumpOf(after.db)).toEqual(await dumpOf(whole.db))
          await after.db.close()
          await whole.db.close()
        }),
      ),
    ),
  )

  it('refuses to go on under other heights', () =>
    withDirectory((made) =>
      withDirectory(async (directory) => {
        const blocks = await blocksOf(made)
        const { db } = await open(directory, blocks[0]!)
        await add(db, blocks)
        await db.close()
        const refused = await open(directory, blocks[0]!, heightsFrom({ customColoring: 7 })).catch(
          (error: unknown) => error,
        )
        expect(refused).toBeInstanceOf(StorageError)
        expect(refused).toMatchObject({ code: 'settings' })
      }),
    ))

  it('knows which rules hold at a height', () => {
    const heights = heightsFrom({ dmint: 2, commitz: 3, density: 4, dftBitworkRollover: 5, customColoring: 6 })
    const on = (height: number) =>
      Object.entries(rulesAt(heights, height))
        .filter(([, holds]) => holds)
        .map(([rule]) => rule)
    expect([on(1), on(2), on(3), on(4), on(5), on(6)].map((rules) => rules.length)).toEqual([0, 2, 3, 4, 5, 6])
  })
})
