import { ParseError } from '../errors.ts'
import { joined, writeUint32LE, writeUint64LE } from '../lib/bytes.ts'
import { sha256d } from '../lib/hash.ts'
import { ByteReader } from './reader.ts'

/** Outpoint (36), empty script (1), sequence (4). */
export const MIN_INPUT_SIZE = 41
/** Value (8), empty script (1). */
export const MIN_OUTPUT_SIZE = 9
/** Version, one input, no output, locktime. */
export const MIN_TX_SIZE = 4 + 1 + MIN_INPUT_SIZE + 1 + 4
/** The index that the input of a coinbase names. */
export const COINBASE_INDEX = 0xffff_ffff

export interface TxInput {
  /** 32 bytes, internal order; all zero in a coinbase. */
  readonly prevTxid: Uint8Array
  readonly prevIndex: number
  readonly script: Uint8Array
  readonly sequence: number
  /** Witness stack from the bottom up; empty if there is none. */
  readonly witness: readonly Uint8Array[]
}

export interface TxOutput {
  /** Satoshis. */
  readonly value: bigint
  readonly script: Uint8Array
}

/** What a transaction says, without how it is written. */
export interface TxFields {
  /** Signed, 32 bits. */
  readonly version: number
  readonly inputs: readonly TxInput[]
  readonly outputs: readonly TxOutput[]
  readonly locktime: number
}

/** A transaction as read from bytes. Scripts, ids of inputs and witnesses are views of `raw`; ids are made when asked. */
export class Tx implements TxFields {
  readonly version: number
  readonly inputs: readonly TxInput[]
  readonly outputs: readonly TxOutput[]
  readonly locktime: number
  /** The serialization, witness included: a view of what it was read from (lib/bytes copyOf frees that). */
  readonly raw: Uint8Array
  /** Bytes without marker, flag and witnesses. */
  readonly baseSize: number
  #txid: Uint8Array | undefined
  #wtxid: Uint8Array | undefined

  constructor(fields: TxFields, raw: Uint8Array, baseSize: number) {
    this.version = fields.version
    this.inputs = fields.inputs
    this.outputs = fields.outputs
    this.locktime = fields.locktime
    this.raw = raw
    this.baseSize = baseSize
  }

  /** True if it is serialized with marker, flag and witnesses (BIP144). */
  get hasWitness(): boolean {
    return this.baseSize !== this.raw.length
  }

  /** 32 bytes, internal order. */
  get txid(): Uint8Array {
    this.#txid ??= this.hasWitness ? sha256d(withoutWitness(this.raw, this.baseSize)) : this.wtxid
    return this.#txid
  }

  /** 32 bytes, internal order: over all bytes, also for a coinbase (BIP141 counts that as zero in its commitment). */
  get wtxid(): Uint8Array {
    this.#wtxid ??= sha256d(this.raw)
    return this.#wtxid
  }

  /** Bytes in all, witness included. */
  get size(): number {
    return this.raw.length
  }

  /** BIP141: three times the bytes without witness and once all of them. */
  get weight(): number {
    return this.baseSize * 3 + this.raw.length
  }

  /** BIP141: a quarter of the weight, rounded up. */
  get vsize(): number {
    return Math.ceil(this.weight / 4)
  }

  get isCoinbase(): boolean {
    const first = this.inputs[0]
    return (
      first !== undefined &&
      this.inputs.length === 1 &&
      first.prevIndex === COINBASE_INDEX &&
      first.prevTxid.every((byte) => byte === 0)
    )
  }
}

/**
 * The transaction that begins at `offset` of `bytes`, and where it ends. Refuses what Core refuses to read: sizes not in
 * their shortest form, a flag other than 1, a witness section without a witness. Refuses in addition transactions
 * without inputs (no block and no mempool has them; Core reads `version 00 00 locktime` as one) and amounts of 2^53
 * satoshis and more, which no valid transaction can have. Throws ParseError.
 */
export function parseTx(bytes: Uint8Array, offset = 0): { readonly tx: Tx; readonly end: number } {
  const reader = new ByteReader(bytes, offset)
  const tx = readTx(reader)
  return { tx, end: reader.position }
}

/** The transaction that `bytes` are, all of them; see parseTx. Throws ParseError. */
export function parseWholeTx(bytes: Uint8Array): Tx {
  const reader = new ByteReader(bytes)
  const tx = readTx(reader)
  reader.finish()
  return tx
}

/**
 * Bytes of a transaction. With `witness` true (the default) it has marker and flag if any input has a witness; with
 * false it is what the txid is made of. Throws RangeError if there are no inputs: that would read as a marker.
 */
export function serializeTx(tx: TxFields, options: { readonly witness?: boolean } = {}): Uint8Array {
  if (tx.inputs.length === 0) throw new RangeError('a transaction without inputs has no unambiguous serialization')
  const witness = (options.witness ?? true) && tx.inputs.some((input) => input.witness.length > 0)
  const parts = [uint32(tx.version)]
  if (witness) parts.push(Uint8Array.of(0, 1))
  parts.push(compactSize(tx.inputs.length))
  for (const input of tx.inputs) {
    if (input.prevTxid.length !== 32) throw new RangeError('a txid has 32 bytes')
    parts.push(input.prevTxid, uint32(input.prevIndex), ...prefixed(input.script), uint32(input.sequence))
  }
  parts.push(compactSize(tx.outputs.length))
  for (const output of tx.outputs) parts.push(uint64(output.value), ...prefixed(output.script))
  if (witness) {
    for (const input of tx.inputs) {
      parts.push(compactSize(input.witness.length))
      for (const item of input.witness) parts.push(...prefixed(item))
    }
  }
  parts.push(uint32(tx.locktime))
  return joined(parts)
}

/** A CompactSize: how counts and lengths are written. */
export function compactSize(size: number): Uint8Array {
  if (size < 0xfd) return Uint8Array.of(size)
  if (size <= 0xffff) return Uint8Array.of(0xfd, size, size >>> 8)
  const bytes = new Uint8Array(5)
  bytes[0] = 0xfe
  writeUint32LE(bytes, size, 1)
  return bytes
}

/** Copies a segwit serialization without marker, flag and witnesses: version; inputs and outputs; locktime. */
function withoutWitness(raw: Uint8Array, baseSize: number): Uint8Array {
  const base = new Uint8Array(baseSize)
  base.set(raw.subarray(0, 4))
  base.set(raw.subarray(6, baseSize - 2), 4)
  base.set(raw.subarray(raw.length - 4), baseSize - 4)
  return base
}

type BareInput = Omit<TxInput, 'witness'>

const NO_WITNESS: readonly Uint8Array[] = Object.freeze([])

function readTx(reader: ByteReader): Tx {
  const start = reader.position
  const version = reader.int32()
  const segwit = skipMarker(reader)
  const bare = readInputs(reader)
  const outputs = readOutputs(reader)
  const witnessStart = reader.position
  const inputs = segwit ? readWitnesses(reader, bare) : bare.map((input) => ({ witness: NO_WITNESS, ...input }))
  const witnessSize = segwit ? 2 + reader.position - witnessStart : 0
  const locktime = reader.uint32()
  const raw = reader.bytes.subarray(start, reader.position)
  return new Tx({ version, inputs, outputs, locktime }, raw, raw.length - witnessSize)
}

/** Passes over marker and flag if they are there, and tells whether they were (BIP144). */
export function skipMarker(reader: ByteReader): boolean {
  const marker = reader.position
  if (reader.bytes[marker] !== 0) return false
  reader.skip(1)
  if (reader.uint8() !== 1) throw new ParseError('no inputs, or an unknown flag', marker)
  return true
}

function readInputs(reader: ByteReader): BareInput[] {
  const start = reader.position
  const count = reader.count(MIN_INPUT_SIZE)
  if (count === 0) reader.fail('no inputs', start)
  const inputs: BareInput[] = []
  for (let i = 0; i < count; i++) {
    const prevTxid = reader.take(32)
    const prevIndex = reader.uint32()
    const script = reader.prefixed()
    inputs.push({ prevTxid, prevIndex, script, sequence: reader.uint32() })
  }
  return inputs
}

function readOutputs(reader: ByteReader): TxOutput[] {
  const count = reader.count(MIN_OUTPUT_SIZE)
  const outputs: TxOutput[] = []
  for (let i = 0; i < count; i++) outputs.push({ value: BigInt(reader.amount()), script: reader.prefixed() })
  return outputs
}

function readWitnesses(reader: ByteReader, bare: readonly BareInput[]): TxInput[] {
  const start = reader.position
  let items = 0
  const inputs = bare.map((input) => {
    const witness: Uint8Array[] = []
    const count = reader.count(1)
    for (let i = 0; i < count; i++) witness.push(reader.prefixed())
    items += count
    return { witness, ...input }
  })
  if (items === 0) reader.fail('witness section without a witness', start)
  return inputs
}

function prefixed(bytes: Uint8Array): [Uint8Array, Uint8Array] {
  return [compactSize(bytes.length), bytes]
}

function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  writeUint32LE(bytes, value, 0)
  return bytes
}

function uint64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8)
  writeUint64LE(bytes, value, 0)
  return bytes
}
