import { describe, expect, it } from 'vitest'
import type { Indexer } from '../../../src/db/indexer.ts'
import { RandomChain, seededRandom } from '../../support/chain-builder.ts'
import { advanceTo, indexOptions, withDirectory, withIndex } from '../../support/chain-index.ts'

function chainOf(blocks: number): RandomChain {
  const chain = new RandomChain(seededRandom(3))
  for (let i = 0; i < blocks; i++) chain.mine({ txs: 3, scripts: 5 })
  return chain
}

function warmedBy(warm: NonNullable<Indexer['warm']>): { readonly indexers: readonly Indexer[] } {
  return { indexers: [{ name: 'slow', spaces: [], wantsGenesis: false, apply: () => undefined, warm }] }
}

describe('an index whose indexers read before they are fast', () => {
  it('takes blocks meanwhile, and closes without waiting for them to end by themselves', () =>
    withDirectory(async (directory) => {
      const chain = chainOf(3)
      let reason: unknown
      const endless = warmedBy(
        (_reader, signal) =>
          new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => {
              reason = signal.reason
              reject(new Error('stopped', { cause: reason }))
            })
          }),
      )
      await withIndex(
        indexOptions(directory, chain),
        async (db) => {
          db.warm()
          await advanceTo(db, chain.blocks)
          expect(db.tip.height).toBe(3)
        },
        endless,
      )
      expect(reason).toBeDefined()
      await withIndex(
        indexOptions(directory, chain),
        async (db) => expect(db.tip.height).toBe(3),
        warmedBy(async () => {}),
      )
    }))

  it('writes nothing more once such a read has failed', () =>
    withDirectory(async (directory) => {
      const chain = chainOf(3)
      const failing = warmedBy(() => Promise.reject(new Error('unreadable')))
      const open = (use: Parameters<typeof withIndex<void>>[1]) =>
        withIndex(indexOptions(directory, chain), use, failing)
      await open(async (db) => {
        db.warm()
        await new Promise((resolve) => setImmediate(resolve))
        await expect(advanceTo(db, chain.blocks)).rejects.toMatchObject({ name: 'StorageError', code: 'io' })
        expect(db.tip.height).toBe(-1)
      })
    }))
})
