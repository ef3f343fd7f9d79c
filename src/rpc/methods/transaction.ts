import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import type { Daemon, PackageResult, TransactionPlace } from '../../daemon/daemon.ts'
import type { ChainView } from '../../db/view.ts'
import { DaemonError, ERROR_CODES, RefusedByNode, RpcError } from '../../errors.ts'
import { type Awaitable, after } from '../../lib/awaitable.ts'
import { copyOf, equalBytes, toDisplayHex, toHex } from '../../lib/bytes.ts'
import type { CacheTally } from '../../metrics.ts'
import type { BlockIds, BlockProofs } from '../block-proofs.ts'
import { RawJson } from '../json.ts'
import { defineMethod, type RpcContext, type RpcMethod } from '../method.ts'
import { Bool, Branch, Hash, Height, Hex, HexTx, HexTxs, TxId, type TxIdRef, WholeNumber } from '../schemas.ts'
import { blockHashOf, transactionPlace } from '../transaction-place.ts'
import { V1_6, V1_7 } from '../versions.ts'

const EXAMPLE_TXID = 'a76242fce5753b4212f903ff33ac6fe66f2780f34bdb4b33b175a7815a11a98e'
const EXAMPLE_TX = `0100000001${'11'.repeat(32)}000000000151ffffffff01e803000000000000015100000000`

/** Characters of hex for one unit of cost, as of bytes of bandwidth. */
const CHARACTERS_PER_COST = 5000
const BROADCAST_COST = 0.25
/** What a merkle call costs at least; the rest is charged once it is known whether the block was in memory. */
const CACHED_LIST_COST = 0.1

const sizeCost = (texts: readonly string[]): number =>
  BROADCAST_COST + texts.reduce((sum, text) => sum + text.length, 0) / CHARACTERS_PER_COST

/** The block that holds a transaction, and where the node finds it there. */
interface Place {
  readonly height: number
  readonly header: Uint8Array
  readonly daemon: TransactionPlace | undefined
}

/**
 * The block that holds a transaction, by our own index, so that bitcoind needs none; undefined for one that is not
 * confirmed as far as we know.
 */
async function placeOf({ moment: { view } }: RpcContext, { bytes }: TxIdRef): Promise<Place | undefined> {
  const found = await view.findTransaction(bytes)
  const header = found === undefined ? undefined : view.header(found.height)
  if (found === undefined || header === undefined) return undefined
  return { height: found.height, header: copyOf(header), daemon: transactionPlace(view, found) }
}

/** Transactions that are remembered as asked for once: some 2 MB. */
const MOST_ASKED = 8192

/** bitcoind's code for a transaction that it does not find. */
const NOT_FOUND = -5

/**
 * Asks bitcoind for a transaction. Between the moment when a block takes it from the mempool and the moment when we have
 * indexed that block, bitcoind finds it only with the hash of the block: then its best block is tried too.
 */
async function fromDaemon<T>(
  ctx: RpcContext,
  place: Place | undefined,
  ask: (blockHash?: string) => Promise<T>,
): Promise<T> {
  const blockHash = place === undefined ? undefined : blockHashOf(place.header)
  try {
    return await ask(blockHash)
  } catch (error) {
    if (blockHash !== undefined || !isNotFound(error)) throw error
    const { bestBlockHash } = await ctx.daemon.chainInfo(ctx.signal)
    if (bestBlockHash === toDisplayHex(ctx.moment.tip.hash)) throw error
    return ask(bestBlockHash).catch((again: unknown) => {
      throw isNotFound(again) ? error : again
    })
  }
}

function isNotFound(error: unknown): error is DaemonError {
  return error instanceof DaemonError && error.daemonCode === NOT_FOUND
}

function get(kept: KeptTransactions): RpcMethod {
  return defineMethod({
    name: 'blockchain.transaction.get',
    summary: 'A transaction, confirmed or not; verbose: the object that bitcoind makes of it. Needs no txindex.',
    params: z.object({ tx_hash: TxId, verbose: Bool("bitcoind's object rather than hex.").optional() }),
    result: z.union([Hex, z.record(z.string(), z.unknown())]),
    cost: () => 1,
    since: [1, 0, 0],
    example: { params: [EXAMPLE_TXID], result: EXAMPLE_TX },
    handler: (ctx, { tx_hash: txid, verbose = false }) =>
      verbose ? verboseTransaction(ctx, txid) : (kept.get(ctx.moment.view, txid) ?? rawTransaction(ctx, txid, kept)),
  })
}

async function verboseTransaction(ctx: RpcContext, txid: TxIdRef): Promise<RawJson> {
  const { daemon, signal } = ctx
  const place = await placeOf(ctx, txid)
  return new RawJson(await fromDaemon(ctx, place, async (block) => daemon.verboseTransaction(txid.hex, block, signal)))
}

/**
 * Where the node has an index of transactions, ours is looked into only when a transaction is asked for again: what is
 * kept has to be known to be in a block, and most are asked for once.
 */
async function rawTransaction(ctx: RpcContext, txid: TxIdRef, kept: KeptTransactions): Promise<RawJson> {
  const { daemon, signal } = ctx
  if (kept.isNew(txid)) {
    const raw = await daemon.indexedTransaction(txid.hex, signal)
    if (raw !== undefined) return new RawJson(`"${toHex(raw)}"`, true)
  }
  const place = await placeOf(ctx, txid)
  const raw =
    place?.daemon === undefined
      ? await fromDaemon(ctx, place, async (block) => daemon.rawTransaction(txid.hex, block, signal))
      : await daemon.confirmedTransaction(txid.hex, place.daemon, signal)
  const text = new RawJson(`"${toHex(raw)}"`, true)
  if (place !== undefined) kept.put(txid, place, text)
  return text
}

interface KeptTransaction {
  readonly place: Place
  readonly text: RawJson
}

/**
 * Confirmed transactions as they were answered, each with the header of its block: who finds that header in a view finds
 * the transaction there too. One without a block is not kept, for its witness may be another one in the end.
 */
class KeptTransactions {
  readonly #kept: LRUCache<string, KeptTransaction> | undefined
  /** Those that somebody has asked for once. */
  readonly #asked = new LRUCache<string, true>({ max: MOST_ASKED })
  readonly #tally: CacheTally

  constructor(maxBytes: number, tally: CacheTally) {
    this.#tally = tally
    if (maxBytes === 0) return
    const kept = new LRUCache<string, KeptTransaction>({ maxSize: maxBytes, maxEntrySize: Math.ceil(maxBytes / 8) })
    this.#kept = kept
    tally.bytes = () => kept.calculatedSize
  }

  /** True the first time that a transaction is asked for; always where nothing is kept. */
  isNew({ hex }: TxIdRef): boolean {
    if (this.#kept === undefined) return true
    if (this.#asked.has(hex)) return false
    this.#asked.set(hex, true)
    return true
  }

  get(view: ChainView, { hex }: TxIdRef): RawJson | undefined {
    const kept = this.#kept?.get(hex)
    const header = kept === undefined ? undefined : view.header(kept.place.height)
    if (kept === undefined || header === undefined || !equalBytes(header, kept.place.header)) {
      this.#tally.misses++
      return undefined
    }
    this.#tally.hits++
    return kept.text
  }

  put({ hex }: TxIdRef, place: Place, text: RawJson): void {
    this.#kept?.set(hex, { place, text }, { size: text.text.length + KEPT_OVERHEAD })
  }
}

/** Bytes of what is kept beside the text. */
const KEPT_OVERHEAD = 500

function blockIds(ctx: RpcContext, proofs: BlockProofs, height: number): Awaitable<BlockIds> {
  return after(proofs.ids(ctx.moment.view, height), (ids) => {
    if (ids === undefined) throw new RpcError(ERROR_CODES.badRequest.code, `height ${height} out of range`)
    ctx.charge(ids.cost - CACHED_LIST_COST)
    return ids
  })
}

/** JSON of a branch. */
function branchText(ctx: RpcContext, proofs: BlockProofs, ids: BlockIds, position: number): string {
  const { branch, cost } = proofs.branch(ids, position)
  ctx.charge(cost)
  return branch.length === 0 ? '[]' : `["${branch.join('","')}"]`
}

function getMerkle(proofs: BlockProofs): RpcMethod {
  return defineMethod({
    name: 'blockchain.transaction.get_merkle',
    followsFrom: 'tip',
    summary: 'Proof that a transaction is in the block at a height.',
    params: z.object({ tx_hash: TxId, height: Height }),
    result: z.object({ block_height: z.int().min(0), merkle: Branch, pos: z.int().min(0) }),
    cost: () => CACHED_LIST_COST,
    since: [1, 0, 0],
    example: { params: [EXAMPLE_TXID, 170], result: { block_height: 170, merkle: [EXAMPLE_TXID], pos: 1 } },
    handler: (ctx, { tx_hash: txid, height }) =>
      after(blockIds(ctx, proofs, height), (ids) => {
        const pos = ids.txids.indexOf(txid.hex)
        if (pos === undefined) {
          throw new RpcError(ERROR_CODES.badRequest.code, `tx ${txid.hex} not in block at height ${height}`)
        }
        const merkle = branchText(ctx, proofs, ids, pos)
        return new RawJson(`{"block_height":${height},"merkle":${merkle},"pos":${pos}}`, true)
      }),
  })
}

function idFromPos(proofs: BlockProofs): RpcMethod {
  return defineMethod({
    name: 'blockchain.transaction.id_from_pos',
    followsFrom: 'tip',
    summary: 'The transaction at a position of a block, with its proof if that is asked for.',
    params: z.object({
      height: Height,
      tx_pos: WholeNumber('Position in the block, from 0.'),
      merkle: Bool('Whether to give the proof too.').optional(),
    }),
    result: z.union([Hash, z.object({ tx_hash: Hash, merkle: Branch })]),
    cost: () => CACHED_LIST_COST,
    since: [1, 4, 0],
    example: { params: [170, 1, true], result: { tx_hash: EXAMPLE_TXID, merkle: [EXAMPLE_TXID] } },
    handler: (ctx, { height, tx_pos: pos, merkle = false }) =>
      after(blockIds(ctx, proofs, height), (ids) => {
        if (pos >= ids.txids.count) {
          throw new RpcError(ERROR_CODES.badRequest.code, `no tx at position ${pos} in block at height ${height}`)
        }
        const txid = ids.txids.hexAt(pos)
        if (!merkle) return txid
        return new RawJson(`{"tx_hash":"${txid}","merkle":${branchText(ctx, proofs, ids, pos)}}`, true)
      }),
  })
}

/** Gives a transaction to the node, for the client. Throws RefusedByNode. */
export async function sendTransaction({ daemon, signal, client }: RpcContext, raw: string): Promise<string> {
  const txid = await relayed('the transaction', `\n[${raw}]`, () => daemon.broadcast(raw, signal))
  client.sentTransactions(1)
  return txid
}

/** Of a transaction that a client gives. */
export const broadcastCost = (raw: string): number => sizeCost([raw])

/** Wallets look for bitcoind's own words in the message of a refusal. */
async function relayed<T>(what: string, after: string, relay: () => Promise<T>): Promise<T> {
  try {
    return await relay()
  } catch (error) {
    if (!(error instanceof DaemonError)) throw error
    throw new RefusedByNode(`${what} was rejected by network rules.\n\n${error.message}${after}`, { cause: error })
  }
}

const broadcast = defineMethod({
  name: 'blockchain.transaction.broadcast',
  summary: "Gives a transaction to the network. A refusal is code 1 with bitcoind's words in the message.",
  params: z.object({ raw_tx: HexTx }),
  result: Hash,
  cost: ({ raw_tx: raw }) => broadcastCost(raw),
  since: [1, 0, 0],
  example: { params: [EXAMPLE_TX], result: EXAMPLE_TXID },
  handler: (ctx, { raw_tx: raw }) => sendTransaction(ctx, raw),
})

/** bitcoind's codes for a method that it does not have, and for one that it has for regtest alone. */
const NO_SUCH_METHOD: ReadonlySet<number> = new Set([-32601, -1])

/** Throws RpcError, not what bitcoind said, where it takes no packages at all: nothing is wrong with this one then. */
async function submit(daemon: Daemon, raws: readonly string[], signal: AbortSignal): Promise<PackageResult> {
  try {
    return await daemon.broadcastPackage(raws, signal)
  } catch (error) {
    if (!(error instanceof DaemonError && NO_SUCH_METHOD.has(error.daemonCode))) throw error
    const said = `bitcoind takes no packages (submitpackage, Bitcoin Core 26): ${error.message}`
    throw new RpcError(ERROR_CODES.daemonError.code, `daemon error: ${said}`, { cause: error })
  }
}

/** Gives a child with its parents to the node, for the client. Throws RefusedByNode. */
export async function sendPackage(
  { daemon, signal, client }: RpcContext,
  { raw_txs: raws, verbose = false }: RawPackage,
) {
  const result = await relayed('the tx package', '.', () => submit(daemon, raws, signal))
  if (result.packageMessage === 'success') client.sentTransactions(raws.length)
  return verbose ? result.raw : summaryOf(result)
}

interface RawPackage {
  readonly raw_txs: readonly string[]
  readonly verbose?: boolean | undefined
}

/** All but name, summary and handler of methods that send packages. */
export const packageMethod = {
  params: z.object({ raw_txs: HexTxs, verbose: Bool("bitcoind's own answer.").optional() }),
  result: z.union([
    z.object({
      success: z.boolean(),
      errors: z.array(z.object({ txid: Hash, error: z.string() })).optional(),
    }),
    z.unknown().meta({ description: "bitcoind's answer to submitpackage." }),
  ]),
  cost: ({ raw_txs: raws }: RawPackage) => sizeCost(raws),
  since: V1_6,
  example: { params: [[EXAMPLE_TX, EXAMPLE_TX]], result: { success: true } },
} as const

const broadcastPackage = defineMethod({
  ...packageMethod,
  name: 'blockchain.transaction.broadcast_package',
  summary: "Gives a child with its parents to the network; verbose: bitcoind's own answer.",
  handler: sendPackage,
})

function summaryOf({ packageMessage, errors }: PackageResult): {
  success: boolean
  errors?: { txid: string; error: string }[]
} {
  const success = packageMessage === 'success'
  return errors.length === 0 ? { success } : { success, errors: [...errors] }
}

const testMempoolAccept = defineMethod({
  name: 'blockchain.transaction.testmempoolaccept',
  summary: 'Whether the mempool would take these transactions, and why not.',
  params: z.object({ raw_txs: HexTxs }),
  result: z.array(z.object({ txid: Hash, wtxid: Hash, allowed: z.boolean(), reason: z.string().optional() })),
  cost: ({ raw_txs: raws }) => sizeCost(raws),
  since: V1_7,
  example: {
    params: [[EXAMPLE_TX]],
    result: [{ txid: EXAMPLE_TXID, wtxid: EXAMPLE_TXID, allowed: false, reason: 'min relay fee not met' }],
  },
  handler: async ({ daemon, signal }, { raw_txs: raws }) => {
    const results = await daemon.testMempoolAccept(raws, signal)
    return results.map(({ txid, wtxid, allowed, reason }) =>
      reason === undefined ? { txid, wtxid, allowed } : { txid, wtxid, allowed, reason },
    )
  },
})

export interface TransactionMethodsOptions {
  readonly proofs: BlockProofs
  /** Bytes of confirmed transactions that are kept as they were answered. */
  readonly cacheBytes: number
  readonly tally: CacheTally
}

export function transactionMethods({ proofs, cacheBytes, tally }: TransactionMethodsOptions): readonly RpcMethod[] {
  return [
    get(new KeptTransactions(cacheBytes, tally)),
    getMerkle(proofs),
    idFromPos(proofs),
    broadcast,
    broadcastPackage,
    testMempoolAccept,
  ]
}
