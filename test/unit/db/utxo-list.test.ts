import { describe, expect, it } from 'vitest'
import { OutpointSet, UtxoList } from '../../../src/db/utxo-list.ts'
import { sha256 } from '../../../src/lib/hash.ts'
import { growth } from '../../support/cpu-time.ts'

const txid = (n: number): Uint8Array => sha256(Buffer.from(`tx ${n}`))

function outpoint(n: number, vout: number): Uint8Array {
  const bytes = Buffer.alloc(36)
  bytes.set(txid(n))
  bytes.writeUInt32LE(vout, 32)
  return bytes
}

const COINS = 2_100_000_000_000_000n
const UTXOS = [
  { txid: txid(1), vout: 0, height: 0, value: 0n },
  { txid: txid(1), vout: 4_294_967_295, height: 900_000, value: 4_294_967_295n },
  { txid: txid(2), vout: 7, height: 900_001, value: 4_294_967_296n },
  { txid: txid(3), vout: 7, height: 4_294_967_295, value: COINS },
]

describe('a list of unspent outputs', () => {
  const list = UtxoList.of(UTXOS)

  it('gives back what was put into it, the largest values too', () => {
    expect(list.length).toBe(4)
    expect([0, 1, 2, 3].map((i) => list.at(i))).toEqual(UTXOS.map((utxo) => ({ ...utxo, value: Number(utxo.value) })))
    expect(list.sum()).toBe(Number(COINS) + 2 ** 33 - 1)
  })

  it('finds outputs by id and index together', () => {
    const wanted = new OutpointSet([outpoint(3, 7), outpoint(1, 0), outpoint(2, 0), outpoint(9, 7)])
    expect(list.find(wanted, 0, 4)).toEqual([0, 3])
    expect(list.find(wanted, 1, 3)).toEqual([])
    expect(list.find(new OutpointSet([]), 0, 4)).toEqual([])
  })

  it('finds those of one transaction with thousands of them in time that grows as they do', () => {
    const find = (count: number) => {
      const id = txid(1)
      const many = UtxoList.of(Array.from({ length: count }, (_, vout) => ({ txid: id, vout, height: 1, value: 546n })))
      const spent = Array.from({ length: count }, (_, vout) => outpoint(1, vout))
      return () => expect(many.find(new OutpointSet(spent), 0, count).length).toBe(count)
    }
    expect(Math.log2(growth(find(500), find(4000))) / 3).toBeLessThan(1.7)
  })

  it.each([[[0]], [[3]], [[1, 2]], [[0, 1, 2, 3]]])('without outputs %j has the others in their order', (places) => {
    const left = list.without(places)
    const others = [0, 1, 2, 3].filter((i) => !places.includes(i))
    expect(left.length).toBe(others.length)
    expect(others.map((_, i) => left.at(i))).toEqual(others.map((i) => list.at(i)))
  })

  it('is the same list without nothing', () => {
    expect(list.without([])).toBe(list)
  })
})
