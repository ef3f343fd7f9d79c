import { describe, expect, it } from 'vitest'
import { ParseError } from '../../../../src/errors.ts'
import { concat, fromHex } from '../../../../src/lib/bytes.ts'
import { CborMap, CborTag, CborTuple, type CborValue } from '../../../../src/lib/cbor/values.ts'
import { decodeCbor } from '../../../../src/lib/cbor.ts'
import { toOracle } from '../../../support/cbor-oracle.ts'
import { cpuTime } from '../../../support/cpu-time.ts'

function decode(hex: string): CborValue {
  return decodeCbor(fromHex(hex.replaceAll(' ', '')))
}

/** The value as the oracle tables write it, or 'refused'. */
function written(hex: string): unknown {
  try {
    return toOracle(decode(hex))
  } catch (error) {
    if (error instanceof ParseError) return 'refused'
    throw error
  }
}

function nested(levels: number, open: string, inside: string): string {
  return open.repeat(levels) + inside
}

describe('decodeCbor', () => {
  it('keeps integers, floats, bools, null and undefined apart', () => {
    expect(decode('05')).toBe(5n)
    expect(decode('f94500')).toBe(5)
    expect(decode('f5')).toBe(true)
    expect(decode('f6')).toBeNull()
    expect(written('f7')).toEqual(['undefined'])
  })

  it('reads one item and ignores what follows', () => {
    expect(decode('01 ff ff')).toBe(1n)
  })

  it('merges keys that Python takes for one, in the place and spelling of the first, with the value of the last', () => {
    expect(written('a4 01 61 61 02 03 f93c00 04 f5 05')).toEqual([
      'map',
      [
        [
          ['int', '1'],
          ['int', '5'],
        ],
        [
          ['int', '2'],
          ['int', '3'],
        ],
      ],
    ])
    // Decimal(1), Fraction(2, 2) and 10^400 as integer and as decimal.
    expect((decode('a2 01 00 c4820001 00') as CborMap).size).toBe(1)
    expect((decode('a2 01 00 d81e820202 00') as CborMap).size).toBe(1)
    const large = (10n ** 400n).toString(16).padStart(334, '0')
    expect((decode(`a2 c258a7${large} 00 c482190190 01 00`) as CborMap).size).toBe(1)
    // The tuple (1,) and simple value 1; the text "1" and the bytes "1".
    expect((decode('a2 8101 00 e1 00') as CborMap).size).toBe(1)
    expect((decode('a2 6131 00 4131 00') as CborMap).size).toBe(2)
    expect((decode('a2 f97e00 00 f97e00 00') as CborMap).size).toBe(2)
  })

  it.each([
    ['a list by reference', 'a2 00 d81c80 d81d00 00'],
    ['a tag of one', 'a2 00 d81c80 d903e8d81d00 00'],
    ['a signalling NaN', 'a1 c482614e00 00'],
    ['what contains itself', 'a1 d81cd903e8a1d81d0000 00'],
  ])('refuses a key that Python cannot hash: %s', (_, hex) => {
    expect(written(hex)).toBe('refused')
  })

  it('finds text keys by name and tells frozen maps and tuples from maps and lists', () => {
    const map = decode('a1 6161 01')
    expect(map).toBeInstanceOf(CborMap)
    expect((map as CborMap).get('a')).toBe(1n)
    expect((map as CborMap).get('b')).toBeUndefined()
    expect(written('a1 a1820102 80 00')).toEqual([
      'map',
      [
        [
          [
            'frozenmap',
            [
              [
                [
                  'tuple',
                  [
                    ['int', '1'],
                    ['int', '2'],
                  ],
                ],
                ['tuple', []],
              ],
            ],
          ],
          ['int', '0'],
        ],
      ],
    ])
  })

  it('990 nested items decode and the 991st refuses the payload', () => {
    expect(written(nested(989, '81', '00'))).not.toBe('refused')
    expect(written(nested(990, '81', '00'))).toBe('refused')
    expect(written(nested(989, 'd903e8', '00'))).not.toBe('refused')
    expect(written(nested(990, 'd903e8', '00'))).toBe('refused')
    expect(written(nested(989, 'a100', '00'))).not.toBe('refused')
    expect(written(nested(990, 'a100', '00'))).toBe('refused')
    expect(written(nested(986, '81', `d82550${'00'.repeat(16)}`))).not.toBe('refused')
    expect(written(nested(987, '81', `d82550${'00'.repeat(16)}`))).toBe('refused')
  })

  it('refuses what is nested without end, without a stack overflow', () => {
    for (const open of ['81', 'd903e8', 'd81c', '9f', 'a100', 'bf00']) {
      expect(() => decode(nested(200_000, open, ''))).toThrow(ParseError)
    }
  })

  it('names keys that are nested as deeply as anything may be', () => {
    expect((decode(`a1 ${nested(980, '81', '00')} 00`) as CborMap).size).toBe(1)
    expect((decode(`a1 ${nested(300, 'a100', '00')} 00`) as CborMap).size).toBe(1)
  })

  it.each([
    '9b0000010000000000',
    'bb1000000000000000',
    '5b0000010000000000',
    '7bffffffffffffffff',
    '9bffffffffffffffff',
  ])('sets nothing aside for what a length only announces: %s', (hex) => {
    const before = process.memoryUsage().arrayBuffers
    expect(() => decode(`${hex}00`)).toThrow(ParseError)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000)
  })

  it('a break code where no indefinite length is open is a value like any other', () => {
    const mark = ['other', 'break_marker_type', 'break_marker']
    expect(written('ff')).toEqual(mark)
    expect(written('82 ff 01')).toEqual(['list', [mark, ['int', '1']]])
    expect(written('a1 ff ff')).toEqual(['map', [[mark, mark]]])
    expect(written('9f 01 d9d9f7ff')).toEqual(['list', [['int', '1']]])
    expect(written('bf 00 ff ff')).toEqual(['map', [[['int', '0'], mark]]])
  })

  it('a text over 65,536 bytes whose pieces of that size split a character is refused if more than one piece follows the split', () => {
    const text = (length: number, at: number): Uint8Array => {
      const bytes = Buffer.alloc(length, 'a')
      bytes.write('é', at)
      return concat(fromHex('7a'), Uint8Array.of(length >> 24, length >> 16, length >> 8, length), bytes)
    }
    expect(decodeCbor(text(131_072, 65_535))).toHaveLength(131_071)
    expect(() => decodeCbor(text(131_073, 65_535))).toThrow(ParseError)
    expect(decodeCbor(text(131_073, 65_534))).toHaveLength(131_072)
    // An unfinished last character is dropped.
    const unfinished = text(70_000, 0)
    unfinished[unfinished.length - 1] = 0xc3
    expect(decodeCbor(unfinished)).toHaveLength(69_998)
  })

  it('numbers strings of a namespace only where a reference would be shorter', () => {
    expect(written('d90100 83 6161 63616263 d81900')).toEqual([
      'list',
      [
        ['text', 'a'],
        ['text', 'abc'],
        ['text', 'abc'],
      ],
    ])
    expect(written('d90100 82 6161 d81900')).toBe('refused')
    expect(written('d81900')).toBe('refused')
    expect(written('d90100 d81920')).toBe('refused')
  })
})

describe('shared values', () => {
  it('are one object, and may contain themselves', () => {
    const list = decode('d81c 81 d81d00') as CborValue[]
    expect(list[0]).toBe(list)
  })

  it('an array of up to 65,536 items in a map key cannot refer to itself, a longer or indefinite one can', () => {
    expect(written('a1 d81c 81 d81d00 00')).toBe('refused')
    // The indefinite one is a list until it ends, which no key may hold.
    expect(written('a1 d81c 9f d81d00 ff 00')).toBe('refused')
    expect(written('a1 d81c 9f d903e8d81d00 ff 00')).toBe('refused')
    expect(written('82 d9010281 d81c 81 d81d00 00')).toBe('refused')
  })

  it.each(['d81d00', 'd81cd81d00', '82d81c00d81d01', '82d81cf6d81d00', '82d81c00d81df4', '82d81c00d81d20'])(
    'refuses a reference to nothing: %s',
    (hex) => {
      expect(written(hex)).toBe('refused')
    },
  )

  it('make values that would be exponentially large when written out, in bounded time', () => {
    // Item i is [item i - 1, item i - 1].
    const levels = 400
    const step = (i: number): string => `d81c82${`d81d19${(i - 1).toString(16).padStart(4, '0')}`.repeat(2)}`
    const rows = Array.from({ length: levels }, (_, i) => (i === 0 ? 'd81c8100' : step(i))).join('')
    const spent = cpuTime(() => {
      expect(decode(`9f${rows}ff`)).toHaveLength(levels)
      // The same as a key: hashing it piece by piece costs no more.
      expect((decode(`a1 9f${rows}ff 00`) as CborMap).size).toBe(1)
    })
    expect(spent).toBeLessThan(2000)
  })

  it('make arithmetic that would never end: refused once it is out of proportion', () => {
    // Fraction i is fraction i - 1 by its own reciprocal: twice as many digits each.
    const reference = (i: number): string => `d81d18${i.toString(16).padStart(2, '0')}`
    const step = (i: number): string => `d81cd81e82${reference(i - 1)}d81e8201${reference(i - 1)}`
    const rows = Array.from({ length: 60 }, (_, i) => (i === 0 ? 'd81cd81e820305' : step(i))).join('')
    // A large number whose digits are asked for again and again.
    const large = `d81cc25a00030d40${'7f'.repeat(200_000)}`
    const spent = cpuTime(() => {
      expect(written(`9f${rows}ff`)).toBe('refused')
      expect(() => decode(`9f${large}${'c58201d81d00'.repeat(20_000)}ff`)).toThrow(ParseError)
    })
    expect(spent).toBeLessThan(20_000)
  })
})

describe('tags', () => {
  it.each([
    ['c2 40', ['int', '0']],
    ['c3 4100', ['int', '-1']],
    ['c2 f6', 'refused'],
    ['c4 82 20 05', ['decimal', '0.5']],
    ['c4 82 1b0de0b6b3a763ffff 01', ['decimal', '1E+999999999999999999']],
    ['c4 82 1b0de0b6b3a763ffff 0a', 'refused'],
    ['c5 82 01 03', ['decimal', '6']],
    ['c5 82 1a0032b048 01', ['decimal', '9.363453492485769516237284636E+999999']],
    ['c5 82 1a0032b049 01', 'refused'],
    ['c5 82 c4822005 01', ['decimal', '1.414213562373095048801688724']],
    ['d81e 82 02 03', ['fraction', '2', '3']],
    ['d81e 82 02 00', 'refused'],
    ['d81e 81 63312f34', ['fraction', '1', '4']],
    ['d823 6128', 'refused'],
    ['d823 4161', ['regexp', "b'a'"]],
    ['d825 4100', 'refused'],
    ['d9010281 80', ['set', [['tuple', []]]]],
    ['d90104 46010203040506', ['tag', '260', ['bytes', '010203040506']]],
    ['d903ec 6a323031332d30332d3231', ['date', '2013-03-21']],
    ['d864 00', ['date', '1970-01-01']],
    ['c1 fb3ff8000000000000', ['datetime', '1970-01-01T00:00:01.500000+00:00']],
    ['c1 1b0000003afff44180', 'refused'],
    ['c1 c4820001', 'refused'],
    ['c0 74323031332d30322d32395432303a30343a30305a', 'refused'],
    ['d9d9f7 d9d9f7 00', ['int', '0']],
  ])('%s', (hex, value) => {
    expect(written(hex)).toEqual(value)
  })

  it("the significand of tag 4 may be whatever Python's Decimal takes, of which only the digits count", () => {
    expect(written('c4 82 01 64 2d312e35')).toEqual(['decimal', '-1.5E+2'])
    expect(written('c4 82 01 f93e00')).toEqual(['decimal', '1.5E+2'])
    expect(written('c4 82 00 80')).toEqual(['decimal', '0'])
    expect(written('c4 82 00 8105')).toEqual(['decimal', '5'])
    expect(written('c4 82 00 8205f6')).toEqual(['decimal', '5'])
    expect(written('c4 82 00 820500')).toBe('refused')
    expect(written('c4 82 6146 05')).toEqual(['decimal', 'Infinity'])
  })

  it('tag 36 takes null for an empty message, and every text, whatever stands in it', () => {
    for (const hex of ['d824f6', 'd82460', 'd824613a']) expect(written(hex)).toEqual(['message'])
    for (const hex of ['d82400', 'd82440', 'd824f7']) expect(written(hex)).toBe('refused')
  })

  it('tag 261 holds one address with one prefix length; a bool is no prefix length, and in a map key no network decodes', () => {
    expect(written('d90105 a1 44c0a80001 10')).toEqual(['other', 'IPv4Network', '192.168.0.0/16'])
    for (const hex of ['a144c0a80001f5', 'a0', 'a144c0a800011821', 'a143c0a80001', 'a243c0a8000100']) {
      expect(written(`d90105${hex}`)).toBe('refused')
    }
    expect(written('a1 d90105 a1 44c0a80001 10 00')).toBe('refused')
  })

  it('unknown ones keep their value', () => {
    const tag = decode('d903e8 8101') as CborTag
    expect(tag).toBeInstanceOf(CborTag)
    expect(tag.tag).toBe(1000n)
    expect(tag.value).toEqual([1n])
    const [entry] = (decode('a1 d903e8 8101 00') as CborMap).entries()
    expect(entry?.key).toMatchObject({ tag: 1000n, value: new CborTuple([1n]) })
  })
})
