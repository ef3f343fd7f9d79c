import { txOffsetsOf } from '../chain/tx-offsets.ts'
import { ParseError } from '../errors.ts'
import { untilAborted } from '../lib/abort.ts'
import type { TransactionPlace } from './daemon.ts'
import type { Bounds } from './exchange.ts'
import { NodeFailure } from './failure.ts'
import type { BitcoinNode } from './node.ts'

export interface BlockTransactionsOptions {
  /** Bytes of blocks, and of places in blocks, that are kept; the block longest unused goes first. */
  readonly maxBytes: number
  /** Of one block with its witnesses. The fetch is shared, so it ends with none of those who wait for it. */
  readonly block: Bounds
}

interface Kept {
  readonly offsets: Uint32Array
  /** The block itself, of a node that gives no parts of blocks. */
  readonly raw: Uint8Array | undefined
}

/** Bytes of what is kept beside the arrays: the hash as a key, the objects. */
const KEPT_OVERHEAD = 400

/**
 * Transactions by their position in a block, of nodes without an index of transactions. The first of a block costs the
 * whole block, which the node reads from its disk and sends as it is; for those after it the places are known. Measured
 * (test/bench/query.ts, `cold tx`, BENCH_TXINDEX=off): asking for a transaction with the hash of its block makes the node take the block to
 * pieces and hash all of it, which costs it several times as much.
 */
export class BlockTransactions {
  readonly #options: BlockTransactionsOptions
  readonly #kept = new Map<string, Kept>()
  readonly #fetching = new Map<string, Promise<Fetched>>()
  #bytes = 0

  constructor(options: BlockTransactionsOptions) {
    this.#options = options
  }

  /** Bytes kept at the moment. */
  get bytes(): number {
    return this.#bytes
  }

  /**
   * The bytes at a position of a block; that they are the transaction in question is for the caller to see. Throws what
   * BitcoinNode.rawBlock throws, and NodeFailure `wrong` for what cannot be a block with such a position.
   */
  async find(node: BitcoinNode, { blockHash, position }: TransactionPlace, bounds: Bounds): Promise<Uint8Array> {
    const kept = this.#use(blockHash)
    if (kept !== undefined) {
      const [start, end] = boundsAt(kept.offsets, position, node, blockHash)
      const bytes = kept.raw?.subarray(start, end) ?? (await node.blockPart(blockHash, start, end - start, bounds))
      if (bytes !== undefined) return bytes
    }
    const { raw, offsets } = await untilAborted(this.#fetch(node, blockHash), bounds.signal)
    return raw.subarray(...boundsAt(offsets, position, node, blockHash))
  }

  /** Forgets a block: what was said of it was wrong. */
  drop(blockHash: string): void {
    const kept = this.#kept.get(blockHash)
    if (kept === undefined) return
    this.#kept.delete(blockHash)
    this.#bytes -= sizeOf(kept)
  }

  #use(blockHash: string): Kept | undefined {
    const kept = this.#kept.get(blockHash)
    if (kept === undefined) return undefined
    this.#kept.delete(blockHash)
    this.#kept.set(blockHash, kept)
    return kept
  }

  /** A block that several ask for at a time is fetched once. */
  #fetch(node: BitcoinNode, blockHash: string): Promise<Fetched> {
    const key = `${node.address} ${blockHash}`
    const running = this.#fetching.get(key)
    if (running !== undefined) return running
    const fetch = this.#fetchNow(node, blockHash).finally(() => this.#fetching.delete(key))
    this.#fetching.set(key, fetch)
    return fetch
  }

  async #fetchNow(node: BitcoinNode, blockHash: string): Promise<Fetched> {
    const raw = await node.rawBlock(blockHash, this.#options.block)
    const offsets = readOffsets(raw, node, blockHash)
    this.#keep(blockHash, { offsets, raw: node.abilities?.blockParts === true ? undefined : raw })
    return { raw, offsets }
  }

  #keep(blockHash: string, entry: Kept): void {
    this.drop(blockHash)
    this.#kept.set(blockHash, entry)
    this.#bytes += sizeOf(entry)
    for (const oldest of this.#kept.keys()) {
      if (this.#bytes <= this.#options.maxBytes) return
      this.drop(oldest)
    }
  }
}

interface Fetched {
  readonly raw: Uint8Array
  readonly offsets: Uint32Array
}

function sizeOf({ offsets, raw }: Kept): number {
  return offsets.byteLength + (raw?.length ?? 0) + KEPT_OVERHEAD
}

function readOffsets(raw: Uint8Array, node: BitcoinNode, blockHash: string): Uint32Array {
  try {
    return txOffsetsOf(raw)
  } catch (error) {
    if (!(error instanceof ParseError)) throw error
    const said = `bitcoind at ${node.address} sent a block ${blockHash} that cannot be read: ${error.message}`
    throw new NodeFailure('wrong', said, { cause: error })
  }
}

function boundsAt(offsets: Uint32Array, position: number, node: BitcoinNode, blockHash: string): [number, number] {
  const start = offsets[position]
  const end = offsets[position + 1]
  if (start !== undefined && end !== undefined) return [start, end]
  const said = `bitcoind at ${node.address} has only ${offsets.length - 1} transactions in block ${blockHash}`
  throw new NodeFailure('wrong', `${said}, not number ${position}`)
}
