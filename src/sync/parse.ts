import { checkMerkleRoot, type ParsedBlock, parseBlock } from '../chain/block.ts'
import { DaemonUnavailableError, ParseError } from '../errors.ts'
import { toDisplayHex } from '../lib/bytes.ts'

/** Turns a block's bytes into what indexers read; may do so on another thread. Rejects as parseChecked throws. */
export type BlockParser = (raw: Uint8Array, hash: string) => ParsedBlock | Promise<ParsedBlock>

/**
 * Parses the block that the node was asked for by `hash` (as displayed). Throws DaemonUnavailableError for one that is
 * not it: cut short, another block, or transactions that its header does not commit to. Such an answer is worth asking
 * again for, and never worth applying.
 */
export function parseChecked(raw: Uint8Array, hash: string): ParsedBlock {
  const block = parse(raw, hash)
  if (toDisplayHex(block.hash) !== hash) {
    throw new DaemonUnavailableError(`the node gave block ${toDisplayHex(block.hash)} for ${hash}`)
  }
  if (!checkMerkleRoot(block)) {
    throw new DaemonUnavailableError(`the node gave block ${hash} with other transactions than it has`)
  }
  return block
}

function parse(raw: Uint8Array, hash: string): ParsedBlock {
  try {
    return parseBlock(raw)
  } catch (error) {
    if (!(error instanceof ParseError)) throw error
    throw new DaemonUnavailableError(`the node gave bytes for block ${hash} that are no block`, { cause: error })
  }
}
