import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type * as IndexDb from '../../../src/db/index-db.ts'
import { copyOf, toDisplayHex } from '../../../src/lib/bytes.ts'
import type * as Parse from '../../../src/sync/parse.ts'
import type * as ParseThreads from '../../../src/sync/parse-thread.ts'
import { RandomChain, seededRandom, spentTxOuts } from '../../support/chain-builder.ts'
import { dumpOf, expectViewIs, indexOptions, viewOf, withDirectory } from '../../support/chain-index.ts'
import { ChainModel } from '../../support/chain-model.ts'
import { compileSources } from '../../support/compiled.ts'

interface Compiled {
  readonly IndexDatabase: typeof IndexDb.IndexDatabase
  readonly ParseThread: typeof ParseThreads.ParseThread
}

let compiled: Compiled
let remove = (): Promise<void> => Promise.resolve()

beforeAll(async () => {
  const sources = await compileSources('threads')
  remove = sources.remove
  compiled = {
    ...(await sources.load<Pick<Compiled, 'IndexDatabase'>>('db/index-db.js')),
    ...(await sources.load<Pick<Compiled, 'ParseThread'>>('sync/parse-thread.js')),
  }
})

afterAll(() => remove())

function chainOf(blocks: number): RandomChain {
  const chain = new RandomChain(seededRandom(blocks))
  for (let i = 0; i < blocks; i++) chain.mine({ txs: 6, scripts: 9 })
  return chain
}

function fetched(chain: RandomChain, height: number): Parse.FetchedBlock {
  const { hash, raw } = chain.at(height)
  return { hash: toDisplayHex(hash), raw: copyOf(raw), spent: spentTxOuts(chain.blocks.slice(0, height + 1)) }
}

describe('with threads', () => {
  it('blocks are parsed on one and written by another, and the index is the same', () =>
    withDirectory(async (directory) => {
      const chain = chainOf(40)
      const options = indexOptions(join(directory, 'a'), chain, { reorgLimit: 10, pendingBytes: 40_000 })
      const parser = new compiled.ParseThread()
      const db = await compiled.IndexDatabase.open(options)
      try {
        const reading = chain.blocks.map(({ height }) => parser.parse(fetched(chain, height)))
        for (const each of reading) {
          const { block, known } = await each
          await db.advance(block, chain.height, known)
          await db.flushIfDue()
        }
        const view = viewOf(db, new ChainModel(chain.blocks))
        await expectViewIs(view, new ChainModel(chain.blocks), chain.blocks)
        await db.flush()
        await expectViewIs(view, new ChainModel(chain.blocks), chain.blocks)
        view.release()
        for (let i = 0; i < 3; i++) await db.rollBack()
        const lower = viewOf(db, new ChainModel(chain.blocks.slice(0, 38)))
        await expectViewIs(lower, new ChainModel(chain.blocks.slice(0, 38)), chain.blocks)
        lower.release()
        const dump = await dumpOf(db)
        await db.tidy(new AbortController().signal)
        expect(await dumpOf(db)).toEqual(dump)
      } finally {
        await db.close()
        await parser.close()
      }
      const again = await compiled.IndexDatabase.open(options)
      expect(again.tip.height).toBe(37)
      await again.close()
    }))

  it('a wrong answer of the node is told as what it is, and the thread goes on', async () => {
    const chain = chainOf(3)
    const parser = new compiled.ParseThread()
    try {
      const { hash, raw, spent } = fetched(chain, 2)
      const wrong = parser.parse({ hash, raw: raw.subarray(0, raw.length - 1), spent })
      const right = parser.parse(fetched(chain, 3))
      await expect(wrong).rejects.toMatchObject({ name: 'DaemonUnavailableError' })
      expect(toDisplayHex((await right).block.hash)).toBe(fetched(chain, 3).hash)
    } finally {
      await parser.close()
    }
    await expect(parser.parse(fetched(chain, 1))).rejects.toMatchObject({ name: 'InvariantError' })
  })

  it('a batch that fails stops all writing and is told', () =>
    withDirectory(async (directory) => {
      const chain = chainOf(8)
      const { realDisk } = await import('../../../src/db/disk.ts')
      let broken = false
      const disk = {
        ...realDisk,
        commit: (write: () => Promise<void>) =>
          broken ? Promise.reject(Object.assign(new Error('x'), { code: 'ENOSPC' })) : write(),
      }
      const parser = new compiled.ParseThread()
      const db = await compiled.IndexDatabase.open(indexOptions(directory, chain), { disk })
      try {
        for (const { height } of chain.blocks) {
          const { block, known } = await parser.parse(fetched(chain, height))
          await db.advance(block, chain.height, known)
        }
        broken = true
        await expect(db.flush()).rejects.toThrow()
        await expect(db.flush()).rejects.toMatchObject({ name: 'StorageError' })
      } finally {
        await db.close()
        await parser.close()
      }
    }))
})
