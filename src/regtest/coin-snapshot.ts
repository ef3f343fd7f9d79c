import { createHash } from 'node:crypto'
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { ByteReader } from '../chain/reader.ts'
import { compactSize } from '../chain/tx.ts'
import { ParseError } from '../errors.ts'
import {
  asBuffer,
  concat,
  equalBytes,
  fromDisplayHex,
  toDisplayHex,
  writeUint32LE,
  writeUint64LE,
} from '../lib/bytes.ts'
import { sha256 } from '../lib/hash.ts'
import type { CoinSet } from './coins.ts'

/** Name and version of the format: tip (32), number of coins (4), the coins, and the SHA-256 of all before. */
const MAGIC = new TextEncoder().encode('regtest coins 1\n')
const PART = 1 << 20

/**
 * Writes all coins of the chain that ends in `tip` (as displayed) to a file, so that the next start need not read all
 * blocks. It takes the place of an older one only when it is whole.
 */
export function writeSnapshot(path: string, tip: string, coins: CoinSet): void {
  const fd = openSync(`${path}.new`, 'w', 0o600)
  const hash = createHash('sha256')
  let parts: Uint8Array[] = []
  let size = 0
  const flush = (): void => {
    const bytes = concat(...parts)
    hash.update(bytes)
    for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done)
    parts = []
    size = 0
  }
  const put = (...bytes: readonly Uint8Array[]): void => {
    parts.push(...bytes)
    for (const each of bytes) size += each.length
    if (size > PART) flush()
  }
  try {
    put(MAGIC, fromDisplayHex(tip), uint32(coins.size))
    for (const { txid, index, coin } of coins.entries()) {
      const head = new Uint8Array(16)
      writeUint32LE(head, index, 0)
      writeUint32LE(head, coin.height * 2 + (coin.coinbase ? 1 : 0), 4)
      writeUint64LE(head, coin.value, 8)
      put(txid, head, compactSize(coin.script.length), coin.script)
    }
    flush()
    writeSync(fd, hash.digest())
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  renameSync(`${path}.new`, path)
}

export interface Snapshot {
  /** Hash of the block that the coins belong to, as displayed. */
  readonly tip: string
  /** Puts the coins into a set that is empty. */
  fill(coins: CoinSet): void
}

/** The snapshot in a file; undefined if there is none, or none that is whole: then the blocks are read instead. */
export function readSnapshot(path: string): Snapshot | undefined {
  const bytes = fileBytes(path)
  if (bytes === undefined || bytes.length < MAGIC.length + 68) return undefined
  const body = bytes.subarray(0, -32)
  if (!equalBytes(body.subarray(0, MAGIC.length), MAGIC) || !equalBytes(sha256(body), bytes.subarray(-32)))
    return undefined
  const reader = new ByteReader(body, MAGIC.length)
  const tip = toDisplayHex(reader.take(32))
  const count = reader.uint32()
  return {
    tip,
    fill: (coins) => {
      for (let i = 0; i < count; i++) {
        const txid = reader.take(32)
        const index = reader.uint32()
        const packed = reader.uint32()
        const value = BigInt(reader.amount())
        const script = reader.prefixed()
        coins.add(txid, index, { height: Math.floor(packed / 2), coinbase: packed % 2 === 1, value, script })
      }
      if (reader.remaining > 0) throw new ParseError('bytes behind the last coin', reader.position)
    },
  }
}

function fileBytes(path: string): Uint8Array | undefined {
  try {
    return asBuffer(readFileSync(path))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  writeUint32LE(bytes, value, 0)
  return bytes
}
