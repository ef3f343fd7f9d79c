import { describe, expect, it } from 'vitest'
import {
  bitsToTarget,
  headerHash,
  meetsTarget,
  parseHeader,
  serializeHeader,
  workOf,
} from '../../../src/chain/headers.ts'
import { ParseError } from '../../../src/errors.ts'
import { fromDisplayHex, fromHex, toDisplayHex } from '../../../src/lib/bytes.ts'

/** Header of Bitcoin's first block. */
const GENESIS = fromHex(
  '0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a5132' +
    '3a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c',
)
const GENESIS_HASH = '000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f'

describe('headers', () => {
  it('are read and written', () => {
    const header = parseHeader(GENESIS)
    expect(header).toMatchObject({ version: 1, time: 1_231_006_505, bits: 0x1d00_ffff, nonce: 2_083_236_893 })
    expect(toDisplayHex(header.merkleRoot)).toBe('4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b')
    expect(toDisplayHex(header.prevHash)).toBe('0'.repeat(64))
    expect(serializeHeader(header)).toEqual(GENESIS)
    expect(toDisplayHex(headerHash(GENESIS))).toBe(GENESIS_HASH)
  })

  it('are read from the middle of other bytes', () => {
    const around = new Uint8Array(100)
    around.set(GENESIS, 10)
    expect(parseHeader(around, 10)).toEqual(parseHeader(GENESIS))
  })

  it('keep the sign of their version', () => {
    const raw = GENESIS.slice()
    raw[3] = 0xa0
    expect(parseHeader(raw).version).toBe(0xa000_0001 | 0)
    expect(serializeHeader(parseHeader(raw))).toEqual(raw)
  })

  it('are refused with ParseError if they are not 80 bytes', () => {
    expect(() => parseHeader(GENESIS.subarray(1))).toThrow(ParseError)
    expect(() => parseHeader(GENESIS, 1)).toThrow(ParseError)
    expect(() => parseHeader(GENESIS, -1)).toThrow(ParseError)
    expect(() => headerHash(GENESIS.subarray(1))).toThrow(ParseError)
    expect(() => headerHash(new Uint8Array(81))).toThrow(ParseError)
  })

  it('are not written with hashes of other lengths', () => {
    const header = parseHeader(GENESIS)
    expect(() => serializeHeader({ ...header, prevHash: new Uint8Array(31) })).toThrow(RangeError)
    expect(() => serializeHeader({ ...header, merkleRoot: new Uint8Array(33) })).toThrow(RangeError)
  })
})

describe('bits', () => {
  it.each([
    { id: 'nothing', bits: 0, target: 0n },
    { id: 'mantissa shifted out', bits: 0x0012_3456, target: 0n },
    { id: 'one byte', bits: 0x0112_3456, target: 0x12n },
    { id: 'two bytes', bits: 0x0212_3456, target: 0x1234n },
    { id: 'three bytes', bits: 0x0312_3456, target: 0x12_3456n },
    { id: 'four bytes', bits: 0x0412_3456, target: 0x1234_5600n },
    { id: 'mantissa with a leading zero', bits: 0x0500_9234, target: 0x9234_0000n },
    { id: 'sign without a number', bits: 0x0180_0000, target: 0n },
    { id: 'negative', bits: 0x0492_3456, target: 0n },
    { id: 'largest that fits', bits: 0x207f_ffff, target: 0x7f_ffffn << 232n },
    { id: 'two bytes at the top', bits: 0x2100_ffff, target: 0xffffn << 240n },
    { id: 'one byte at the top', bits: 0x2200_00ff, target: 0xffn << 248n },
    { id: 'three bytes beyond the top', bits: 0x2101_0000, target: 0n },
    { id: 'two bytes beyond the top', bits: 0x2200_0100, target: 0n },
    { id: 'one byte beyond the top', bits: 0x2300_0001, target: 0n },
    { id: 'far beyond the top', bits: 0xff12_3456, target: 0n },
  ])('$id', ({ bits, target }) => {
    expect(bitsToTarget(bits)).toBe(target)
  })

  it('have the work that Core counts', () => {
    expect(workOf(0x1d00_ffff)).toBe(0x1_0001_0001n)
    expect(workOf(0x207f_ffff)).toBe(2n)
    expect(workOf(0)).toBe(0n)
    expect(workOf(0x0492_3456)).toBe(0n)
  })

  it('are met by a hash up to the target and by none above', () => {
    expect(meetsTarget(fromDisplayHex(GENESIS_HASH), 0x1d00_ffff)).toBe(true)
    const target = `00000000ffff${'0'.repeat(52)}`
    expect(meetsTarget(fromDisplayHex(target), 0x1d00_ffff)).toBe(true)
    expect(meetsTarget(fromDisplayHex(target.replace(/0$/, '1')), 0x1d00_ffff)).toBe(false)
    expect(meetsTarget(new Uint8Array(32), 0)).toBe(false)
  })
})
