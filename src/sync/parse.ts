import { checkMerkleRoot, type ParsedBlock, parseBlock } from '../chain/block.ts'
import type { BlockScan } from '../chain/block-scan.ts'
import { HEADER_SIZE } from '../chain/headers.ts'
import type { Daemon } from '../daemon/daemon.ts'
import { blockDelta } from '../db/block-delta.ts'
import type { KnownBlock } from '../db/index-options.ts'
import { DaemonUnavailableError, ParseError } from '../errors.ts'
import { toDisplayHex } from '../lib/bytes.ts'
import { parseSpentTxOuts } from './spent-tx-outs.ts'

/** What the node gave for a block. */
export interface FetchedBlock {
  /** What it was asked for, as displayed. */
  readonly hash: string
  readonly raw: Uint8Array
  /** What the block spends, as REST `spenttxouts` has it; undefined where the node does not tell. */
  readonly spent: Uint8Array | undefined
}

/** A block that the index can take. Plain data. */
export interface ReadBlock {
  readonly block: ParsedBlock
  /** Undefined where the node does not tell what it spends. */
  readonly known: KnownBlock | undefined
}

/** Turns what the node gave into what the index takes; may do so on another thread. Rejects as readBlock throws. */
export type BlockParser = (fetched: FetchedBlock) => ReadBlock | Promise<ReadBlock>

/** What REST `spenttxouts` has of a block with nothing but a coinbase: one transaction, no output. */
const SPENT_BY_COINBASE = Uint8Array.of(1, 0)

/**
 * The block and, where the node tells it, what it spends. `hash` as displayed. Both at the same time, unless `lonely` says
 * that the block may well have nothing but a coinbase: that one spends nothing, which nobody has to be asked. Throws what
 * the daemon throws.
 */
export async function fetchBlock(
  daemon: Daemon,
  hash: string,
  signal: AbortSignal,
  lonely = false,
): Promise<FetchedBlock> {
  if (!daemon.abilities.spentTxOuts) return { hash, raw: await daemon.rawBlock(hash, signal), spent: undefined }
  if (lonely) {
    const raw = await daemon.rawBlock(hash, signal)
    return { hash, raw, spent: isLonely(raw) ? SPENT_BY_COINBASE.slice() : await daemon.spentTxOuts(hash, signal) }
  }
  const [raw, spent] = await Promise.all([daemon.rawBlock(hash, signal), daemon.spentTxOuts(hash, signal)])
  return { hash, raw, spent }
}

/** True if the bytes of a block say that it has one transaction. */
export function isLonely(raw: Uint8Array): boolean {
  return raw[HEADER_SIZE] === 1
}

/**
 * Parses the block that the node was asked for by `hash`. Throws DaemonUnavailableError for one that is not it: cut
 * short, another block, transactions that its header does not commit to, or spent outputs that are not its own. Such an
 * answer is worth asking again for, and never worth applying. `scan`: as for parseBlock.
 */
export function readBlock({ hash, raw, spent }: FetchedBlock, scan?: BlockScan): ReadBlock {
  const block = attempt(`bytes for block ${hash} that are no block`, () => parseBlock(raw, scan))
  if (toDisplayHex(block.hash) !== hash) {
    throw new DaemonUnavailableError(`the node gave block ${toDisplayHex(block.hash)} for ${hash}`)
  }
  if (!checkMerkleRoot(block)) {
    throw new DaemonUnavailableError(`the node gave block ${hash} with other transactions than it has`)
  }
  if (spent === undefined) return { block, known: undefined }
  const outputs = attempt(`outputs that block ${hash} does not spend`, () => parseSpentTxOuts(spent, block))
  return { block, known: { spent: outputs, delta: blockDelta(block, outputs) } }
}

function attempt<T>(what: string, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    if (!(error instanceof ParseError)) throw error
    throw new DaemonUnavailableError(`the node gave ${what}`, { cause: error })
  }
}
