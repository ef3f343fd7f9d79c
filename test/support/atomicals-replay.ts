import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import type { AtomicalsHeights } from '../../src/atomicals/constants.ts'
import { AtomicalsIndexer } from '../../src/atomicals/indexer.ts'
import { BLOCKS } from '../../src/atomicals/layout.ts'
import { StoredRows } from '../../src/atomicals/rows.ts'
import { parseBlock } from '../../src/chain/block.ts'
import { IndexDatabase } from '../../src/db/index-db.ts'
import type { Indexer } from '../../src/db/indexer.ts'
import { MemoryStore } from '../../src/db/memory-store.ts'
import type { StoreReader } from '../../src/db/store.ts'
import { fromDisplayHex, fromHex, toDisplayHex } from '../../src/lib/bytes.ts'

const REGTEST_GENESIS =
  '0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4adae5494dffff7f2002000000' +
  '0101000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d0104455468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420666f722062616e6b73ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000'
const REGTEST_GENESIS_HASH = '0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206'

/** The corpus' heights. */
export const CORPUS_HEIGHTS: AtomicalsHeights = {
  start: 110,
  dmint: 140,
  commitz: 160,
  density: 180,
  dftBitworkRollover: 200,
  customColoring: 220,
}

/** The same as settings. */
export const CORPUS_ENVIRONMENT = {
  ATOMICALS_ACTIVATION_HEIGHT: '110',
  ATOMICALS_ACTIVATION_HEIGHT_DMINT: '140',
  ATOMICALS_ACTIVATION_HEIGHT_COMMITZ: '160',
  ATOMICALS_ACTIVATION_HEIGHT_DENSITY: '180',
  ATOMICALS_ACTIVATION_HEIGHT_DFT_BITWORK_ROLLOVER: '200',
  ATOMICALS_ACTIVATION_HEIGHT_CUSTOM_COLORING: '220',
} as const

export interface CorpusBlock {
  readonly height: number
  readonly hash: string
  readonly branch: string
  readonly hex: string
}

const FIXTURES = join(import.meta.dirname, '..', 'fixtures')

export function fixture(...path: string[]): Buffer {
  const bytes = readFileSync(join(FIXTURES, ...path))
  return path.at(-1)?.endsWith('.gz') === true ? gunzipSync(bytes) : bytes
}

export function corpusBlocks(): CorpusBlock[] {
  return fixture('corpus-a', 'blocks.jsonl.gz')
    .toString()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as CorpusBlock)
}

export interface CorpusMark {
  readonly mark: string
  readonly height: number
  readonly arrival: number
  readonly atomicals_block_hash?: string
  readonly atomical_count?: number
}

export function corpusConfig(): { readonly marks: readonly CorpusMark[] } {
  return JSON.parse(fixture('corpus-a', 'config.json').toString()) as { readonly marks: readonly CorpusMark[] }
}

/** The indexers that are added to those that every coin has. */
export function indexersWith(atomicals: Indexer): Indexer[] {
  return [atomicals]
}

/** An index over blocks given one by one, without a node. */
export class Replay {
  readonly db: IndexDatabase
  readonly store: MemoryStore
  readonly indexer: AtomicalsIndexer

  private constructor(db: IndexDatabase, store: MemoryStore, indexer: AtomicalsIndexer) {
    this.db = db
    this.store = store
    this.indexer = indexer
  }

  static async open(directory: string, heights: AtomicalsHeights = CORPUS_HEIGHTS): Promise<Replay> {
    const indexer = new AtomicalsIndexer({ heights, filterBits: 1 << 16 })
    const stores: MemoryStore[] = []
    const db = await IndexDatabase.open(
      {
        directory,
        coin: 'Bitcoin',
        net: 'regtest',
        genesisHash: fromDisplayHex(REGTEST_GENESIS_HASH),
        reorgLimit: 400,
        cacheBytes: 8 << 20,
        pendingBytes: 64 << 20,
      },
      {
        indexers: indexersWith(indexer),
        openStore: (_directory, _options, disk) => {
          const store = new MemoryStore(disk)
          stores.push(store)
          return Promise.resolve(store)
        },
      },
    )
    await db.advance(parseBlock(fromHex(REGTEST_GENESIS)), 0)
    return new Replay(db, stores[0]!, indexer)
  }

  /** Goes back to the height below and on with the block. */
  async add(block: Pick<CorpusBlock, 'height' | 'hex'>): Promise<void> {
    while (this.db.tip.height >= block.height) await this.db.rollBack()
    await this.db.advance(parseBlock(fromHex(block.hex)), block.height)
  }

  /** Atomicals hashes by height, as displayed. */
  async hashes(): Promise<Map<number, string>> {
    await this.db.flush()
    const rows = await this.reader.rows(BLOCKS.range())
    return new Map(rows.map(([key, value]) => [BLOCKS.readKey(key).height, toDisplayHex(BLOCKS.readValue(value).hash)]))
  }

  /** What the Atomicals index says of a block. */
  async block(height: number): Promise<{ readonly hash: string; readonly count: number } | undefined> {
    await this.db.flush()
    const row = this.rows.get(BLOCKS, { height })
    return row === undefined ? undefined : { hash: toDisplayHex(row.hash), count: row.count }
  }

  /** Rows as flushed. */
  get rows(): StoredRows {
    return new StoredRows(this.store)
  }

  get reader(): StoreReader {
    return this.store
  }

  close(): Promise<void> {
    return this.db.close()
  }
}

export interface ExpectedRow {
  readonly id: number
  readonly at?: string
  readonly method: string
  readonly params: readonly unknown[]
  readonly via?: string
  readonly defect?: string
  readonly result?: unknown
  readonly error?: { readonly code: number; readonly message: string }
}

export function expectedRows(file: 'expected' | 'branch'): ExpectedRow[] {
  return fixture('corpus-a', `${file}.jsonl.gz`)
    .toString()
    .trim()
    .split('\n')
    .filter((line) => !line.includes('NaN') && !line.includes('Infinity'))
    .map((line) => JSON.parse(line) as ExpectedRow)
}
