import { describe, expect, it } from 'vitest'
import {
  asBuffer,
  compareBytes,
  concat,
  copyOf,
  equalBytes,
  fromDisplayHex,
  fromHex,
  fromLatin1,
  isHex,
  readInt32LE,
  readSafeUint64LE,
  readUint16LE,
  readUint32LE,
  readUint64LE,
  reversed,
  startOf,
  toDisplayHex,
  toHex,
  toLatin1,
  writeUint32LE,
  writeUint64LE,
} from '../../../src/lib/bytes.ts'

describe('hex', () => {
  it('is written in lower case and read in either', () => {
    expect(toHex(Uint8Array.of(0, 0xab, 0xff))).toBe('00abff')
    expect(fromHex('00aBFf')).toEqual(Uint8Array.of(0, 0xab, 0xff))
    expect(fromHex('')).toEqual(new Uint8Array(0))
  })

  it.each(['0', 'abc', 'zz', '0x00', ' 00', '00\n', '０0'])('refuses %j', (text) => {
    expect(isHex(text)).toBe(false)
    expect(() => fromHex(text)).toThrow(RangeError)
    expect(() => fromDisplayHex(text)).toThrow(RangeError)
  })

  it('is reversed for display, and the bytes stay as they were', () => {
    const bytes = Uint8Array.of(1, 2, 3)
    expect(toDisplayHex(bytes)).toBe('030201')
    expect(fromDisplayHex('030201')).toEqual(bytes)
    expect(bytes).toEqual(Uint8Array.of(1, 2, 3))
  })
})

describe('copies and views', () => {
  it.each([
    { id: 'a Uint8Array', bytes: Uint8Array.of(1, 2, 3) },
    { id: 'a Buffer', bytes: Buffer.from([1, 2, 3]) },
  ])('of $id: copies have memory of their own', ({ bytes }) => {
    const copies = [copyOf(bytes), reversed(bytes), concat(bytes)]
    bytes[0] = 9
    expect(copies.map((copy) => [...copy])).toEqual([
      [1, 2, 3],
      [3, 2, 1],
      [1, 2, 3],
    ])
    expect(copyOf(bytes).buffer.byteLength).toBe(3)
  })

  it('of a part: a Buffer is a view of the same bytes', () => {
    const whole = Uint8Array.of(1, 2, 3, 4)
    const view = asBuffer(whole.subarray(1, 3))
    view[0] = 9
    expect(view).toHaveLength(2)
    expect(whole[1]).toBe(9)
  })

  it('starts a text as it is, whatever stands there', () => {
    for (const text of ['', 'abc', 'a\u{1f600}b', 'half \ud83d', 'none\0']) expect(startOf(text, 100)).toBe(text)
    expect(startOf('a long one', 6)).toBe('a long')
  })

  it('joins parts in order, none at all too', () => {
    expect(concat(Uint8Array.of(1), new Uint8Array(0), Uint8Array.of(2, 3))).toEqual(Uint8Array.of(1, 2, 3))
    expect(concat()).toEqual(new Uint8Array(0))
  })

  it('compares byte by byte, a beginning before what continues it', () => {
    expect(compareBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 3))).toBeLessThan(0)
    expect(compareBytes(Uint8Array.of(1), Uint8Array.of(1, 0))).toBeLessThan(0)
    expect(compareBytes(Uint8Array.of(0xff), Uint8Array.of(1, 0))).toBeGreaterThan(0)
    expect(equalBytes(Uint8Array.of(1), Buffer.from([1]))).toBe(true)
    expect(equalBytes(Uint8Array.of(1), Uint8Array.of(1, 0))).toBe(false)
    expect(equalBytes(Uint8Array.of(1), Uint8Array.of(2))).toBe(false)
  })

  it('gives each of the 256 bytes a character and back', () => {
    const all = Uint8Array.from({ length: 256 }, (_, i) => i)
    expect(toLatin1(all)).toHaveLength(256)
    expect(fromLatin1(toLatin1(all))).toEqual(all)
  })
})

describe('little-endian numbers', () => {
  const bytes = Uint8Array.of(0xaa, 1, 2, 3, 0x84, 5, 6, 7, 0x88)

  it('are read where they stand', () => {
    expect(readUint16LE(bytes, 1)).toBe(0x0201)
    expect(readUint32LE(bytes, 1)).toBe(0x8403_0201)
    expect(readInt32LE(bytes, 1)).toBe(0x8403_0201 - 2 ** 32)
    expect(readUint64LE(bytes, 1)).toBe(0x8807_0605_8403_0201n)
  })

  it('of 64 bits are exact doubles below 2^53', () => {
    const largest = fromHex('ffffffffffff1f00')
    expect(readSafeUint64LE(largest, 0)).toBe(Number.MAX_SAFE_INTEGER)
    expect(readUint64LE(largest, 0)).toBe(2n ** 53n - 1n)
  })

  it('are refused with RangeError beyond the end', () => {
    for (const read of [readUint16LE, readUint32LE, readInt32LE, readUint64LE, readSafeUint64LE]) {
      expect(() => read(bytes, 8)).toThrow(RangeError)
      expect(() => read(bytes, -1)).toThrow(RangeError)
    }
  })

  it('are written where they should stand', () => {
    const target = new Uint8Array(10)
    writeUint32LE(target, 0x8403_0201, 1)
    expect(toHex(target)).toBe('00010203840000000000')
    writeUint64LE(target, 0x8807_0605_8403_0201n, 2)
    expect(toHex(target)).toBe('00010102038405060788')
    writeUint32LE(target, -2, 0)
    expect(readInt32LE(target, 0)).toBe(-2)
  })
})
