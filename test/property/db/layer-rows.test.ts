import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PLACE_SIZE } from '../../../src/db/block-delta.ts'
import { NONE_GATHERED } from '../../../src/db/history-rows.ts'
import { RowWriter } from '../../../src/db/keys.ts'
import { Layer } from '../../../src/db/layer.ts'
import { layerRows } from '../../../src/db/layer-rows.ts'
import { TXID_KEY_SIZE, UTXOS } from '../../../src/db/layout.ts'
import { concat, toHex, writeUint32LE } from '../../../src/lib/bytes.ts'

/** Bytes that are all alike but for one: any part of them is the same as that of most others. */
function nearlyAlike(size: number, places: number): fc.Arbitrary<Uint8Array> {
  return fc.tuple(fc.nat(places - 1), fc.integer({ min: 0, max: 2 })).map(([place, byte]) => {
    const bytes = new Uint8Array(size).fill(1)
    bytes[place] = byte
    return bytes
  })
}

const scripts = nearlyAlike(11, 11)
const ids = nearlyAlike(32, TXID_KEY_SIZE)

interface Output {
  readonly script: Uint8Array
  readonly id: Uint8Array
  readonly vout: number
}

const keyOf = ({ script, id, vout }: Output): string => toHex(new RowWriter().utxoKey(script, 0, id, 0, vout))

function placeOf({ id, vout }: Output): Uint8Array {
  const place = new Uint8Array(PLACE_SIZE)
  place.set(id.subarray(0, TXID_KEY_SIZE))
  writeUint32LE(place, vout, TXID_KEY_SIZE)
  return place
}

describe('the rows of a layer', () => {
  it('are what is left of outputs made and spent, however much their scripts and ids have in common', () => {
    const made = fc.array(fc.tuple(scripts, fc.nat(2)), { maxLength: 6 })
    const txs = fc.uniqueArray(
      fc.record({ id: ids, made, foreign: fc.array(scripts, { maxLength: 2 }), picks: fc.nat() }),
      {
        minLength: 2,
        maxLength: 25,
        selector: ({ id }) => toHex(id),
      },
    )
    fc.assert(
      fc.property(txs, (all) => {
        const layer = new Layer()
        layer.begin({ firstTxNum: 7, perBlock: false, listsOutputs: false })
        const expected = new Map<string, 'put' | 'del'>()
        const outs: (Output & { readonly tx: number })[] = []
        const spends: (Output & { readonly tx: number })[] = []
        const unspent: Output[] = []
        for (const [tx, { id, made: paid, foreign, picks }] of all.entries()) {
          // The first one is the coinbase of the only block: it spends nothing, and what it made is told to be gone.
          if (tx > 0) {
            const spent = unspent.splice(picks % (unspent.length + 1), 1)
            for (const output of spent) {
              if (output.id === all[0]?.id) expected.set(keyOf(output), 'del')
              else expected.delete(keyOf(output))
            }
            const strangers = foreign.map((script, i) => ({
              script,
              id: new Uint8Array(32).fill(1),
              vout: 300 + tx * 4 + i,
            }))
            for (const output of strangers) expected.set(keyOf(output), 'del')
            for (const output of [...spent, ...strangers]) spends.push({ ...output, tx })
          }
          for (const [i, [script, step]] of paid.entries()) {
            const output = { script, id, vout: i * 3 + step }
            expected.set(keyOf(output), 'put')
            outs.push({ ...output, tx })
            unspent.push(output)
          }
        }
        layer.append(
          {
            txCount: all.length,
            inputCount: 0,
            inputStarts: new Uint32Array(0),
            inputTags: new Uint8Array(0),
            outs: {
              hashXs: concat(...outs.map(({ script }) => script)),
              txs: Uint32Array.from(outs, ({ tx }) => tx),
              indexes: Uint32Array.from(outs, ({ vout }) => vout),
              values: Float64Array.from(outs, () => 1000),
            },
            spends: {
              hashXs: concat(...spends.map(({ script }) => script)),
              txs: Uint32Array.from(spends, ({ tx }) => tx),
              places: concat(...spends.map(placeOf)),
            },
            touches: { hashXs: new Uint8Array(0), txs: new Uint32Array(0) },
            listed: { hashXs: new Uint8Array(0), txs: new Uint32Array(0) },
          },
          concat(...all.map(({ id }) => id)),
        )
        const found: [string, 'put' | 'del'][] = []
        const note = (key: Uint8Array, what: 'put' | 'del'): void => {
          if (key[0] === UTXOS.prefix) found.push([toHex(key), what])
        }
        const sink = { put: (key: Uint8Array) => note(key, 'put'), del: (key: Uint8Array) => note(key, 'del') }
        for (const _turn of layerRows(layer.data(), false, { below: NONE_GATHERED, get: () => undefined }, sink));
        expect(found).toEqual([...expected].sort(([a], [b]) => (a < b ? -1 : 1)))
      }),
      { numRuns: 300 },
    )
  })
})
