import { describe, expect, it } from 'vitest'
import {
  bytesFromHex,
  characters,
  equalsInteger,
  integerFrom,
  integerOf,
  isHexInteger,
  isTruthy,
} from '../../../src/atomicals/python.ts'
import { fromHex, fromLatin1 } from '../../../src/lib/bytes.ts'
import { CBOR_UNDEFINED, CborMap } from '../../../src/lib/cbor/values.ts'
import { decodeCbor } from '../../../src/lib/cbor.ts'

const of = (hex: string) => decodeCbor(fromHex(hex))

describe('what Python makes of values', () => {
  it('5.0 is not an integer, true is the integer 1', () => {
    expect([integerOf(5.0), integerOf(5n), integerOf(true), integerOf(false), integerOf('5'), integerOf(null)]).toEqual(
      [undefined, 5n, 1n, 0n, undefined, undefined],
    )
  })

  it.each([
    [undefined, false],
    [null, false],
    [false, false],
    [0n, false],
    [0, false],
    [-0, false],
    ['', false],
    [new Uint8Array(0), false],
    [[], false],
    [new CborMap(), false],
    [CBOR_UNDEFINED, false],
    [true, true],
    [1n, true],
    [Number.NaN, true],
    [' ', true],
    [[null], true],
    [of('a10000'), true],
    // 0 × 10^5, 0/3, an empty set, a simple value, a tag.
    [of('c4820500'), false],
    [of('d81e820003'), false],
    [of('d9010280'), false],
    [of('e5'), true],
    [of('d9270f00'), true],
  ])('takes %o for set: %s', (value, truth) => {
    expect(isTruthy(value)).toBe(truth)
  })

  it('holds 1, 1.0, true and the decimal 1 for equal', () => {
    const ones = [1n, 1, true, of('c4820001'), of('c482200a'), of('d81e820303')]
    expect(ones.map((one) => equalsInteger(one, 1n))).toEqual(ones.map(() => true))
    const others = [2n, 1.5, false, '1', null, undefined, of('c4822001'), of('d81e820302')]
    expect(others.map((other) => equalsInteger(other, 1n))).toEqual(others.map(() => false))
  })

  it('converts as int() does', () => {
    const value = (from: Parameters<typeof integerFrom>[0]) => integerFrom(from).value
    expect(value(2.9)).toBe(2n)
    expect(value(-2.9)).toBe(-2n)
    expect(value(true)).toBe(1n)
    expect(value(' 1_0 ')).toBe(10n)
    expect(value(fromLatin1(' 12\n'))).toBe(12n)
    expect(value(of('c4820102'))).toBe(20n)
    expect(value(of('c482201819'))).toBe(2n)
    expect(value(of('d81e820702'))).toBe(3n)
    expect(value(of('d82550000000000000000000000000000000ff'))).toBe(255n)
    expect(
      [integerFrom(Number.NaN), integerFrom('x'), integerFrom(null), integerFrom([])].map(({ kind }) => kind),
    ).toEqual(['none', 'none', 'none', 'none'])
    expect(integerFrom(Number.POSITIVE_INFINITY).kind).toBe('failure')
    // A decimal of 10^999999999 digits is never spelled out.
    expect(integerFrom(of('c4821a3b9ac9ff01')).kind).toBe('failure')
  })

  it("the scripts of a rule's outputs need only be what int(text, 16) reads", () => {
    const read = ['51', '0x51', ' -5_1 ', 'AbC', '0X_5', '５１']
    expect(read.map(isHexInteger)).toEqual(read.map(() => true))
    const refused = ['', 'zz', '5 1', '_51', '51_', '0x', '5__1']
    expect(refused.map(isHexInteger)).toEqual(refused.map(() => false))
  })

  it('bytes.fromhex() passes over white space between bytes, so 64 characters may be fewer than 32 bytes', () => {
    expect(bytesFromHex(' 0a\t0B\n')).toEqual(Uint8Array.of(10, 11))
    expect(bytesFromHex('')).toEqual(new Uint8Array(0))
    expect([bytesFromHex('0'), bytesFromHex('0 a'), bytesFromHex('zz'), bytesFromHex('0a\u00a00b')]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ])
  })

  it('counts characters, not UTF-16 units', () => {
    expect(characters('a😀é')).toBe(3)
  })
})
