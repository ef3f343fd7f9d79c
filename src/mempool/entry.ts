import { parseWholeTx, type Tx } from '../chain/tx.ts'
import { InvariantError, ParseError } from '../errors.ts'
import { fromDisplayHex, fromLatin1, toDisplayHex, toLatin1 } from '../lib/bytes.ts'

const OUTPOINT = 36
const TXID = 32
const HASHX = 11

/** The value of an output that no index keeps: nothing can spend it, so its satoshis are asked for nowhere. */
const NOT_INDEXED = -1

/** hashX (11 bytes) of an output script, or undefined for one that the index leaves out because nothing can spend it. */
export type OutputKey = (script: Uint8Array) => Uint8Array | undefined

/** What a spent output paid. `hashX` in Latin-1, a character a byte; satoshis as a double, exact below 2^53. */
export interface Coin {
  readonly hashX: string
  readonly value: number
}

/**
 * An unconfirmed transaction whose inputs are all known. A hundred thousand of these are held, so lists are packed: a
 * string takes a byte a character, where arrays and objects take a multiple. Satoshis are doubles for the same reason,
 * which are exact far beyond all satoshis there are. Entries never change.
 */
export interface MempoolEntry {
  /** As displayed. */
  readonly txid: string
  /** Outpoints spent: 36 characters each (txid in internal order, index LE). */
  readonly prevouts: string
  /** 11 characters for each input. */
  readonly inputHashXs: string
  readonly inputValues: readonly number[]
  /** 11 characters for each output; arbitrary for one that no index keeps. */
  readonly outputHashXs: string
  readonly outputValues: readonly number[]
  /** Satoshis. */
  readonly fee: number
  readonly vsize: number
  /** Place in the order in which the mempool's transactions came. */
  readonly order: number
}

/** A transaction fetched whose inputs are still to be looked up. */
export interface Candidate {
  readonly txid: string
  readonly prevouts: string
  /** One for each input, filled in as they are found. */
  readonly coins: (Coin | undefined)[]
  readonly outputHashXs: string
  readonly outputValues: readonly number[]
  /** Satoshis of all outputs, also of those that no index keeps. */
  readonly paid: number
  readonly vsize: number
  /** Only where somebody wants to know what matters: the bytes, and whether they are known to. */
  interest?: { readonly raw: Uint8Array; matters: boolean }
}

/** Reads a transaction from the node's mempool. Throws ParseError, also if it is another than `txid` says. */
export function readCandidate(
  txid: string,
  raw: Uint8Array,
  keyOf: OutputKey,
  parse: (raw: Uint8Array) => Tx = parseWholeTx,
): Candidate {
  const tx = parse(raw)
  if (toDisplayHex(tx.txid) !== txid) throw new ParseError('not the transaction that was asked for', 0)
  let prevouts = ''
  for (const input of tx.inputs) prevouts += toLatin1(input.prevTxid) + littleEndian(input.prevIndex)
  let outputHashXs = ''
  let paid = 0
  const outputValues: number[] = []
  for (const output of tx.outputs) {
    const hashX = keyOf(output.script)
    const value = Number(output.value)
    outputHashXs += hashX === undefined ? '\0'.repeat(HASHX) : toLatin1(hashX)
    outputValues.push(hashX === undefined ? NOT_INDEXED : value)
    paid += value
  }
  const coins = Array.from<Coin | undefined>({ length: tx.inputs.length })
  return {
    txid,
    prevouts: flat(prevouts),
    coins,
    outputHashXs: flat(outputHashXs),
    outputValues,
    paid,
    vsize: tx.vsize,
  }
}

/** The entry of a candidate of which every input is known. Throws InvariantError if one is not. */
export function toEntry(candidate: Candidate, order = 0): MempoolEntry {
  const { txid, prevouts, outputHashXs, outputValues, paid, vsize } = candidate
  const inputValues: number[] = []
  let inputHashXs = ''
  let funded = 0
  for (const coin of candidate.coins) {
    if (coin === undefined) throw new InvariantError(`an input of ${txid} is not known`)
    inputHashXs += coin.hashX
    inputValues.push(coin.value)
    funded += coin.value
  }
  // The node takes none that pays out more than it has; never negative, as ElectrumX.
  const fee = Math.max(0, funded - paid)
  return { txid, prevouts, inputHashXs: flat(inputHashXs), inputValues, outputHashXs, outputValues, fee, vsize, order }
}

/** Key of the outpoint that input `index` spends. */
export function prevoutAt(prevouts: string, index: number): string {
  return prevouts.slice(index * OUTPOINT, (index + 1) * OUTPOINT)
}

/** The id, as displayed, of the transaction that an outpoint names. */
export function txidOf(outpoint: string): string {
  return Buffer.from(outpoint.slice(0, TXID), 'latin1').reverse().toString('hex')
}

/** The output index that an outpoint names. */
export function indexOf(outpoint: string): number {
  let index = 0
  for (let i = OUTPOINT - 1; i >= TXID; i--) index = index * 256 + outpoint.charCodeAt(i)
  return index
}

/** Keys of a transaction's outpoints; `txid` as displayed. */
export function* outpointsOf(txid: string, outputs: number): Generator<string, void> {
  const internal = toLatin1(fromDisplayHex(txid))
  for (let index = 0; index < outputs; index++) yield internal + littleEndian(index)
}

/** Key of one of them. */
export function outpointOf(txid: string, index: number): string {
  return toLatin1(fromDisplayHex(txid)) + littleEndian(index)
}

/** What output `index` pays, or undefined if there is none, or one that no index keeps. */
export function coinAt(entry: MempoolEntry, index: number): Coin | undefined {
  const value = entry.outputValues[index]
  if (value === undefined || value === NOT_INDEXED) return undefined
  return { hashX: hashXAt(entry.outputHashXs, index), value }
}

/** Key of the script of input or output `index`. */
export function hashXAt(hashXs: string, index: number): string {
  return hashXs.slice(index * HASHX, (index + 1) * HASHX)
}

/**
 * Where a script stands among those of inputs or outputs, in order. Found by the text as a whole: transactions with
 * thousands of outputs pay to everybody whom a service pays, and each of these asks for his own.
 */
export function* placesOf(hashXs: string, hashX: string): Generator<number, void> {
  for (let at = hashXs.indexOf(hashX); at !== -1; at = hashXs.indexOf(hashX, at + 1)) {
    if (at % HASHX === 0) yield at / HASHX
  }
}

/** Calls `visit` with the script of each input and each indexed output; the same one may come several times. */
export function forEachHashX(entry: MempoolEntry, visit: (hashX: string) => void): void {
  for (let i = 0; i < entry.inputValues.length; i++) visit(hashXAt(entry.inputHashXs, i))
  for (let i = 0; i < entry.outputValues.length; i++) {
    if (entry.outputValues[i] !== NOT_INDEXED) visit(hashXAt(entry.outputHashXs, i))
  }
}

/** What a transaction adds to a script, negative where it takes away. */
export function deltaOf(entry: MempoolEntry, hashX: string): number {
  let delta = 0
  for (const i of placesOf(entry.inputHashXs, hashX)) delta -= entry.inputValues[i] ?? 0
  for (const i of placesOf(entry.outputHashXs, hashX)) delta += coinAt(entry, i)?.value ?? 0
  return delta
}

/** The bytes of a key. */
export function keyBytes(key: string): Uint8Array {
  return fromLatin1(key)
}

function littleEndian(index: number): string {
  return String.fromCharCode(index & 0xff, (index >>> 8) & 0xff, (index >>> 16) & 0xff, index >>> 24)
}

/** One run of bytes: what `+` makes is a tree of parts, several times the size, until somebody reads it. */
function flat(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}
