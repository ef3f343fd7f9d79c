import { describe, expect, it } from 'vitest'
import { FeeHistogram } from '../../../src/mempool/fee-histogram.ts'

/** [fee, vsize] of 3001 transactions; the same that ElectrumX's own function was given for the bins below. */
function sampleTxs(): [number, number][] {
  let state = 12345
  const next = (): number => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    return state
  }
  const txs: [number, number][] = []
  for (let i = 0; i < 3000; i++) {
    const vsize = 100 + (next() % 2000)
    txs.push([i % 3 === 0 ? vsize * 2 : Math.floor((vsize * (next() % 4000)) / 100), vsize])
  }
  txs.push([3_000_000, 100_000])
  return txs
}

/** What ElectrumX's _compress_histogram makes of them with its bin size of 30,000. */
const ELECTRUMX_BINS = [
  [39.4, 33898],
  [38.8, 37477],
  [38.0, 36469],
  [37.2, 41226],
  [36.3, 47227],
  [35.5, 49094],
  [34.5, 55106],
  [33.1, 58982],
  [31.8, 69564],
  [30.2, 75230],
  [30.0, 120643],
  [28.1, 87450],
  [26.2, 95575],
  [24.4, 106098],
  [22.3, 116970],
  [20.1, 128927],
  [17.7, 144294],
  [15.0, 157553],
  [11.4, 169128],
  [8.3, 189071],
  [4.7, 204943],
  [2.1, 125970],
  [2.0, 1075664],
]

describe('FeeHistogram', () => {
  it('makes the bins that ElectrumX makes, to the byte', () => {
    const histogram = new FeeHistogram()
    for (const [fee, vsize] of sampleTxs()) histogram.add(fee, vsize)
    expect(histogram.compact()).toEqual(ELECTRUMX_BINS)
  })

  it('is the same after transactions came and went, in whatever order', () => {
    const histogram = new FeeHistogram()
    const txs = sampleTxs()
    for (const [fee, vsize] of txs.toReversed()) {
      histogram.add(fee, vsize)
      histogram.add(fee + 1000, vsize + 7)
    }
    for (const [fee, vsize] of txs) histogram.remove(fee + 1000, vsize + 7)
    expect(histogram.compact()).toEqual(ELECTRUMX_BINS)
  })

  it('closes a bin before a lump that would fill two, and leaves out what does not fill the last', () => {
    const histogram = new FeeHistogram()
    histogram.add(400_000, 40_000)
    histogram.add(198_000, 20_000)
    histogram.add(350_000, 70_000)
    histogram.add(10_000, 10_000)
    expect(histogram.compact()).toEqual([
      [10, 40_000],
      [9.9, 20_000],
      [5, 70_000],
    ])
  })

  it('has no bins without transactions, and none once all are gone', () => {
    const histogram = new FeeHistogram()
    expect(histogram.compact()).toEqual([])
    histogram.add(100_000, 50_000)
    expect(histogram.compact()).toEqual([[2, 50_000]])
    histogram.remove(100_000, 50_000)
    expect(histogram.compact()).toEqual([])
  })

  it('gives a frozen list: nobody changes what others were given', () => {
    expect(Object.isFrozen(new FeeHistogram().compact())).toBe(true)
  })
})
