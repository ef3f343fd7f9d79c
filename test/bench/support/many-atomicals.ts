/**
 * An index with many atomicals, made once and kept with the chains of the benches: its rows are those of the ledger that
 * blocks are written by, put into the store in bulk. Making the mints would take an hour, and writing the rows block by
 * block ten minutes.
 */
import { mkdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { idText } from '../../../src/atomicals/id-text.ts'
import { ATOMICALS_SPACES, BALANCES, BLOCKS, TOTALS } from '../../../src/atomicals/layout.ts'
import { Ledger, type PlacedTx } from '../../../src/atomicals/ledger.ts'
import { ParentMemory } from '../../../src/atomicals/parent-memory.ts'
import type { EditableRows } from '../../../src/atomicals/rows.ts'
import { parseBlock } from '../../../src/chain/block.ts'
import type { Tx } from '../../../src/chain/tx.ts'
import { realDisk } from '../../../src/db/disk.ts'
import { IndexDatabase } from '../../../src/db/index-db.ts'
import type { IndexOptions } from '../../../src/db/index-options.ts'
import type { BlockContext, Indexer } from '../../../src/db/indexer.ts'
import { type KeySpace, rangeOf, TXID_KEY_SIZE } from '../../../src/db/layout.ts'
import { openLevelStore } from '../../../src/db/level-store.ts'
import { SCHEMA_VERSION } from '../../../src/db/migrations.ts'
import type { Store, StoreBatch } from '../../../src/db/store.ts'
import { concat, fromHex, toHex, writeUint32LE } from '../../../src/lib/bytes.ts'
import { CborMap } from '../../../src/lib/cbor/values.ts'
import { decodeCbor } from '../../../src/lib/cbor.ts'
import { sha256 } from '../../../src/lib/hash.ts'
import { encodeCbor } from '../../support/atomicals-chain.ts'
import { buildBlock, buildCoinbase } from '../../support/chain-builder.ts'
import { note, whole } from './report.ts'

export interface ManyOptions {
  readonly atomicals: number
  /** Scripts that hold the token, which is atomical 0. */
  readonly holders: number
  /** Directory that indexes are kept in. */
  readonly cache: string
}

/** Each so many atomicals one asks for a realm. */
export const NAMED = 10
/** Raised when what is written changes. */
const VERSION = 1
const PER_BLOCK = 5_000
/** Scripts that the atomicals are spread over. */
const SCRIPTS = 50_000
/** Numbers of transactions in a block, more than any has. */
const TX_NUMS = 1_000_000
const NOTE_EVERY = 100_000

export function scriptOf(n: number): Uint8Array {
  const key = new Uint8Array(32).fill(1)
  writeUint32LE(key, n, 0)
  return concat(fromHex('5120'), key)
}

function txidOf(n: number): Uint8Array {
  const bytes = new Uint8Array(4)
  writeUint32LE(bytes, n, 0)
  return sha256(bytes)
}

/** Numbers of transactions that were, by what they did. */
const COMMITS = 0x4000_0000
const MOVES = 0x6000_0000
const SPREADS = 0x2000_0000
/** The token that many hold. */
export const TOKEN = idText(txidOf(COMMITS), 0)
/** The name that a named atomical asks for. */
export const nameOf = (n: number): string => `name-${n.toString(36)}`

const payload = decodeCbor(encodeCbor({ colour: 'red', size: 7 }))
if (!(payload instanceof CborMap)) throw new Error('not a map')
const OPERATION = { op: 'nft', inputIndex: 0, payload, payloadBytes: encodeCbor({ colour: 'red', size: 7 }) } as const

/** Rows that go into batches of a store; reads find those that the ledger asks for again. */
class BulkRows implements EditableRows {
  readonly #store: Store
  readonly #known = new Map<string, string>()
  #batch: StoreBatch

  constructor(store: Store) {
    this.#store = store
    this.#batch = store.batch()
  }

  get<K, V>(space: KeySpace<K, V>, key: K): V | undefined {
    if (!isAskedAgain(space)) return undefined
    const value = this.#known.get(space.keyText(key))
    return value === undefined ? undefined : space.readValueText(value)
  }

  put<K, V>(space: KeySpace<K, V>, key: K, value: V): void {
    if (isAskedAgain(space)) this.#known.set(space.keyText(key), space.valueText(value))
    this.#batch.put(space.keyBytes(key), space.valueBytes(value))
  }

  remove<K, V>(space: KeySpace<K, V>, key: K): void {
    this.#known.delete(space.keyText(key))
    this.#batch.del(space.keyBytes(key))
  }

  rows(): Promise<never> {
    return Promise.reject(new Error('nothing that is written here asks for ranges'))
  }

  async write(): Promise<void> {
    await this.#batch.write()
    this.#batch = this.#store.batch()
  }

  discard(): Promise<void> {
    return this.#batch.discard()
  }
}

/** What else the ledger asks for is made once here. */
function isAskedAgain(space: { readonly prefix: number }): boolean {
  return space.prefix === BALANCES.prefix || space.prefix === TOTALS.prefix
}

/** The blocks of the chain say how many atomicals there are; the rows of those are written apart. */
class Counts implements Indexer {
  readonly name = 'atomicals'
  readonly spaces = ATOMICALS_SPACES
  readonly wantsGenesis = false
  readonly #atomicals: number

  constructor(atomicals: number) {
    this.#atomicals = atomicals
  }

  apply({ height, overlay, block, firstTxNum }: BlockContext): void {
    const count = Math.min(this.#atomicals, height * PER_BLOCK)
    overlay.insert(BLOCKS, { height }, { hash: block.hash, count, firstTxNum, positions: [] })
  }
}

function placed(
  n: number,
  { height, at }: { readonly height: number; readonly at: number },
  outputs: readonly { readonly value: bigint; readonly script: Uint8Array }[],
): PlacedTx {
  // The ledger looks at nothing but the outputs.
  const tx = { inputs: [], outputs } as unknown as Tx
  return { tx, txid: txidOf(n), txNum: height * TX_NUMS + at, height }
}

/** A mint, and for each but the token a transfer to another script. */
function mint(ledger: Ledger, n: number): void {
  const place = { height: 1 + Math.floor(n / PER_BLOCK), at: 2 * (n % PER_BLOCK) }
  const [script, next] = [scriptOf(n % SCRIPTS), scriptOf((n + 1) % SCRIPTS)]
  const made = placed(n, place, [{ value: 546n, script }])
  const { txNum, height } = made
  const id = idText(txidOf(n + COMMITS), 0)
  const isToken = n === 0
  const name = nameOf(n)
  const isNamed = !isToken && n % NAMED === 0
  const common = { immutable: false, commitTxNum: txNum, commitHeight: height, txNum, height } as const
  const row = {
    ...common,
    type: isToken ? ('ft' as const) : ('nft' as const),
    revealTxid: made.txid,
    satoshis: 546,
    script,
    request: isNamed ? { kind: 'realm' as const, name, parent: undefined, direct: false } : undefined,
    terms: undefined,
  }
  const candidate = { kind: 'candidate', name: 'realm', text: name, parent: undefined, txNum, id } as const
  const held = { id, kind: isToken ? ('token' as const) : ('nft' as const), value: 546 }
  ledger.record(
    [
      { kind: 'mint', id, row },
      { kind: 'hold', output: 0, held },
      { kind: 'begin', id },
      ...(isNamed ? [{ ...candidate, commitHeight: height }] : []),
    ],
    made,
    OPERATION,
  )
  if (isToken) return
  const from = { txid: made.txid.subarray(0, TXID_KEY_SIZE), vout: 0 }
  const spent = { txNum, satoshis: 546, script, spentBy: undefined, held: [held] }
  const moved = placed(n + MOVES, { height, at: place.at + 1 }, [{ value: 546n, script: next }])
  ledger.spend(from, spent, idText(made.txid, 0), moved.txNum)
  ledger.record([{ kind: 'hold', output: 0, held }], moved, undefined)
}

function spread(ledger: Ledger, first: number, size: number, height: number): void {
  const numbers = Array.from({ length: size }, (_, i) => first + i)
  const outputs = numbers.map((n) => ({ value: BigInt(600 + (n % 1_000)), script: scriptOf(n) }))
  ledger.record(
    numbers.map((n, output) => ({
      kind: 'hold',
      output,
      held: { id: TOKEN, kind: 'token', value: 600 + (n % 1_000) },
    })),
    placed(SPREADS + first, { height, at: TX_NUMS - 1 }, outputs),
    undefined,
  )
}

async function writeRows(store: Store, { atomicals, holders }: ManyOptions): Promise<void> {
  const rows = new BulkRows(store)
  const ledger = new Ledger({ count: 0 }, { overlay: rows, parents: new ParentMemory() })
  for (let n = 0; n < atomicals; n++) {
    mint(ledger, n)
    if (n % PER_BLOCK !== PER_BLOCK - 1) continue
    await rows.write()
    ledger.carriers.clear()
    if ((n + 1) % NOTE_EVERY === 0) note(`making the index: ${whole(n + 1)} of ${whole(atomicals)} atomicals`)
  }
  const last = Math.ceil(atomicals / PER_BLOCK)
  for (let first = 0; first < holders; first += PER_BLOCK) {
    spread(ledger, first, Math.min(PER_BLOCK, holders - first), last)
    await rows.write()
  }
  await rows.write()
  await rows.discard()
}

function indexOptions(directory: string): IndexOptions {
  const genesis = buildBlock(0, new Uint8Array(32), [buildCoinbase(0, 0, [{ value: 1n, script: scriptOf(0) }])])
  return {
    directory,
    coin: 'Bitcoin',
    net: 'regtest',
    genesisHash: genesis.hash,
    reorgLimit: 10,
    cacheBytes: 64 << 20,
    pendingBytes: 128 << 20,
  }
}

async function makeChain(options: IndexOptions, atomicals: number): Promise<void> {
  const db = await IndexDatabase.open(options, { indexers: [new Counts(atomicals)] })
  let prev = new Uint8Array(32)
  for (let height = 0; height <= Math.ceil(atomicals / PER_BLOCK) + 3; height++) {
    const block = buildBlock(height, prev, [buildCoinbase(height, height, [{ value: 1n, script: scriptOf(0) }])])
    await db.advance(parseBlock(block.raw), height)
    prev = Uint8Array.from(block.hash)
  }
  await db.close()
}

/** How to open the index with so many atomicals, which is made if it is not there. */
export async function manyAtomicals(options: ManyOptions): Promise<IndexOptions> {
  const layout = JSON.stringify([VERSION, SCHEMA_VERSION, ATOMICALS_SPACES.map((space) => space.describe())])
  const digest = toHex(sha256(new TextEncoder().encode(layout))).slice(0, 12)
  const kept = join(options.cache, `atomicals-${options.atomicals}-${options.holders}-${digest}`)
  if (await exists(kept)) return indexOptions(kept)
  const making = `${kept}.${process.pid}`
  await mkdir(making, { recursive: true })
  try {
    await makeChain(indexOptions(making), options.atomicals)
    const store = await openLevelStore(join(making, 'index'), { cacheBytes: 64 << 20 }, realDisk)
    try {
      await writeRows(store, options)
      // As after a long catch-up.
      for (const space of ATOMICALS_SPACES) await store.compact(rangeOf(Uint8Array.of(space.prefix)))
    } finally {
      await store.close()
    }
    await rename(making, kept)
  } finally {
    await rm(making, { recursive: true, force: true })
  }
  return indexOptions(kept)
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}
