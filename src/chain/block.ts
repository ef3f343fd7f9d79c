import { asBuffer, equalBytes, readUint32LE } from '../lib/bytes.ts'
import { HashWriter, sha256d } from '../lib/hash.ts'
import { merkleLevels } from '../lib/merkle.ts'
import { HEADER_SIZE } from './headers.ts'
import { ByteReader } from './reader.ts'
import { HASHX_SIZE, isUnspendable } from './script.ts'
import { MIN_INPUT_SIZE, MIN_OUTPUT_SIZE, MIN_TX_SIZE, parseTx, skipMarker, type Tx } from './tx.ts'

/** Txid and output index. */
export const OUTPOINT_SIZE = 36

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
 * node that gave the block has. Throws ParseError.
 */
export function parseBlock(raw: Uint8Array): ParsedBlock {
  const reader = new ByteReader(raw)
  const scan = scanBlock(reader)
  const bytes = reader.bytes
  const txCount = scan.txOffsets.length - 1
  const outputCount = scan.scriptOffsets.length
  const header = bytes.subarray(0, HEADER_SIZE)
  const layout = {
    txOffsets: new Uint32Array(scan.txOffsets),
    witnessOffsets: new Uint32Array(scan.witnessOffsets),
    scriptOffsets: new Uint32Array(scan.scriptOffsets),
    scriptLengths: new Uint32Array(scan.scriptLengths),
  }
  return {
    raw: bytes,
    header,
    hash: new Uint8Array(sha256d(header)),
    prevHash: bytes.subarray(4, 36),
    merkleRoot: bytes.subarray(36, 68),
    time: readUint32LE(bytes, 68),
    txCount,
    ...layout,
    txids: hashTxs(bytes, layout.txOffsets, layout.witnessOffsets),
    inputStart: new Uint32Array(scan.inputStart),
    outputStart: new Uint32Array(scan.outputStart),
    inputCount: scan.inputOffsets.length,
    inputOffsets: new Uint32Array(scan.inputOffsets),
    outputCount,
    outputValues: new Float64Array(scan.outputValues),
    ...hashScripts(bytes, layout.scriptOffsets, layout.scriptLengths),
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

/** What one pass over the bytes finds, in the order of ParsedBlock. */
class BlockScan {
  readonly txOffsets: number[] = []
  readonly witnessOffsets: number[] = []
  readonly inputStart: number[] = []
  readonly outputStart: number[] = []
  readonly inputOffsets: number[] = []
  readonly outputValues: number[] = []
  readonly scriptOffsets: number[] = []
  readonly scriptLengths: number[] = []
}

function scanBlock(reader: ByteReader): BlockScan {
  const scan = new BlockScan()
  reader.skip(HEADER_SIZE)
  const count = reader.count(MIN_TX_SIZE)
  if (count === 0) reader.fail('no transactions', HEADER_SIZE)
  for (let i = 0; i < count; i++) scanTx(reader, scan)
  reader.finish()
  scan.txOffsets.push(reader.position)
  scan.inputStart.push(scan.inputOffsets.length)
  scan.outputStart.push(scan.scriptOffsets.length)
  return scan
}

function scanTx(reader: ByteReader, scan: BlockScan): void {
  scan.txOffsets.push(reader.position)
  scan.inputStart.push(scan.inputOffsets.length)
  scan.outputStart.push(scan.scriptOffsets.length)
  reader.skip(4)
  const segwit = skipMarker(reader)
  const inputsAt = reader.position
  const inputs = reader.count(MIN_INPUT_SIZE)
  if (inputs === 0) reader.fail('no inputs', inputsAt)
  for (let i = 0; i < inputs; i++) {
    scan.inputOffsets.push(reader.skip(OUTPOINT_SIZE))
    reader.skip(reader.compactSize())
    reader.skip(4)
  }
  const outputs = reader.count(MIN_OUTPUT_SIZE)
  for (let i = 0; i < outputs; i++) {
    scan.outputValues.push(reader.amount())
    const length = reader.compactSize()
    scan.scriptLengths.push(length)
    scan.scriptOffsets.push(reader.skip(length))
  }
  scan.witnessOffsets.push(segwit ? reader.position : 0)
  if (segwit) skipWitnesses(reader, inputs)
  reader.skip(4)
}

function skipWitnesses(reader: ByteReader, inputs: number): void {
  const start = reader.position
  let items = 0
  for (let i = 0; i < inputs; i++) {
    const count = reader.count(1)
    for (let item = 0; item < count; item++) reader.skip(reader.compactSize())
    items += count
  }
  if (items === 0) reader.fail('witness section without a witness', start)
}

/** Txids side by side. Transactions with witnesses are put together without them in one scratch buffer. */
function hashTxs(bytes: Uint8Array, txOffsets: Uint32Array, witnessOffsets: Uint32Array): Uint8Array {
  const txCount = witnessOffsets.length
  const txids = new Uint8Array(txCount * 32)
  const target = asBuffer(txids)
  const writer = new HashWriter()
  let scratch = new Uint8Array(0)
  for (let i = 0; i < txCount; i++) {
    const start = entry(txOffsets, i)
    const end = entry(txOffsets, i + 1)
    const witness = entry(witnessOffsets, i)
    if (witness === 0) {
      writer.sha256d(bytes.subarray(start, end), target, i * 32)
      continue
    }
    // Version, then inputs and outputs, then locktime: without marker and flag, without the witnesses.
    const body = witness - (start + 6)
    if (scratch.length < body + 8) scratch = new Uint8Array(Math.max(4096, 2 * (body + 8)))
    scratch.set(bytes.subarray(start, start + 4))
    scratch.set(bytes.subarray(start + 6, witness), 4)
    scratch.set(bytes.subarray(end - 4, end), 4 + body)
    writer.sha256d(scratch.subarray(0, body + 8), target, i * 32)
  }
  return txids
}

function hashScripts(
  bytes: Uint8Array,
  scriptOffsets: Uint32Array,
  scriptLengths: Uint32Array,
): Pick<ParsedBlock, 'hashXs' | 'unspendable'> {
  const count = scriptOffsets.length
  const hashXs = new Uint8Array(count * HASHX_SIZE)
  const unspendable = new Uint8Array(count)
  const target = asBuffer(hashXs)
  const writer = new HashWriter()
  for (let i = 0; i < count; i++) {
    const offset = entry(scriptOffsets, i)
    const script = bytes.subarray(offset, offset + entry(scriptLengths, i))
    writer.sha256(script, target, i * HASHX_SIZE, HASHX_SIZE)
    if (isUnspendable(script)) unspendable[i] = 1
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
