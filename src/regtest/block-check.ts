import { type BlockHeader, HEADER_SIZE, headerHash, meetsTarget, parseHeader } from '../chain/headers.ts'
import { ByteReader } from '../chain/reader.ts'
import { MIN_TX_SIZE, parseTx, type Tx } from '../chain/tx.ts'
import { concat, equalBytes } from '../lib/bytes.ts'
import { sha256d } from '../lib/hash.ts'
import { merkleLevels } from '../lib/merkle.ts'
import { MAX_BLOCK_SIGOPS_COST, MAX_BLOCK_WEIGHT } from './params.ts'
import { type Reject, refuse } from './reject.ts'
import { legacySigops } from './sigops.ts'
import { checkTransaction, isFinal } from './tx-check.ts'

/** A block that has been read but not yet judged. */
export interface Block {
  readonly raw: Uint8Array
  readonly header: BlockHeader
  /** 32 bytes, internal order. */
  readonly hash: Uint8Array
  readonly txs: readonly Tx[]
  /** Bytes without witnesses. */
  readonly baseSize: number
}

/** Reads a block; bytes behind it are left alone, as Core does. Throws ParseError. */
export function readBlock(bytes: Uint8Array): Block {
  const header = parseHeader(bytes)
  const reader = new ByteReader(bytes, HEADER_SIZE)
  const count = reader.count(MIN_TX_SIZE)
  const countSize = reader.position - HEADER_SIZE
  const txs: Tx[] = []
  let end = reader.position
  let baseSize = HEADER_SIZE + countSize
  for (let i = 0; i < count; i++) {
    const { tx, end: next } = parseTx(bytes, end)
    txs.push(tx)
    baseSize += tx.baseSize
    end = next
  }
  const raw = bytes.subarray(0, end)
  return { raw, header, hash: headerHash(raw.subarray(0, HEADER_SIZE)), txs, baseSize }
}

/** What can be said of a block by itself; what Core's CheckBlock says. */
export function checkBlock(block: Block): Reject | undefined {
  if (!meetsTarget(block.hash, block.header.bits)) return refuse('high-hash', 'proof of work failed')
  const merkle = checkMerkle(block)
  if (merkle !== undefined) return merkle
  const tooLong = block.txs.length * 4 > MAX_BLOCK_WEIGHT || block.baseSize * 4 > MAX_BLOCK_WEIGHT
  if (block.txs.length === 0 || tooLong) return refuse('bad-blk-length', 'size limits failed')
  if (block.txs[0]?.isCoinbase !== true) return refuse('bad-cb-missing', 'first tx is not coinbase')
  if (block.txs.some((tx, i) => i > 0 && tx.isCoinbase)) return refuse('bad-cb-multiple', 'more than one coinbase')
  let sigops = 0
  for (const tx of block.txs) {
    const reject = checkTransaction(tx)
    if (reject !== undefined) return reject
    sigops += legacySigops(tx)
  }
  return sigops * 4 > MAX_BLOCK_SIGOPS_COST ? refuse('bad-blk-sigops', 'out-of-bounds SigOpCount') : undefined
}

function checkMerkle(block: Block): Reject | undefined {
  if (block.txs.length === 0) return refuse('bad-txnmrklroot', 'hashMerkleRoot mismatch')
  const levels = merkleLevels(concat(...block.txs.map((tx) => tx.txid)))
  const root = levels.at(-1)
  if (root === undefined || !equalBytes(root, block.header.merkleRoot)) {
    return refuse('bad-txnmrklroot', 'hashMerkleRoot mismatch')
  }
  return levels.some(hasTwins) ? refuse('bad-txns-duplicate', 'duplicate transaction') : undefined
}

/** Two equal neighbours make the same root as one of them left out (CVE-2012-2459). */
function hasTwins(level: Uint8Array): boolean {
  for (let i = 0; i + 64 <= level.length; i += 64) {
    if (equalBytes(level.subarray(i, i + 32), level.subarray(i + 32, i + 64))) return true
  }
  return false
}

/** What depends on the place in the chain but not on what is unspent; Core's ContextualCheckBlock. */
export function checkBlockInContext(block: Block, height: number, medianTime: number): Reject | undefined {
  if (block.txs.some((tx) => !isFinal(tx, height, medianTime))) {
    return refuse('bad-txns-nonfinal', 'non-final transaction')
  }
  const coinbase = block.txs[0]
  const expected = heightPush(height)
  const script = coinbase?.inputs[0]?.script ?? new Uint8Array(0)
  if (!equalBytes(script.subarray(0, expected.length), expected)) {
    return refuse('bad-cb-height', 'block height mismatch in coinbase')
  }
  const witness = checkWitness(block)
  if (witness !== undefined) return witness
  const weight = block.baseSize * 3 + block.raw.length
  return weight > MAX_BLOCK_WEIGHT ? refuse('bad-blk-weight', 'weight limit failed') : undefined
}

/** BIP141: the witnesses are those that the coinbase commits to, or there are none. */
function checkWitness(block: Block): Reject | undefined {
  const commitment = witnessCommitmentOf(block.txs)
  if (commitment === undefined) {
    const some = block.txs.some((tx) => tx.hasWitness)
    return some ? refuse('unexpected-witness', 'unexpected witness data found') : undefined
  }
  const stack = block.txs[0]?.inputs[0]?.witness ?? []
  const reserved = stack[0]
  if (stack.length !== 1 || reserved?.length !== 32) {
    return refuse('bad-witness-nonce-size', 'invalid witness reserved value size')
  }
  const expected = witnessCommitment(block.txs, reserved)
  return equalBytes(commitment, expected)
    ? undefined
    : refuse('bad-witness-merkle-match', 'witness merkle commitment mismatch')
}

const COMMITMENT_HEAD = Uint8Array.of(0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed)

function witnessCommitmentOf(txs: readonly Tx[]): Uint8Array | undefined {
  const output = txs[0]?.outputs.findLast(
    ({ script }) => script.length >= 38 && equalBytes(script.subarray(0, 6), COMMITMENT_HEAD),
  )
  return output?.script.subarray(6, 38)
}

/** The 32 bytes that a coinbase with this reserved value has to commit to; `txs[0]` is the coinbase. */
export function witnessCommitment(txs: readonly Pick<Tx, 'wtxid'>[], reserved: Uint8Array): Uint8Array {
  const wtxids = txs.map((tx, i) => (i === 0 ? new Uint8Array(32) : tx.wtxid))
  const root = merkleLevels(concat(...wtxids)).at(-1) ?? new Uint8Array(32)
  return sha256d(concat(root, reserved))
}

/** The output script that carries a commitment (BIP141). */
export function commitmentScript(commitment: Uint8Array): Uint8Array {
  return concat(COMMITMENT_HEAD, commitment)
}

/** A block height as the coinbase has to begin with it (BIP34): the shortest push of the number. */
export function heightPush(height: number): Uint8Array {
  if (height === 0) return Uint8Array.of(0)
  if (height <= 16) return Uint8Array.of(0x50 + height)
  const bytes: number[] = []
  for (let rest = height; rest > 0; rest = Math.floor(rest / 256)) bytes.push(rest % 256)
  if ((bytes.at(-1) ?? 0) >= 0x80) bytes.push(0)
  return Uint8Array.of(bytes.length, ...bytes)
}
