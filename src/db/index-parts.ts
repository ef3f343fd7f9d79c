import { join } from 'node:path'
import { type Clock, systemClock } from '../lib/clock.ts'
import { realDisk } from './disk.ts'
import { IndexFiles } from './files.ts'
import { type FlushWriter, StoreWriter } from './flush-writer.ts'
import type { HeaderTable } from './header-table.ts'
import type { IndexCollaborators, IndexOptions } from './index-options.ts'
import type { Indexer } from './indexer.ts'
import type { StateRow } from './layout.ts'
import { openLevelStore } from './level-store.ts'
import { loadHeaders, loadState, prepareDirectory } from './load.ts'
import type { DatabaseIdentity } from './migrations.ts'
import type { Store } from './store.ts'
import { ThreadWriter } from './thread-writer.ts'
import { UndoKeeper } from './undo.ts'

/** The indexes that every coin has, as the state row names them. */
const BASE_INDEXES = ['headers', 'txs', 'utxos', 'history', 'spenders']
/** All that an open index is made of: what is on disk, read and checked. */
export interface IndexParts {
  readonly indexers: readonly Indexer[]
  readonly identity: DatabaseIdentity
  readonly store: Store
  readonly writer: FlushWriter
  readonly files: IndexFiles
  readonly headers: HeaderTable
  readonly undo: UndoKeeper
  readonly state: StateRow
  readonly clock: Clock
}

/** Opens all of it, or closes what it has opened and throws: see IndexDatabase.open. */
export async function openParts(options: IndexOptions, collaborators: IndexCollaborators): Promise<IndexParts> {
  const disk = collaborators.disk ?? realDisk
  const indexers = collaborators.indexers ?? []
  const identity: DatabaseIdentity = {
    coin: options.coin,
    net: options.net,
    genesisHash: options.genesisHash,
    indexers: [...BASE_INDEXES, ...indexers.map((indexer) => indexer.name)],
    settings: options.settings ?? {},
  }
  await prepareDirectory(options.directory)
  const directory = join(options.directory, 'index')
  // A thread needs a file to run that Node can read: where sources are run as they are, there is none.
  const threaded = collaborators.openStore === undefined && !import.meta.url.endsWith('.ts')
  const openStore = collaborators.openStore ?? openLevelStore
  const { cacheBytes, tableBytes } = options
  const tables = tableBytes === undefined ? {} : { tableBytes }
  const store = await openStore(directory, { cacheBytes, ...tables, shared: threaded }, disk)
  let files: IndexFiles | undefined
  let writer: FlushWriter | undefined
  try {
    const state = await loadState(store, identity, options.directory)
    files = await IndexFiles.open(options.directory, { ...state, cacheBytes: options.txidCacheBytes ?? 0 }, disk)
    const headers = await loadHeaders(store, state)
    const undo = await UndoKeeper.open(store, options.reorgLimit, state.blocks)
    writer = threaded ? await ThreadWriter.open(directory, disk) : new StoreWriter(store)
    const clock = collaborators.clock ?? systemClock
    return { indexers, identity, store, writer, files, headers, undo, state, clock }
  } catch (error) {
    await files?.close()
    await writer?.close()
    await store.close()
    throw error
  }
}
