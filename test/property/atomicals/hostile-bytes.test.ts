import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { findEnvelope } from '../../../src/atomicals/envelope.ts'
import { compactId, idOf, parseCompactId } from '../../../src/atomicals/ids.ts'
import { AtomicalsInterest } from '../../../src/atomicals/interest.ts'
import { findOperation } from '../../../src/atomicals/operation.ts'
import { compilePattern } from '../../../src/atomicals/pattern.ts'
import { parsePayload } from '../../../src/atomicals/payload.ts'
import { ParseError } from '../../../src/errors.ts'
import { concat, fromHex } from '../../../src/lib/bytes.ts'
import { CborMap } from '../../../src/lib/cbor/values.ts'
import { decodeCbor } from '../../../src/lib/cbor.ts'
import { scriptOf } from '../../support/envelopes.ts'

const bytes = (maxLength: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength })

/** Bytes that are heads of CBOR items more often than chance would have it. */
const cborLike = fc
  .array(
    fc.oneof(
      {
        weight: 3,
        arbitrary: fc.constantFrom('00', '01', '20', '60', '6161', '40', '80', '81', '82', 'a0', 'a1', 'bf', '9f'),
      },
      {
        weight: 3,
        arbitrary: fc.constantFrom(
          'c0',
          'c1',
          'c2',
          'c4',
          'c5',
          'd81c',
          'd81d00',
          'd81d01',
          'd81e',
          'd823',
          'd824',
          'd825',
          'd864',
        ),
      },
      {
        weight: 2,
        arbitrary: fc.constantFrom(
          'ff',
          'f4',
          'f6',
          'f7',
          'f97e00',
          'd90102',
          'd90104',
          'd90105',
          'd903ec',
          'd90100',
          'd81900',
        ),
      },
      { weight: 2, arbitrary: bytes(6).map((part) => Buffer.from(part).toString('hex')) },
    ),
    { maxLength: 40 },
  )
  .map((parts) => fromHex(parts.join('')))

describe('hostile bytes', () => {
  it('the decoder returns a value or throws ParseError, nothing else', () => {
    fc.assert(
      fc.property(fc.oneof(bytes(200), cborLike), (input) => {
        try {
          expect(decodeCbor(input)).toBeDefined()
        } catch (error) {
          expect(error).toBeInstanceOf(ParseError)
        }
      }),
      { numRuns: 20_000 },
    )
  })

  it('what follows an item does not change it', () => {
    fc.assert(
      fc.property(cborLike, bytes(8), (input, tail) => {
        let value: unknown
        try {
          value = decodeCbor(input)
        } catch {
          return
        }
        // NaN and cycles aside, equal structure: compare the kinds at the top.
        const again = decodeCbor(concat(input, tail))
        expect(typeof again).toBe(typeof value)
        expect(again instanceof CborMap ? again.size : 0).toBe(value instanceof CborMap ? value.size : 0)
      }),
      { numRuns: 5000 },
    )
  })

  it('a payload is a map or refused, and never fails otherwise', () => {
    fc.assert(
      fc.property(cborLike, fc.boolean(), (input, argsMayHaveBytes) => {
        const payload = parsePayload(concat(fromHex('a16461726773'), input), { argsMayHaveBytes })
        expect(payload === undefined || payload instanceof CborMap).toBe(true)
      }),
      { numRuns: 5000 },
    )
  })

  it('an operation is found only where the quick search says that there may be one', () => {
    const part = fc.oneof(
      fc.constantFrom('63', '0461746f6d', '036e6674', '0178', '01a0', '68', '4c', '4d', '20'),
      bytes(3).map((b) => Buffer.from(b).toString('hex')),
    )
    const item = fc
      .array(part, { maxLength: 12 })
      .map((parts) => concat(fromHex(`20${'33'.repeat(32)}`), fromHex(parts.join(''))))
    const interest = new AtomicalsInterest()
    fc.assert(
      fc.property(fc.array(item, { maxLength: 3 }), (witness) => {
        const found = findEnvelope(witness)
        if (found !== undefined) expect(witness.some((bytes) => interest.marks(bytes))).toBe(true)
        const input = { prevTxid: new Uint8Array(32), prevIndex: 0, witness }
        const operation = findOperation({ inputs: [input] }, { argsMayHaveBytes: true })
        if (operation !== undefined) expect(found).toMatchObject({ op: operation.op })
      }),
      { numRuns: 5000 },
    )
  })

  it('a payload comes back however it is cut into pushes', () => {
    fc.assert(
      fc.property(fc.array(bytes(75), { minLength: 1, maxLength: 6 }), (pieces) => {
        const pushes = pieces.map((piece, i) =>
          i % 3 === 0
            ? concat(Uint8Array.of(piece.length), piece)
            : i % 3 === 1
              ? concat(Uint8Array.of(0x4c, piece.length), piece)
              : concat(Uint8Array.of(0x4d, piece.length, 0), piece),
        )
        const envelope = findEnvelope([scriptOf(fromHex('03646174'), ...pushes, fromHex('68'))])
        expect(envelope).toEqual({ op: 'dat', payload: concat(...pieces) })
      }),
    )
  })

  it('ids come back from their text', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.integer({ min: 0, max: 100_000 }),
        (txid, index) => {
          const id = idOf(txid, index)
          expect(parseCompactId(compactId(id))).toEqual(id)
        },
      ),
    )
  })

  it('patterns of literals, sets and quantifiers match as those of JavaScript, where both mean the same', () => {
    const atom = fc.constantFrom('a', 'b', '7', '-', '.', '[a-c]', '[^b]', '\\d', '[0-9-]')
    const quantifier = fc.constantFrom('', '', '*', '+', '?', '*?', '+?', '??', '{2}', '{1,3}', '{0,2}?')
    const piece = fc.tuple(atom, quantifier).map((parts) => parts.join(''))
    const row = fc.array(
      fc.oneof({ weight: 8, arbitrary: piece }, { weight: 1, arbitrary: fc.constantFrom('^', '\\b') }),
      { maxLength: 6 },
    )
    const pattern = fc
      .array(
        row.map((parts) => parts.join('')),
        { minLength: 1, maxLength: 3 },
      )
      .map((rows) => rows.join('|'))
    const name = fc.array(fc.constantFrom('a', 'b', 'c', '7', '-'), { maxLength: 12 }).map((parts) => parts.join(''))
    fc.assert(
      fc.property(pattern, name, (source, text) => {
        fc.pre(source !== '' && !/[\^b]\W*[*+?{]/.test(source.replaceAll(/\[\^?[^\]]*\]|\\d|(?<!\\)b/g, 'x')))
        expect(compilePattern(source)?.matches(text)).toBe(new RegExp(`^(?:${source})`).test(text))
      }),
      { numRuns: 10_000 },
    )
  })

  it('no text fails as a pattern', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.string({ unit: fc.constantFrom(...Array.from('a[]{}1,-^$\\|?*+.bwdNxu')), maxLength: 20 }),
        ),
        (source) => {
          const pattern = compilePattern(source)
          expect([true, false, undefined]).toContain(pattern?.matches('abc'))
        },
      ),
      { numRuns: 10_000 },
    )
  })
})
