import { instructionAt, OP } from '../chain/script.ts'
import { toHex } from '../lib/bytes.ts'

/** Names of opcodes from OP_NOP on, in order (BIP342's OP_CHECKSIGADD last). */
const NAMES = `NOP VER IF NOTIF VERIF VERNOTIF ELSE ENDIF VERIFY RETURN TOALTSTACK FROMALTSTACK 2DROP 2DUP 3DUP 2OVER
  2ROT 2SWAP IFDUP DEPTH DROP DUP NIP OVER PICK ROLL ROT SWAP TUCK CAT SUBSTR LEFT RIGHT SIZE INVERT AND OR XOR EQUAL
  EQUALVERIFY RESERVED1 RESERVED2 1ADD 1SUB 2MUL 2DIV NEGATE ABS NOT 0NOTEQUAL ADD SUB MUL DIV MOD LSHIFT RSHIFT BOOLAND
  BOOLOR NUMEQUAL NUMEQUALVERIFY NUMNOTEQUAL LESSTHAN GREATERTHAN LESSTHANOREQUAL GREATERTHANOREQUAL MIN MAX WITHIN
  RIPEMD160 SHA1 SHA256 HASH160 HASH256 CODESEPARATOR CHECKSIG CHECKSIGVERIFY CHECKMULTISIG CHECKMULTISIGVERIFY NOP1
  CHECKLOCKTIMEVERIFY CHECKSEQUENCEVERIFY NOP4 NOP5 NOP6 NOP7 NOP8 NOP9 NOP10 CHECKSIGADD`
  .trim()
  .split(/\s+/)
const FIRST_NAMED = 0x61

const SIGHASHES = new Map([
  [0x01, 'ALL'],
  [0x02, 'NONE'],
  [0x03, 'SINGLE'],
  [0x81, 'ALL|ANYONECANPAY'],
  [0x82, 'NONE|ANYONECANPAY'],
  [0x83, 'SINGLE|ANYONECANPAY'],
])

/** A script as Core writes it down; with `signatures`, what looks like one is followed by its sighash type. */
export function asmOf(script: Uint8Array, signatures = false): string {
  const words: string[] = []
  for (let offset = 0; offset < script.length; ) {
    const instruction = instructionAt(script, offset)
    if (instruction === undefined) return [...words, '[error]'].join(' ')
    const { opcode, data } = instruction
    if (data === undefined) words.push(nameOf(opcode))
    else if (data.length <= 4) words.push(String(numberOf(data)))
    else words.push(signatures && script[0] !== OP.RETURN ? signatureText(data) : toHex(data))
    offset = instruction.end
  }
  return words.join(' ')
}

function nameOf(opcode: number): string {
  if (opcode === OP.NEGATE1) return '-1'
  if (opcode === OP.RESERVED) return 'OP_RESERVED'
  if (opcode <= OP.NUMBER16) return String(opcode - OP.RESERVED)
  if (opcode === 0xff) return 'OP_INVALIDOPCODE'
  const name = NAMES[opcode - FIRST_NAMED]
  return name === undefined ? 'OP_UNKNOWN' : `OP_${name}`
}

/** A script number: little-endian, sign in the highest bit. */
function numberOf(data: Uint8Array): number {
  let value = 0
  data.forEach((byte, i) => {
    value += (i === data.length - 1 ? byte & 0x7f : byte) * 256 ** i
  })
  return ((data.at(-1) ?? 0) & 0x80) === 0 ? value : -value
}

function signatureText(data: Uint8Array): string {
  const type = SIGHASHES.get(data.at(-1) ?? 0)
  return type !== undefined && isDerSignature(data) ? `${toHex(data.subarray(0, -1))}[${type}]` : toHex(data)
}

/** Strict DER of two positive integers without needless zeros, and one byte of sighash type after it (BIP66). */
function isDerSignature(data: Uint8Array): boolean {
  const { length } = data
  if (length < 9 || length > 73 || data[0] !== 0x30 || data[1] !== length - 3) return false
  const rLength = data[3] ?? 0
  const sLength = data[5 + rLength] ?? 0
  if (5 + rLength >= length || rLength + sLength + 7 !== length) return false
  return isDerInteger(data.subarray(2, 4 + rLength)) && isDerInteger(data.subarray(4 + rLength, length - 1))
}

function isDerInteger(bytes: Uint8Array): boolean {
  const first = bytes[2]
  if (bytes[0] !== 0x02 || first === undefined || (first & 0x80) !== 0) return false
  return !(bytes.length > 3 && first === 0 && ((bytes[3] ?? 0) & 0x80) === 0)
}
