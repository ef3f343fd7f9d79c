import { ParseError } from '../errors.ts'
import { copyOf, readUint16LE, readUint32LE, toDisplayHex } from '../lib/bytes.ts'
import { sha256 } from '../lib/hash.ts'

/** The opcodes that somebody here asks for. */
export const OP = {
  FALSE: 0x00,
  PUSHDATA1: 0x4c,
  PUSHDATA2: 0x4d,
  PUSHDATA4: 0x4e,
  NEGATE1: 0x4f,
  RESERVED: 0x50,
  TRUE: 0x51,
  NUMBER16: 0x60,
  IF: 0x63,
  ENDIF: 0x68,
  RETURN: 0x6a,
  DROP: 0x75,
  DUP: 0x76,
  EQUAL: 0x87,
  EQUALVERIFY: 0x88,
  HASH160: 0xa9,
  CHECKSIG: 0xac,
  CHECKMULTISIG: 0xae,
} as const

export interface Instruction {
  readonly opcode: number
  /** A view of the bytes pushed; empty for OP_FALSE; undefined for opcodes above OP_PUSHDATA4. */
  readonly data: Uint8Array | undefined
  /** Where the opcode stands. */
  readonly offset: number
  /** Where the next one stands. */
  readonly end: number
}

/** The instruction at `offset`, or undefined if the script ends there or its push goes beyond the end. */
export function instructionAt(script: Uint8Array, offset: number): Instruction | undefined {
  const opcode = script[offset]
  if (opcode === undefined) return undefined
  if (opcode > OP.PUSHDATA4) return { opcode, data: undefined, offset, end: offset + 1 }
  const width = opcode < OP.PUSHDATA1 ? 0 : opcode === OP.PUSHDATA1 ? 1 : opcode === OP.PUSHDATA2 ? 2 : 4
  const start = offset + 1 + width
  if (start > script.length) return undefined
  const length = width === 0 ? opcode : pushLength(script, offset + 1, width)
  const end = start + length
  return end > script.length ? undefined : { opcode, data: script.subarray(start, end), offset, end }
}

/**
 * The instructions from `offset` on. Ends before a push that goes beyond the end of the script and then returns where
 * that stands; returns the script's length if all of it could be read. Never throws.
 */
export function* instructions(script: Uint8Array, offset = 0): Generator<Instruction, number, undefined> {
  let position = offset
  for (;;) {
    const instruction = instructionAt(script, position)
    if (instruction === undefined) return position
    yield instruction
    position = instruction.end
  }
}

/** All instructions of a script. Throws ParseError at a push that goes beyond its end. */
export function decodeScript(script: Uint8Array): Instruction[] {
  const decoded = [...instructions(script)]
  const end = decoded.at(-1)?.end ?? 0
  if (end < script.length) throw new ParseError('push beyond the end of the script', end)
  return decoded
}

/** The shortest instruction that pushes `data` without turning it into a number: what wallets write. */
export function pushOf(data: Uint8Array): Uint8Array {
  const { length } = data
  const head =
    length < OP.PUSHDATA1
      ? [length]
      : length <= 0xff
        ? [OP.PUSHDATA1, length]
        : length <= 0xffff
          ? [OP.PUSHDATA2, length & 0xff, length >>> 8]
          : [OP.PUSHDATA4, length & 0xff, (length >>> 8) & 0xff, (length >>> 16) & 0xff, length >>> 24]
  const push = new Uint8Array(head.length + length)
  push.set(head)
  push.set(data, head.length)
  return push
}

/** Kinds of output scripts, named as Core names them in `scriptPubKey.type`. */
export type ScriptKind =
  | 'pubkey'
  | 'pubkeyhash'
  | 'scripthash'
  | 'multisig'
  | 'nulldata'
  | 'anchor'
  | 'witness_v0_keyhash'
  | 'witness_v0_scripthash'
  | 'witness_v1_taproot'
  | 'witness_unknown'
  | 'nonstandard'

/** Which kind of output script this is, decided in the order of Core's Solver. */
export function scriptKind(script: Uint8Array): ScriptKind {
  if (isPayToScriptHash(script)) return 'scripthash'
  const program = witnessProgram(script)
  if (program !== undefined) return witnessKind(program)
  if (script[0] === OP.RETURN && isPushOnly(script, 1)) return 'nulldata'
  if (isPayToPubkey(script)) return 'pubkey'
  if (isPayToPubkeyHash(script)) return 'pubkeyhash'
  return isMultisig(script) ? 'multisig' : 'nonstandard'
}

export interface WitnessProgram {
  /** 0 to 16. */
  readonly version: number
  /** 2 to 40 bytes: a view of the script. */
  readonly program: Uint8Array
}

/** The witness program that an output script is, if it is one (BIP141). */
export function witnessProgram(script: Uint8Array): WitnessProgram | undefined {
  const { length } = script
  if (length < 4 || length > 42 || script[1] !== length - 2) return undefined
  const opcode = script[0] ?? OP.RETURN
  if (opcode !== OP.FALSE && (opcode < OP.TRUE || opcode > OP.NUMBER16)) return undefined
  return { version: opcode === OP.FALSE ? 0 : opcode - OP.RESERVED, program: script.subarray(2) }
}

export function isPayToScriptHash(script: Uint8Array): boolean {
  return script.length === 23 && script[0] === OP.HASH160 && script[1] === 20 && script[22] === OP.EQUAL
}

export function isPayToPubkeyHash(script: Uint8Array): boolean {
  return (
    script.length === 25 &&
    script[0] === OP.DUP &&
    script[1] === OP.HASH160 &&
    script[2] === 20 &&
    script[23] === OP.EQUALVERIFY &&
    script[24] === OP.CHECKSIG
  )
}

/**
 * True for outputs that ElectrumX leaves out of its index: OP_RETURN, or OP_FALSE OP_RETURN, first of all. An index of
 * ours has to leave out the same ones: an output that it has and others lack changes histories and statuses.
 */
export function isUnspendable(script: Uint8Array): boolean {
  return isUnspendableAt(script, 0, script.length)
}

/** isUnspendable of the script that `bytes` has from `start` to `end`. */
export function isUnspendableAt(bytes: Uint8Array, start: number, end: number): boolean {
  if (start >= end) return false
  return bytes[start] === OP.RETURN || (bytes[start] === OP.FALSE && start + 1 < end && bytes[start + 1] === OP.RETURN)
}

/** Bytes of a hashX. */
export const HASHX_SIZE = 11

/** SHA-256 of an output script: 32 bytes, internal order. */
export function scriptHashOf(script: Uint8Array): Uint8Array {
  return sha256(script)
}

/** First 11 bytes of the script hash in internal order: the key of history and balances. */
export function hashXOf(script: Uint8Array): Uint8Array {
  return copyOf(sha256(script).subarray(0, HASHX_SIZE))
}

/** How a script hash is written on the wire: hex of its bytes in reverse (protocol-basics, "Script Hashes"). */
export function scriptHashToHex(scriptHash: Uint8Array): string {
  return toDisplayHex(scriptHash)
}

function pushLength(script: Uint8Array, offset: number, width: 1 | 2 | 4): number {
  if (width === 1) return script[offset] ?? 0
  return width === 2 ? readUint16LE(script, offset) : readUint32LE(script, offset)
}

function witnessKind({ version, program }: WitnessProgram): ScriptKind {
  if (version === 0) {
    if (program.length === 20) return 'witness_v0_keyhash'
    return program.length === 32 ? 'witness_v0_scripthash' : 'nonstandard'
  }
  if (version === 1 && program.length === 32) return 'witness_v1_taproot'
  const anchor = version === 1 && program.length === 2 && program[0] === 0x4e && program[1] === 0x73
  return anchor ? 'anchor' : 'witness_unknown'
}

/** Nothing but pushes from `offset` on, OP_RESERVED among them, as Core's IsPushOnly has it. */
function isPushOnly(script: Uint8Array, offset: number): boolean {
  let position = offset
  for (const { opcode, end } of instructions(script, offset)) {
    if (opcode > OP.NUMBER16) return false
    position = end
  }
  return position === script.length
}

/** A public key by its first byte and length; whether it is on the curve nobody asks here. */
function isPubkey(data: Uint8Array | undefined): boolean {
  const first = data?.[0]
  if (data === undefined || first === undefined) return false
  if (first === 2 || first === 3) return data.length === 33
  return (first === 4 || first === 6 || first === 7) && data.length === 65
}

function isPayToPubkey(script: Uint8Array): boolean {
  const { length } = script
  if ((length !== 35 && length !== 67) || script[length - 1] !== OP.CHECKSIG) return false
  return script[0] === length - 2 && isPubkey(script.subarray(1, length - 1))
}

/** A count of a bare multisig, 1 to 20: OP_1 to OP_16, above that the shortest push of the number. */
function multisigCount(instruction: Instruction | undefined): number | undefined {
  if (instruction === undefined) return undefined
  const { opcode, data } = instruction
  if (opcode >= OP.TRUE && opcode <= OP.NUMBER16) return opcode - OP.RESERVED
  const number = opcode === 1 ? data?.[0] : undefined
  return number !== undefined && number > 16 && number <= 20 ? number : undefined
}

function isMultisig(script: Uint8Array): boolean {
  if (script.at(-1) !== OP.CHECKMULTISIG) return false
  const first = instructionAt(script, 0)
  const required = multisigCount(first)
  if (first === undefined || required === undefined) return false
  let keys = 0
  let next = instructionAt(script, first.end)
  while (next !== undefined && isPubkey(next.data)) {
    keys += 1
    next = instructionAt(script, next.end)
  }
  return next !== undefined && multisigCount(next) === keys && keys >= required && next.end + 1 === script.length
}
