import { ParseError } from '../errors.ts'
import { asBuffer, fromHex, isHex, toLatin1 } from '../lib/bytes.ts'
import { ByteReader } from './reader.ts'
import { parseWholeTx, serializeTx, Tx, type TxInput, type TxOutput } from './tx.ts'

/**
 * Partially signed transactions (BIP174 version 0, BIP370 version 2), as far as it takes to know the transaction, the
 * witnesses of inputs that are final, and the leaf scripts that inputs will show (BIP371).
 */
export interface Psbt {
  readonly version: 0 | 2
  /** The unsigned transaction, in `raw` too; inputs that are final have their witnesses all the same. */
  readonly tx: Tx
  /** Scripts of leaves, inputs in order, without the leaf version behind each. */
  readonly leafScripts: readonly Uint8Array[]
}

const MAGIC = Uint8Array.of(0x70, 0x73, 0x62, 0x74, 0xff)
/** Of a transaction whose inputs say nothing of time: final. */
const FINAL_SEQUENCE = 0xffff_ffff
/** Lock times from here on are seconds, below it heights. */
const TIME_THRESHOLD = 500_000_000

const GLOBAL = { unsignedTx: 0x00, txVersion: 0x02, fallbackLocktime: 0x03, inputs: 0x04, outputs: 0x05, version: 0xfb }
const INPUT = {
  finalWitness: 0x08,
  prevTxid: 0x0e,
  prevIndex: 0x0f,
  sequence: 0x10,
  timeLock: 0x11,
  heightLock: 0x12,
  leafScript: 0x15,
}
const OUTPUT = { amount: 0x03, script: 0x04 }

/** Bytes that may follow the type in a key; types that are not listed may have any. */
type KeySizes = ReadonlyMap<number, (size: number) => boolean>

const nothing = (size: number): boolean => size === 0
const publicKey = (size: number): boolean => size === 33 || size === 65
const xOnlyKey = (size: number): boolean => size === 32
const controlBlock = (size: number): boolean => size >= 33 && size <= 33 + 128 * 32 && size % 32 === 1

function keySizes(
  plain: readonly number[],
  others: readonly (readonly [number, (size: number) => boolean])[],
): KeySizes {
  return new Map([...plain.map((type) => [type, nothing] as const), ...others])
}

const GLOBAL_KEYS = keySizes([0x00, 0x02, 0x03, 0x04, 0x05, 0x06, 0xfb], [[0x01, (size) => size === 78]])
const INPUT_KEYS = keySizes(
  [0x00, 0x01, 0x03, 0x04, 0x05, 0x07, 0x08, 0x09, 0x0e, 0x0f, 0x10, 0x11, 0x12, 0x13, 0x17, 0x18],
  [
    [0x02, publicKey],
    [0x06, publicKey],
    [0x14, (size) => size === 64],
    [0x15, controlBlock],
    [0x16, xOnlyKey],
  ],
)
const OUTPUT_KEYS = keySizes(
  [0x00, 0x01, 0x03, 0x04, 0x05, 0x06],
  [
    [0x02, publicKey],
    [0x07, xOnlyKey],
  ],
)

/** Types that belong to version 2 alone. */
const GLOBAL_V2 = [0x02, 0x03, 0x04, 0x05, 0x06]
const INPUT_V2 = [0x0e, 0x0f, 0x10, 0x11, 0x12]
const OUTPUT_V2 = [0x03, 0x04]

interface Entry {
  readonly type: number
  readonly value: Uint8Array
}

/** One map: global, of an input, or of an output. */
class PsbtMap {
  readonly #entries: readonly Entry[]
  readonly #start: number

  /** `start`: where it begins, for errors. */
  constructor(entries: readonly Entry[], start: number) {
    this.#entries = entries
    this.#start = start
  }

  all(type: number): readonly Uint8Array[] {
    return this.#entries.filter((entry) => entry.type === type).map(({ value }) => value)
  }

  get(type: number): Uint8Array | undefined {
    return this.#entries.find((entry) => entry.type === type)?.value
  }

  required(type: number, what: string): Uint8Array {
    return this.get(type) ?? this.fail(`${what} is missing`)
  }

  uint32(type: number): number | undefined {
    const value = this.get(type)
    return value === undefined ? undefined : whole(value, (reader) => reader.uint32())
  }

  forbid(types: readonly number[], version: number): void {
    const found = this.#entries.find(({ type }) => types.includes(type))
    if (found !== undefined) this.fail(`field ${found.type} does not belong into version ${version}`)
  }

  fail(message: string): never {
    throw new ParseError(message, this.#start)
  }
}

/** Reads a value that has nothing behind what is read. */
function whole<T>(value: Uint8Array, read: (reader: ByteReader) => T): T {
  const reader = new ByteReader(value)
  const result = read(reader)
  reader.finish()
  return result
}

const HEX_MAGIC = '70736274ff'
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/

/** The bytes of a PSBT in hex or base64 (BIP174 says base64). Throws ParseError for text that is neither. */
export function psbtBytes(text: string): Uint8Array {
  if (isHex(text) && text.slice(0, HEX_MAGIC.length).toLowerCase() === HEX_MAGIC) return fromHex(text)
  if (text.length % 4 === 0 && BASE64.test(text)) return new Uint8Array(Buffer.from(text, 'base64'))
  throw new ParseError('neither hex nor base64 of a PSBT', 0)
}

/** Reads a PSBT; takes time and memory in proportion to its bytes. Throws ParseError and nothing else. */
export function parsePsbt(bytes: Uint8Array): Psbt {
  const reader = new ByteReader(bytes)
  if (!asBuffer(reader.take(MAGIC.length)).equals(MAGIC)) reader.fail('not a PSBT', 0)
  const global = readMap(reader, GLOBAL_KEYS)
  const version = global.uint32(GLOBAL.version) ?? 0
  if (version === 0) return readVersion0(reader, global)
  if (version === 2) return readVersion2(reader, global)
  return global.fail(`version ${version} is unknown`)
}

function readMap(reader: ByteReader, sizes: KeySizes): PsbtMap {
  const start = reader.position
  const entries: Entry[] = []
  const seen = new Set<string>()
  for (;;) {
    const at = reader.position
    const key = reader.prefixed()
    const type = key[0]
    if (type === undefined) return new PsbtMap(entries, start)
    const name = toLatin1(key)
    if (seen.has(name)) reader.fail('a key stands twice', at)
    seen.add(name)
    if (sizes.get(type)?.(key.length - 1) === false) reader.fail(`the key of field ${type} has a wrong length`, at)
    entries.push({ type, value: reader.prefixed() })
  }
}

function readMaps(reader: ByteReader, count: number, sizes: KeySizes): PsbtMap[] {
  if (count > reader.remaining) reader.fail('more announced than can follow')
  return Array.from({ length: count }, () => readMap(reader, sizes))
}

function readVersion0(reader: ByteReader, global: PsbtMap): Psbt {
  global.forbid(GLOBAL_V2, 0)
  const tx = parseWholeTx(global.required(GLOBAL.unsignedTx, 'the unsigned transaction'))
  if (tx.hasWitness || tx.inputs.some(({ script }) => script.length > 0)) global.fail('the transaction is signed')
  const inputs = readMaps(reader, tx.inputs.length, INPUT_KEYS)
  const outputs = readMaps(reader, tx.outputs.length, OUTPUT_KEYS)
  for (const input of inputs) input.forbid(INPUT_V2, 0)
  for (const output of outputs) output.forbid(OUTPUT_V2, 0)
  reader.finish()
  return psbtOf(0, tx, inputs)
}

function readVersion2(reader: ByteReader, global: PsbtMap): Psbt {
  global.forbid([GLOBAL.unsignedTx], 2)
  const version = whole(global.required(GLOBAL.txVersion, 'the transaction version'), (value) => value.int32())
  const inputs = readMaps(reader, countOf(global, GLOBAL.inputs, 'the input count'), INPUT_KEYS)
  const outputs = readMaps(reader, countOf(global, GLOBAL.outputs, 'the output count'), OUTPUT_KEYS)
  reader.finish()
  if (inputs.length === 0) global.fail('no inputs')
  const locktime = locktimeOf(global, inputs)
  const fields = { version, inputs: inputs.map(inputOf), outputs: outputs.map(outputOf), locktime }
  return psbtOf(2, parseWholeTx(serializeTx(fields)), inputs)
}

function countOf(global: PsbtMap, type: number, what: string): number {
  return whole(global.required(type, what), (value) => value.compactSize())
}

function inputOf(map: PsbtMap): TxInput {
  const prevTxid = map.required(INPUT.prevTxid, 'the txid of an input')
  if (prevTxid.length !== 32) map.fail('a txid has 32 bytes')
  const prevIndex = map.uint32(INPUT.prevIndex) ?? map.fail('the output index of an input is missing')
  const sequence = map.uint32(INPUT.sequence) ?? FINAL_SEQUENCE
  return { prevTxid, prevIndex, script: new Uint8Array(0), sequence, witness: [] }
}

function outputOf(map: PsbtMap): TxOutput {
  const amount = whole(map.required(OUTPUT.amount, 'the amount of an output'), (value) => value.amount())
  return { value: BigInt(amount), script: map.required(OUTPUT.script, 'the script of an output') }
}

/** BIP370, "Determining Lock Time": the kind that all inputs which ask for one can take, heights if both can be. */
function locktimeOf(global: PsbtMap, inputs: readonly PsbtMap[]): number {
  const asked = inputs
    .map((map) => ({ time: map.uint32(INPUT.timeLock), height: map.uint32(INPUT.heightLock) }))
    .filter(({ time, height }) => time !== undefined || height !== undefined)
  for (const { time, height } of asked) {
    if (time !== undefined && time < TIME_THRESHOLD) global.fail('a lock time is no time')
    if (height !== undefined && (height === 0 || height >= TIME_THRESHOLD)) global.fail('a lock height is no height')
  }
  if (asked.length === 0) return global.uint32(GLOBAL.fallbackLocktime) ?? 0
  return largest(asked.map(({ height }) => height)) ?? largest(asked.map(({ time }) => time)) ?? conflicting(global)
}

/** Undefined unless all are there. */
function largest(values: readonly (number | undefined)[]): number | undefined {
  return values.reduce((most, value) => (most === undefined || value === undefined ? undefined : Math.max(most, value)))
}

function conflicting(global: PsbtMap): never {
  return global.fail('inputs ask for a height and for a time')
}

function psbtOf(version: 0 | 2, unsigned: Tx, maps: readonly PsbtMap[]): Psbt {
  const inputs = unsigned.inputs.map((input, i) => ({ ...input, witness: witnessOf(maps[i]) }))
  const { version: txVersion, outputs, locktime, raw, baseSize } = unsigned
  const tx = new Tx({ version: txVersion, inputs, outputs, locktime }, raw, baseSize)
  const leaves = maps.flatMap((map) => map.all(INPUT.leafScript))
  return { version, tx, leafScripts: leaves.map((leaf) => leaf.subarray(0, -1)) }
}

function witnessOf(map: PsbtMap | undefined): readonly Uint8Array[] {
  const value = map?.get(INPUT.finalWitness)
  if (value === undefined) return []
  return whole(value, (reader) => Array.from({ length: reader.count(1) }, () => reader.prefixed()))
}
