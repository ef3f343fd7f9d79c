import { StorageError } from '../errors.ts'
import { equalBytes, toDisplayHex } from '../lib/bytes.ts'
import { RowCursor, u16 } from './codec.ts'
import { STATE, type StateRow } from './layout.ts'

/** Version of everything in layout.ts. Raised by a commit that changes what rows mean. */
export const SCHEMA_VERSION = 4

/** What a database is made for: it serves nothing else. */
export interface DatabaseIdentity {
  readonly coin: string
  readonly net: string
  /** 32 bytes, internal order. */
  readonly genesisHash: Uint8Array
  readonly indexers: readonly string[]
  /** Settings that decide what rows mean; a database made with others is refused. */
  readonly settings: Readonly<Record<string, string>>
}

/** The state row of a database without a block. */
export function freshState(identity: DatabaseIdentity): StateRow {
  return {
    schema: SCHEMA_VERSION,
    coin: identity.coin,
    net: identity.net,
    genesisHash: identity.genesisHash,
    blocks: 0,
    tipHash: new Uint8Array(32),
    txCount: 0,
    inputCount: 0,
    listsOutputs: 0,
    indexers: identity.indexers,
    settings: Object.entries(identity.settings).map(([name, value]) => ({ name, value })),
  }
}

/**
 * The state row that `row` is, if this program can go on from it. Throws StorageError 'version', 'network' or
 * 'settings' with what an operator can do about it. No version before this one was ever released, so there is
 * nothing yet to migrate from.
 */
export function readState(row: Uint8Array, identity: DatabaseIdentity, directory: string): StateRow {
  // The version stands first in every version, so it can be read whatever follows.
  const schema = u16.read(new RowCursor(row))
  const index = `the index in ${directory} (DB_DIRECTORY)`
  if (schema !== SCHEMA_VERSION) {
    const remedy =
      schema > SCHEMA_VERSION ? 'use the newer program that wrote it' : 'give an empty directory to index again'
    throw new StorageError(
      'version',
      `${index} has schema version ${schema}, this program reads ${SCHEMA_VERSION}: ${remedy}`,
    )
  }
  const state = STATE.readValue(row)
  const correction = 'correct NET and COIN, or give another directory'
  if (state.coin !== identity.coin || state.net !== identity.net) {
    const [own, wanted] = [`${state.coin} ${state.net}`, `${identity.coin} ${identity.net}`]
    throw new StorageError('network', `${index} is for ${own}, not for ${wanted}: ${correction}`)
  }
  if (!equalBytes(state.genesisHash, identity.genesisHash)) {
    const first = toDisplayHex(state.genesisHash)
    throw new StorageError('network', `${index} begins with another genesis block, ${first}: ${correction}`)
  }
  const changes = changesOf(state, identity)
  if (changes.length > 0) {
    throw new StorageError(
      'settings',
      `${index} was made ${changes.join(', ')}: go back to that, or give an empty directory to index again`,
    )
  }
  return state
}

/** True of the state row of a database that has no block yet; of another version nothing is known. */
export function isWithoutBlocks(row: Uint8Array): boolean {
  return u16.read(new RowCursor(row)) === SCHEMA_VERSION && STATE.readValue(row).blocks === 0
}

/** How a database was made, as far as it is not what is wanted now. */
function changesOf(state: StateRow, identity: DatabaseIdentity): string[] {
  const [had, wanted] = [new Set(state.indexers), new Set(identity.indexers)]
  const more = state.indexers.filter((name) => !wanted.has(name)).map((name) => `with the index "${name}"`)
  const fewer = identity.indexers.filter((name) => !had.has(name)).map((name) => `without the index "${name}"`)
  // The settings of an index that comes or goes say nothing more.
  if (more.length + fewer.length > 0) return [...more, ...fewer]
  const values = new Map(state.settings.map(({ name, value }) => [name, value]))
  const names = [...new Set([...values.keys(), ...Object.keys(identity.settings)])].sort()
  return names
    .filter((name) => values.get(name) !== identity.settings[name])
    .map((name) => `with ${name} ${values.get(name) ?? 'unset'} (now ${identity.settings[name] ?? 'unset'})`)
}
