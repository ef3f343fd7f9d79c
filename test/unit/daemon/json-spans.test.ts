import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { elementsOf, hexAt, membersOf, parseSpan, textOf, wholeValue } from '../../../src/daemon/json-spans.ts'
import { ParseError } from '../../../src/errors.ts'

function bytes(text: string): Buffer {
  return Buffer.from(text, 'utf8')
}

function resultText(body: string): string | undefined {
  const json = bytes(body)
  const span = membersOf(json, wholeValue(json)).get('result')
  return span === undefined ? undefined : textOf(json, span)
}

/** JSON text of any value, with white space of any kind between its parts. */
const anyJson = fc.tuple(fc.jsonValue(), fc.constantFrom(undefined, 1, '\t', '\r\n ')).map(([value, space]) => ({
  value: JSON.parse(JSON.stringify(value)) as unknown,
  text: JSON.stringify(value, undefined, space === '\r\n ' ? undefined : space),
}))

describe('membersOf', () => {
  it('slices of any reply a result that JSON.parse reads the same, wherever it stands', () => {
    fc.assert(
      fc.property(
        anyJson,
        anyJson,
        fc.boolean(),
        fc.constantFrom('', ' ', '\n\t', '\r\n'),
        (result, other, first, gap) => {
          const members = [`"result"${gap}:${gap}${result.text}`, `"error":${gap}null`, `"x":${other.text}`]
          if (!first) members.reverse()
          const body = `${gap}{${gap}${members.join(`${gap},${gap}`)}${gap}}${gap}`
          const parsed = JSON.parse(body) as { result: unknown }
          expect(JSON.parse(resultText(body) ?? 'nothing')).toEqual(parsed.result)
          expect(resultText(body)).toBe(result.text)
        },
      ),
    )
  })

  it('finds every member of any object, under the same names', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()), (object) => {
        const text = JSON.stringify(object)
        const json = bytes(text)
        const found = [...membersOf(json, wholeValue(json))].map(([name, span]) => [name, parseSpan(json, span)])
        expect(found).toEqual(Object.entries(JSON.parse(text) as object))
      }),
    )
  })

  it('keeps the digits that a number loses in JavaScript', () => {
    const number = '12345678901234567890.123456789012345678901234567890'
    expect(resultText(`{"result":{"value":${number},"fee":0.00000000},"id":1}`)).toBe(
      `{"value":${number},"fee":0.00000000}`,
    )
  })

  it.each([
    ['quotes and backslashes in strings', String.raw`{"result":"a\"},\\","id":1}`, String.raw`"a\"},\\"`],
    ['brackets in strings', '{"result":["}]","{["],"id":1}', '["}]","{["]'],
    ['a name written with escapes', String.raw`{"\u0072esult":7}`, '7'],
    ['the last of two', '{"result":1,"result":2}', '2'],
    ['a word', '{"result":null}', 'null'],
  ])('is not misled by %s', (_what, body, text) => {
    expect(resultText(body)).toBe(text)
  })

  it.each([
    ['nothing', ''],
    ['white space', ' \n'],
    ['an open object', '{"result":1'],
    ['an open string', '{"result":"abc'],
    ['a string that ends in an escaped quote', String.raw`{"result":"abc\"`],
    ['a missing comma', '{"result":1 "id":2}'],
    ['a missing colon', '{"result" 1}'],
    ['a name without quotes', '{result:1}'],
    ['a comma at the end', '{"result":1,}'],
    ['two values', '{"result":1}{"result":2}'],
    ['an array', '[1]'],
    ['a page', '<html></html>'],
  ])('throws ParseError for %s', (_what, body) => {
    expect(() => resultText(body)).toThrow(ParseError)
  })

  it('throws nothing but ParseError, whatever the bytes', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 60 }),
          fc.string({ unit: fc.constantFrom('{', '}', '[', ']', '"', ',', ':', '\\', ' ', '1', 'a') }).map(bytes),
        ),
        (raw) => {
          const json = Buffer.from(raw)
          try {
            const whole = wholeValue(json)
            for (const span of membersOf(json, whole).values()) parseSpan(json, span)
          } catch (error) {
            expect(error).toBeInstanceOf(ParseError)
          }
        },
      ),
    )
  })

  it('does not run out of stack on deep nesting', () => {
    const deep = '['.repeat(1_000_000) + ']'.repeat(1_000_000)
    expect(resultText(`{"result":${deep}}`)).toHaveLength(2_000_000)
  })
})

describe('elementsOf', () => {
  it('finds the elements of any array', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), (array) => {
        const json = bytes(JSON.stringify(array))
        const found = elementsOf(json, wholeValue(json)).map((span) => parseSpan(json, span))
        expect(found).toEqual(JSON.parse(JSON.stringify(array)))
      }),
    )
  })
})

describe('hexAt', () => {
  function read(text: string): Uint8Array {
    const json = bytes(text)
    return hexAt(json, wholeValue(json))
  }

  it('reads any bytes back, into memory of their own', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (raw) => {
        const found = read(`"${Buffer.from(raw).toString('hex')}"`)
        expect(found).toEqual(raw)
        expect(found.buffer.byteLength).toBe(raw.length)
      }),
    )
  })

  it.each(['"abc"', '"zz"', '"00zz"', '12', 'null', '"é"', '""x'])('throws ParseError for %s', (text) => {
    expect(() => read(text)).toThrow(ParseError)
  })
})
