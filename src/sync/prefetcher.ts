import type { Daemon } from '../daemon/daemon.ts'
import { linkSignals, throwIfAborted, untilAborted } from '../lib/abort.ts'
import { BoundedQueue } from '../lib/queue.ts'
import { type BlockParser, fetchBlock, isLonely, type ReadBlock } from './parse.ts'
import type { ReadAhead } from './read-ahead.ts'

export interface PrefetchOptions {
  /** Blocks asked for at the same time. A bitcoind on the same machine gives no more with more of them than a few. */
  readonly parallel: number
  /** Bytes of blocks that may wait, besides those under way. */
  readonly waitingBytes: number
}

export const PREFETCH_DEFAULTS: PrefetchOptions = { parallel: 4, waitingBytes: 32 << 20 }

/** Hashes asked for in one call. */
const HASHES_AT_ONCE = 500
/** Memory of a parsed block by the bytes it came in, about: its flat arrays are larger than itself. */
const MEMORY_PER_BYTE = 3

export interface PrefetchCollaborators {
  readonly daemon: Daemon
  readonly parse: BlockParser
  /** Where an announced block may be found that was read already. */
  readonly ahead?: ReadAhead
}

interface Failure {
  readonly error: unknown
}
type Outcome = ReadBlock | Failure

/**
 * Blocks `start` to `end` of the node's best chain and what they spend, in order, fetched and parsed ahead of who takes
 * them. The node may change its mind meanwhile, so a block need not stand on the one before, and there may be fewer.
 * Throws what the daemon, the parser or the abort throw; leaving the loop stops everything that is under way.
 */
export async function* prefetchBlocks(
  range: { readonly start: number; readonly end: number },
  options: PrefetchOptions,
  collaborators: PrefetchCollaborators,
  signal: AbortSignal,
): AsyncGenerator<ReadBlock, void, undefined> {
  const stop = new AbortController()
  const linked = linkSignals(signal, stop.signal)
  const queue = new BoundedQueue<ReadBlock>(options.waitingBytes, ({ block }) => block.raw.length * MEMORY_PER_BYTE)
  const producing = produce(range, options, collaborators, queue, linked.signal, () => stop.abort())
  try {
    for (;;) {
      const block = await queue.take()
      if (block === undefined) break
      yield block
    }
    const failure = await producing
    if (failure !== undefined) throw failure.error
  } finally {
    stop.abort()
    await producing
    linked.unlink()
  }
}

/** Fills the queue and closes it. What goes wrong is the result, to be told after the blocks that came before it. */
async function produce(
  range: { readonly start: number; readonly end: number },
  options: PrefetchOptions,
  { daemon, parse, ahead }: PrefetchCollaborators,
  queue: BoundedQueue<ReadBlock>,
  signal: AbortSignal,
  stop: () => void,
): Promise<Failure | undefined> {
  const abort = (): void => queue.abort(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  const underWay: Promise<Outcome>[] = []
  // Blocks with nothing but a coinbase stand in long rows: the first years of a chain, and test networks.
  let lonely = false
  const deliver = async (): Promise<void> => {
    const outcome = await underWay.shift()
    if (outcome === undefined) return
    if ('error' in outcome) throw outcome.error
    await queue.put(outcome)
  }
  const fetch = async (hash: string): Promise<Outcome> => {
    try {
      const early = ahead?.take(hash)
      const read = early === undefined ? undefined : await untilAborted(early, signal)
      if (read !== undefined) return read
      const fetched = await untilAborted(fetchBlock(daemon, hash, signal, lonely), signal)
      lonely = isLonely(fetched.raw)
      return await untilAborted(Promise.resolve(parse(fetched)), signal)
    } catch (error) {
      // Kept until its turn comes, so that blocks before it are not lost and no rejection goes unheard.
      return { error }
    }
  }
  try {
    for (let next = range.start; next <= range.end; ) {
      throwIfAborted(signal)
      const hashes = await daemon.blockHashes(next, Math.min(HASHES_AT_ONCE, range.end - next + 1), signal)
      if (hashes.length === 0) break
      next += hashes.length
      for (const hash of hashes) {
        underWay.push(fetch(hash))
        if (underWay.length >= options.parallel) await deliver()
      }
    }
    while (underWay.length > 0) await deliver()
    return undefined
  } catch (error) {
    // Fetches of later blocks are of no use any more; the blocks in the queue are.
    signal.removeEventListener('abort', abort)
    stop()
    return { error }
  } finally {
    queue.close()
    signal.removeEventListener('abort', abort)
    await Promise.all(underWay)
  }
}
