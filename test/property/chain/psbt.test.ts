import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Psbt, parsePsbt, psbtBytes } from '../../../src/chain/psbt.ts'
import { compactSize, serializeTx } from '../../../src/chain/tx.ts'
import { ParseError } from '../../../src/errors.ts'
import { concat, joined, toHex } from '../../../src/lib/bytes.ts'
import { growth } from '../../support/cpu-time.ts'
import { entry, psbt0, psbt2, SPENDING } from '../../support/psbt-builder.ts'

function read(bytes: Uint8Array): Psbt | ParseError {
  try {
    return parsePsbt(bytes)
  } catch (error) {
    if (error instanceof ParseError) return error
    throw error
  }
}

const bytes = (maxLength: number) => fc.uint8Array({ maxLength })
const input = fc.record({
  prevTxid: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  prevIndex: fc.nat(0xffff_ffff),
  script: fc.constant(new Uint8Array(0)),
  sequence: fc.nat(0xffff_ffff),
  witness: fc.constant([]),
})
const output = fc.record({ value: fc.bigInt(0n, 21_000_000n * 100_000_000n), script: bytes(80) })
const unsigned = fc.record({
  version: fc.integer(),
  inputs: fc.array(input, { minLength: 1, maxLength: 6 }),
  outputs: fc.array(output, { maxLength: 6 }),
  locktime: fc.nat(0xffff_ffff),
})
/** A field of a type that means nothing to us. */
const unknownField = fc
  .record({ type: fc.integer({ min: 0x40, max: 0xfa }), key: bytes(40), value: bytes(300) })
  .map(({ type, key, value }) => entry(type, value, key))

describe('a PSBT parser', () => {
  it('gives back any transaction that was written, in both versions, whatever unknown fields are in its maps', () => {
    fc.assert(
      fc.property(unsigned, fc.array(unknownField, { maxLength: 6 }), unknownField, (tx, inputs, global) => {
        for (const make of [psbt0, psbt2]) {
          const parsed = parsePsbt(make(tx, { global, inputs }))
          expect(toHex(serializeTx(parsed.tx))).toBe(toHex(serializeTx(tx)))
        }
      }),
    )
  })

  it('never throws but ParseError, on bytes of any kind', () => {
    fc.assert(
      fc.property(bytes(400), (random) => {
        read(random)
        read(concat(Uint8Array.of(0x70, 0x73, 0x62, 0x74, 0xff), random))
      }),
      { numRuns: 2_000 },
    )
  })

  it('never throws but ParseError, on damaged and shortened PSBTs', () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 5 })
    fc.assert(
      fc.property(unsigned, fc.boolean(), damage, fc.nat(), (tx, isNew, changes, cut) => {
        const whole = isNew ? psbt2(tx) : psbt0(tx)
        const damaged = Uint8Array.from(whole)
        for (const [at, byte] of changes) damaged[at % damaged.length] = byte
        read(damaged)
        expect(read(whole.subarray(0, cut % whole.length))).toBeInstanceOf(ParseError)
      }),
      { numRuns: 1_000 },
    )
  })

  it('never throws but ParseError, on text of any kind', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.base64String(), bytes(200).map(toHex)), (text) => {
        try {
          parsePsbt(psbtBytes(text))
        } catch (error) {
          expect(error).toBeInstanceOf(ParseError)
        }
      }),
    )
  })

  it('takes time in proportion to the size, with many fields, many inputs and long values', () => {
    const fields = (count: number): Uint8Array =>
      concat(
        ...Array.from({ length: count }, (_, i) => entry(0x40, new Uint8Array(9), Uint8Array.of(i, i >> 8, i >> 16))),
      )
    const inputs = (count: number) => Array.from({ length: count }, () => SPENDING.inputs[0]!)
    const outputs = (count: number) => Array.from({ length: count }, () => ({ value: 0n, script: new Uint8Array(0) }))
    const witness = (count: number): Uint8Array => {
      const item = concat(Uint8Array.of(15), new Uint8Array(15))
      return joined([compactSize(count), ...Array.from({ length: count }, () => item)])
    }
    const made: ((size: number) => Uint8Array)[] = [
      (size) => psbt0(SPENDING, { global: fields(size / 16) }),
      (size) => psbt0(SPENDING, { inputs: [fields(size / 16)] }),
      (size) => psbt2({ ...SPENDING, inputs: inputs(size / 64) }),
      (size) => psbt2({ ...SPENDING, outputs: outputs(size / 16) }),
      (size) => psbt0(SPENDING, { inputs: [entry(0x08, witness(size / 16))] }),
    ]
    for (const make of made) {
      const [small, large] = [make(1 << 16), make(1 << 18)]
      // The square would be 16 times.
      const grown = growth(
        () => read(small),
        () => read(large),
        { rounds: 15, floor: 0.5 },
      )
      expect(grown).toBeLessThan(11)
    }
  })
})
