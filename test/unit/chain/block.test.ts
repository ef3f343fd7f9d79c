import { describe, expect, it } from 'vitest'
import {
  checkMerkleRoot,
  hashXAt,
  outpointAt,
  outputScriptAt,
  parseBlock,
  transferablesOf,
  txAt,
  txidAt,
  txRawAt,
} from '../../../src/chain/block.ts'
import { serializeHeader } from '../../../src/chain/headers.ts'
import { hashXOf } from '../../../src/chain/script.ts'
import { compactSize, parseWholeTx, serializeTx, type TxFields } from '../../../src/chain/tx.ts'
import { ParseError } from '../../../src/errors.ts'
import { concat } from '../../../src/lib/bytes.ts'
import { merkleRoot } from '../../../src/lib/merkle.ts'

function txOf(seed: number, options: { readonly witness?: boolean; readonly scripts?: Uint8Array[] } = {}): TxFields {
  return {
    version: 2,
    inputs: [
      {
        prevTxid: new Uint8Array(32).fill(seed),
        prevIndex: seed,
        script: new Uint8Array(seed),
        sequence: 0,
        witness: options.witness === true ? [Uint8Array.of(seed)] : [],
      },
    ],
    outputs: (options.scripts ?? [Uint8Array.of(0x51, seed)]).map((script, i) => ({ value: BigInt(i + seed), script })),
    locktime: 0,
  }
}

function blockOf(txs: readonly TxFields[]): Uint8Array {
  const txids = txs.map((tx) => parseWholeTx(serializeTx(tx)).txid)
  const header = {
    version: 4,
    prevHash: new Uint8Array(32).fill(9),
    merkleRoot: txs.length === 0 ? new Uint8Array(32) : merkleRoot(concat(...txids)),
    time: 1_700_000_000,
    bits: 0x207f_ffff,
    nonce: 5,
  }
  return concat(serializeHeader(header), compactSize(txs.length), ...txs.map((tx) => serializeTx(tx)))
}

describe('parseBlock', () => {
  it('counts inputs and outputs through the block', () => {
    const script = Uint8Array.of(0x52)
    const block = parseBlock(blockOf([txOf(1), txOf(2, { witness: true, scripts: [script, script, script] }), txOf(3)]))
    expect([...block.inputStart]).toEqual([0, 1, 2, 3])
    expect([...block.outputStart]).toEqual([0, 1, 4, 5])
    expect([...block.outputValues]).toEqual([1, 2, 3, 4, 3])
    expect(outputScriptAt(block, 3)).toEqual(script)
    expect(hashXAt(block, 3)).toEqual(hashXOf(script))
    expect(outpointAt(block, 1)).toEqual(concat(new Uint8Array(32).fill(2), Uint8Array.of(2, 0, 0, 0)))
    expect([...block.witnessOffsets].map((offset) => offset !== 0)).toEqual([false, true, false])
    expect(block.time).toBe(1_700_000_000)
  })

  it('flags the outputs that no index keeps', () => {
    const scripts = [[], [0x6a], [0x6a, 1, 2], [0, 0x6a], [0], [0, 0x51, 0x6a], [0x51, 0x6a]].map((script) =>
      Uint8Array.from(script),
    )
    expect([...parseBlock(blockOf([txOf(1, { scripts })])).unspendable]).toEqual([0, 1, 1, 1, 0, 0, 0])
  })

  it('hashes witness transactions of growing and shrinking size', () => {
    const txs = [10, 5000, 20_000, 3].map((length, i) =>
      txOf(i + 1, { witness: true, scripts: [new Uint8Array(length)] }),
    )
    const block = parseBlock(blockOf(txs))
    for (const [i, tx] of txs.entries()) {
      expect(txidAt(block, i)).toEqual(parseWholeTx(serializeTx(tx, { witness: false })).txid)
      expect(txAt(block, i).txid).toEqual(txidAt(block, i))
    }
  })

  it('reads a block inside a larger Buffer', () => {
    const raw = blockOf([txOf(1)])
    const inside = Buffer.concat([Buffer.alloc(3), raw, Buffer.alloc(3)]).subarray(3, -3)
    expect(parseBlock(inside)).toEqual(parseBlock(raw))
  })

  it.each([
    { id: 'nothing', raw: new Uint8Array(0), at: 0 },
    { id: 'less than a header', raw: new Uint8Array(79), at: 0 },
    { id: 'no count', raw: new Uint8Array(80), at: 80 },
    { id: 'no transactions', raw: blockOf([]), at: 80 },
    { id: 'more transactions than can follow', raw: concat(new Uint8Array(80), compactSize(0xffff)), at: 80 },
    { id: 'a trailing byte', raw: concat(blockOf([txOf(1)]), Uint8Array.of(0)), at: 144 },
  ])('refuses with ParseError: $id', ({ raw, at }) => {
    let error: unknown
    try {
      parseBlock(raw)
    } catch (caught) {
      error = caught
    }
    expect(error).toBeInstanceOf(ParseError)
    expect(error).toMatchObject({ offset: at })
  })
})

describe('accessors', () => {
  it('refuse numbers that the block does not have', () => {
    const block = parseBlock(blockOf([txOf(1)]))
    for (const ask of [txRawAt, txAt, outpointAt, outputScriptAt]) expect(() => ask(block, 2)).toThrow(RangeError)
  })
})

describe('checkMerkleRoot', () => {
  it('tells a block whose transactions are not those of its header', () => {
    const raw = blockOf([txOf(1), txOf(2)])
    expect(checkMerkleRoot(parseBlock(raw))).toBe(true)
    raw[raw.length - 1] = 1
    expect(checkMerkleRoot(parseBlock(raw))).toBe(false)
  })

  it('tells a block whose last transactions stand there twice, which has the same root (CVE-2012-2459)', () => {
    const honest = [txOf(1), txOf(2), txOf(3)]
    const doubled = [...honest, txOf(3)]
    expect(parseBlock(blockOf(doubled)).merkleRoot).toEqual(parseBlock(blockOf(honest)).merkleRoot)
    expect(checkMerkleRoot(parseBlock(blockOf(honest)))).toBe(true)
    expect(checkMerkleRoot(parseBlock(blockOf(doubled)))).toBe(false)
  })
})

describe('transferablesOf', () => {
  it('names every buffer once', () => {
    const block = parseBlock(blockOf([txOf(1)]))
    const buffers = transferablesOf(block)
    expect(new Set(buffers).size).toBe(buffers.length)
    expect(buffers).toContain(block.raw.buffer)
    expect(buffers).toContain(block.hash.buffer)
    expect(block.hash.buffer.byteLength).toBe(32)
  })
})
