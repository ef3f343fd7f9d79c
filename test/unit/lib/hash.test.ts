import { describe, expect, it } from 'vitest'
import { fromHex, toHex } from '../../../src/lib/bytes.ts'
import { HashWriter, hash160, sha256, sha256d } from '../../../src/lib/hash.ts'

const ABC = new TextEncoder().encode('abc')
const SHA_ABC = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
const SHAD_ABC = '4f8b42c22dd3729b519ba6f68d2da7cc5b2d606d05daed5ad5128cc03e6c6358'

describe('hashes', () => {
  it('are those of FIPS 180 and of Bitcoin', () => {
    expect(toHex(sha256(ABC))).toBe(SHA_ABC)
    expect(toHex(sha256(new Uint8Array(0)))).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
    expect(toHex(sha256d(ABC))).toBe(SHAD_ABC)
  })

  it('of a public key is what its address says (BIP173)', () => {
    const key = fromHex('0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798')
    expect(toHex(hash160(key))).toBe('751e76e8199196d454941c45d1b3a323f1433bd6')
  })
})

describe('HashWriter', () => {
  it('writes where it is told and nowhere else', () => {
    const target = Buffer.alloc(100)
    const writer = new HashWriter()
    writer.sha256(ABC, target, 1, 11)
    writer.sha256d(ABC, target, 20)
    writer.sha256(ABC, target, 60)
    const gap = (bytes: number): string => '00'.repeat(bytes)
    expect(target.toString('hex')).toBe(gap(1) + SHA_ABC.slice(0, 22) + gap(8) + SHAD_ABC + gap(8) + SHA_ABC + gap(8))
  })
})
