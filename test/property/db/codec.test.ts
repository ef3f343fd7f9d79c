import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  bytes,
  decode,
  encode,
  type Field,
  latin1,
  list,
  listToEnd,
  optional,
  orderedVarint,
  rest,
  sized,
  struct,
  text,
  u8,
  u16,
  u32,
  u40,
  varint,
} from '../../../src/db/codec.ts'
import { isAllSpent, RowWriter, readHead, readHistory, readUnspent } from '../../../src/db/keys.ts'
import {
  GATHERED,
  HEADERS,
  HEADS,
  HISTORY,
  KEY_SPACES,
  type KeySpace,
  OUTPUTS,
  STATE,
  TXS,
  UNDO,
  UTXOS,
} from '../../../src/db/layout.ts'
import { StorageError } from '../../../src/errors.ts'
import { compareBytes, concat, fromLatin1, toLatin1 } from '../../../src/lib/bytes.ts'

const uint = (bits: number): fc.Arbitrary<number> => fc.maxSafeNat().map((n) => n % 2 ** bits)
const blob = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length })
const latin = fc.uint8Array({ maxLength: 40 }).map(toLatin1)

const cases: readonly { name: string; field: Field<unknown>; values: fc.Arbitrary<unknown> }[] = [
  row('u8', u8, uint(8)),
  row('u16', u16, uint(16)),
  row('u32', u32, uint(32)),
  row('u40', u40, uint(40)),
  row('varint', varint, fc.maxSafeNat()),
  row('ordered varint', orderedVarint, uint(48)),
  row('bytes', bytes(7), blob(7)),
  row('rest', rest, fc.uint8Array()),
  row('sized', sized, fc.uint8Array({ maxLength: 300 })),
  row('latin1', latin1, latin),
  row('text', text, fc.string({ unit: 'grapheme' })),
  row('list', list(varint), fc.array(fc.maxSafeNat())),
  row('list to the end', listToEnd(varint), fc.array(fc.maxSafeNat())),
  row('optional', optional(u32), fc.option(uint(32), { nil: undefined })),
  row(
    'struct',
    struct({ a: u8, b: sized, c: varint }),
    fc.record({ a: uint(8), b: fc.uint8Array(), c: fc.maxSafeNat() }),
  ),
]

function row<T>(name: string, field: Field<T>, values: fc.Arbitrary<T>) {
  return { name, field: field as Field<unknown>, values: values as fc.Arbitrary<unknown> }
}

describe('a field', () => {
  for (const { name, field, values } of cases) {
    it(`reads what it wrote, in just the bytes it announced: ${name}`, () => {
      fc.assert(
        fc.property(values, (value) => {
          const written = encode(field, value)
          expect(written.length).toBe(field.size(value))
          expect(decode(field, written)).toEqual(value)
        }),
      )
    })

    it(`reads hostile bytes to a value or to StorageError: ${name}`, () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 60 }), (hostile) => {
          try {
            decode(field, hostile)
          } catch (error) {
            expect(error).toBeInstanceOf(StorageError)
          }
        }),
      )
    })
  }

  for (const [name, field, bits] of [
    ['ordered varint', orderedVarint, 48],
    ['u8', u8, 8],
    ['u16', u16, 16],
    ['u32', u32, 32],
    ['u40', u40, 40],
  ] as const) {
    it(`sorts as its values do and refuses what does not fit: ${name}`, () => {
      fc.assert(
        fc.property(uint(bits), uint(bits), (a, b) => {
          expect(Math.sign(compareBytes(encode(field, a), encode(field, b)))).toBe(Math.sign(a - b))
        }),
      )
      for (const wrong of [-1, 2 ** bits, 0.5, Number.NaN]) expect(() => encode(field, wrong)).toThrow(RangeError)
    })
  }

  it('refuses values that no field can hold', () => {
    expect(() => encode(varint, -1)).toThrow(RangeError)
    expect(() => encode(varint, 2 ** 53)).toThrow(RangeError)
    expect(() => encode(bytes(3), new Uint8Array(2))).toThrow(RangeError)
  })

  it('says that rows cut short and rows with more behind are damage', () => {
    expect(() => decode(u32, new Uint8Array(3))).toThrow(StorageError)
    expect(() => decode(u32, new Uint8Array(5))).toThrow(StorageError)
    expect(() => decode(varint, Uint8Array.of(0x80))).toThrow(StorageError)
    expect(() => decode(varint, new Uint8Array(12).fill(0xff))).toThrow(StorageError)
    expect(() => decode(list(u8), Uint8Array.of(0xff, 0xff, 0x7f, 1))).toThrow(StorageError)
  })
})

const spaces = [
  space(STATE, fc.constant({}), {
    schema: uint(16),
    coin: fc.string(),
    net: fc.string(),
    genesisHash: blob(32),
    blocks: uint(32),
    tipHash: blob(32),
    txCount: uint(40),
    inputCount: uint(40),
    listsOutputs: uint(8),
    indexers: fc.array(fc.string()),
    settings: fc.array(fc.record({ name: fc.string(), value: fc.string() })),
  }),
  space(HEADERS, fc.record({ height: uint(32) }), { txCount: uint(40), inputCount: uint(40), header: blob(80) }),
  space(TXS, fc.record({ txid: blob(6), txNum: uint(40) }), {}),
  space(OUTPUTS, fc.record({ txid: blob(16), vout: uint(32) }), { hashX: blob(11), value: fc.maxSafeNat() }),
  space(UTXOS, fc.record({ hashX: blob(11), txid: blob(16), vout: uint(32) }), {
    txNum: uint(40),
    value: fc.maxSafeNat(),
  }),
  space(HISTORY, fc.record({ hashX: blob(11), first: uint(40) }), { deltas: fc.array(uint(40)) }),
  space(HEADS, fc.record({ hashX: blob(11) }), { flags: fc.nat(3), deltas: fc.array(uint(40)) }),
  space(GATHERED, fc.record({}), {}),
  space(UNDO, fc.record({ height: uint(32) }), {
    hash: blob(32),
    baseHash: blob(32),
    baseTxCount: uint(40),
    baseInputCount: uint(40),
    base: fc.uint8Array(),
    writes: fc.array(fc.record({ key: latin, value: fc.option(latin, { nil: undefined }) })),
  }),
]

function space<K, V>(
  keySpace: KeySpace<K, V>,
  keys: fc.Arbitrary<K>,
  values: { readonly [P in keyof V]: fc.Arbitrary<V[P]> },
) {
  return {
    keySpace: keySpace as unknown as KeySpace<object, unknown>,
    keys: keys as unknown as fc.Arbitrary<object>,
    values: fc.record(values) as fc.Arbitrary<unknown>,
  }
}

/** Compares keys field by field, in the order of the fields. */
function compareKeys(a: object, b: object): number {
  for (const [name, mine] of Object.entries(a) as [string, unknown][]) {
    const theirs = (b as Record<string, unknown>)[name]
    const order =
      mine instanceof Uint8Array ? compareBytes(mine, theirs as Uint8Array) : (mine as number) - (theirs as number)
    if (order !== 0) return Math.sign(order)
  }
  return 0
}

describe('the key spaces', () => {
  it('are all tried here', () => {
    expect(spaces.map(({ keySpace }) => keySpace.name)).toEqual(KEY_SPACES.map(({ name }) => name))
  })

  it('have prefixes of one byte, none of them twice', () => {
    expect(new Set(KEY_SPACES.map(({ prefix }) => prefix)).size).toBe(KEY_SPACES.length)
  })

  for (const { keySpace, keys, values } of spaces) {
    it(`read what they wrote: ${keySpace.name}`, () => {
      fc.assert(
        fc.property(keys, values, (key, value) => {
          expect(keySpace.readKey(keySpace.keyBytes(key))).toEqual(key)
          expect(keySpace.readValue(keySpace.valueBytes(value))).toEqual(value)
          expect(keySpace.keyText(key)).toBe(toLatin1(keySpace.keyBytes(key)))
          expect(keySpace.readValueText(keySpace.valueText(value))).toEqual(value)
        }),
      )
    })

    it(`sort as their keys do and lie in their range: ${keySpace.name}`, () => {
      fc.assert(
        fc.property(keys, keys, (a, b) => {
          const [mine, theirs] = [keySpace.keyBytes(a), keySpace.keyBytes(b)]
          expect(Math.sign(compareBytes(mine, theirs))).toBe(compareKeys(a, b))
          const { gte, lt } = keySpace.range()
          expect(compareBytes(gte, mine) <= 0 && compareBytes(mine, lt) < 0).toBe(true)
          const narrow = keySpace.range(mine.subarray(1, 4))
          const inside = compareBytes(narrow.gte, theirs) <= 0 && compareBytes(theirs, narrow.lt) < 0
          expect(inside).toBe(compareBytes(theirs.subarray(0, 4), mine.subarray(0, 4)) === 0)
        }),
      )
    })
  }

  it('have ranges that end after any byte, 255 too', () => {
    expect(HISTORY.range(Uint8Array.of(1, 255, 255))).toEqual({
      gte: concat(fromLatin1('h'), Uint8Array.of(1, 255, 255)),
      lt: concat(fromLatin1('h'), Uint8Array.of(2)),
    })
  })
})

describe('rows made by hand', () => {
  const rows = new RowWriter()
  const outpoint = fc.record({
    txid: blob(32),
    vout: fc.oneof(fc.nat(300), uint(32)),
    hashX: blob(11),
    txNum: uint(40),
    value: fc.maxSafeNat(),
  })

  it('are those of the codecs', () => {
    fc.assert(
      fc.property(outpoint, fc.nat(5), ({ txid, vout, hashX, txNum, value }, pad) => {
        const ids = concat(new Uint8Array(pad), txid, new Uint8Array(3))
        const hashXs = concat(new Uint8Array(2 * pad), hashX)
        const short = txid.subarray(0, 16)
        const utxo = UTXOS.keyBytes({ hashX, txid: short, vout })
        expect(rows.outputKey(ids, pad, vout)).toEqual(OUTPUTS.keyBytes({ txid: short, vout }))
        expect(rows.outputValue(hashXs, 2 * pad, value)).toEqual(OUTPUTS.valueBytes({ hashX, value }))
        expect(rows.utxoKey(hashXs, 2 * pad, ids, pad, vout)).toEqual(utxo)
        expect(rows.utxoValue(txNum, value)).toEqual(UTXOS.valueBytes({ txNum, value }))
        expect(readUnspent(utxo, UTXOS.valueBytes({ txNum, value }))).toEqual({ txNum, vout, value })
        expect(rows.txKey(ids, pad, txNum)).toEqual(TXS.keyBytes({ txid: txid.subarray(0, 6), txNum }))
      }),
    )
  })

  it('write and read histories as the codecs do', () => {
    fc.assert(
      fc.property(blob(11), uint(39), fc.array(uint(30), { maxLength: 60 }), (hashX, first, deltas) => {
        const txNums = [first]
        for (const delta of deltas) txNums.push(txNums.at(-1)! + delta)
        expect(rows.historyKey(hashX, 0, first)).toEqual(HISTORY.keyBytes({ hashX, first }))
        for (const txNum of txNums.slice(1)) rows.historyAdd(txNum)
        expect(rows.historyValue()).toEqual(HISTORY.valueBytes({ deltas }))
        const found: number[] = []
        readHistory(HISTORY.keyBytes({ hashX, first }), HISTORY.valueBytes({ deltas }), found)
        expect(found).toEqual(txNums)
      }),
    )
  })

  it('write and read heads of histories as the codecs do', () => {
    fc.assert(
      fc.property(blob(11), fc.nat(3), fc.array(uint(30), { maxLength: 60 }), (hashX, flags, deltas) => {
        const txNums: number[] = []
        for (const delta of deltas) txNums.push((txNums.at(-1) ?? 0) + delta)
        expect(rows.headKey(hashX, 0)).toEqual(HEADS.keyBytes({ hashX }))
        rows.beginHead(flags)
        for (const txNum of txNums) rows.historyAdd(txNum)
        const value = HEADS.valueBytes({ flags, deltas })
        expect(rows.historyValue()).toEqual(value)
        const found: number[] = []
        expect(readHead(value, found)).toBe(flags === 1 || flags === 3)
        expect(isAllSpent(value)).toBe(flags >= 2)
        expect(found).toEqual(txNums)
      }),
    )
  })
})
