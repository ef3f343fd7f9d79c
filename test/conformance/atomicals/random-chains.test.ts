import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { AtomicalsHeights } from '../../../src/atomicals/constants.ts'
import { AtomicalsIndexer } from '../../../src/atomicals/indexer.ts'
import {
  ACTIVITY,
  ATOMICALS,
  BLOCKS,
  CHANGES,
  HOLDERS,
  MINTS,
  NAMES,
  PAYMENTS,
  SEALS,
  SUBNAMES,
} from '../../../src/atomicals/layout.ts'
import { type RowOf, StoredRows } from '../../../src/atomicals/rows.ts'
import { parseBlock } from '../../../src/chain/block.ts'
import { headerHash } from '../../../src/chain/headers.ts'
import { IndexDatabase } from '../../../src/db/index-db.ts'
import type { KeySpace } from '../../../src/db/layout.ts'
import { MemoryStore } from '../../../src/db/memory-store.ts'
import { fromHex, fromLatin1, toHex } from '../../../src/lib/bytes.ts'
import { fixture, indexersWith } from '../../support/atomicals-replay.ts'

interface RecordedChain {
  readonly heights: AtomicalsHeights
  readonly genesis: string
  readonly blocks: readonly string[]
  /** What the reference has after the last block, one line a row. */
  readonly rows: readonly string[]
}

function recordedChains(): RecordedChain[] {
  const lines = fixture('atomicals-reference', 'chains.jsonl.gz').toString().trim().split('\n')
  return lines.map((line) => JSON.parse(line) as RecordedChain)
}

/** Rows of the index after the blocks, as the lines of the recording. */
async function indexed({ heights, genesis, blocks }: RecordedChain, directory: string): Promise<string[]> {
  const stores: MemoryStore[] = []
  const raw = fromHex(genesis)
  const db = await IndexDatabase.open(
    {
      directory,
      coin: 'Bitcoin',
      net: 'regtest',
      genesisHash: headerHash(raw.subarray(0, 80)),
      reorgLimit: 200,
      cacheBytes: 1 << 20,
      pendingBytes: 64 << 20,
    },
    {
      indexers: indexersWith(new AtomicalsIndexer({ heights, filterBits: 1 << 14 })),
      openStore: (_directory, _options, disk) => {
        const store = new MemoryStore(disk)
        stores.push(store)
        return Promise.resolve(store)
      },
    },
  )
  for (const [height, hex] of [genesis, ...blocks].entries()) await db.advance(parseBlock(fromHex(hex)), height)
  await db.flush()
  const lines = await linesOf(new StoredRows(stores[0]!))
  await db.close()
  return lines
}

const hexOf = (id: string): string => toHex(fromLatin1(id))
const utf8 = (text: string): string => Buffer.from(text, 'utf8').toString('hex')

async function linesOf(rows: StoredRows): Promise<string[]> {
  const all = <K, V>(space: KeySpace<K, V>): Promise<readonly RowOf<K, V>[]> => rows.rows(space, new Uint8Array(0))
  const blocks = await all(BLOCKS)
  return [
    ...(await all(HOLDERS)).map(({ key, value }) => `holder ${hexOf(key.id)} ${hexOf(key.location)} ${value.value}`),
    ...(await all(NAMES)).map(({ key, value }) => {
      return `name ${key.kind} - ${utf8(key.name)} ${key.txNum} ${hexOf(value.id)}`
    }),
    ...(await all(SUBNAMES)).map(({ key, value }) => {
      return `name ${key.kind} ${hexOf(key.parent)} ${utf8(key.name)} ${key.txNum} ${hexOf(value.id)}`
    }),
    ...(await all(PAYMENTS)).map(({ key, value }) => `payment ${hexOf(key.id)} ${hexOf(value.location)} ${value.kind}`),
    ...(await all(SEALS)).map(({ key, value }) => `seal ${hexOf(key.id)} ${hexOf(value.location)}`),
    ...(await all(MINTS)).map(({ key, value }) => `mint ${hexOf(key.id)} ${hexOf(key.location)} ${value.value}`),
    ...(await all(ATOMICALS)).map(({ key, value: row }) => {
      const immutable = row.immutable ? 1 : 0
      return `atomical ${hexOf(key.id)} ${row.number} ${row.type} ${immutable} ${row.commitTxNum} ${row.txNum}`
    }),
    ...(await all(CHANGES)).map(({ key, value }) => `${key.kind} ${hexOf(key.id)} ${key.txNum} ${value.vout}`),
    ...(await all(ACTIVITY))
      .filter(({ value }) => value.op !== 'none')
      .map(({ key, value }) => `op ${key.txNum} ${value.op}`),
    ...blocks.map(({ key, value }) => `block ${key.height} ${toHex(value.hash)}`),
  ].sort()
}

describe('random chains', () => {
  it.each(recordedChains().map((chain, index) => [index, chain] as const))(
    'lead to the colours, names, mints, changes and hashes that the reference has: chain %i',
    async (_index, chain) => {
      const directory = await mkdtemp(join(tmpdir(), 'valence-test-'))
      try {
        expect(await indexed(chain, directory)).toEqual([...chain.rows].sort())
        expect(chain.rows.length).toBeGreaterThan(900)
      } finally {
        await rm(directory, { recursive: true, force: true })
      }
    },
  )
})
