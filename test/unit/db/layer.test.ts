import { describe, expect, it } from 'vitest'
import { PLACE_SIZE } from '../../../src/db/block-delta.ts'
import { Layer } from '../../../src/db/layer.ts'
import { TXID_KEY_SIZE } from '../../../src/db/layout.ts'
import { concat, writeUint32LE } from '../../../src/lib/bytes.ts'
import { sha256 } from '../../../src/lib/hash.ts'
import { growth } from '../../support/cpu-time.ts'

const HASHX = new Uint8Array(11).fill(7)
const NOTHING = {
  inputCount: 0,
  inputStarts: new Uint32Array(0),
  inputTags: new Uint8Array(0),
  touches: { hashXs: new Uint8Array(0), txs: new Uint32Array(0) },
  listed: { hashXs: new Uint8Array(0), txs: new Uint32Array(0) },
}

function txidOf(n: number): Uint8Array {
  return sha256(Buffer.from(`tx ${n}`))
}

function placeOf(txid: Uint8Array, vout: number): Uint8Array {
  const place = new Uint8Array(PLACE_SIZE)
  place.set(txid.subarray(0, TXID_KEY_SIZE))
  writeUint32LE(place, vout, TXID_KEY_SIZE)
  return place
}

function outs(txs: readonly number[], indexes: readonly number[]) {
  return {
    hashXs: concat(...txs.map(() => HASHX)),
    txs: Uint32Array.from(txs),
    indexes: Uint32Array.from(indexes),
    values: Float64Array.from(txs, (tx) => 1000 + tx),
  }
}

/** A layer of two blocks: one of outputs, half of them of one transaction, and one that spends them all. */
function layerOf(count: number): { readonly layer: Layer; readonly places: readonly Uint8Array[] } {
  const layer = new Layer()
  layer.begin({ firstTxNum: 100, perBlock: true, listsOutputs: false })
  const many = count / 2
  const txids = Array.from({ length: many + 1 }, (_, i) => txidOf(i))
  const at = [
    ...Array.from({ length: many }, (_, i) => [i, 0] as const),
    ...Array.from({ length: many }, (_, i) => [many, i * 2] as const),
  ]
  const none = { hashXs: new Uint8Array(0), txs: new Uint32Array(0), places: new Uint8Array(0) }
  const made = outs(
    at.map(([tx]) => tx),
    at.map(([, vout]) => vout),
  )
  layer.append({ ...NOTHING, txCount: txids.length, outs: made, spends: none }, concat(...txids))
  const places = at.map(([tx, vout]) => placeOf(txids[tx]!, vout))
  const spends = {
    hashXs: concat(...places.map(() => HASHX)),
    txs: new Uint32Array(places.length),
    places: concat(...places),
  }
  layer.append({ ...NOTHING, txCount: 1, outs: outs([0], [0]), spends }, txidOf(-1))
  return { layer, places }
}

describe('a layer', () => {
  it('knows what was made and what was spent before a transaction, and what it says nothing of', () => {
    const { layer, places } = layerOf(8)
    const last = places.at(-1)!
    expect(layer.lastOf(HASHX, last, 4)).toBeUndefined()
    expect(layer.lastOf(HASHX, last, 5)).toEqual({ txNum: 104, vout: 6, value: 1004 })
    expect(layer.lastOf(HASHX, last, 6)).toBe('spent')
    expect(layer.makes(HASHX, last)).toBe(true)
    expect([layer.lastOf(HASHX, placeOf(txidOf(4), 1), 6), layer.makes(HASHX, placeOf(txidOf(4), 1))]).toEqual([
      undefined,
      false,
    ])
    expect([layer.lastOf(HASHX, placeOf(txidOf(9), 0), 6), layer.makes(HASHX, placeOf(txidOf(9), 0))]).toEqual([
      undefined,
      false,
    ])
    expect([layer.findTx(txidOf(4), 5), layer.findTx(txidOf(4), 4), layer.findTx(txidOf(9), 5)]).toEqual([
      104,
      undefined,
      undefined,
    ])
  })

  it('says nothing of an output for a script that it does not pay', () => {
    const { layer, places } = layerOf(8)
    const other = HASHX.map((byte) => byte ^ 1)
    const last = places.at(-1)!
    expect([layer.lastOf(other, last, 5), layer.lastOf(other, last, 6)]).toEqual([undefined, undefined])
    expect(layer.makes(other, last)).toBe(false)
  })

  it('takes the later of two transactions with one id', () => {
    const { layer } = layerOf(8)
    layer.append(
      {
        ...NOTHING,
        txCount: 1,
        outs: outs([0], [0]),
        spends: { hashXs: new Uint8Array(0), txs: new Uint32Array(0), places: new Uint8Array(0) },
      },
      txidOf(0),
    )
    expect(layer.findTx(txidOf(0), 7)).toBe(106)
    expect(layer.lastOf(HASHX, placeOf(txidOf(0), 0), 6)).toBe('spent')
    expect(layer.lastOf(HASHX, placeOf(txidOf(0), 0), 7)).toMatchObject({ txNum: 106 })
  })

  it('is made ready in parts, with turns for others between, and may be asked meanwhile', async () => {
    const { layer, places } = layerOf(20_000)
    let turns = 0
    let counting = true
    const count = (): void => {
      turns += 1
      if (counting) setImmediate(count)
    }
    setImmediate(count)
    const ready = layer.makeReady()
    expect(layer.findTx(txidOf(9_999), layer.txCount)).toBe(100 + 9_999)
    await ready
    counting = false
    // Outputs and spends of 20,000 rows each.
    expect(turns).toBeGreaterThan(10)
    expect(layer.lastOf(HASHX, places.at(-1)!, layer.txCount)).toBe('spent')
    expect(layer.eventsOf(HASHX, { outs: 20_001, spends: 20_000 })).toHaveLength(40_001)
  })

  it('is asked in time that does not grow with the outputs of a script or of a transaction', () => {
    const ask = (count: number): (() => void) => {
      const { layer, places } = layerOf(count)
      layer.lastOf(HASHX, places[0]!, 1)
      return () => {
        for (const place of places) if (layer.lastOf(HASHX, place, count) !== 'spent') throw new Error('not spent')
      }
    }
    // Eight times as many questions: eight times as long, and 64 times if each looked at all outputs of the script.
    expect(growth(ask(4_000), ask(32_000), { rounds: 3 })).toBeLessThan(32)
  })
})
