import { describe, expect, it } from 'vitest'
import { addressOf, BITCOIN_ADDRESSES, scriptOfAddress } from '../../../src/chain/address.ts'
import { ParseError } from '../../../src/errors.ts'
import { fromHex, toHex } from '../../../src/lib/bytes.ts'

const PROGRAM = '751e76e8199196d454941c45d1b3a323f1433bd6'

/** Segwit rows: test vectors of BIP173 and BIP350; the anchor's addresses are those that Core prints. */
const VALID = [
  {
    net: 'mainnet',
    address: '1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa',
    script: '76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac',
  },
  { net: 'mainnet', address: '1111111111111111111114oLvT2', script: `76a914${'00'.repeat(20)}88ac` },
  {
    net: 'mainnet',
    address: '3P14159f73E4gFr7JterCCQh9QjiTjiZrG',
    script: 'a914e9c3dd0c07aac76179ebc76a6c78d4d67c6c160a87',
  },
  {
    net: 'testnet',
    address: 'mg2jk6S5WGDhUPA8mLSxDLWpUoQnX1zzoG',
    script: '76a91405a20074ef7eb42c7c6fcd4f499faa699742783288ac',
  },
  { net: 'mainnet', address: 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4', script: `0014${PROGRAM}` },
  { net: 'testnet4', address: 'tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx', script: `0014${PROGRAM}` },
  {
    net: 'signet',
    address: 'tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7',
    script: '00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262',
  },
  {
    net: 'regtest',
    address: 'bcrt1qn7d2x7272lznt5hhk9s07q3cqnrqljnwladrd3',
    script: '00149f9aa3795e57c535d2f7b160ff023804c60fca6e',
  },
  {
    net: 'mainnet',
    address: 'bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0',
    script: '512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798',
  },
  {
    net: 'mainnet',
    address: 'bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y',
    script: `5128${PROGRAM}${PROGRAM}`,
  },
  { net: 'mainnet', address: 'bc1sw50qgdz25j', script: '6002751e' },
  { net: 'mainnet', address: 'bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs', script: '5210751e76e8199196d454941c45d1b3a323' },
  { net: 'mainnet', address: 'bc1pfeessrawgf', script: '51024e73' },
  { net: 'regtest', address: 'bcrt1pfeesnyr2tx', script: '51024e73' },
] as const

describe('addresses', () => {
  it.each(VALID)('$address', ({ net, address, script }) => {
    expect(addressOf(fromHex(script), BITCOIN_ADDRESSES[net])).toBe(address)
    expect(toHex(scriptOfAddress(address, BITCOIN_ADDRESSES[net]))).toBe(script)
  })

  it('are read in upper case where BIP173 allows it', () => {
    const script = scriptOfAddress('BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4', BITCOIN_ADDRESSES.mainnet)
    expect(toHex(script)).toBe(`0014${PROGRAM}`)
  })

  it.each([
    { id: 'nothing', address: '' },
    { id: 'base58 with a wrong checksum', address: '1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb' },
    { id: 'base58 of another network', address: 'mg2jk6S5WGDhUPA8mLSxDLWpUoQnX1zzoG' },
    { id: 'base58 of a private key', address: '5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ' },
    { id: 'bech32 of another network', address: 'tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx' },
    { id: 'bech32 with a wrong checksum', address: 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5' },
    { id: 'mixed case', address: 'bc1QW508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4' },
    // BIP350's list of invalid addresses
    { id: 'version 1 in bech32', address: 'bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd' },
    { id: 'version 0 in bech32m', address: 'bc1q0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd' },
    { id: 'version 17', address: 'BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R' },
    { id: 'program of 1 byte', address: 'bc1pw5dgrnzv' },
    {
      id: 'program of 41 bytes',
      address: 'bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v8n0nx0muaewav253zgeav',
    },
    { id: 'version 0 with 16 bytes', address: 'BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P' },
    {
      id: 'more than four bits of padding',
      address: 'bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v07qwwzcrf',
    },
    { id: 'padding that is not zero', address: 'bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vpggkg4j' },
    { id: 'no data', address: 'bc1gmk9yu' },
    { id: 'very long', address: `bc1p${'q'.repeat(10_000)}` },
  ])('are refused with ParseError: $id', ({ address }) => {
    expect(() => scriptOfAddress(address, BITCOIN_ADDRESSES.mainnet)).toThrow(ParseError)
  })

  it.each([
    { id: 'P2PK', script: `2102${'11'.repeat(32)}ac` },
    { id: 'nulldata', script: '6a0111' },
    { id: 'version 0 of another length', script: `0015${'11'.repeat(21)}` },
    { id: 'empty', script: '' },
  ])('there is none for $id', ({ script }) => {
    expect(addressOf(fromHex(script), BITCOIN_ADDRESSES.mainnet)).toBeUndefined()
  })
})
