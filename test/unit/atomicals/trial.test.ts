import { describe, expect, it } from 'vitest'
import { Deploys } from '../../../src/atomicals/deploys.ts'
import { blueprintWire } from '../../../src/atomicals/format/blueprint.ts'
import { ShownValues } from '../../../src/atomicals/format/values.ts'
import { MINT_COUNTS, NAMES } from '../../../src/atomicals/layout.ts'
import { type RowSource, ViewRows } from '../../../src/atomicals/rows.ts'
import { Trial } from '../../../src/atomicals/trial.ts'
import { TrialRows } from '../../../src/atomicals/trial-rows.ts'
import type { KeySpace } from '../../../src/db/layout.ts'
import { toLatin1 } from '../../../src/lib/bytes.ts'
import { AtomicalsChain, compactAt, heightsFrom, out, spend } from '../../support/atomicals-chain.ts'
import { withDirectory } from '../../support/chain-index.ts'

/** Rows in memory, as a view would have them. */
class SomeRows implements RowSource {
  readonly #rows = new Map<string, { readonly key: unknown; readonly value: unknown }>()

  put<K, V>(space: KeySpace<K, V>, key: K, value: V): this {
    this.#rows.set(space.keyText(key), { key, value })
    return this
  }

  get<K, V>(space: KeySpace<K, V>, key: K): V | undefined {
    return this.#rows.get(space.keyText(key))?.value as V | undefined
  }

  async rows<K, V>(space: KeySpace<K, V>, start: Uint8Array) {
    const prefix = String.fromCharCode(space.prefix) + toLatin1(start)
    return [...this.#rows]
      .filter(([key]) => key.startsWith(prefix))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, { key, value }]) => ({ key: key as K, value: value as V }))
  }
}

const ID = 'i'.repeat(36)
const name = (text: string, txNum: number) => ({ kind: 'realm' as const, name: text, txNum })
const entry = { id: ID, commitHeight: 5 }

describe('rows of a trial', () => {
  it('are those below, with what was written and without what was removed, in the order of keys', async () => {
    const below = new SomeRows()
    for (const n of [1, 3, 5]) below.put(NAMES, name('abc', n), entry)
    below.put(NAMES, name('abd', 1), entry)
    const rows = new TrialRows(below)
    rows.put(NAMES, name('abc', 4), { ...entry, commitHeight: 6 })
    rows.put(NAMES, name('abc', 5), { ...entry, commitHeight: 7 })
    rows.remove(NAMES, name('abc', 1))
    rows.remove(NAMES, name('abc', 9))
    const start = NAMES.keyBytes(name('abc', 0)).subarray(1, -5)
    const found = await rows.rows(NAMES, start)
    expect(found.map(({ key, value }) => [key.txNum, value.commitHeight])).toEqual([
      [3, 5],
      [4, 6],
      [5, 7],
    ])
    expect(rows.get(NAMES, name('abc', 1))).toBeUndefined()
    expect(rows.get(NAMES, name('abc', 5))).toEqual({ ...entry, commitHeight: 7 })
  })

  it('leave what is below as it was', () => {
    const below = new SomeRows().put(MINT_COUNTS, { id: ID }, { count: 1 })
    const rows = new TrialRows(below)
    rows.put(MINT_COUNTS, { id: ID }, { count: 2 })
    expect(rows.get(MINT_COUNTS, { id: ID })).toEqual({ count: 2 })
    expect(below.get(MINT_COUNTS, { id: ID })).toEqual({ count: 1 })
  })
})

function onChain(use: (chain: AtomicalsChain, trial: Trial) => Promise<void>): () => Promise<void> {
  return () =>
    withDirectory(async (directory) => {
      const chain = await AtomicalsChain.open(directory)
      const view = chain.db.acquireView()
      await use(
        chain,
        new Trial({ heights: heightsFrom() }, { view, rows: new ViewRows(view), deploys: new Deploys() }),
      )
      view.release()
      await chain.close()
    })
}

describe('a trial', () => {
  it(
    'goes on from what was applied before, however long the line, and mints nothing twice',
    onChain(async (chain, trial) => {
      const commit = spend({ from: [chain.fund()], to: [2_000], work: '1234' })
      const payload = { args: { request_ticker: 'abc', bitworkc: '1234' } }
      const reveal = spend({ from: [out(commit)], to: [1_000], op: 'ft', payload })
      await trial.apply(commit)
      expect((await trial.mintOf(await trial.judge(reveal)))?.id).toBeDefined()
      await trial.apply(reveal)
      let last = reveal
      for (let i = 0; i < 30; i++) {
        last = spend({ from: [out(last)], to: [1_000] })
        await trial.apply(last)
      }
      const { spent, coloured } = await trial.judge(spend({ from: [out(last)], to: [400] }))
      expect(spent.map(({ row }) => row.held.map(({ value }) => value))).toEqual([[1_000]])
      expect([...coloured.blueprint.burnt.values()]).toEqual([600n])

      const rival = spend({ from: [chain.fund()], to: [2_000], work: '1234' })
      await trial.apply(rival)
      const late = await trial.judge(spend({ from: [out(rival)], to: [1_000], op: 'ft', payload }))
      expect(await trial.mintOf(late)).toBeUndefined()
    }),
  )

  it(
    'refuses what would take too much: an output spent twice, many atomicals over many outputs',
    onChain(async (chain, trial) => {
      const fund = chain.fund()
      await expect(trial.judge(spend({ from: [fund, fund], to: [1] }))).rejects.toThrow('twice')
      const commit = spend({ from: [chain.fund()], to: Array.from({ length: 50 }, () => 2_000) })
      await trial.apply(commit)
      const reveals = Array.from({ length: 50 }, (_, n) =>
        spend({ from: [out(commit, n)], to: [1_000], op: 'nft', payload: { n } }),
      )
      for (const reveal of reveals) await trial.apply(reveal)
      const from = reveals.map((reveal) => out(reveal))
      const wide = (count: number) => spend({ from, to: Array.from({ length: count }, () => 1) })
      await expect(trial.judge(wide(1_001))).rejects.toThrow('moves 50 atomicals over 1001 outputs')
      expect((await trial.judge(wide(1_000))).spent).toHaveLength(50)
    }),
  )

  it(
    'whose outputs are too many to be listed has no blueprint to show',
    onChain(async (chain, trial) => {
      const commit = spend({ from: [chain.fund()], to: [9_000], work: '1234' })
      const payload = { args: { request_ticker: 'abc', bitworkc: '1234' } }
      const reveal = spend({ from: [out(commit)], to: [8_000], op: 'ft', payload })
      await trial.apply(commit)
      await trial.apply(reveal)
      const wide = (count: number) => spend({ from: [out(reveal)], to: Array.from({ length: count }, () => 1) })
      const wireOf = async (count: number) => blueprintWire(await trial.judge(wide(count)), new ShownValues())
      expect(await wireOf(708)).toBeUndefined()
      const outputs = (await wireOf(700))?.ft_output_blueprint.outputs ?? {}
      expect(Object.keys(outputs)).toHaveLength(700)
      expect(outputs['699']?.atomicals[compactAt(commit)]).toMatchObject({
        sat_value: 1,
        atomical_value: 1,
        input_summary_info: { expected_values: 8_000 },
      })
    }),
  )
})
