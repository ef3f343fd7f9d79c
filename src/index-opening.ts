import type { AtomicalsHeights } from './atomicals/constants.ts'
import { heightSettings } from './atomicals/height-rules.ts'
import { AtomicalsIndexer } from './atomicals/indexer.ts'
import { AtomicalsInterest } from './atomicals/interest.ts'
import type { Coin } from './coins/coin.ts'
import type { Settings } from './config/settings.ts'
import { IndexDatabase } from './db/index-db.ts'
import type { Indexer } from './db/indexer.ts'
import { ConfigError, DamagedIndexError, StorageError } from './errors.ts'
import { fromDisplayHex } from './lib/bytes.ts'

const MIB = 1024 * 1024

/** What is the same for whoever opens the index of an operator: the settings, and the coin that they name. */
export interface IndexPlace {
  readonly settings: Settings
  readonly coin: Coin
}

export interface IndexMemory {
  /** Bytes of LevelDB's cache. */
  readonly cacheBytes: number
  /** Bytes of memory for pages of the txid file; none if it is not given. */
  readonly txidCacheBytes?: number
  /** Bytes of memory that finished blocks may take. */
  readonly pendingBytes: number
}

/**
 * Opens the index in DB_DIRECTORY, or makes one. `indexers`: those of coinIndexers(), for who wants to know them. Throws ConfigError as atomicalsHeights() does, and StorageError as
 * IndexDatabase.open() does, for a damaged index DamagedIndexError.
 */
export async function openIndex(
  { settings, coin }: IndexPlace,
  memory: IndexMemory,
  indexers: readonly Indexer[] = coinIndexers({ settings, coin }),
): Promise<IndexDatabase> {
  const heights = atomicalsHeights({ settings, coin })
  try {
    return await IndexDatabase.open(
      {
        directory: settings.dbDirectory,
        coin: coin.name,
        net: coin.net,
        genesisHash: fromDisplayHex(coin.genesisHash),
        reorgLimit: settings.reorgLimit ?? coin.reorgLimit,
        ...memory,
        tableBytes: settings.tableMb * MIB,
        settings: heights === undefined ? {} : heightSettings(heights),
      },
      { indexers },
    )
  } catch (error) {
    if (!(error instanceof StorageError)) throw error
    if (error.code === 'corrupt') throw new DamagedIndexError('corrupt', error.message, { cause: error })
    if (error.code !== 'settings') throw error
    const now = heights === undefined ? 'off' : 'on'
    const remedy = 'ATOMICALS and the settings ATOMICALS_ACTIVATION_HEIGHT... decide what an index is made with'
    throw new StorageError('settings', `${error.message} (ATOMICALS is ${now} now; ${remedy})`, { cause: error })
  }
}

/** What the coin adds to the indexes that every coin has: each time anew, because an indexer serves one index. */
export function coinIndexers(place: IndexPlace): readonly Indexer[] {
  const heights = atomicalsHeights(place)
  return heights === undefined ? [] : [new AtomicalsIndexer({ heights })]
}

/** Which transactions the mempool keeps whole for these indexers; undefined where none matters to any. */
export function mempoolInterest(indexers: readonly Indexer[]): AtomicalsInterest | undefined {
  const atomicals = indexers.find((indexer) => indexer instanceof AtomicalsIndexer)
  return atomicals === undefined ? undefined : new AtomicalsInterest({ filter: atomicals })
}

/**
 * Heights of the Atomicals index, or undefined where there is none: ATOMICALS is off, or unset on a network without
 * heights. Throws ConfigError if it is on there.
 */
export function atomicalsHeights({ settings, coin }: IndexPlace): AtomicalsHeights | undefined {
  if (settings.atomicals === false) return undefined
  if (coin.atomicals === undefined) {
    if (settings.atomicals === undefined) return undefined
    throw new ConfigError([`ATOMICALS is on: there are no Atomicals on ${coin.name} ${coin.net}`])
  }
  const own = coin.atomicals
  // Readers of settings refuse these off regtest.
  return {
    start: settings.atomicalsActivation ?? own.start,
    dmint: settings.atomicalsActivationDmint ?? own.dmint,
    commitz: settings.atomicalsActivationCommitz ?? own.commitz,
    density: settings.atomicalsActivationDensity ?? own.density,
    dftBitworkRollover: settings.atomicalsActivationRollover ?? own.dftBitworkRollover,
    customColoring: settings.atomicalsActivationCustomColoring ?? own.customColoring,
  }
}
