import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { emptyBatch, HashBatch } from '../../../src/lib/hash-batch.ts'

function digestOf(bytes: Uint8Array, twice: boolean): Buffer {
  const once = createHash('sha256').update(bytes).digest()
  return twice ? createHash('sha256').update(once).digest() : once
}

/** Bytes that differ from place to place. */
function noise(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => ((i + seed) * 2_654_435_761) >>> 13)
}

/** Hashes of messages that stand side by side, and what OpenSSL says of them. */
function hashed(batch: HashBatch, lengths: readonly number[], size: number, twice: boolean, seed = 0) {
  const input = noise(
    lengths.reduce((sum, length) => sum + length, 0),
    seed,
  )
  let end = 0
  const offsets = Uint32Array.from(lengths, (length) => (end += length) - length)
  const target = new Uint8Array(lengths.length * size + 1).fill(0xee)
  batch.clear()
  batch.append(input)
  batch.hash(offsets, Uint32Array.from(lengths), { target: target.subarray(0, -1), size, twice })
  const expected = Buffer.concat(
    lengths.map((length, i) => {
      const start = offsets[i] ?? 0
      return digestOf(input.subarray(start, start + length), twice).subarray(0, size)
    }),
  )
  return { found: Buffer.from(target).toString('hex'), expected: `${expected.toString('hex')}ee` }
}

describe('a batch of hashes', () => {
  it('is what OpenSSL says one by one: every length up to some blocks, once and twice', () => {
    const batch = new HashBatch()
    const lengths = Array.from({ length: 600 }, (_, length) => length)
    for (const twice of [false, true]) {
      const { found, expected } = hashed(batch, lengths, 32, twice)
      expect(found).toBe(expected)
    }
  })

  it('is so for any number of messages of any lengths in any order, as many bytes of each as are wanted', () => {
    const batch = new HashBatch()
    const lengths = fc.array(fc.oneof(fc.nat(130), fc.nat(500), fc.nat(3000)), { maxLength: 40 })
    fc.assert(
      fc.property(lengths, fc.constantFrom(1, 11, 32), fc.boolean(), fc.nat(1000), (all, size, twice, seed) => {
        const { found, expected } = hashed(batch, all, size, twice, seed)
        expect(found).toBe(expected)
      }),
    )
  })

  it('goes on beyond what is hashed at once', () => {
    const lengths = Array.from({ length: 10_001 }, (_, i) => (i * 7) % 150)
    const { found, expected } = hashed(new HashBatch(), lengths, 11, false)
    expect(found === expected).toBe(true)
  })

  it('takes messages that are put together from what was there', () => {
    const batch = emptyBatch()
    const input = noise(3000, 5)
    batch.append(input)
    const start = batch.appendAgain(0, 4)
    batch.appendAgain(100, 160)
    batch.appendAgain(2996, 3000)
    // Far more than the memory had room for.
    batch.append(noise(1 << 20, 6))
    const target = new Uint8Array(32)
    batch.hash(Uint32Array.of(start), Uint32Array.of(68), { target, size: 32, twice: true })
    const whole = Buffer.concat([input.subarray(0, 4), input.subarray(100, 160), input.subarray(2996)])
    expect(Buffer.from(target).toString('hex')).toBe(digestOf(whole, true).toString('hex'))
  })

  it('is empty for whoever asks for the one of the thread', () => {
    emptyBatch().append(noise(100, 1))
    const batch = emptyBatch()
    batch.append(noise(64, 2))
    const target = new Uint8Array(32)
    batch.hash(Uint32Array.of(0), Uint32Array.of(64), { target, size: 32, twice: false })
    expect(Buffer.from(target).toString('hex')).toBe(digestOf(noise(64, 2), false).toString('hex'))
  })
})
