import type { Daemon } from '../daemon/daemon.ts'
import { ChainError, DaemonUnavailableError } from '../errors.ts'
import { toDisplayHex } from '../lib/bytes.ts'

/** The chain as the index has it. */
export interface OwnChain {
  readonly tip: { readonly height: number }
  /** 32 bytes, internal order. */
  blockHash(height: number): Uint8Array | undefined
  /** The lowest height that can be gone back to. */
  readonly deepestFork: number
}

const MOST_HASHES = 500

/**
 * Height of the last block that the index has in common with the node's best chain, whichever of them is longer; -1 if
 * the index is empty. Throws ChainError if it is deeper than the index can go back, and DaemonUnavailableError if the
 * node merely lacks our latest blocks, more of them than could be taken back: it is still busy with its own chain.
 */
export async function findFork(
  own: OwnChain,
  daemon: Daemon,
  nodeHeight: number,
  signal: AbortSignal,
): Promise<number> {
  const tip = own.tip.height
  let high = Math.min(tip, nodeHeight)
  for (let count = 1; high >= 0; count = Math.min(count * 4, MOST_HASHES)) {
    const start = Math.max(0, high - count + 1)
    const hashes = await daemon.blockHashes(start, high - start + 1, signal)
    for (let height = high; height >= start; height--) {
      const hash = own.blockHash(height)
      if (hash !== undefined && hashes[height - start] === toDisplayHex(hash)) return checked(own, height, nodeHeight)
    }
    high = start - 1
    if (high < own.deepestFork) break
  }
  if (tip < 0) return -1
  throw new ChainError(
    `the node's chain left ours more than ${tip - own.deepestFork} blocks below height ${tip}, which cannot be taken ` +
      'back (REORG_LIMIT): is it the right node? If it is, index again',
  )
}

function checked(own: OwnChain, fork: number, nodeHeight: number): number {
  const tip = own.tip.height
  if (fork === tip || fork >= own.deepestFork) return fork
  if (fork === nodeHeight) {
    throw new DaemonUnavailableError(`the node is at height ${nodeHeight} and has to catch up with the index at ${tip}`)
  }
  throw new ChainError(
    `a reorganisation of ${tip - fork} blocks, and only ${tip - own.deepestFork} can be taken back (REORG_LIMIT)`,
  )
}
