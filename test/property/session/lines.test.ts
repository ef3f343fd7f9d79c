import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LongText } from '../../../src/lib/long-text.ts'
import type { Message } from '../../../src/session/transports/connection.ts'
import { LineFramer } from '../../../src/session/transports/lines.ts'
import { linesOf } from '../../../src/session/transports/tcp.ts'

const MAX = 20

/**
 * What a framer tells of a stream that is cut at `cuts`: texts of lines, and a mark for each dropped one. `goesOn`: its
 * answers to the framer's question, over and over.
 */
function framed(stream: Uint8Array, cuts: readonly number[], goesOn: readonly boolean[] = [true]): string[] {
  const told: string[] = []
  let asked = 0
  const framer = new LineFramer(MAX, {
    onLine: (line) => told.push(Buffer.from(line).toString('latin1')),
    onOversized: (bytes) => {
      expect(bytes).toBeGreaterThan(MAX)
      told.push('dropped')
    },
    goesOn: () => goesOn[asked++ % goesOn.length] === true,
  })
  let start = 0
  for (const cut of [...cuts, stream.length]) {
    // A copy, so that a framer that kept views of what it may not keep would show it.
    const chunk = Uint8Array.from(stream.subarray(start, cut))
    let rest: Uint8Array | undefined = chunk
    while (rest !== undefined) {
      const before: number = told.length
      const left = framer.push(rest)
      // It stops between lines only, and gets on.
      if (left !== undefined) expect(left.length).toBeLessThan(rest.length)
      if (goesOn.every((on) => !on)) expect(told.length).toBeLessThanOrEqual(before + 2)
      rest = left
    }
    expect(framer.buffered).toBeLessThanOrEqual(MAX)
    start = cut
  }
  return told
}

/** The same by the plainest means. */
function expected(stream: Uint8Array): string[] {
  const lines = Buffer.from(stream).toString('latin1').split('\n')
  const rest = lines.pop()!
  const told = lines.map((line) => (line.length > MAX ? 'dropped' : line))
  return rest.length > MAX ? [...told, 'dropped'] : told
}

const bytes = fc
  .array(
    fc.oneof({ weight: 3, arbitrary: fc.integer({ min: 0, max: 255 }) }, { weight: 1, arbitrary: fc.constant(10) }),
    {
      maxLength: 200,
    },
  )
  .map((values) => Uint8Array.from(values))

describe('line framer', () => {
  it('tells the same lines and drops however the stream is cut into chunks', () => {
    fc.assert(
      fc.property(bytes, fc.array(fc.nat(200)), (stream, cuts) => {
        const sorted = cuts.map((cut) => Math.min(cut, stream.length)).sort((a, b) => a - b)
        expect(framed(stream, sorted)).toEqual(expected(stream))
      }),
      { numRuns: 1000 },
    )
  })

  it('tells the same wherever it is stopped between two lines and gone on with', () => {
    const answers = fc.array(fc.boolean(), { minLength: 1, maxLength: 5 })
    fc.assert(
      fc.property(bytes, fc.array(fc.nat(200)), answers, (stream, cuts, goesOn) => {
        const sorted = cuts.map((cut) => Math.min(cut, stream.length)).sort((a, b) => a - b)
        expect(framed(stream, sorted, goesOn)).toEqual(expected(stream))
      }),
      { numRuns: 1000 },
    )
  })

  it('tells the same when every byte comes by itself', () => {
    fc.assert(
      fc.property(bytes, (stream) => {
        expect(framed(stream, [...stream.keys()])).toEqual(expected(stream))
      }),
    )
  })
})

const text = fc.string({ unit: 'grapheme', maxLength: 8 })
const message: fc.Arbitrary<Message> = fc.oneof(
  text,
  text.map((value) => Buffer.from(value)),
  fc.tuple(text, text, text).map(([before, body, behind]) => new LongText(before, Buffer.from(body), behind)),
)

describe('lines to send', () => {
  it('are the messages whatever they are made of, each with a line feed, and bytes are not copied', () => {
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 12 }), (messages) => {
        const pieces = linesOf(messages)
        const whole = messages
          .map((sent) => `${typeof sent === 'string' ? sent : Buffer.from(bytesOf(sent)).toString()}\n`)
          .join('')
        expect(Buffer.concat(pieces.map((piece) => Buffer.from(piece))).toString()).toBe(whole)
        expect(pieces.every((piece) => piece.length > 0)).toBe(true)
        const bodies = messages.flatMap((sent) =>
          typeof sent === 'string' ? [] : [sent instanceof LongText ? sent.body : sent],
        )
        const sent = pieces.filter((piece) => typeof piece !== 'string')
        expect(sent).toHaveLength(bodies.filter(({ length }) => length > 0).length)
        expect(sent.every((piece) => bodies.includes(piece))).toBe(true)
      }),
    )
  })
})

function bytesOf(message: Uint8Array | LongText): Uint8Array {
  return message instanceof LongText ? message.toBytes() : message
}
