import { describe, expect, it } from 'vitest'
import {
  atomicalRef,
  compactId,
  hasIdShape,
  idOf,
  indexOfId,
  parseCompactId,
  txidOfId,
} from '../../../src/atomicals/ids.ts'
import { fromDisplayHex, toDisplayHex, toHex } from '../../../src/lib/bytes.ts'

const TXID = '73e3f3d107b5346868e09e2184e8c08356f8544641b570567aea4b1dc6bc5334'

describe('ids', () => {
  it('are txid in internal order and index, written as txid, i and index', () => {
    const id = idOf(fromDisplayHex(TXID), 258)
    expect(toHex(id)).toBe(`${toHex(fromDisplayHex(TXID))}02010000`)
    expect(compactId(id)).toBe(`${TXID}i258`)
    expect(toDisplayHex(txidOfId(id))).toBe(TXID)
    expect(indexOfId(id)).toBe(258)
  })

  it.each([
    ['0', 0],
    ['100000', 100_000],
    ['+1', 1],
    ['01', 1],
    [' 1\n', 1],
    ['1_0', 10],
    ['-0', 0],
    ['٣', 3],
  ])("the index of an id is read as Python's int() does: %j", (text, index) => {
    expect(toHex(parseCompactId(`${TXID}i${text}`) ?? new Uint8Array(0))).toBe(toHex(idOf(fromDisplayHex(TXID), index)))
  })

  it.each(['', '100001', '-1', '1.0', '1__0', '_1', '0x1', '1 0', 'i1', '٣a', '9'.repeat(5000)])(
    'refuses an index of %j',
    (text) => {
      expect(parseCompactId(`${TXID}i${text}`)).toBeUndefined()
    },
  )

  it.each([
    '',
    'i0',
    `${TXID.slice(1)}i0`,
    `0${TXID}i0`,
    `${TXID.slice(1)}gi0`,
    TXID,
    `${TXID}I0`,
    ` ${TXID.slice(1)}i0`,
  ])('refuses %j', (text) => {
    expect(parseCompactId(text)).toBeUndefined()
    expect(hasIdShape(text)).toBe(false)
  })

  it('takes hex of either case', () => {
    expect(parseCompactId(`${TXID.toUpperCase()}i0`)).toEqual(parseCompactId(`${TXID}i0`))
  })

  it('where a rule names a token, any text that begins with 64 hex digits and an i counts as an id', () => {
    expect(hasIdShape(`${TXID}ifoo`)).toBe(true)
    expect(parseCompactId(`${TXID}ifoo`)).toBeUndefined()
  })
})

describe('atomicalRef', () => {
  it.each([
    [TXID, 'efhz7m87pmt6gt70krgr9t60gdbfgn2686tq0nktx95hvhnwact0i0'],
    [
      '829e034814e9ececa33697e42978241983a0ee3c599fd76b53f3b1db7d8f3841',
      'gaf06j0mx7pes8spjzj2jy14361t1vhwb6fxettkyerxpzcf710gi0',
    ],
    [
      '6792d62e5a51b43d368359954c00955867a013be99795f469b2814acd5628205',
      'cy9dcbjta6t3tdm3b6amr04nb1kt04xyk5wnyhmv50aasnb2g82gi0',
    ],
  ])('writes %s in base 32, as the reference answered', (txid, ref) => {
    expect(atomicalRef(fromDisplayHex(txid))).toBe(ref)
  })

  it('an atomical_ref always ends in i0', () => {
    expect(atomicalRef(new Uint8Array(32))).toBe(`${'0'.repeat(52)}i0`)
    expect(atomicalRef(new Uint8Array(32).fill(255))).toBe(`${'z'.repeat(51)}gi0`)
  })
})
