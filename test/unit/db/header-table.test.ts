import { describe, expect, it } from 'vitest'
import { HeaderProofs } from '../../../src/db/header-proofs.ts'
import { HeaderTable } from '../../../src/db/header-table.ts'
import { concat, writeUint32LE } from '../../../src/lib/bytes.ts'
import { sha256d } from '../../../src/lib/hash.ts'
import { merkleBranch, merkleRoot } from '../../../src/lib/merkle.ts'

/** A header that says who it is. */
function header(height: number, branch = 0): Uint8Array {
  const bytes = new Uint8Array(80)
  writeUint32LE(bytes, height, 0)
  writeUint32LE(bytes, branch, 4)
  return bytes
}

function tableOf(count: number): HeaderTable {
  const table = new HeaderTable()
  // Block h has h transactions.
  for (let height = 0; height < count; height++)
    table.append(header(height), (height * (height + 1)) / 2, height * height)
  return table
}

function proofOf(headers: readonly Uint8Array[], height: number): object {
  const hashes = concat(...headers.map(sha256d))
  return { branch: merkleBranch(hashes, height), root: merkleRoot(hashes) }
}

describe('the header table', () => {
  it('gives single headers and runs of them, across its chunks and up to its end', () => {
    const list = tableOf(5000).list()
    for (const height of [0, 1, 2015, 2016, 4999]) expect(list.header(height)).toEqual(header(height))
    for (const height of [-1, 5000, 1.5]) expect(list.header(height)).toBeUndefined()
    const some = list.headers(2000, 100)
    expect(some.count).toBe(100)
    expect(some.bytes).toEqual(concat(...Array.from({ length: 100 }, (_, i) => header(2000 + i))))
    expect(list.headers(4998, 100)).toEqual({ count: 2, bytes: concat(header(4998), header(4999)) })
    expect(list.headers(6000, 100)).toEqual({ count: 0, bytes: new Uint8Array(0) })
    expect(list.headers(3, 0)).toEqual({ count: 0, bytes: new Uint8Array(0) })
    expect(list.hashes(2015, 2)).toEqual(concat(sha256d(header(2015)), sha256d(header(2016))))
  })

  it('tells the block of every transaction, also where blocks have none', () => {
    const table = new HeaderTable()
    for (const count of [0, 1, 1, 1, 4, 4, 9]) table.append(header(0), count, 3 * count)
    const list = table.list()
    expect([0, 1, 2, 3, 4, 8].map((txNum) => list.heightOf(txNum))).toEqual([1, 4, 4, 4, 6, 6])
    expect([-1, 0, 1, 4].map((height) => list.txCount(height))).toEqual([0, 0, 1, 4])
    const large = tableOf(3000).list()
    for (let txNum = 0; txNum < 3000; txNum += 7) {
      const height = large.heightOf(txNum)
      expect(large.txCount(height - 1) <= txNum && txNum < large.txCount(height)).toBe(true)
    }
  })

  for (const cut of [0, 1, 2000, 2016, 2017, 4032]) {
    it(`leaves lists as they were when it is cut back to ${cut} and goes on`, () => {
      const table = tableOf(4100)
      const before = table.list()
      table.cut(cut)
      const between = table.list()
      for (let height = cut; height < 4300; height++) table.append(header(height, 1), height, 2 * height)
      const after = table.list()
      expect([before.count, between.count, after.count]).toEqual([4100, cut, 4300])
      for (const height of new Set([0, 1, 1999, 2000, 2015, 2016, 2017, 4031, 4032, 4099])) {
        expect(before.header(height)).toEqual(header(height))
        expect(between.header(height)).toEqual(height < cut ? header(height) : undefined)
        expect(after.header(height)).toEqual(header(height, height < cut ? 0 : 1))
        expect(before.txCount(height)).toBe((height * (height + 1)) / 2)
      }
    })
  }

  it('knows what a list has in common with it after several cuts', () => {
    const table = tableOf(100)
    const first = table.list()
    table.cut(90)
    const second = table.list()
    for (let height = 90; height < 120; height++) table.append(header(height, 1), 0, 0)
    const third = table.list()
    expect([first, second, third].map((list) => table.sharedWith(list))).toEqual([90, 90, 120])
    table.cut(95)
    expect([first, second, third].map((list) => table.sharedWith(list))).toEqual([90, 90, 95])
  })
})

describe('proofs over headers', () => {
  it('are right for views of the chain that is and of one that was', async () => {
    const table = tableOf(700)
    const proofs = new HeaderProofs(table)
    const old = table.list()
    const oldHeaders = Array.from({ length: 700 }, (_, height) => header(height))
    expect(await proofs.prove(old, 300, 699)).toEqual(proofOf(oldHeaders, 300))
    proofs.cut(500)
    table.cut(500)
    for (let height = 500; height < 710; height++) table.append(header(height, 1), 0, 0)
    const now = table.list()
    const nowHeaders = Array.from({ length: 710 }, (_, height) => header(height, height < 500 ? 0 : 1))
    expect(await proofs.prove(now, 600, 709)).toEqual(proofOf(nowHeaders, 600))
    expect(await proofs.prove(old, 600, 699)).toEqual(proofOf(oldHeaders, 600))
    expect(await proofs.prove(now, 5, 600)).toEqual(proofOf(nowHeaders.slice(0, 601), 5))
  })

  it('that are under way during a reorganisation are of the view that was asked', async () => {
    const table = tableOf(700)
    const proofs = new HeaderProofs(table)
    const old = table.list()
    const proof = proofs.prove(old, 650, 699)
    proofs.cut(600)
    table.cut(600)
    for (let height = 600; height < 700; height++) table.append(header(height, 1), 0, 0)
    expect(await proof).toEqual(
      proofOf(
        Array.from({ length: 700 }, (_, height) => header(height)),
        650,
      ),
    )
    const shorter = proofs.prove(table.list(), 650, 699)
    proofs.cut(640)
    table.cut(640)
    const branch = Array.from({ length: 700 }, (_, height) => header(height, height < 600 ? 0 : 1))
    expect(await shorter).toEqual(proofOf(branch, 650))
  })

  it('are refused where there can be none', async () => {
    const table = tableOf(10)
    const proofs = new HeaderProofs(table)
    for (const [height, checkpoint] of [
      [5, 4],
      [-1, 4],
      [3, 10],
      [Number.NaN, 5],
    ] as const) {
      await expect(proofs.prove(table.list(), height, checkpoint)).rejects.toThrow(RangeError)
    }
  })
})
