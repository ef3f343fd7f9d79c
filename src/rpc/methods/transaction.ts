import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import type { TransactionPlace } from '../../daemon/daemon.ts'
import type { ChainView } from '../../db/view.ts'
import { DaemonError, ERROR_CODES, RpcError } from '../../errors.ts'
import { type Awaitable, after } from '../../lib/awaitable.ts'
import { copyOf, equalBytes, toDisplayHex, toHex } from '../../lib/bytes.ts'
import type { CacheTally } from '../../metrics.ts'
import type { BlockIds, BlockProofs } from '../block-proofs.ts'
import { RawJson } from '../json.ts'
import { defineMethod, type RpcContext, type RpcMethod } from '../method.ts'
import { Bool, Branch, Hash, Height, Hex, TxId, type TxIdRef, WholeNumber } from '../schemas.ts'
import { blockHashOf, transactionPlace } from '../transaction-place.ts'

export const EXAMPLE_TXID = 'a76242fce5753b4212f903ff33ac6fe66f2780f34bdb4b33b175a7815a11a98e'
export const EXAMPLE_TX = `0100000001${'11'.repeat(32)}000000000151ffffffff01e803000000000000015100000000`

/** What a merkle call costs at least; the rest is charged once it is known whether the block was in memory. */
const CACHED_LIST_COST = 0.1

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

export interface TransactionMethodsOptions {
  readonly proofs: BlockProofs
  /** Bytes of confirmed transactions that are kept as they were answered. */
  readonly cacheBytes: number
  readonly tally: CacheTally
}

export function transactionMethods({ proofs, cacheBytes, tally }: TransactionMethodsOptions): readonly RpcMethod[] {
  return [get(new KeptTransactions(cacheBytes, tally)), getMerkle(proofs), idFromPos(proofs)]
}
