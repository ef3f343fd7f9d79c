import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { JsonError, readJson, readJsonText, writeJson } from '../../../src/rpc/json.ts'
import { json } from './arbitraries.ts'

describe('JSON', () => {
  it('is read back as it was written, integers of any size included', () => {
    fc.assert(
      fc.property(json, (value) => {
        expect(readJson(Buffer.from(writeJson(value)))).toEqual(value)
      }),
      { numRuns: 2000 },
    )
  })

  it('is written as JSON.stringify writes it where that can', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
        expect(writeJson(value)).toBe(JSON.stringify(value))
      }),
    )
  })

  it('is read as JSON.parse reads it, by the own reader too, or refused by both', () => {
    const mutated = fc.tuple(
      json,
      fc.nat(),
      fc.string({ unit: fc.constantFrom(...Array.from('[]{}",:0123456789.eE+-\\ tfn')) }),
    )
    fc.assert(
      fc.property(mutated, ([value, at, insert]) => {
        const text = writeJson(value)
        const cut = at % (text.length + 1)
        // A long integer in front of it makes the own reader read it.
        const changed = `[1234567890123456,${text.slice(0, cut)}${insert}${text.slice(cut)}]`
        expect(readOwn(changed)).toEqual(readPlain(changed))
      }),
      { numRuns: 3000 },
    )
  })

  it('gives JsonError and nothing else for any bytes', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 100 }),
          fc.string().map((text) => Buffer.from(text)),
        ),
        (bytes) => {
          try {
            readJson(bytes)
          } catch (error) {
            expect(error).toBeInstanceOf(JsonError)
          }
        },
      ),
    )
  })
})

/** With integers rounded, as JSON.parse does it. */
function readOwn(text: string): unknown {
  try {
    return JSON.parse(
      JSON.stringify(readJsonText(text), (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value)),
    )
  } catch (error) {
    if (error instanceof JsonError) return error.fault
    throw error
  }
}

function readPlain(text: string): unknown {
  try {
    return JSON.parse(JSON.stringify(JSON.parse(text)))
  } catch {
    return 'syntax'
  }
}
