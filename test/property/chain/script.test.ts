import * as ecc from '@bitcoinerlab/secp256k1'
import { initEccLib, networks, address as oracleAddress, script as oracleScript } from 'bitcoinjs-lib'
import * as fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { addressOf, BITCOIN_ADDRESSES, scriptOfAddress } from '../../../src/chain/address.ts'
import { decodeScript, instructions, pushOf, scriptKind } from '../../../src/chain/script.ts'
import { ParseError } from '../../../src/errors.ts'
import { concat, equalBytes } from '../../../src/lib/bytes.ts'

beforeAll(() => {
  initEccLib(ecc)
})

/** Scripts of known shape around random bytes, so that most of them have an address. */
const paying = fc.oneof(
  fc
    .uint8Array({ minLength: 20, maxLength: 20 })
    .map((hash) => concat(Uint8Array.of(0x76, 0xa9, 20), hash, Uint8Array.of(0x88, 0xac))),
  fc
    .uint8Array({ minLength: 20, maxLength: 20 })
    .map((hash) => concat(Uint8Array.of(0xa9, 20), hash, Uint8Array.of(0x87))),
  fc.uint8Array({ minLength: 20, maxLength: 20 }).map((hash) => concat(Uint8Array.of(0, 20), hash)),
  fc.uint8Array({ minLength: 32, maxLength: 32 }).map((hash) => concat(Uint8Array.of(0, 32), hash)),
)

const witnessed = fc
  .tuple(fc.integer({ min: 1, max: 16 }), fc.uint8Array({ minLength: 2, maxLength: 40 }))
  .map(([version, program]) => concat(Uint8Array.of(0x50 + version), pushOf(program)))

const networkNames = fc.constantFrom('mainnet' as const, 'testnet' as const, 'regtest' as const)
const ORACLE = { mainnet: networks.bitcoin, testnet: networks.testnet, regtest: networks.regtest }

describe('addresses', () => {
  it('lead back to the script they were made of, and to none on a network with other versions', () => {
    fc.assert(
      fc.property(fc.oneof(paying, witnessed), (script) => {
        const { mainnet, testnet } = BITCOIN_ADDRESSES
        const address = addressOf(script, mainnet)!
        expect(scriptOfAddress(address, mainnet)).toEqual(script)
        expect(() => scriptOfAddress(address, testnet)).toThrow(ParseError)
      }),
    )
  })

  it('are those of bitcoinjs-lib, to and fro', () => {
    fc.assert(
      fc.property(paying, networkNames, (script, net) => {
        const address = addressOf(script, BITCOIN_ADDRESSES[net])!
        expect(address).toBe(oracleAddress.fromOutputScript(script, ORACLE[net]))
        expect(scriptOfAddress(address, BITCOIN_ADDRESSES[net])).toEqual(
          new Uint8Array(oracleAddress.toOutputScript(address, ORACLE[net])),
        )
      }),
    )
  })

  it('with one character changed are refused with ParseError', () => {
    fc.assert(
      fc.property(
        fc.oneof(paying, witnessed),
        fc.nat(),
        fc.constantFrom(...Array.from('023456789acdefghjklmnpqrstuvwxyz')),
        (script, at, char) => {
          const address = addressOf(script, BITCOIN_ADDRESSES.mainnet)!
          const place = at % address.length
          fc.pre(address[place] !== char)
          const changed = address.slice(0, place) + char + address.slice(place + 1)
          expect(() => scriptOfAddress(changed, BITCOIN_ADDRESSES.mainnet)).toThrow(ParseError)
        },
      ),
    )
  })

  it('that are any text are refused with ParseError', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 100 }), (text) => {
        expect(() => scriptOfAddress(text, BITCOIN_ADDRESSES.mainnet)).toThrow(ParseError)
      }),
    )
  })
})

describe('scripts', () => {
  it('of any bytes have a kind, an address or none, and instructions that cover them up to a push beyond the end', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (script) => {
        scriptKind(script)
        addressOf(script, BITCOIN_ADDRESSES.mainnet)
        const walk = instructions(script)
        let at = 0
        let step = walk.next()
        for (; step.done !== true; step = walk.next()) {
          expect(step.value.offset).toBe(at)
          at = step.value.end
        }
        expect(step.value).toBe(at)
        if (at === script.length) expect(decodeScript(script).at(-1)?.end ?? 0).toBe(at)
        else expect(() => decodeScript(script)).toThrow(ParseError)
      }),
    )
  })

  it('are taken apart as bitcoinjs-lib does, which gives nothing where a push goes beyond the end', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (script) => {
        const expected = oracleScript.decompile(script)
        if (expected === null) {
          expect(() => decodeScript(script)).toThrow(ParseError)
          return
        }
        const ours = decodeScript(script).map(({ opcode, data }) => asOracle(opcode, data))
        expect(ours).toEqual(expected.map((part) => (typeof part === 'number' ? part : [...part])))
      }),
      { numRuns: 500 },
    )
  })

  it('push any bytes in one instruction', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 300 }),
          fc.nat(70_000).map((n) => new Uint8Array(n)),
        ),
        (data) => {
          const decoded = decodeScript(pushOf(data))
          expect(decoded).toHaveLength(1)
          expect(equalBytes(decoded[0]!.data!, data)).toBe(true)
        },
      ),
    )
  })
})

/** bitcoinjs-lib writes pushes of small numbers as the opcode that pushes the same. */
function asOracle(opcode: number, data: Uint8Array | undefined): number | number[] {
  if (data === undefined) return opcode
  if (data.length === 0) return 0
  const [first] = data
  if (data.length === 1 && first !== undefined && first >= 1 && first <= 16) return 0x50 + first
  return data.length === 1 && first === 0x81 ? 0x4f : [...data]
}
