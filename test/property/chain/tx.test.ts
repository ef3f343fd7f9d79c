import { Transaction as OracleTx } from 'bitcoinjs-lib'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseTx, parseWholeTx, serializeTx } from '../../../src/chain/tx.ts'
import { ParseError } from '../../../src/errors.ts'
import { concat, toDisplayHex } from '../../../src/lib/bytes.ts'
import { txFields } from './arbitraries.ts'

describe('transactions', () => {
  it('are read as they were written', () => {
    fc.assert(
      fc.property(txFields, (fields) => {
        const raw = serializeTx(fields)
        const tx = parseWholeTx(raw)
        const { version, inputs, outputs, locktime } = tx
        expect({ version, inputs, outputs, locktime }).toEqual(fields)
        expect(tx.raw).toEqual(raw)
        expect(tx.baseSize).toBe(serializeTx(fields, { witness: false }).length)
      }),
    )
  })

  it('have the ids and sizes that bitcoinjs-lib gives them', () => {
    fc.assert(
      fc.property(txFields, (fields) => {
        const raw = serializeTx(fields)
        const tx = parseWholeTx(raw)
        const oracle = OracleTx.fromBuffer(Buffer.from(raw))
        expect(toDisplayHex(tx.txid)).toBe(oracle.getId())
        expect(tx.isCoinbase).toBe(oracle.isCoinbase())
        expect([tx.weight, tx.vsize, tx.hasWitness]).toEqual([
          oracle.weight(),
          oracle.virtualSize(),
          oracle.hasWitnesses(),
        ])
      }),
    )
  })

  it('end where they end, whatever stands around them', () => {
    fc.assert(
      fc.property(txFields, fc.uint8Array(), fc.uint8Array(), (fields, before, after) => {
        const raw = serializeTx(fields)
        const { tx, end } = parseTx(concat(before, raw, after), before.length)
        expect(end).toBe(before.length + raw.length)
        expect(tx.txid).toEqual(parseWholeTx(raw).txid)
      }),
    )
  })

  it('are refused with ParseError wherever they are cut off', () => {
    fc.assert(
      fc.property(txFields, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (fields, part) => {
        const raw = serializeTx(fields)
        expect(() => parseTx(raw.subarray(0, Math.floor(raw.length * part)))).toThrow(ParseError)
      }),
    )
  })

  it('are refused with ParseError if anything follows', () => {
    fc.assert(
      fc.property(txFields, fc.uint8Array({ minLength: 1 }), (fields, after) => {
        expect(() => parseWholeTx(concat(serializeTx(fields), after))).toThrow(ParseError)
      }),
    )
  })

  it('never make the parser throw anything but ParseError, and what it takes from damaged bytes it can write', () => {
    const damaged = fc
      .tuple(txFields, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }))
      .map(([fields, changes]) => {
        const raw = serializeTx(fields)
        for (const [at, byte] of changes) raw[at % raw.length] = byte
        return raw
      })
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), damaged), (bytes) => {
        try {
          const tx = parseWholeTx(bytes)
          expect(serializeTx(tx)).toEqual(bytes)
        } catch (error) {
          if (!(error instanceof ParseError)) throw error
        }
      }),
      { numRuns: 1000 },
    )
  })
})
