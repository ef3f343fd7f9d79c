import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { holderOf } from '../../../src/atomicals/holder-sums.ts'
import { idText } from '../../../src/atomicals/id-text.ts'
import type { HeldKind } from '../../../src/atomicals/layout.ts'
import { ATOMICALS, BALANCES, HOLDERS, LOCATIONS, RANKS, TOTALS } from '../../../src/atomicals/layout.ts'
import { toLatin1 } from '../../../src/lib/bytes.ts'
import { AtomicalsChain, heightsFrom } from '../../support/atomicals-chain.ts'
import { seededRandom } from '../../support/chain-builder.ts'
import { withDirectory } from '../../support/chain-index.ts'
import { RandomAtomicals } from '../../support/random-atomicals.ts'

interface Seat {
  readonly id: string
  readonly kind: HeldKind
  readonly location: string
  readonly value: number
}

/** What sits at unspent outputs, once by holder and once by location. */
async function seats(chain: AtomicalsChain): Promise<{ readonly holders: Seat[]; readonly locations: Seat[] }> {
  const holders: Seat[] = []
  const locations: Seat[] = []
  const rows = await chain.rows(LOCATIONS)
  const txids = new Map<string, Uint8Array>()
  for (const { txs } of chain.blocks) for (const { txid } of txs) txids.set(toLatin1(txid.subarray(0, 16)), txid)
  for (const { key, value } of rows) {
    if (value.spentBy !== undefined) continue
    const location = idText(txids.get(toLatin1(key.txid)) ?? new Uint8Array(32), key.vout)
    for (const { id, kind, value: units } of value.held) locations.push({ id, kind, location, value: units })
  }
  const kinds = new Map(locations.map(({ id, kind }) => [id, kind]))
  for (const { key, value } of await chain.rows(HOLDERS)) {
    holders.push({ ...key, kind: kinds.get(key.id) ?? 'nft', value: value.value })
  }
  return { holders, locations }
}

function byPlace(a: Seat, b: Seat): number {
  return a.id + a.location < b.id + b.location ? -1 : 1
}

/** What the index says of the holders of tokens is what their unspent outputs add up to. */
async function expectSums(chain: AtomicalsChain): Promise<void> {
  const tokens = new Set(
    (await chain.rows(ATOMICALS)).filter(({ value }) => value.type !== 'nft').map(({ key }) => key.id),
  )
  const balances = new Map<string, { units: number; outputs: number; script: Uint8Array }>()
  const totals = new Map<string, { holders: number; outputs: number; units: number }>()
  for (const { key, value } of await chain.rows(HOLDERS)) {
    if (!tokens.has(key.id)) continue
    const name = key.id + toLatin1(holderOf(value.script))
    const balance = balances.get(name) ?? { units: 0, outputs: 0, script: value.script }
    const total = totals.get(key.id) ?? { holders: 0, outputs: 0, units: 0 }
    if (balance.outputs === 0) total.holders += 1
    for (const sum of [balance, total]) {
      sum.units += value.value
      sum.outputs += 1
    }
    balances.set(name, balance)
    totals.set(key.id, total)
  }
  const balanceRows = await chain.rows(BALANCES)
  expect(balanceRows.map(({ key, value }) => [key.id + toLatin1(key.holder), value])).toEqual(
    [...balances].map(([name, { units, outputs }]) => [name, { units, outputs }]).sort(byName),
  )
  const rankRows = await chain.rows(RANKS)
  expect(
    rankRows.map(({ key, value }) => [key.id + toLatin1(key.holder), key.units, toLatin1(value.script)]).sort(byName),
  ).toEqual([...balances].map(([name, { units, script }]) => [name, units, toLatin1(script)]).sort(byName))
  for (const [i, { key }] of rankRows.entries()) {
    const before = rankRows[i - 1]?.key
    if (before?.id === key.id) expect(before.units).toBeGreaterThanOrEqual(key.units)
  }
  const found = (await chain.rows(TOTALS)).filter(({ value }) => value.outputs > 0)
  expect(found.map(({ key, value }) => [key.id, value])).toEqual([...totals].sort(byName))
}

function byName([a]: readonly unknown[], [b]: readonly unknown[]): number {
  return String(a) < String(b) ? -1 : 1
}

const CHAINS = { numRuns: 12, endOnFailure: true }

describe('random Atomicals chains', () => {
  it('keep every atomical in one place and every token within its supply, and roll back to what was', () =>
    fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 1 << 30 }), fc.constantFrom(1, 14, 1_000), (seed, customColoring) =>
        withDirectory(async (directory) => {
          const chain = await AtomicalsChain.open(
            directory,
            heightsFrom({ customColoring, dmint: Math.min(customColoring, 10) }),
          )
          const maker = new RandomAtomicals(chain, seededRandom(seed))
          const dumps: string[][] = [await chain.dump()]
          const note = async (): Promise<void> => void dumps.push(await chain.dump())
          const first = chain.height
          await maker.token('aa')
          await maker.token('bb')
          while (dumps.length < chain.height - first + 1) dumps.push([])
          for (let i = 0; i < 16; i++) {
            await maker.block()
            await note()
            const { holders, locations } = await seats(chain)
            expect([...holders].sort(byPlace)).toEqual([...locations].sort(byPlace))
            const nfts = holders.filter(({ kind }) => kind !== 'token').map(({ id }) => id)
            expect(new Set(nfts).size).toBe(nfts.length)
            const supply = new Map<string, number>()
            for (const { id, kind, value } of holders)
              if (kind === 'token') supply.set(id, (supply.get(id) ?? 0) + value)
            expect([...supply.values()].every((units) => units <= 10_000)).toBe(true)
            await expectSums(chain)
          }
          for (let at = dumps.length - 2; at >= 0; at--) {
            await chain.rollBack()
            if (dumps[at]?.length !== 0) expect(await chain.dump()).toEqual(dumps[at])
          }
          await chain.close()
        }),
      ),
      CHAINS,
    ))

  it('come out the same in one go and one block at a time after reorganisations', () =>
    fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 1 << 30 }), (seed) =>
        withDirectory((live) =>
          withDirectory(async (fresh) => {
            const chain = await AtomicalsChain.open(live)
            const random = seededRandom(seed)
            const maker = new RandomAtomicals(chain, random)
            await maker.token('aa')
            for (let i = 0; i < 12; i++) {
              await maker.block()
              if (random() >= 0.3) continue
              await chain.lose(1 + Math.floor(random() * 3))
              maker.forgetLost()
            }
            const synced = await AtomicalsChain.replay(fresh, chain.blocks)
            expect(await synced.dump()).toEqual(await chain.dump())
            await synced.close()
            await chain.close()
          }),
        ),
      ),
      CHAINS,
    ))
})
