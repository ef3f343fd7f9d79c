import { createHash } from 'node:crypto'
import type { AtomicalsHeights } from '../../src/atomicals/constants.ts'
import { compactOfIdText, idText } from '../../src/atomicals/id-text.ts'
import { AtomicalsIndexer } from '../../src/atomicals/indexer.ts'
import { AtomicalsQueries } from '../../src/atomicals/queries.ts'
import { type RowOf, StoredRows } from '../../src/atomicals/rows.ts'
import { parseBlock } from '../../src/chain/block.ts'
import { serializeTx, type Tx, type TxInput, type TxOutput } from '../../src/chain/tx.ts'
import { IndexDatabase } from '../../src/db/index-db.ts'
import type { BlockChange } from '../../src/db/index-options.ts'
import type { KeySpace } from '../../src/db/layout.ts'
import { MemoryStore } from '../../src/db/memory-store.ts'
import { concat, equalBytes, fromLatin1, toDisplayHex, writeUint32LE } from '../../src/lib/bytes.ts'
import { indexersWith } from './atomicals-replay.ts'
import { type BuiltBlock, buildBlock, buildCoinbase, buildTx, scriptOf } from './chain-builder.ts'

/** What payloads of tests are made of; numbers are CBOR integers, see float(). */
export type Plain = null | boolean | number | bigint | string | Uint8Array | Float | readonly Plain[] | PlainMap
export interface PlainMap {
  readonly [key: string]: Plain
}

class Float {
  readonly value: number
  constructor(value: number) {
    this.value = value
  }
}

/** A CBOR float, also where the number is whole. */
export function float(value: number): Float {
  return new Float(value)
}

function head(major: number, argument: bigint): Uint8Array {
  if (argument < 24n) return Uint8Array.of((major << 5) | Number(argument))
  const sizes = [1, 2, 4, 8]
  const size = sizes.find((bytes) => argument < 1n << BigInt(8 * bytes)) ?? 8
  const bytes = new Uint8Array(1 + size)
  bytes[0] = (major << 5) | (24 + sizes.indexOf(size))
  for (let i = 0, rest = argument; i < size; i++, rest >>= 8n) bytes[size - i] = Number(rest & 255n)
  return bytes
}

/** The CBOR of a value. */
export function encodeCbor(value: Plain): Uint8Array {
  if (value === null) return Uint8Array.of(0xf6)
  if (typeof value === 'boolean') return Uint8Array.of(value ? 0xf5 : 0xf4)
  if (typeof value === 'number' || typeof value === 'bigint') {
    const whole = BigInt(value)
    return whole >= 0n ? head(0, whole) : head(1, -1n - whole)
  }
  if (value instanceof Float) {
    const bytes = new Uint8Array(9)
    bytes[0] = 0xfb
    new DataView(bytes.buffer).setFloat64(1, value.value)
    return bytes
  }
  if (typeof value === 'string') {
    const bytes = new TextEncoder().encode(value)
    return concat(head(3, BigInt(bytes.length)), bytes)
  }
  if (value instanceof Uint8Array) return concat(head(2, BigInt(value.length)), value)
  if (isList(value)) return concat(head(4, BigInt(value.length)), ...value.map(encodeCbor))
  const entries = Object.entries(value)
  return concat(
    head(5, BigInt(entries.length)),
    ...entries.flatMap(([key, inner]) => [encodeCbor(key), encodeCbor(inner)]),
  )
}

function isList(value: Plain): value is readonly Plain[] {
  return Array.isArray(value)
}

/** Pushes of at most 520 bytes. */
function pushes(bytes: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += 520) {
    const piece = bytes.subarray(at, at + 520)
    parts.push(Uint8Array.of(0x4d, piece.length & 255, piece.length >> 8), piece)
  }
  return concat(...parts)
}

/** Witness that shows an operation: signature, script with the envelope, control block. */
export function envelopeWitness(op: string, payload: Uint8Array): Uint8Array[] {
  const named = concat(Uint8Array.of(op.length), fromLatin1(op))
  const start = concat(
    Uint8Array.of(0x20),
    new Uint8Array(32).fill(2),
    Uint8Array.of(0xac, 0x00, 0x63, 4),
    fromLatin1('atom'),
  )
  return [new Uint8Array(64), concat(start, named, pushes(payload), Uint8Array.of(0x68)), new Uint8Array(33)]
}

/** An output to be spent. */
export interface Outpoint {
  readonly txid: Uint8Array
  readonly vout: number
}

export interface SpendPlan {
  readonly from: readonly Outpoint[]
  /** Satoshis by output, or outputs themselves. */
  readonly to: readonly (number | TxOutput)[]
  readonly op?: string
  readonly payload?: Plain
  /** Input that shows the operation. */
  readonly opInput?: number
  /** Hex digits that the txid has to begin with. */
  readonly work?: string
  /** The first locktime that is tried for it. Default: 500,000,000, a time long past: nodes take it at any height. */
  readonly locktime?: number
}

const OP_RETURN = Uint8Array.of(0x6a, 1, 0x78)

/** An output that nobody can spend. */
export function burnOutput(satoshis = 0): TxOutput {
  return { value: BigInt(satoshis), script: OP_RETURN }
}

/** The output that marks a payment for a subrealm (p) or an item (d). */
export function markerOutput(kind: 'p' | 'd', id: string): TxOutput {
  return { value: 0n, script: concat(fromLatin1(`\x6a\x04atom\x01${kind}\x24`), fromLatin1(id)) }
}

/** A transaction; its id is ground by the locktime where work is asked. */
export function spend(plan: SpendPlan): Tx {
  const witness = plan.op === undefined ? [] : envelopeWitness(plan.op, encodeCbor(plan.payload ?? {}))
  const inputs: TxInput[] = plan.from.map(({ txid, vout }, i) => ({
    prevTxid: txid,
    prevIndex: vout,
    script: new Uint8Array(0),
    sequence: 0xffff_fffd,
    witness: i === (plan.opInput ?? 0) ? witness : [],
  }))
  const outputs = plan.to.map((to, i) => (typeof to === 'number' ? { value: BigInt(to), script: scriptOf(i) } : to))
  return buildTx(
    inputs,
    outputs,
    plan.work === undefined ? 0 : grind(inputs, outputs, plan.work, plan.locktime ?? 500_000_000),
  )
}

function grind(inputs: readonly TxInput[], outputs: readonly TxOutput[], work: string, first: number): number {
  const bytes = serializeTx({ version: 2, inputs, outputs, locktime: 0 }, { witness: false })
  for (let locktime = first; locktime < first + 0x1000_0000; locktime++) {
    writeUint32LE(bytes, locktime, bytes.length - 4)
    const once = createHash('sha256').update(bytes).digest()
    const hash = createHash('sha256').update(once).digest()
    if (toDisplayHex(hash).startsWith(work)) return locktime
  }
  throw new Error(`no work for ${work}`)
}

export function out(tx: Tx, vout = 0): Outpoint {
  return { txid: tx.txid, vout }
}

export function idAt(tx: Tx, vout = 0): string {
  return idText(tx.txid, vout)
}

export function compactAt(tx: Tx, vout = 0): string {
  return compactOfIdText(idAt(tx, vout))
}

/** All rules from the first block on, but for what is said otherwise. */
export function heightsFrom(changes: Partial<AtomicalsHeights> = {}): AtomicalsHeights {
  return { start: 1, dmint: 1, commitz: 1, density: 1, dftBitworkRollover: 1, customColoring: 1, ...changes }
}

const FUNDS = 60
const FUND = 10_000_000n

/** A chain of blocks made by hand, with its index. */
export class AtomicalsChain {
  readonly db: IndexDatabase
  readonly indexer: AtomicalsIndexer
  readonly #store: MemoryStore
  readonly #blocks: BuiltBlock[]
  #funds: Outpoint[] = []
  #salt = 0
  #touched = new Set<string>()

  private constructor(db: IndexDatabase, indexer: AtomicalsIndexer, store: MemoryStore, genesis: BuiltBlock) {
    this.db = db
    this.indexer = indexer
    this.#store = store
    this.#blocks = [genesis]
  }

  static async open(directory: string, heights: AtomicalsHeights = heightsFrom()): Promise<AtomicalsChain> {
    const genesis = buildBlock(0, new Uint8Array(32), [buildCoinbase(0, 0, [{ value: FUND, script: scriptOf(0) }])])
    const chain = await AtomicalsChain.#over(directory, genesis, heights)
    await chain.mine()
    return chain
  }

  static async #over(directory: string, genesis: BuiltBlock, heights: AtomicalsHeights): Promise<AtomicalsChain> {
    const stores: MemoryStore[] = []
    const indexer = new AtomicalsIndexer({ heights, filterBits: 1 << 14 })
    const db = await IndexDatabase.open(
      {
        directory,
        coin: 'Bitcoin',
        net: 'regtest',
        genesisHash: genesis.hash,
        reorgLimit: 1_000,
        cacheBytes: 1 << 20,
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
    await db.advance(parseBlock(genesis.raw), 0)
    return new AtomicalsChain(db, indexer, stores[0]!, genesis)
  }

  get height(): number {
    return this.#blocks.length - 1
  }

  /** Height, ids and bytes of the blocks. */
  get blocks(): readonly BuiltBlock[] {
    return this.#blocks
  }

  /** An output of 0.1 bitcoin that nobody else is given. */
  fund(): Outpoint {
    const fund = this.#funds.pop()
    if (fund === undefined) throw new Error('no funds left: mine a block')
    return fund
  }

  /** A block with these transactions. */
  async mine(...txs: Tx[]): Promise<number> {
    const height = this.height + 1
    this.#salt += 1
    const outputs = Array.from({ length: FUNDS }, (_, i) => ({ value: FUND, script: scriptOf(1_000 + i) }))
    const coinbase = buildCoinbase(height, this.#salt, outputs)
    const block = buildBlock(height, this.#blocks.at(-1)?.hash ?? new Uint8Array(32), [coinbase, ...txs], this.#salt)
    this.#touch(await this.db.advance(parseBlock(block.raw), height))
    this.#blocks.push(block)
    this.#funds = [...this.#funds.slice(-FUNDS), ...outputs.map((_, vout) => ({ txid: coinbase.txid, vout }))]
    return height
  }

  async mineEmpty(count: number): Promise<void> {
    for (let i = 0; i < count; i++) await this.mine()
  }

  /** Takes the last block back. */
  async rollBack(): Promise<void> {
    this.#touch(await this.db.rollBack())
    const lost = this.#blocks.pop()?.txs[0]?.txid
    this.#funds = this.#funds.filter(({ txid }) => lost === undefined || !equalBytes(txid, lost))
  }

  /** What blocks that came and went have touched since this was asked last. */
  takeTouched(): Set<string> {
    const touched = this.#touched
    this.#touched = new Set()
    return touched
  }

  #touch({ touched }: BlockChange): void {
    for (const name of touched) this.#touched.add(name)
  }

  /** Takes blocks back, but not the first, and mines as many empty ones and one more in their place. */
  async lose(count: number): Promise<void> {
    const lost = Math.min(count, this.height - 1)
    for (let i = 0; i < lost; i++) await this.rollBack()
    await this.mineEmpty(lost + 1)
  }

  /** Another chain of the same blocks. */
  static async replay(
    directory: string,
    blocks: readonly BuiltBlock[],
    heights = heightsFrom(),
  ): Promise<AtomicalsChain> {
    const [genesis, ...others] = blocks
    if (genesis === undefined) throw new Error('no genesis')
    const chain = await AtomicalsChain.#over(directory, genesis, heights)
    for (const block of others) {
      await chain.db.advance(parseBlock(block.raw), block.height)
      chain.#blocks.push(block)
    }
    return chain
  }

  /** All rows of a key space. */
  async rows<K, V>(space: KeySpace<K, V>): Promise<readonly RowOf<K, V>[]> {
    await this.db.flush()
    return new StoredRows(this.#store).rows(space, new Uint8Array(0))
  }

  /** A commit output that was mined, worked where that is asked. */
  async commit(plan: { readonly work?: string; readonly outputs?: number } = {}): Promise<Tx> {
    const to = Array.from({ length: plan.outputs ?? 1 }, () => 100_000)
    const tx = spend({ from: [this.fund()], to, ...(plan.work === undefined ? {} : { work: plan.work }) })
    await this.mine(tx)
    return tx
  }

  /** Commits and reveals a mint in one block each; gives back the reveal. */
  async mint(
    op: string,
    payload: Plain,
    plan: { readonly work?: string; readonly value?: number; readonly also?: readonly Outpoint[] } = {},
  ): Promise<{ readonly id: string; readonly compact: string; readonly tx: Tx }> {
    const commit = await this.commit(plan)
    const tx = spend({ from: [out(commit), ...(plan.also ?? [])], to: [plan.value ?? 1_000], op, payload })
    await this.mine(tx)
    return { id: idAt(commit), compact: compactAt(commit), tx }
  }

  async queries(): Promise<AtomicalsQueries> {
    await this.db.flush()
    return new AtomicalsQueries({ height: this.height }, new StoredRows(this.#store))
  }

  /** What sits at an output, by compact id. */
  async held(tx: Tx, vout = 0): Promise<Record<string, number>> {
    const row = (await this.queries()).location(idAt(tx, vout))
    return Object.fromEntries((row?.held ?? []).map(({ id, value }) => [compactOfIdText(id), value]))
  }

  /** Ids of the transactions that the Atomicals hash of a block has. */
  async counted(height: number): Promise<string[]> {
    const row = (await this.queries()).block(height)
    const { txs } = this.#blocks[height] ?? { txs: [] }
    return (row?.positions ?? []).map((position) => toDisplayHex(txs[position]?.txid ?? new Uint8Array(0)))
  }

  async activity(tx: Tx): Promise<string | undefined> {
    const view = this.db.acquireView()
    try {
      const position = await view.findTransaction(tx.txid)
      return position === undefined ? undefined : (await this.queries()).activity(position.txNum)?.op
    } finally {
      view.release()
    }
  }

  async dump(): Promise<string[]> {
    const lines: string[] = []
    for await (const line of this.db.canonicalDump()) lines.push(line)
    return lines
  }

  close(): Promise<void> {
    return this.db.close()
  }
}
