import { equalBytes, readUint32LE } from '../lib/bytes.ts'
import { sha256d } from '../lib/hash.ts'
import { emptyBatch, type HashBatch } from '../lib/hash-batch.ts'
import { merkleLevels } from '../lib/merkle.ts'
import { BlockScan, OUTPOINT_SIZE } from './block-scan.ts'
import { HEADER_SIZE } from './headers.ts'
import { ByteReader } from './reader.ts'
import { HASHX_SIZE, isUnspendableAt } from './script.ts'
import { parseTx, type Tx } from './tx.ts'

/**
 * A block as flat arrays: no object per transaction. Plain data that crosses to another thread as it is, copied or
 * transferred (transferablesOf); what can be asked of it are the functions below. Inputs and outputs are counted through
 * the whole block: those of transaction i are numbers start[i] to start[i + 1]. Offsets count from the start of `raw`.
 */
export interface ParsedBlock {
  /** The block as it came. */
  readonly raw: Uint8Array
  /** 80 bytes: a view of `raw`. */
  readonly header: Uint8Array
  /** sha256d of the header, internal order. */
  readonly hash: Uint8Array
  /** Internal order: a view of `raw`. */
  readonly prevHash: Uint8Array
  /** As the header has it, internal order; see checkMerkleRoot. A view of `raw`. */
  readonly merkleRoot: Uint8Array
  /** Seconds since 1970, from the header. */
  readonly time: number

  readonly txCount: number
  /** Where each transaction begins; the last entry, number txCount, is the end of the block. */
  readonly txOffsets: Uint32Array
  /** 32 bytes each, internal order. */
  readonly txids: Uint8Array
  /** Where the witnesses of each transaction begin; 0 if it is serialized without any. */
  readonly witnessOffsets: Uint32Array
  /** Number of the first input of each transaction; the last entry is their count. */
  readonly inputStart: Uint32Array
  /** Number of the first output of each transaction; the last entry is their count. */
  readonly outputStart: Uint32Array

  readonly inputCount: number
  /** Where each input begins: the 36 bytes of the outpoint that it spends (txid in internal order, index), then its script. */
  readonly inputOffsets: Uint32Array

  readonly outputCount: number
  /** Satoshis, exact. */
  readonly outputValues: Float64Array
  readonly scriptOffsets: Uint32Array
  readonly scriptLengths: Uint32Array
  /** 11 bytes each: see hashXOf. Unspendable outputs have one too. */
  readonly hashXs: Uint8Array
  /** 1 for outputs that no index keeps: see isUnspendable. */
  readonly unspendable: Uint8Array
}

/**
 * Reads a block in one pass and hashes its transactions and output scripts. What it refuses in transactions is what
 * parseTx refuses; a block without transactions is refused too. Merkle root and proof of work are not looked at: the
 * node that gave the block has. Throws ParseError. Whoever parses many gives a scan of his own to use again.
 */
export function parseBlock(raw: Uint8Array, scan = new BlockScan()): ParsedBlock {
  const reader = new ByteReader(raw)
  scan.read(reader)
  const bytes = reader.bytes
  const header = bytes.subarray(0, HEADER_SIZE)
  const batch = emptyBatch()
  batch.append(bytes)
  const layout = {
    txOffsets: scan.txOffsets.toUint32s(),
    witnessOffsets: scan.witnessOffsets.toUint32s(),
    scriptOffsets: scan.scriptOffsets.toUint32s(),
    scriptLengths: scan.scriptLengths.toUint32s(),
  }
  return {
    raw: bytes,
    header,
    hash: new Uint8Array(sha256d(header)),
    prevHash: bytes.subarray(4, 36),
    merkleRoot: bytes.subarray(36, 68),
    time: readUint32LE(bytes, 68),
    txCount: scan.txOffsets.length - 1,
    ...layout,
    txids: hashTxs(batch, layout.txOffsets, layout.witnessOffsets),
    inputStart: scan.inputStart.toUint32s(),
    outputStart: scan.outputStart.toUint32s(),
    inputCount: scan.inputOffsets.length,
    inputOffsets: scan.inputOffsets.toUint32s(),
    outputCount: scan.outputValues.length,
    outputValues: scan.outputValues.toFloat64s(),
    ...hashScripts(batch, bytes, layout.scriptOffsets, layout.scriptLengths),
  }
}

/** Txid of transaction `tx`: a view, internal order. */
export function txidAt(block: ParsedBlock, tx: number): Uint8Array {
  return block.txids.subarray(tx * 32, tx * 32 + 32)
}

/** Serialization of transaction `tx`, witness included: a view. */
export function txRawAt(block: ParsedBlock, tx: number): Uint8Array {
  return block.raw.subarray(entry(block.txOffsets, tx), entry(block.txOffsets, tx + 1))
}

/** Transaction `tx` with everything it says; its bytes are views of the block's. */
export function txAt(block: ParsedBlock, tx: number): Tx {
  return parseTx(block.raw, entry(block.txOffsets, tx)).tx
}

/** The 36 bytes of the outpoint that input `input` (counted through the block) spends: a view. */
export function outpointAt(block: ParsedBlock, input: number): Uint8Array {
  const offset = entry(block.inputOffsets, input)
  return block.raw.subarray(offset, offset + OUTPOINT_SIZE)
}

/** Script of output `output` (counted through the block): a view. */
export function outputScriptAt(block: ParsedBlock, output: number): Uint8Array {
  const offset = entry(block.scriptOffsets, output)
  return block.raw.subarray(offset, offset + entry(block.scriptLengths, output))
}

/** HashX of output `output` (counted through the block): a view. */
export function hashXAt(block: ParsedBlock, output: number): Uint8Array {
  return block.hashXs.subarray(output * HASHX_SIZE, (output + 1) * HASHX_SIZE)
}

/** True if the transactions are those that the header commits to, none of them doubled unnoticed (CVE-2012-2459). */
export function checkMerkleRoot(block: ParsedBlock): boolean {
  const levels = merkleLevels(block.txids)
  const root = levels.at(-1)
  return root !== undefined && equalBytes(root, block.merkleRoot) && !levels.some(hasTwins)
}

/**
 * The memory of a block, to be moved to another thread instead of copied; each buffer once. `raw` moves with all of the
 * buffer that it is a view of, so it should be one of its own.
 */
export function transferablesOf(block: ParsedBlock): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>()
  for (const value of Object.values(block)) {
    if (ArrayBuffer.isView(value) && value.buffer instanceof ArrayBuffer) buffers.add(value.buffer)
  }
  return [...buffers]
}

/** Txids side by side, of the block that the batch was given. */
function hashTxs(batch: HashBatch, txOffsets: Uint32Array, witnessOffsets: Uint32Array): Uint8Array {
  const count = witnessOffsets.length
  const txids = new Uint8Array(count * 32)
  const offsets = new Uint32Array(count)
  const lengths = new Uint32Array(count)
  for (let tx = 0; tx < count; tx++) {
    const start = entry(txOffsets, tx)
    const end = entry(txOffsets, tx + 1)
    const witness = entry(witnessOffsets, tx)
    if (witness === 0) {
      offsets[tx] = start
      lengths[tx] = end - start
    } else {
      // Version, then inputs and outputs, then locktime: without marker and flag, without the witnesses.
      offsets[tx] = batch.appendAgain(start, start + 4)
      batch.appendAgain(start + 6, witness)
      batch.appendAgain(end - 4, end)
      lengths[tx] = witness - start + 2
    }
  }
  batch.hash(offsets, lengths, { target: txids, size: 32, twice: true })
  return txids
}

function hashScripts(
  batch: HashBatch,
  raw: Uint8Array,
  offsets: Uint32Array,
  lengths: Uint32Array,
): Pick<ParsedBlock, 'hashXs' | 'unspendable'> {
  const count = offsets.length
  const hashXs = new Uint8Array(count * HASHX_SIZE)
  batch.hash(offsets, lengths, { target: hashXs, size: HASHX_SIZE, twice: false })
  const unspendable = new Uint8Array(count)
  for (let i = 0; i < count; i++) {
    const offset = entry(offsets, i)
    if (isUnspendableAt(raw, offset, offset + entry(lengths, i))) unspendable[i] = 1
  }
  return { hashXs, unspendable }
}

/** Two equal hashes as one pair: a list that ends so has the root of the list without its end. */
function hasTwins(level: Uint8Array): boolean {
  for (let offset = 0; offset + 64 <= level.length; offset += 64) {
    if (equalBytes(level.subarray(offset, offset + 32), level.subarray(offset + 32, offset + 64))) return true
  }
  return false
}

function entry(array: Uint32Array, index: number): number {
  const value = array[index]
  if (value === undefined) throw new RangeError(`no number ${index} in this block`)
  return value
}
