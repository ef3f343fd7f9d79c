import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { HEADER_SIZE } from '../chain/headers.ts'
import { StorageError } from '../errors.ts'
import { equalBytes } from '../lib/bytes.ts'
import { storageErrorOf } from './disk.ts'
import { HeaderTable } from './header-table.ts'
import { HEADERS, STATE, type StateRow } from './layout.ts'
import { type DatabaseIdentity, freshState, isWithoutBlocks, readState } from './migrations.ts'
import type { Store } from './store.ts'

/**
 * What others leave in their directories: ElectrumX `hist`, `utxo` and `meta`, Fulcrum `fulc2_db`, bitcoind `chainstate`,
 * a LevelDB CURRENT.
 */
const FOREIGN_ENTRIES = ['hist', 'utxo', 'meta', 'fulc2_db', 'chainstate', 'CURRENT']

/** Makes the directory. Throws StorageError 'foreign' if another program's data is there, and 'io'. */
export async function prepareDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true })
    const entries = new Set(await readdir(directory))
    const foreign = FOREIGN_ENTRIES.filter((name) => entries.has(name))
    if (!entries.has('index') && foreign.length > 0) {
      const what = `${directory} holds the data of another program (${foreign.join(', ')})`
      throw new StorageError('foreign', `${what}: give a directory of its own (DB_DIRECTORY)`)
    }
  } catch (error) {
    throw storageErrorOf(error, `open ${directory} (DB_DIRECTORY)`)
  }
}

/**
 * The state row. A store without any row is given one first, and so is one that never had a block: whoever corrects the
 * network after the first start, which ended because it was wrong, is not refused for what that start has left.
 */
export async function loadState(store: Store, identity: DatabaseIdentity, directory: string): Promise<StateRow> {
  const row = store.getSync(STATE.keyBytes({}))
  if (row !== undefined && !isWithoutBlocks(row)) return readState(row, identity, directory)
  const everything = { gte: new Uint8Array(0), lt: new Uint8Array(64).fill(0xff) }
  const { length } = await store.rows({ ...everything, limit: 2 })
  if (row !== undefined && length > 1) return readState(row, identity, directory)
  if (row === undefined && length > 0) {
    const what = `${join(directory, 'index')} is a LevelDB, but none of this program`
    throw new StorageError('foreign', `${what}: give a directory of its own (DB_DIRECTORY)`)
  }
  const state = freshState(identity)
  const batch = store.batch()
  batch.put(STATE.keyBytes({}), STATE.valueBytes(state))
  await batch.write()
  return state
}

/** All headers. Throws StorageError 'corrupt' unless they lead, without a gap, to the tip that the state row names. */
export async function loadHeaders(store: Store, state: StateRow): Promise<HeaderTable> {
  const table = new HeaderTable()
  for await (const rows of store.scan(HEADERS.range())) {
    for (const [key, value] of rows) {
      const { height } = HEADERS.readKey(key)
      const { header, txCount, inputCount } = HEADERS.readValue(value)
      if (height !== table.count || header.length < HEADER_SIZE) {
        throw new StorageError('corrupt', `the header of block ${table.count} is missing or damaged`)
      }
      table.append(header, txCount, inputCount)
    }
  }
  const tipHash = state.blocks === 0 ? new Uint8Array(32) : table.list().hashes(state.blocks - 1, 1)
  if (table.count !== state.blocks || !equalBytes(tipHash, state.tipHash)) {
    throw new StorageError('corrupt', `headers end at ${table.count - 1}, the state row says ${state.blocks - 1}`)
  }
  return table
}
