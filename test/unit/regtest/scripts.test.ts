import { describe, expect, it } from 'vitest'
import { fromHex } from '../../../src/lib/bytes.ts'
import { asmOf } from '../../../src/regtest/asm.ts'
import { checksum, descriptorOf, isOnCurve } from '../../../src/regtest/descriptor.ts'
import { amountText, JsonText, toJson } from '../../../src/regtest/json.ts'
import { moneyText } from '../../../src/regtest/reject.ts'

const KEY = '0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798'
const SIGNATURE =
  '304402200815c8a6f0a5b6c0a2a4a6d5a3a1a1f4d7c8f5a0b9c8d7e6f5a4b3c2d1e0f10b02200a15c8a6f0a5b6c0a2a4a6d5a3a1a1f4d7c8f5a0b9c8d7e6f5a4b3c2d1e0f10b'

describe('asmOf', () => {
  it.each([
    [
      '76a914c7f8da21aee8b91bbf077da4405159d691bdf3b688ac',
      'OP_DUP OP_HASH160 c7f8da21aee8b91bbf077da4405159d691bdf3b6 OP_EQUALVERIFY OP_CHECKSIG',
    ],
    ['00', '0'],
    ['4f5160', '-1 1 16'],
    ['02e803', '1000'],
    ['0181', '-1'],
    ['6a0568656c6c6f', 'OP_RETURN 68656c6c6f'],
    ['b1b2ba', 'OP_CHECKLOCKTIMEVERIFY OP_CHECKSEQUENCEVERIFY OP_CHECKSIGADD'],
    ['50fffe', 'OP_RESERVED OP_INVALIDOPCODE OP_UNKNOWN'],
    ['5105aa', '1 [error]'],
    ['', ''],
  ])('%s is %s', (hex, asm) => {
    expect(asmOf(fromHex(hex))).toBe(asm)
  })

  it('names the sighash type of signatures where it is asked to, and of nothing else', () => {
    const script = fromHex(`47${SIGNATURE}01`)
    expect(asmOf(script, true)).toBe(`${SIGNATURE}[ALL]`)
    expect(asmOf(script)).toBe(`${SIGNATURE}01`)
    expect(asmOf(fromHex(`47${SIGNATURE}09`), true)).toBe(`${SIGNATURE}09`)
    const long = fromHex(`47${SIGNATURE.replace(/^3044/, '3045')}01`)
    expect(asmOf(long, true)).not.toContain('[')
  })
})

describe('descriptorOf', () => {
  it('has the checksum of BIP380', () => {
    expect(checksum('raw(deadbeef)')).toBe('89f8spxm')
    expect(descriptorOf(fromHex('deadbeef'))).toBe('raw(deadbeef)#89f8spxm')
  })

  it.each([
    [`5120${KEY.slice(2)}`, `rawtr(${KEY.slice(2)})`],
    [`5120${'ff'.repeat(32)}`, 'addr(bcrt1p'],
    [`21${KEY}ac`, `pk(${KEY})`],
    [`5121${KEY}21${KEY}52ae`, `multi(1,${KEY},${KEY})`],
    ['a914c7ffe1adf6a272af044dbf2d0c2734c511bcc59087', 'addr(2NBUizRMbJN28MCE4qUnahZmWku7ALq7dyc)'],
    ['51024e73', 'addr(bcrt1pfeesnyr2tx)'],
  ])('of %s begins with %s', (hex, start) => {
    expect(descriptorOf(fromHex(hex))).toContain(start)
  })

  it('knows which numbers are on the curve', () => {
    expect(isOnCurve(fromHex(KEY.slice(2)))).toBe(true)
    expect(isOnCurve(fromHex(`${'00'.repeat(31)}05`))).toBe(false)
    expect(isOnCurve(fromHex('ff'.repeat(32)))).toBe(false)
  })
})

describe('toJson', () => {
  it('writes satoshis as BTC with eight decimals, doubles with 16 digits, and leaves out what is undefined', () => {
    const value = {
      fee: 100n,
      lost: -5n,
      ratio: 4.656542373906925e-10,
      none: undefined,
      list: [1, 'ä', null],
      text: new JsonText('1.50'),
    }
    expect(toJson(value)).toBe(
      '{"fee":0.00000100,"lost":-0.00000005,"ratio":4.656542373906925e-10,"list":[1,"ä",null],"text":1.50}',
    )
    expect(amountText(2_100_000_000_000_000n)).toBe('21000000.00000000')
  })

  it('writes amounts in messages as Core does', () => {
    expect([500n, 100_000n, 2_500_000_000n, -1n].map(moneyText)).toEqual(['0.000005', '0.001', '25.00', '-0.00000001'])
  })
})
