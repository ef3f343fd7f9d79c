import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { toHex } from '../../../src/lib/bytes.ts'
import {
  Bool,
  Height,
  HexTx,
  HexTxs,
  issueError,
  Padding,
  readWholeNumber,
  ScriptHash,
  ScriptPubKey,
  TxId,
} from '../../../src/rpc/schemas.ts'

const HASH = '8b01df4e368ea28f8dc0423bcf7a4923e3a12d307c875e47a0cfbf90b5c39161'

function refusal(schema: z.ZodType, value: unknown): { code: number; message: string } {
  const parsed = z.object({ x: schema }).safeParse({ x: value })
  if (parsed.success) throw new Error('was accepted')
  const { code, message } = issueError(parsed.error)
  return { code, message }
}

describe('a whole number', () => {
  it.each([
    ['a number', 5, 5],
    ['numeric text', '5', 5],
    ['text with blanks and a sign', ' +5\n', 5],
    ['text with underscores', '1_000', 1000],
    ['minus zero as text', '-0', 0],
    ['a fraction, cut', 5.9, 5],
    ['a small negative fraction', -0.5, 0],
    ['true as 1', true, 1],
    ['false as 0', false, 0],
    ['a bigint, above every range', 2n ** 70n, Number.MAX_SAFE_INTEGER],
    ['1e300, above every range', 1e300, Number.MAX_SAFE_INTEGER],
    ['a long text, above every range', '9'.repeat(400), Number.MAX_SAFE_INTEGER],
  ])('is read from %s, as ElectrumX does', (_, value, expected) => {
    expect(readWholeNumber(value)).toBe(expected)
    expect(Object.is(readWholeNumber(value), -0)).toBe(false)
  })

  it.each([-1, '-1', '', ' ', '1.5', '1e5', '0x10', '1__0', '_1', 'abc', null, [1], {}, -5n, '9'.repeat(5000)])(
    'is not %o',
    (value) => {
      expect(refusal(Height, value)).toMatchObject({
        code: 1,
        message: expect.stringContaining('non-negative integer') as unknown,
      })
    },
  )

  it('beyond doubles is an internal error, as in ElectrumX', () => {
    expect(refusal(Height, Number.POSITIVE_INFINITY).code).toBe(-32603)
  })

  it('shows the value, but not all of a long one', () => {
    expect(refusal(Height, 'x'.repeat(1000)).message.length).toBeLessThan(200)
    expect(refusal(Height, 'abc').message).toBe('x: "abc" should be a non-negative integer')
  })
})

describe('a boolean', () => {
  it.each([
    [true, true],
    [1, true],
    [false, false],
    [0, false],
  ])('is read from %j', (value, expected) => {
    expect(Bool('').parse(value)).toBe(expected)
  })

  it.each([2, 'true', '1', null, [], 1n])('is not %s', (value) => {
    expect(refusal(Bool(''), value).code).toBe(1)
  })
})

describe('a script', () => {
  it('is named by its hash in either case and called as the client calls it', () => {
    const { hashX, alias } = ScriptHash.parse(HASH.toUpperCase())
    expect(toHex(hashX)).toBe('6191c3b590bfcfa0475e87')
    expect(alias).toBe(HASH.toUpperCase())
  })

  it('is the same by its hash and by itself', () => {
    const script = '76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac'
    const byScript = ScriptPubKey.parse(script)
    expect(byScript.alias).toBe(HASH)
    expect(toHex(byScript.hashX)).toBe(toHex(ScriptHash.parse(HASH).hashX))
  })

  it.each([HASH.slice(2), `${HASH}00`, HASH.replace('8', 'g'), 5, null, [HASH]])('hash is not %o', (value) => {
    expect(refusal(ScriptHash, value)).toMatchObject({
      code: 1,
      message: expect.stringContaining('not a valid script hash') as unknown,
    })
  })

  it.each(['0', 'zz', 5, null])('is not %o', (value) => {
    expect(refusal(ScriptPubKey, value).code).toBe(1)
  })
})

describe('hex', () => {
  it('of a txid is turned round', () => {
    const { hex, bytes } = TxId.parse(HASH.toUpperCase())
    expect(hex).toBe(HASH)
    expect(toHex(bytes.slice().reverse())).toBe(HASH)
    expect(refusal(TxId, 'ab').code).toBe(1)
  })

  it('of a transaction is whole bytes without blanks', () => {
    expect(HexTx.parse('00fF')).toBe('00fF')
    expect(refusal(HexTx, '000').code).toBe(1)
    expect(refusal(HexTx, '00 ff').code).toBe(1)
  })

  it('of transactions is a list of those', () => {
    expect(HexTxs.parse(['00', 'ff'])).toEqual(['00', 'ff'])
    for (const value of ['00', ['0'], [['00']], null]) expect(refusal(HexTxs, value).code).toBe(1)
  })

  it('of padding can be odd', () => {
    expect(Padding.parse('abc')).toBe('abc')
    expect(refusal(Padding, 'xyz').code).toBe(1)
  })
})
