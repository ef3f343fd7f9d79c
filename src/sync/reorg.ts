import type { Daemon } from '../daemon/daemon.ts'
import { DaemonUnavailableError, ForkTooDeepError } from '../errors.ts'
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
 * Height of the last block that the index has in common with the node's best chain; -1 if the index is empty. A node that
 * is at a lower height than the index is followed only where it has decided against the index's branch; one that merely
 * lacks our latest blocks (restarted after a crash, behind another one that was asked before) will have them or a longer
 * branch. Throws DaemonUnavailableError then, and ForkTooDeepError if the fork is deeper than the index can go back.
 */
export async function findFork(
  own: OwnChain,
  daemon: Daemon,
  nodeHeight: number,
  signal: AbortSignal,
): Promise<number> {
  const tip = own.tip.height
  if (tip < 0) return -1
  const fork = await commonHeight(own, daemon, nodeHeight, signal)
  if (fork === tip) return fork
  if (nodeHeight < tip && !(await hasDecided(own, daemon, fork, signal))) {
    throw new DaemonUnavailableError(`the node is at height ${nodeHeight} and has to catch up with the index at ${tip}`)
  }
  if (fork !== undefined && fork >= own.deepestFork) return fork
  if (fork !== undefined) await confirm(own, daemon, fork, signal)
  const most = tip - own.deepestFork
  throw new ForkTooDeepError(
    (fork === undefined
      ? `the node's chain left ours more than ${most} blocks below height ${tip}, which cannot be taken back (REORG_LIMIT)`
      : `a reorganisation of ${tip - fork} blocks, from height ${tip} to ${fork}, and only ${most} can be taken back ` +
        '(REORG_LIMIT)') + ': is it the right node? If it is, stop the server, empty DB_DIRECTORY and index again',
  )
}

/** Undefined if it is below what can be gone back to, as far as was looked. */
async function commonHeight(
  own: OwnChain,
  daemon: Daemon,
  nodeHeight: number,
  signal: AbortSignal,
): Promise<number | undefined> {
  let high = Math.min(own.tip.height, nodeHeight)
  for (let count = 1; high >= 0; count = Math.min(count * 4, MOST_HASHES)) {
    const start = Math.max(0, high - count + 1)
    const hashes = await daemon.blockHashes(start, high - start + 1, signal)
    for (let height = high; height >= start; height--) {
      const hash = own.blockHash(height)
      if (hash !== undefined && hashes[height - start] === toDisplayHex(hash)) return height
    }
    high = start - 1
    if (high < own.deepestFork) break
  }
  return undefined
}

/** True if the node knows our branch and is elsewhere on purpose: it takes it for invalid, or has found a better one. */
async function hasDecided(
  own: OwnChain,
  daemon: Daemon,
  fork: number | undefined,
  signal: AbortSignal,
): Promise<boolean> {
  const { height } = own.tip
  const hash = own.blockHash(height)
  if (hash === undefined) return false
  const tips = await daemon.chainTips(signal)
  const active = tips.find(({ status }) => status === 'active')
  const ours = toDisplayHex(hash)
  return tips.some((tip) => {
    // Where the node has blocks on top of ours, ours is not among its tips, but the branch is.
    if (tip.hash !== ours && (tip.height <= height || tip.fork !== fork)) return false
    // While it is on its way to a branch that it has verified before, as after a restart, it is below its tip.
    return tip.status === 'invalid' || (tip.status === 'verified' && active !== undefined && active.height > tip.fork)
  })
}

/** Nothing is given up because of answers between which the node moved: DaemonUnavailableError if it is not at `fork`. */
async function confirm(own: OwnChain, daemon: Daemon, fork: number, signal: AbortSignal): Promise<void> {
  const [same, other] = await daemon.blockHashes(fork, 2, signal)
  const [mine, next] = [own.blockHash(fork), own.blockHash(fork + 1)]
  if (mine !== undefined && same === toDisplayHex(mine)) {
    if (other !== undefined && next !== undefined && other !== toDisplayHex(next)) return
    if (other === undefined) {
      throw new DaemonUnavailableError(
        `the node is at height ${fork} and has to catch up with the index at ${own.tip.height}: it has taken back more ` +
          'blocks than the index can (REORG_LIMIT)',
      )
    }
  }
  throw new DaemonUnavailableError('the node moved on while it was asked for its chain')
}
