import { describe, expect, it } from 'vitest'
import { bitworkOfTarget } from '../../../src/atomicals/bitwork.ts'
import { judgeDistributed, rampedWork } from '../../../src/atomicals/mint/distributed.ts'
import { fromDisplayHex } from '../../../src/lib/bytes.ts'
import { fixture } from '../../support/atomicals-replay.ts'

interface Ramp {
  readonly vector: string
  readonly count: number
  readonly maxMints: number
  readonly increment: number
  readonly start: number
}

const { derived, work, met } = JSON.parse(fixture('atomicals-reference', 'ramp-vectors.json').toString()) as {
  readonly derived: readonly { readonly vector: string; readonly target: number; readonly work: string }[]
  readonly work: readonly (Ramp & { readonly work: string })[]
  readonly met: readonly (Ramp & { readonly txid: string; readonly rollover: boolean; readonly met: boolean })[]
}

function judge({ vector, increment, start, count, maxMints }: Ramp, txid: string, rollover: boolean): string {
  const terms = {
    mintHeight: 0,
    mintAmount: 1000,
    maxMints,
    mode: {
      kind: 'perpetual',
      vector,
      commit: { increment, start },
      reveal: undefined,
      maxMintsGlobal: undefined,
    },
  } as const
  const txs = { commitTxid: fromDisplayHex(txid), revealTxid: new Uint8Array(32) }
  const mint = { height: 9, commitHeight: 9, commitIndex: 0, value: 1000n, txs }
  return judgeDistributed(terms, mint, () => count, { commitZero: true, rollover })
}

describe('work of perpetual tokens, in the cases of the reference', () => {
  it.each(derived)('derives $work from "$vector" at $target', (one) => {
    expect(bitworkOfTarget(one.vector, one.target)).toBe(one.work)
  })

  it.each(work)('asks $work of "$vector" after $count mints, $maxMints a step', (one) => {
    expect(rampedWork(one.vector, one, one.count, one.maxMints)).toBe(one.work)
  })

  it.each(met.map((one, i) => ({ i, ...one })))(
    '$i: met $met by $txid after $count mints, rollover $rollover',
    (one) => {
      expect(judge(one, one.txid, one.rollover)).toBe(one.met ? 'minted' : 'ignored')
    },
  )

  it('from DFT_BITWORK_ROLLOVER on the next full digit is enough, and not before', () => {
    const ramp = { vector: '888888', count: 15, maxMints: 1, increment: 1, start: 64 }
    const next = `88888${'0'.repeat(59)}`
    expect(judge(ramp, next, false)).toBe('ignored')
    expect(judge(ramp, next, true)).toBe('minted')
  })
})
