import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { toHex } from '../../../src/lib/bytes.ts'
import { readSnapshot, writeSnapshot } from '../../../src/regtest/coin-snapshot.ts'
import { type Coin, CoinSet } from '../../../src/regtest/coins.ts'

const TIP = 'ab'.repeat(31) + '01'
const txid = (n: number): Uint8Array => new Uint8Array(32).fill(n)
const coin = (n: number, scriptLength: number): Coin => ({
  height: n,
  coinbase: n % 2 === 0,
  value: BigInt(n) * 1_000_000_007n,
  script: new Uint8Array(scriptLength).fill(n),
})

function linesOf(coins: CoinSet): string[] {
  return [...coins.entries()]
    .map(({ txid: id, index, coin: { height, coinbase, value, script } }) =>
      [toHex(id), index, height, coinbase, value, toHex(script)].join(' '),
    )
    .sort()
}

/** Scripts on both sides of what is kept within a row. */
function someCoins(): CoinSet {
  const coins = new CoinSet()
  for (const [n, length] of [0, 22, 34, 43, 44, 67, 10_000].entries()) coins.add(txid(n), n * 1000, coin(n, length))
  return coins
}

describe('CoinSet', () => {
  it('gives back what was put in, once', () => {
    const coins = someCoins()
    expect(coins.get(txid(6), 6000)).toEqual(coin(6, 10_000))
    expect(coins.spend(txid(6), 6000)).toEqual(coin(6, 10_000))
    expect(coins.spend(txid(6), 6000)).toBeUndefined()
    expect(coins.has(txid(5), 0)).toBe(false)
    expect(coins.size).toBe(6)
  })

  it('does not mix up a long script with the one that had its place before', () => {
    const coins = someCoins()
    coins.spend(txid(6), 6000)
    coins.add(txid(9), 1, coin(9, 5))
    expect(coins.get(txid(9), 1)).toEqual(coin(9, 5))
    coins.add(txid(9), 1, coin(8, 500))
    expect(coins.get(txid(9), 1)).toEqual(coin(8, 500))
  })
})

describe('a snapshot of coins', () => {
  let directory = ''
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'coins-'))
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  it('has all coins and the block they belong to', () => {
    const path = join(directory, 'snapshot')
    writeSnapshot(path, TIP, someCoins())
    const snapshot = readSnapshot(path)
    const coins = new CoinSet()
    snapshot?.fill(coins)
    expect(snapshot?.tip).toBe(TIP)
    expect(linesOf(coins)).toEqual(linesOf(someCoins()))
  })

  it('is not taken if a byte of it is another, if it is cut, or if it is not there', () => {
    const path = join(directory, 'snapshot')
    writeSnapshot(path, TIP, someCoins())
    const whole = readFileSync(path)
    for (const at of [0, 20, 60, 300, whole.length - 1]) {
      const broken = Buffer.from(whole)
      broken[at] = (broken[at] ?? 0) ^ 1
      writeFileSync(path, broken)
      expect(readSnapshot(path)).toBeUndefined()
    }
    writeFileSync(path, whole.subarray(0, -1))
    expect(readSnapshot(path)).toBeUndefined()
    expect(readSnapshot(join(directory, 'nothing'))).toBeUndefined()
  })
})
