import { describe, expect, it } from 'vitest'
import { idText } from '../../../src/atomicals/id-text.ts'
import {
  ACTIVITY,
  ACTIVITY_CODES,
  ATOMICALS,
  ATOMICALS_SPACES,
  type AtomicalRow,
  BALANCES,
  BLOCKS,
  CHANGES,
  HOLDERS,
  LOCATIONS,
  MINT_COUNTS,
  MINTS,
  NAMES,
  NUMBERS,
  PAYLOADS,
  PAYMENTS,
  RANKS,
  SEALS,
  SUBNAMES,
  TOTALS,
} from '../../../src/atomicals/layout.ts'
import { describeSchema, KEY_SPACES, type KeySpace } from '../../../src/db/layout.ts'
import { compareBytes } from '../../../src/lib/bytes.ts'

const a = idText(new Uint8Array(32).fill(1), 7)
const b = idText(new Uint8Array(32).fill(255), 0)
const script = Uint8Array.of(0x51, 0x20)
const txid = new Uint8Array(32).fill(9)

const nft: AtomicalRow = {
  number: 3,
  type: 'nft',
  immutable: true,
  commitTxNum: 5,
  commitHeight: 2,
  txNum: 6,
  height: 3,
  revealTxid: txid,
  satoshis: 1000,
  script,
  request: { kind: 'subrealm', name: 'sub', parent: b, direct: true },
  terms: undefined,
}

function survives<K, V>(space: KeySpace<K, V>, key: K, value: V): void {
  expect(space.readKey(space.keyBytes(key))).toEqual(key)
  expect(space.readValue(space.valueBytes(value))).toEqual(value)
}

describe('rows of the Atomicals index', () => {
  it('have prefixes of their own, that no row of the index has besides', () => {
    const prefixes = [...KEY_SPACES, ...ATOMICALS_SPACES].map(({ prefix }) => prefix)
    expect(new Set(prefixes).size).toBe(prefixes.length)
    expect(new Set(ATOMICALS_SPACES.map(({ name }) => name)).size).toBe(ATOMICALS_SPACES.length)
  })

  it('are listed in the schema with a sentence each', () => {
    const text = describeSchema(ATOMICALS_SPACES)
    for (const space of ATOMICALS_SPACES) expect(text).toContain(space.describe().sentence)
  })

  it('come back as they were written', () => {
    const held = [
      { id: a, kind: 'nft' as const, value: 1000 },
      { id: b, kind: 'token' as const, value: 0 },
    ]
    const place = { txid: txid.subarray(0, 16), vout: 70_000 }
    survives(LOCATIONS, place, { txNum: 5, satoshis: 1000, script, spentBy: undefined, held })
    survives(LOCATIONS, place, { txNum: 5, satoshis: 1000, script, spentBy: 9, held: [] })
    survives(BALANCES, { id: a, holder: new Uint8Array(16).fill(3) }, { units: 5, outputs: 2 })
    survives(RANKS, { id: a, units: Number.MAX_SAFE_INTEGER, holder: new Uint8Array(16) }, { script })
    survives(TOTALS, { id: a }, { holders: 1, outputs: 2, units: 5 })
    survives(HOLDERS, { id: a, location: b }, { value: 1, satoshis: 2, script })
    survives(ATOMICALS, { id: a }, nft)
    survives(NUMBERS, { number: 3 }, { id: a })
    survives(NAMES, { kind: 'realm', name: 'abc\n', txNum: 7 }, { id: a, commitHeight: 8 })
    survives(SUBNAMES, { kind: 'dmitem', parent: b, name: 'x', txNum: 7 }, { id: a, commitHeight: 8 })
    survives(PAYMENTS, { id: a }, { txNum: 7, location: b, kind: 'work' })
    survives(CHANGES, { id: a, kind: 'evt', txNum: 7 }, { height: 1, txid, vout: 2, initial: false })
    survives(SEALS, { id: a }, { location: b })
    survives(MINT_COUNTS, { id: a }, { count: 21_000_000 })
    survives(MINTS, { id: a, location: b }, { value: 1000, script })
    survives(PAYLOADS, { txNum: 7 }, { op: 'nft', inputIndex: 0, payload: script })
    survives(BLOCKS, { height: 9 }, { hash: txid, count: 3, firstTxNum: 7, positions: [0, 2, 300] })
    const spent = [{ input: 1, location: b, id: a, kind: 'token' as const, value: 5 }]
    const outputs = [{ output: 300, id: a, kind: 'immutable-nft' as const, value: 5 }]
    for (const op of ['none', 'transfer', 'mint-nft-realm'] as const) {
      const row = { op, spent, outputs, burnt: [{ id: a, value: 1 }], clean: false, minted: a }
      survives(ACTIVITY, { txNum: 7 }, row)
    }
  })

  it('keep the terms of tokens', () => {
    const terms = { mintHeight: 1, mintAmount: 546, maxMints: 2 }
    const token = { ...nft, type: 'dft' as const, immutable: false, request: undefined }
    const fixed = { kind: 'fixed', commitWork: '00', revealWork: undefined } as const
    survives(ATOMICALS, { id: a }, { ...token, terms: { ...terms, mode: fixed } })
    const ramp = { increment: 1, start: 256 }
    const perpetual = { kind: 'perpetual', vector: 'abcd', commit: ramp, reveal: undefined, maxMintsGlobal: 7 } as const
    survives(ATOMICALS, { id: a }, { ...token, terms: { ...terms, mode: perpetual } })
  })

  it('sort names before longer ones that begin so, and candidates by number', () => {
    const key = (name: string, txNum: number) => NAMES.keyBytes({ kind: 'realm', name, txNum })
    const keys = [key('ab', 9), key('ab', 300), key('ab-c', 1), key('abc', 1), key('b', 0)]
    expect([...keys].reverse().sort(compareBytes)).toEqual(keys)
  })

  it('refuse names that are not ASCII and ids that are too short', () => {
    expect(() => NAMES.keyBytes({ kind: 'realm', name: 'é', txNum: 1 })).toThrow(RangeError)
    expect(() => NUMBERS.valueBytes({ id: 'short' })).toThrow(RangeError)
  })

  it('have the operation numbers of the reference', () => {
    expect(ACTIVITY_CODES).toMatchObject({
      'mint-dft': 1,
      dft: 20,
      transfer: 30,
      'payment-subrealm': 40,
      'mint-dft-failed': 51,
    })
  })
})
