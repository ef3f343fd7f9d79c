import { headerHash, meetsTarget, serializeHeader } from '../chain/headers.ts'
import { pushOf } from '../chain/script.ts'
import { COINBASE_INDEX, compactSize, parseWholeTx, serializeTx, type Tx } from '../chain/tx.ts'
import { concat, writeUint32LE } from '../lib/bytes.ts'
import { merkleRoot } from '../lib/merkle.ts'
import { commitmentScript, heightPush, witnessCommitment } from './block-check.ts'
import type { BlockNode } from './block-tree.ts'
import type { Chunk } from './chunks.ts'
import type { Mempool, MempoolEntry } from './mempool.ts'
import { BITS, MAX_BLOCK_WEIGHT, subsidyAt } from './params.ts'

const VERSION = 0x2000_0000
/** Kept free for header and coinbase, as Core's -blockreservedweight. */
const RESERVED_WEIGHT = 8000
const WITNESS_RESERVED = new Uint8Array(32)

export interface BlockPlan {
  readonly parent: BlockNode
  /** Seconds since 1970. */
  readonly time: number
  /** Where subsidy and fees go. */
  readonly script: Uint8Array
  /** Parents before children. */
  readonly txs: readonly Tx[]
  /** Fees of these, satoshis. */
  readonly fees: bigint
  /** Makes blocks of the same plan differ. */
  readonly extra: number
}

/** Puts a block together and finds its nonce: on regtest every second one will do. */
export function mineBlock(plan: BlockPlan): Uint8Array {
  const coinbase = coinbaseOf(plan)
  const txs = [coinbase, ...plan.txs]
  const root = merkleRoot(concat(...txs.map((tx) => tx.txid)))
  const prevHash = headerHash(plan.parent.rawHeader)
  for (let nonce = 0; ; nonce++) {
    const header = serializeHeader({ version: VERSION, prevHash, merkleRoot: root, time: plan.time, bits: BITS, nonce })
    if (!meetsTarget(headerHash(header), BITS)) continue
    return concat(header, compactSize(txs.length), ...txs.map((tx) => tx.raw))
  }
}

function coinbaseOf({ parent, script, txs, fees, extra }: BlockPlan): Tx {
  const height = parent.height + 1
  const number = new Uint8Array(4)
  writeUint32LE(number, extra, 0)
  const commitment = commitmentScript(witnessCommitment([{ wtxid: WITNESS_RESERVED }, ...txs], WITNESS_RESERVED))
  const raw = serializeTx({
    version: 2,
    inputs: [
      {
        prevTxid: new Uint8Array(32),
        prevIndex: COINBASE_INDEX,
        script: concat(heightPush(height), pushOf(number)),
        sequence: 0xffff_ffff,
        witness: [WITNESS_RESERVED],
      },
    ],
    outputs: [
      { value: subsidyAt(height) + fees, script },
      { value: 0n, script: commitment },
    ],
    locktime: 0,
  })
  return parseWholeTx(raw)
}

/** The mempool's transactions that a block has room for: what pays best first, parents before children. */
export function selectTransactions(mempool: Mempool): readonly MempoolEntry[] {
  const chunks = new Set<Chunk<MempoolEntry>>()
  // Chunks of one cluster are made in order of falling rate, parents first; the sort is stable and keeps that.
  for (const entry of mempool.entries()) for (const chunk of mempool.chunksOfCluster(entry)) chunks.add(chunk)
  const byRate = [...chunks].sort((a, b) => Number(b.fee) / b.weight - Number(a.fee) / a.weight)
  const selected = new Set<MempoolEntry>()
  let weight = RESERVED_WEIGHT
  for (const chunk of byRate) {
    const complete = chunk.members.every(({ parents }) =>
      [...parents].every((parent) => selected.has(parent) || chunk.members.includes(parent)),
    )
    if (!complete || weight + chunk.weight > MAX_BLOCK_WEIGHT) continue
    weight += chunk.weight
    for (const member of parentsFirst(chunk.members)) selected.add(member)
  }
  return [...selected]
}

/** Parents before children. */
export function parentsFirst(entries: readonly MempoolEntry[]): MempoolEntry[] {
  const within = new Set(entries)
  const sorted = new Set<MempoolEntry>()
  const visit = (entry: MempoolEntry): void => {
    if (sorted.has(entry) || !within.has(entry)) return
    for (const parent of entry.parents) visit(parent)
    sorted.add(entry)
  }
  for (const entry of entries) visit(entry)
  return [...sorted]
}
