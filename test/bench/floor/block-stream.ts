import type { NodeRpc } from '../support/node-rpc.ts'

const HASHES_AT_ONCE = 500

export interface FetchedBlock {
  readonly block: Buffer
  /** What its inputs spend, as REST spenttxouts gives it; undefined where that is not asked for. */
  readonly spent: Buffer | undefined
}

/** Hashes of the node's chain from height 1 up, as displayed. */
export async function blockHashes(rpc: NodeRpc): Promise<string[]> {
  const tip = await rpc.call<number>('getblockcount')
  const heights = Array.from({ length: tip }, (_, i) => i + 1)
  const hashes: string[] = []
  for (let i = 0; i < heights.length; i += HASHES_AT_ONCE) {
    const part = heights.slice(i, i + HASHES_AT_ONCE).map((height) => [height])
    for (const hash of await rpc.batch<string>('getblockhash', part)) {
      if (hash instanceof Error) throw hash
      hashes.push(hash)
    }
  }
  return hashes
}

/** Blocks in order, with `ahead` of them asked for at a time. */
export async function* blockStream(
  rpc: NodeRpc,
  hashes: readonly string[],
  { ahead, withSpent }: { readonly ahead: number; readonly withSpent: boolean },
): AsyncGenerator<FetchedBlock> {
  const fetch = async (hash: string): Promise<FetchedBlock> => {
    const [block, spent] = await Promise.all([
      rpc.get(`/rest/block/${hash}.bin`),
      withSpent ? rpc.get(`/rest/spenttxouts/${hash}.bin`) : undefined,
    ])
    return { block, spent }
  }
  const begin = (hash: string): Promise<FetchedBlock> => {
    const fetched = fetch(hash)
    // Whoever awaits it, in its turn, hears of a failure.
    fetched.catch(() => {})
    return fetched
  }
  const queue = hashes.slice(0, ahead).map(begin)
  for (let i = 0; i < hashes.length; i++) {
    const next = await queue.shift()!
    const following = hashes[i + ahead]
    if (following !== undefined) queue.push(begin(following))
    yield next
  }
}
