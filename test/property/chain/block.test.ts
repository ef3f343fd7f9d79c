import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as parsed from '../../../src/chain/block.ts'
import { hashXOf, isUnspendable } from '../../../src/chain/script.ts'
import { parseWholeTx, serializeTx } from '../../../src/chain/tx.ts'
import { txOffsetsOf } from '../../../src/chain/tx-offsets.ts'
import { ParseError } from '../../../src/errors.ts'
import { concat } from '../../../src/lib/bytes.ts'
import { blockOf } from './arbitraries.ts'

describe('blocks', () => {
  it('say in flat arrays what their transactions say one by one', () => {
    fc.assert(
      fc.property(blockOf, ({ txs, raw }) => {
        const block = parsed.parseBlock(raw)
        expect(block.txCount).toBe(txs.length)
        expect(block.inputCount).toBe(txs.reduce((sum, tx) => sum + tx.inputs.length, 0))
        expect(block.outputCount).toBe(txs.reduce((sum, tx) => sum + tx.outputs.length, 0))
        for (const [i, fields] of txs.entries()) expectTx(block, i, serializeTx(fields))
        expect(block.txOffsets.at(-1)).toBe(raw.length)
        expect(txOffsetsOf(raw)).toEqual(block.txOffsets)
        expect(parsed.checkMerkleRoot(block)).toBe(true)
      }),
    )
  })

  it('are the same after they crossed to another thread, copied or transferred', () => {
    fc.assert(
      fc.property(blockOf, ({ raw }) => {
        const block = parsed.parseBlock(raw.slice())
        const copy = structuredClone(block)
        expect(copy).toEqual(block)
        const transfer = parsed.transferablesOf(block)
        expect(structuredClone(block, { transfer })).toEqual(copy)
        expect(block.raw.length + block.txids.length + block.hash.length).toBe(0)
      }),
      { numRuns: 30 },
    )
  })

  it('are refused with ParseError wherever they are cut off, and if anything follows', () => {
    fc.assert(
      fc.property(blockOf, fc.nat(), fc.uint8Array({ minLength: 1 }), ({ raw }, cut, after) => {
        for (const read of [parsed.parseBlock, txOffsetsOf]) {
          expect(() => read(raw.subarray(0, cut % raw.length))).toThrow(ParseError)
          expect(() => read(concat(raw, after))).toThrow(ParseError)
        }
      }),
    )
  })

  it('never make the parser throw anything but ParseError', () => {
    const damaged = fc
      .tuple(blockOf, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }))
      .map(([{ raw }, changes]) => {
        for (const [at, byte] of changes) raw[80 + (at % (raw.length - 80))] = byte
        return raw
      })
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 400 }), damaged), (bytes) => {
        try {
          const block = parsed.parseBlock(bytes)
          for (let i = 0; i < block.txCount; i++) expectTx(block, i, parsed.txRawAt(block, i))
        } catch (error) {
          if (!(error instanceof ParseError)) throw error
        }
      }),
      { numRuns: 1000 },
    )
  })
})

/** Everything that the flat arrays say of transaction `i` is what parseTx makes of its bytes. */
function expectTx(block: parsed.ParsedBlock, i: number, raw: Uint8Array): void {
  const tx = parseWholeTx(raw)
  expect(parsed.txRawAt(block, i)).toEqual(raw)
  expect(parsed.txidAt(block, i)).toEqual(tx.txid)
  expect(parsed.txAt(block, i).wtxid).toEqual(tx.wtxid)
  expect(block.witnessOffsets[i] !== 0).toBe(tx.hasWitness)
  expect(block.inputStart[i + 1]! - block.inputStart[i]!).toBe(tx.inputs.length)
  expect(block.outputStart[i + 1]! - block.outputStart[i]!).toBe(tx.outputs.length)
  for (const [k, input] of tx.inputs.entries()) {
    const outpoint = parsed.outpointAt(block, block.inputStart[i]! + k)
    expect(outpoint.subarray(0, 32)).toEqual(input.prevTxid)
    expect(new DataView(outpoint.slice().buffer).getUint32(32, true)).toBe(input.prevIndex)
  }
  for (const [k, { value, script }] of tx.outputs.entries()) {
    const output = block.outputStart[i]! + k
    expect(BigInt(block.outputValues[output]!)).toBe(value)
    expect(parsed.outputScriptAt(block, output)).toEqual(script)
    expect(parsed.hashXAt(block, output)).toEqual(hashXOf(script))
    expect(block.unspendable[output] === 1).toBe(isUnspendable(script))
  }
}
