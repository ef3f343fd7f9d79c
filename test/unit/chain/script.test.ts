import { describe, expect, it } from 'vitest'
import {
  decodeScript,
  hashXOf,
  instructionAt,
  instructions,
  isUnspendable,
  pushOf,
  type ScriptKind,
  scriptHashOf,
  scriptHashToHex,
  scriptKind,
  witnessProgram,
} from '../../../src/chain/script.ts'
import { ParseError } from '../../../src/errors.ts'
import { fromHex, toHex } from '../../../src/lib/bytes.ts'

const KEY = `02${'11'.repeat(32)}`
const LONG_KEY = `04${'11'.repeat(64)}`

function multisig(required: string, keys: number, total: string): string {
  return `${required}${`21${KEY}`.repeat(keys)}${total}ae`
}

const KINDS: readonly { id: string; hex: string; kind: ScriptKind }[] = [
  { id: 'empty', hex: '', kind: 'nonstandard' },
  { id: 'P2PK compressed', hex: `21${KEY}ac`, kind: 'pubkey' },
  { id: 'P2PK uncompressed', hex: `41${LONG_KEY}ac`, kind: 'pubkey' },
  { id: 'P2PK hybrid', hex: `4106${'11'.repeat(64)}ac`, kind: 'pubkey' },
  { id: 'P2PK with a first byte that no key has', hex: `2105${'11'.repeat(32)}ac`, kind: 'nonstandard' },
  { id: 'P2PK with a short key', hex: `20${'02'.repeat(32)}ac`, kind: 'nonstandard' },
  { id: 'P2PK with a first byte of the other length', hex: `2104${'11'.repeat(32)}ac`, kind: 'nonstandard' },
  { id: 'P2PK without CHECKSIG', hex: `21${KEY}ad`, kind: 'nonstandard' },
  { id: 'P2PKH', hex: `76a914${'11'.repeat(20)}88ac`, kind: 'pubkeyhash' },
  { id: 'P2PKH by OP_PUSHDATA1', hex: `76a94c14${'11'.repeat(20)}88ac`, kind: 'nonstandard' },
  { id: 'P2SH', hex: `a914${'11'.repeat(20)}87`, kind: 'scripthash' },
  { id: 'P2SH of another length', hex: `a913${'11'.repeat(19)}87`, kind: 'nonstandard' },
  { id: 'P2WPKH', hex: `0014${'11'.repeat(20)}`, kind: 'witness_v0_keyhash' },
  { id: 'P2WSH', hex: `0020${'11'.repeat(32)}`, kind: 'witness_v0_scripthash' },
  { id: 'version 0 of another length', hex: `0015${'11'.repeat(21)}`, kind: 'nonstandard' },
  { id: 'P2TR', hex: `5120${'11'.repeat(32)}`, kind: 'witness_v1_taproot' },
  { id: 'pay-to-anchor', hex: '51024e73', kind: 'anchor' },
  { id: 'version 1 with another two bytes', hex: '51024e74', kind: 'witness_unknown' },
  { id: 'version 2 with the bytes of the anchor', hex: '52024e73', kind: 'witness_unknown' },
  { id: 'version 16', hex: `6028${'11'.repeat(40)}`, kind: 'witness_unknown' },
  { id: 'program of 41 bytes', hex: `5129${'11'.repeat(41)}`, kind: 'nonstandard' },
  { id: 'program of 1 byte', hex: '510111', kind: 'nonstandard' },
  { id: 'program by OP_1NEGATE', hex: '4f021111', kind: 'nonstandard' },
  { id: 'OP_RETURN alone', hex: '6a', kind: 'nulldata' },
  { id: 'OP_RETURN and pushes', hex: '6a0311111100514f50', kind: 'nulldata' },
  { id: 'OP_RETURN and a push beyond the end', hex: '6a051111', kind: 'nonstandard' },
  { id: 'OP_RETURN and another opcode', hex: '6a61', kind: 'nonstandard' },
  { id: 'multisig 1 of 1', hex: multisig('51', 1, '51'), kind: 'multisig' },
  { id: 'multisig 2 of 3', hex: multisig('52', 3, '53'), kind: 'multisig' },
  { id: 'multisig 17 of 20', hex: multisig('0111', 20, '0114'), kind: 'multisig' },
  { id: 'multisig of 21', hex: multisig('51', 21, '0115'), kind: 'nonstandard' },
  { id: 'multisig with 16 pushed as a byte', hex: multisig('51', 16, '0110'), kind: 'nonstandard' },
  { id: 'multisig 0 of 1', hex: multisig('00', 1, '51'), kind: 'nonstandard' },
  { id: 'multisig 3 of 2', hex: multisig('53', 2, '52'), kind: 'nonstandard' },
  { id: 'multisig that miscounts its keys', hex: multisig('51', 2, '53'), kind: 'nonstandard' },
  { id: 'multisig with something before CHECKMULTISIG', hex: `5121${KEY}5161ae`, kind: 'nonstandard' },
  { id: 'multisig with something pushed that is no key', hex: '51021111 51ae'.replace(' ', ''), kind: 'nonstandard' },
  { id: 'CHECKMULTISIG alone', hex: 'ae', kind: 'nonstandard' },
  { id: 'multisig cut off', hex: '51ae', kind: 'nonstandard' },
]

describe('scriptKind', () => {
  it.each(KINDS)('$id is $kind', ({ hex, kind }) => {
    expect(scriptKind(fromHex(hex))).toBe(kind)
  })
})

describe('witnessProgram', () => {
  it('gives version and program', () => {
    expect(witnessProgram(fromHex('60021234'))).toEqual({ version: 16, program: Uint8Array.of(0x12, 0x34) })
    expect(witnessProgram(fromHex('00021234'))).toEqual({ version: 0, program: Uint8Array.of(0x12, 0x34) })
    expect(witnessProgram(fromHex('61021234'))).toBeUndefined()
  })
})

describe('instructions', () => {
  it('are opcodes with what they push', () => {
    const decoded = decodeScript(fromHex('00 02aabb 4c01cc 4d0100dd 4e01000000ee 51 ac'.replaceAll(' ', '')))
    expect(decoded.map(({ opcode, data }) => [opcode, data && toHex(data)])).toEqual([
      [0x00, ''],
      [0x02, 'aabb'],
      [0x4c, 'cc'],
      [0x4d, 'dd'],
      [0x4e, 'ee'],
      [0x51, undefined],
      [0xac, undefined],
    ])
    expect(decoded.map(({ offset }) => offset)).toEqual([0, 1, 4, 7, 11, 17, 18])
  })

  it.each(['02aa', '4c', '4c02aa', '4d01', '4d0100', '4e010000', '4effffffff', '4e01000000'])(
    'end before the push beyond the end in 51%s',
    (hex) => {
      const script = fromHex(`51${hex}`)
      const walk = instructions(script)
      expect(walk.next().value).toMatchObject({ opcode: 0x51, end: 1 })
      expect(walk.next()).toEqual({ done: true, value: 1 })
      expect(instructionAt(script, 1)).toBeUndefined()
      expect(() => decodeScript(script)).toThrow(ParseError)
    },
  )

  it('can begin anywhere', () => {
    expect([...instructions(fromHex('515253'), 2)]).toEqual([{ opcode: 0x53, data: undefined, offset: 2, end: 3 }])
    expect([...instructions(fromHex('51'), 5)]).toEqual([])
  })
})

describe('pushOf', () => {
  it.each([
    [0, '00'],
    [75, '4b'],
    [76, '4c4c'],
    [255, '4cff'],
    [256, '4d0001'],
    [65_535, '4dffff'],
    [65_536, '4e00000100'],
  ])('of %d bytes begins with %s', (length, head) => {
    const push = pushOf(new Uint8Array(length))
    expect(toHex(push.subarray(0, push.length - length))).toBe(head)
  })
})

describe('script hashes', () => {
  // The example of the protocol's page on script hashes.
  const script = fromHex('76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac')
  const wire = '8b01df4e368ea28f8dc0423bcf7a4923e3a12d307c875e47a0cfbf90b5c39161'

  it('are written in reverse', () => {
    expect(scriptHashToHex(scriptHashOf(script))).toBe(wire)
  })

  it('give their first eleven bytes as hashX, in memory of its own', () => {
    expect(toHex(hashXOf(script))).toBe('6191c3b590bfcfa0475e87')
    expect(hashXOf(script).buffer.byteLength).toBe(11)
  })
})

describe('isUnspendable', () => {
  it.each([
    ['6a', true],
    ['6aff', true],
    ['006a', true],
    ['006aff', true],
    ['', false],
    ['00', false],
    ['016a', false],
    ['516a', false],
  ])('of %s is %s', (hex, expected) => {
    expect(isUnspendable(fromHex(hex))).toBe(expected)
  })
})
