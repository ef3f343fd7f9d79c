import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { compilePattern } from '../../../src/atomicals/pattern.ts'
import { ParseError } from '../../../src/errors.ts'
import type { CborValue } from '../../../src/lib/cbor/values.ts'
import { decodeCbor } from '../../../src/lib/cbor.ts'
import { regexpIsValid } from '../../../src/lib/python/regex.ts'
import { normalized, type OracleValue, toOracle } from '../../support/cbor-oracle.ts'

const FIXTURES = resolve(import.meta.dirname, '../../fixtures/oracles')

function rows<T>(name: string): T[] {
  const lines = gunzipSync(readFileSync(resolve(FIXTURES, name)))
    .toString('utf8')
    .trim()
    .split('\n')
  return lines.map((line) => JSON.parse(line) as T)
}

/** The value, or undefined where it does not decode; anything but a ParseError fails the test. */
function decoded(bytes: Uint8Array): CborValue | undefined {
  try {
    return decodeCbor(bytes)
  } catch (error) {
    if (error instanceof ParseError) return undefined
    throw error
  }
}

describe('tables made by Python', () => {
  it('decodes or refuses every byte string as cbor2 does, to the same value', () => {
    const table = rows<{ hex: string; value?: OracleValue; error?: string }>('cbor.jsonl.gz')
    const wrong = table.filter(({ hex, value }) => {
      const ours = decoded(Buffer.from(hex, 'hex'))
      const written = ours === undefined ? undefined : JSON.stringify(normalized(toOracle(ours)))
      return written !== (value === undefined ? undefined : JSON.stringify(normalized(value)))
    })
    expect(table).toHaveLength(12_476)
    expect(wrong).toEqual([])
  })

  it('decodes or refuses long texts as cbor2 does, piece by piece', () => {
    type Row = { length: number; at: [number, string][]; points?: number }
    const table = rows<Row>('cbor-long-text.jsonl.gz')
    const wrong = table.filter(({ length, at, points }) => {
      const item = Buffer.alloc(5 + length, 'a')
      item.writeUInt8(0x7a)
      item.writeUInt32BE(length, 1)
      for (const [offset, hex] of at) item.write(hex, 5 + offset, 'hex')
      const text = decoded(item)
      return (typeof text === 'string' ? Array.from(text).length : undefined) !== points
    })
    expect(table).toHaveLength(420)
    expect(wrong).toEqual([])
  })

  it('takes or voids every rule pattern as re.compile does, and matches as re.match', () => {
    const table = rows<{ p: string; names?: [string, boolean][] }>('regex.jsonl.gz')
    const wrong = table.filter(({ p, names }) => {
      if (regexpIsValid(p) !== (names !== undefined)) return true
      const pattern = compilePattern(p)
      // Rules do without parentheses and without empty patterns; what Python would make of them does not matter.
      if (p === '' || /[()]/.test(p)) return pattern !== undefined
      if (names === undefined) return pattern !== undefined
      return names.some(([text, matches]) => pattern?.matches(text) !== matches)
    })
    expect(table).toHaveLength(6861)
    expect(table.flatMap(({ names = [] }) => names).length).toBeGreaterThan(98_000)
    expect(wrong).toEqual([])
  })

  it('takes or refuses patterns with groups, as text and as bytes, as re.compile does', () => {
    const table = rows<{ p: string; text: boolean; bytes?: boolean }>('regex-groups.jsonl.gz')
    const wrong = table.filter(
      ({ p, text, bytes }) =>
        regexpIsValid(p) !== text || (bytes !== undefined && regexpIsValid(Buffer.from(p, 'latin1')) !== bytes),
    )
    expect(table).toHaveLength(4000)
    expect(wrong).toEqual([])
  })
})
