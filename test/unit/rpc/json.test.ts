import { describe, expect, it } from 'vitest'
import {
  JsonError,
  MAX_DEPTH,
  MAX_PARTS,
  RawJson,
  readJson,
  readJsonText,
  readMessage,
  readMessageText,
  writeJson,
} from '../../../src/rpc/json.ts'
import { growth } from '../../support/cpu-time.ts'

function faultOf(read: () => unknown): string | undefined {
  try {
    read()
    return undefined
  } catch (error) {
    return error instanceof JsonError ? error.fault : 'another error'
  }
}

describe('readJson', () => {
  it.each([
    ['9007199254740991', 9007199254740991],
    ['9007199254740992', 9007199254740992n],
    ['9007199254740993', 9007199254740993n],
    ['-9007199254740993', -9007199254740993n],
    ['[1,12345678901234567890]', [1, 12345678901234567890n]],
    ['{"a" : 12345678901234567890 , "b":[ ]}', { a: 12345678901234567890n, b: [] }],
    ['12345678901234567890.5', Number('12345678901234567890.5')],
    ['1234567890123456789e3', Number('1234567890123456789e3')],
    ['[0.1234567890123456789]', [Number('0.1234567890123456789')]],
    ['[1e400,-1e400]', [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]],
    [' [true,false,null,1234567890123456789] ', [true, false, null, 1234567890123456789n]],
    [
      '{"a\\"b\\\\":"c\\u0041",":1234567890123456":12345678901234567}',
      { 'a"b\\': 'cA', ':1234567890123456': 12345678901234567n },
    ],
  ])('reads %s', (text, value) => {
    expect(readJson(Buffer.from(text))).toEqual(value)
  })

  it('makes a member of __proto__, not a prototype', () => {
    for (const text of ['{"__proto__":{"x":1}}', '{"__proto__":{"x":12345678901234567890}}']) {
      const value = readJsonText(text) as Record<string, unknown>
      expect(Object.keys(value)).toEqual(['__proto__'])
      expect(value['x']).toBeUndefined()
    }
  })

  it.each([
    '',
    ' ',
    '[',
    '[1234567890123456789',
    '[1234567890123456789,]',
    '{"a":1234567890123456789,}',
    '{"a" 1234567890123456789}',
    '{1234567890123456789:1}',
    '[01234567890123456789]',
    '[-,1234567890123456789]',
    '[1234567890123456789 "\\x"]',
    '[1234567890123456789,"\\x"]',
    '[1234567890123456789,"a\nb"]',
    '[1234567890123456789,"a]',
    '[1234567890123456789,tru]',
    '[1234567890123456789,nul]',
    '[1234567890123456789] x',
    '1234567890123456789 1',
    `[${'9'.repeat(1001)}]`,
    'NaN',
    '[1234567890123456789,NaN]',
    '\ufeff1',
  ])('refuses %j', (text) => {
    expect(faultOf(() => readJson(Buffer.from(text)))).toBe('syntax')
  })

  it.each([[0xff], [0xc3], [0xed, 0xa0, 0x80], [0xc0, 0x80]])('refuses bytes that are not UTF-8 (%#)', (...bytes) => {
    expect(faultOf(() => readJson(Uint8Array.of(0x22, ...bytes, 0x22)))).toBe('encoding')
  })

  it('counts depth outside of texts only', () => {
    const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)
    expect(faultOf(() => readJsonText(nested(MAX_DEPTH)))).toBeUndefined()
    expect(faultOf(() => readJsonText(nested(MAX_DEPTH + 1)))).toBe('depth')
    expect(faultOf(() => readJsonText(`["${'['.repeat(1000)}\\"${'{'.repeat(1000)}"]`))).toBeUndefined()
    expect(faultOf(() => readJsonText(`[${'[],'.repeat(1000)}1]`))).toBeUndefined()
    expect(faultOf(() => readJsonText('{"a":'.repeat(65)))).toBe('depth')
  })

  it('takes linear time for hostile texts', () => {
    const read = (size: number): (() => void) => {
      const texts = [
        `[1234567890123456,"${'\\\\'.repeat(size)}"]`,
        `[1234567890123456,"${'\\"'.repeat(size)}"]`,
        `[1234567890123456${' '.repeat(size)}]`,
        `${'[['.repeat(40)}"${'['.repeat(size)}`,
        '1'.repeat(size),
        `[1234567890123456,${'1,'.repeat(size / 8)}1]`,
      ]
      return () => {
        for (const text of texts) faultOf(() => readJsonText(text))
      }
    }
    expect(Math.log2(growth(read(100_000), read(800_000))) / 3).toBeLessThan(1.7)
  })
})

describe('readMessage', () => {
  it('reads as readJson does', () => {
    expect(readMessage(Buffer.from('[1,12345678901234567890,{"a":[]}]'))).toEqual([1, 12345678901234567890n, { a: [] }])
    expect(faultOf(() => readMessage(Uint8Array.of(0x22, 0xff, 0x22)))).toBe('encoding')
    expect(faultOf(() => readMessageText('[1'))).toBe('syntax')
    expect(faultOf(() => readMessageText('['.repeat(MAX_DEPTH + 1)))).toBe('depth')
  })

  it.each([
    ['members of a list', (parts: number) => `[${'1,'.repeat(parts - 1)}1]`],
    ['lists', (parts: number) => `[${'[],'.repeat((parts - 2) / 2)}[]]`],
    ['objects', (parts: number) => `[${'{},'.repeat((parts - 2) / 2)}{}]`],
    ['members of an object', (parts: number) => `{${'"":1,'.repeat(parts - 1)}"":1}`],
    ['marks in texts', (parts: number) => `["${',{'.repeat((parts - 2) / 2)}["]`],
  ])('takes on just so many parts, before anything is built of them: %s', (_what, text) => {
    expect(faultOf(() => readMessageText(text(MAX_PARTS)))).toBeUndefined()
    expect(faultOf(() => readMessageText(`${text(MAX_PARTS)},`))).toBe('parts')
    expect(faultOf(() => readMessageText(text(100), 100))).toBeUndefined()
    expect(faultOf(() => readMessageText(text(102), 100))).toBe('parts')
  })
})

describe('writeJson', () => {
  it.each([
    [null, 'null'],
    [undefined, undefined],
    [123456789012345678901234567890n, '123456789012345678901234567890'],
    [{ a: 1n, b: undefined, 'c"': [true, 'ü', null, -0] }, '{"a":1,"c\\"":[true,"ü",null,0]}'],
    [[new RawJson('{"x":1.0}'), { y: new RawJson('[ ]') }], '[{"x":1.0},{"y":[ ]}]'],
    ['\ud800', '"\\ud800"'],
    [1e21, '1e+21'],
  ])('writes %o', (value, text) => {
    if (text === undefined) expect(() => writeJson(value)).toThrow(TypeError)
    else expect(writeJson(value)).toBe(text)
  })

  it.each([Number.NaN, Number.POSITIVE_INFINITY, [Number.NaN], { a: () => 1 }, Symbol('x'), [undefined]])(
    'throws for what JSON does not have (%#)',
    (value) => {
      expect(() => writeJson(value)).toThrow(TypeError)
    },
  )

  it('never writes a line feed, which would end the message', () => {
    expect(writeJson([new RawJson('{\n  "x": "a\\nb"\n}'), 'a\nb'])).toBe('[{   "x": "a\\nb" },"a\\nb"]')
  })

  it('throws for cycles instead of hanging', () => {
    const cycle: unknown[] = []
    cycle.push(cycle)
    expect(() => writeJson(cycle)).toThrow(TypeError)
  })
})
