import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LineFramer } from '../../../src/session/transports/lines.ts'

const MAX = 20

/** What a framer tells of a stream that is cut at `cuts`: texts of lines, and a mark for each dropped one. */
function framed(stream: Uint8Array, cuts: readonly number[]): string[] {
  const told: string[] = []
  const framer = new LineFramer(MAX, {
    onLine: (line) => told.push(Buffer.from(line).toString('latin1')),
    onOversized: (bytes) => {
      expect(bytes).toBeGreaterThan(MAX)
      told.push('dropped')
    },
  })
  let start = 0
  for (const cut of [...cuts, stream.length]) {
    // A copy, so that a framer that kept views of what it may not keep would show it.
    const chunk = Uint8Array.from(stream.subarray(start, cut))
    framer.push(chunk)
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

  it('tells the same when every byte comes by itself', () => {
    fc.assert(
      fc.property(bytes, (stream) => {
        expect(framed(stream, [...stream.keys()])).toEqual(expected(stream))
      }),
    )
  })
})
