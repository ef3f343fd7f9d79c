import { describe, expect, it } from 'vitest'
import { compactSize, parseTx, parseWholeTx, serializeTx, type TxFields } from '../../../src/chain/tx.ts'
import { ParseError } from '../../../src/errors.ts'
import { fromHex, toDisplayHex, toHex } from '../../../src/lib/bytes.ts'

/** The coinbase of Bitcoin's first block. */
const GENESIS_COINBASE =
  '01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d0104455468652054696d' +
  '65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420666f7220' +
  '62616e6b73ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f' +
  '4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000'

const PREV = '11'.repeat(32)
/** version | marker, flag | one input with an empty script | one output of 1 satoshi | one witness item | locktime */
const SEGWIT = `02000000 0001 01 ${PREV} 00000000 00 ffffffff 01 0100000000000000 01 51 01 01 aa 00000000`
const LEGACY = `02000000 01 ${PREV} 00000000 00 ffffffff 01 0100000000000000 01 51 00000000`

function bytes(spaced: string): Uint8Array {
  return fromHex(spaced.replaceAll(' ', ''))
}

const FIELDS: TxFields = {
  version: 2,
  inputs: [{ prevTxid: fromHex(PREV), prevIndex: 0, script: new Uint8Array(0), sequence: 0xffff_ffff, witness: [] }],
  outputs: [{ value: 1n, script: Uint8Array.of(0x51) }],
  locktime: 0,
}

describe('parseWholeTx', () => {
  it('reads the coinbase of the first block', () => {
    const tx = parseWholeTx(fromHex(GENESIS_COINBASE))
    expect(toDisplayHex(tx.txid)).toBe('4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b')
    expect(tx.outputs[0]?.value).toBe(50_0000_0000n)
    expect(tx).toMatchObject({ version: 1, locktime: 0, isCoinbase: true, hasWitness: false, size: 204, weight: 816 })
    expect(tx.wtxid).toBe(tx.txid)
  })

  it('leaves marker, flag and witnesses out of the txid and counts them once in the weight', () => {
    const segwit = parseWholeTx(bytes(SEGWIT))
    const legacy = parseWholeTx(bytes(LEGACY))
    expect(segwit.txid).toEqual(legacy.txid)
    expect(segwit.wtxid).not.toEqual(legacy.wtxid)
    expect(segwit.inputs[0]?.witness).toEqual([Uint8Array.of(0xaa)])
    expect(segwit).toMatchObject({
      hasWitness: true,
      isCoinbase: false,
      baseSize: 61,
      size: 66,
      weight: 249,
      vsize: 63,
    })
  })

  it('reads a version above 2^31 as the negative number it is', () => {
    const raw = bytes(LEGACY)
    raw.fill(0xff, 0, 4)
    expect(parseWholeTx(raw).version).toBe(-1)
    expect(serializeTx(parseWholeTx(raw))).toEqual(raw)
  })

  it.each([
    { id: 'empty', hex: '', at: 0 },
    { id: 'flag 0: no inputs', hex: '02000000 00 00 00000000', at: 4 },
    { id: 'flag 2', hex: SEGWIT.replace('0001', '0002'), at: 4 },
    { id: 'no inputs after the flag', hex: '02000000 0001 00 00 00000000', at: 6 },
    { id: 'witness section without a witness', hex: SEGWIT.replace('01 01 aa', '00'), at: 59 },
    { id: 'trailing byte', hex: `${LEGACY} 00`, at: 61 },
    { id: 'count in three bytes that fits into one', hex: `02000000 fd0100 ${PREV}`, at: 4 },
    { id: 'count in five bytes that fits into three', hex: `02000000 feffff0000 ${PREV}`, at: 4 },
    { id: 'count in nine bytes that fits into five', hex: `02000000 ffffffffff00000000 ${PREV}`, at: 4 },
    { id: 'count that no bytes can follow', hex: `02000000 fdffff ${PREV}`, at: 4 },
    { id: 'count above the bound of Core', hex: `02000000 feffffff7f ${PREV}`, at: 4 },
    { id: 'count of 2^64 - 1', hex: `02000000 ffffffffffffffffff ${PREV}`, at: 4 },
    { id: 'script beyond the end', hex: `02000000 01 ${PREV} 00000000 fd0001 ffffffff`, at: 44 },
    { id: 'count cut short', hex: '02000000 fd01', at: 5 },
    { id: 'amount of 2^53', hex: LEGACY.replace('0100000000000000', '0000000000002000'), at: 47 },
    { id: 'amount of -1', hex: LEGACY.replace('0100000000000000', 'ffffffffffffffff'), at: 47 },
  ])('refuses with ParseError: $id', ({ hex, at }) => {
    const error = thrownBy(() => parseWholeTx(bytes(hex)))
    expect(error).toBeInstanceOf(ParseError)
    expect(error).toMatchObject({ offset: at })
  })

  it('refuses hostile counts without allocating for them', () => {
    const hostile = bytes(`02000000 01 ${PREV} 00000000 00 ffffffff fe00000002 00000000`)
    const before = process.memoryUsage().heapUsed
    for (let i = 0; i < 100; i++) expect(() => parseWholeTx(hostile)).toThrow(ParseError)
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(100_000_000)
  })

  it('takes the largest exact amount', () => {
    const tx = parseWholeTx(bytes(LEGACY.replace('0100000000000000', 'ffffffffffff1f00')))
    expect(tx.outputs[0]?.value).toBe(2n ** 53n - 1n)
  })

  it('reads views of a Buffer that begins anywhere', () => {
    const whole = Buffer.from(`ff${GENESIS_COINBASE}`, 'hex')
    expect(toHex(parseWholeTx(whole.subarray(1)).raw)).toBe(GENESIS_COINBASE)
  })
})

describe('parseTx', () => {
  it.each([-1, 1.5, 62, Number.NaN])('refuses with ParseError to begin at %d', (offset) => {
    expect(() => parseTx(bytes(LEGACY), offset)).toThrow(ParseError)
  })
})

describe('a coinbase', () => {
  it.each([
    { id: 'has an index of 2^32 - 1', inputs: [{ prevTxid: new Uint8Array(32), prevIndex: 0 }] },
    { id: 'spends the txid of zeros', inputs: [{ prevTxid: fromHex(PREV), prevIndex: 0xffff_ffff }] },
    {
      id: 'has one input',
      inputs: [
        { prevTxid: new Uint8Array(32), prevIndex: 0xffff_ffff },
        { prevTxid: new Uint8Array(32), prevIndex: 0xffff_ffff },
      ],
    },
  ])('$id', ({ inputs }) => {
    const full = inputs.map((input) => ({ ...FIELDS.inputs[0]!, ...input }))
    expect(parseWholeTx(serializeTx({ ...FIELDS, inputs: full })).isCoinbase).toBe(false)
  })
})

describe('serializeTx', () => {
  it('writes marker and flag only if there is a witness and it is wanted', () => {
    const witness = [{ ...FIELDS.inputs[0]!, witness: [Uint8Array.of(0xaa)] }]
    expect(serializeTx(FIELDS)).toEqual(bytes(LEGACY))
    expect(serializeTx({ ...FIELDS, inputs: witness })).toEqual(bytes(SEGWIT))
    expect(serializeTx({ ...FIELDS, inputs: witness }, { witness: false })).toEqual(bytes(LEGACY))
  })

  it('refuses fields that have no serialization', () => {
    expect(() => serializeTx({ ...FIELDS, inputs: [] })).toThrow(RangeError)
    const short = [{ ...FIELDS.inputs[0]!, prevTxid: new Uint8Array(31) }]
    expect(() => serializeTx({ ...FIELDS, inputs: short })).toThrow(RangeError)
  })

  it.each([
    [0xfc, 'fc'],
    [0xfd, 'fdfd00'],
    [0xffff, 'fdffff'],
    [0x1_0000, 'fe00000100'],
  ])('writes the size %d as %s', (size, hex) => {
    expect(toHex(compactSize(size))).toBe(hex)
  })
})

function thrownBy(act: () => unknown): unknown {
  try {
    act()
  } catch (error) {
    return error
  }
  return undefined
}
