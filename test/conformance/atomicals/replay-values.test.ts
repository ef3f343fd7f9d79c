import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AtomicalsQueries } from '../../../src/atomicals/queries.ts'
import { fromDisplayHex, fromLatin1, toDisplayHex } from '../../../src/lib/bytes.ts'
import { sha256d } from '../../../src/lib/hash.ts'
import { ANSWER_CHECKS, type World } from '../../support/atomicals-answers.ts'
import { corpusAssertions, holds } from '../../support/atomicals-assertions.ts'
import { corpusBlocks, corpusConfig, type ExpectedRow, expectedRows, Replay } from '../../support/atomicals-replay.ts'
import { withDirectory } from '../../support/chain-index.ts'

/**
 * Rows that the reference answers wrongly and this index must not repeat; the corpus says which, and what is right.
 * Everything else has to be equal.
 */
const MAY_DIFFER = new Set(['mod-history-order', 'block-txs-order'])

function methodOf({ method }: ExpectedRow): string {
  return method.split('.').at(-1) ?? ''
}

async function worldOf(replay: Replay): Promise<World & { release(): void }> {
  await replay.db.flush()
  const view = replay.db.acquireView()
  const queries = new AtomicalsQueries({ height: view.tip.height }, replay.rows)
  return { queries, view, release: () => view.release() }
}

interface Tally {
  compared: number
  readonly different: {
    readonly id: number
    readonly method: string
    readonly own: unknown
    readonly answered: unknown
  }[]
}

async function compare(world: World, rows: readonly ExpectedRow[]): Promise<Tally> {
  const tally: Tally = { compared: 0, different: [] }
  for (const row of rows) {
    const check = row.method.startsWith('blockchain.atomicals.') ? ANSWER_CHECKS[methodOf(row)] : undefined
    if (check === undefined || row.via !== undefined || row.result === undefined) continue
    const own = await check.own(world, row.params)
    if (own === undefined) continue
    const answered = check.answered(row.result as never)
    tally.compared += 1
    if (JSON.stringify(sortKeys(own)) === JSON.stringify(sortKeys(answered))) continue
    if (row.defect !== undefined && MAY_DIFFER.has(row.defect)) continue
    tally.different.push({ id: row.id, method: row.method, own, answered })
  }
  return tally
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sortKeys(inner)]),
  )
}

describe('values of corpus A', () => {
  let directory = ''
  let replay: Replay

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'valence-test-'))
    replay = await Replay.open(directory)
    for (const block of corpusBlocks()) await replay.add(block)
  })

  afterAll(async () => {
    await replay.close()
    await rm(directory, { recursive: true, force: true })
  })

  it('are those of the reference in every row about owners, names, states, supplies and activity', async () => {
    const world = await worldOf(replay)
    const { compared, different } = await compare(world, expectedRows('expected'))
    world.release()
    expect(different).toEqual([])
    expect(compared).toBe(7_458)
  })

  it('list every transaction of an atomical in the history of sha256d of its id', async () => {
    const world = await worldOf(replay)
    const names = new Map<string, string>()
    for (let number = 0; ; number++) {
      const id = world.queries.idOfNumber(number)
      if (id === undefined) break
      names.set(toDisplayHex(sha256d(fromLatin1(id))), id)
    }
    let compared = 0
    for (const { method, via, params, result } of expectedRows('expected')) {
      const scripthash = params[0]
      if (method !== 'blockchain.scripthash.get_history' || via !== undefined || !Array.isArray(result)) continue
      if (typeof scripthash !== 'string' || !names.has(scripthash)) continue
      const history = await world.view.history(fromDisplayHex(scripthash).subarray(0, 11), 10_000)
      const own = history.map(({ txid, height }) => ({ tx_hash: toDisplayHex(txid), height }))
      expect(own).toEqual(
        (result as { tx_hash: string; height: number }[]).map(({ tx_hash, height }) => ({ tx_hash, height })),
      )
      compared += 1
    }
    world.release()
    expect(compared).toBe(15)
  })

  it('are what each scenario states', async () => {
    const world = await worldOf(replay)
    const wrong: unknown[] = []
    let checked = 0
    for (const assertion of corpusAssertions()) {
      const result = await holds(world, assertion)
      if (result === undefined) continue
      checked += 1
      if (!result) wrong.push(assertion)
    }
    world.release()
    expect(wrong).toEqual([])
    expect(checked).toBe(2_012)
  })

  it('are those of the reference on branches that are lost later', () =>
    withDirectory(async (path) => {
      const followed = await Replay.open(path)
      const rows = expectedRows('branch')
      const { marks } = corpusConfig()
      const different: unknown[] = []
      let compared = 0
      for (const [arrived, block] of corpusBlocks().entries()) {
        await followed.add(block)
        const mark = marks.find(({ arrival }) => arrival === arrived + 1)
        if (mark === undefined) continue
        const world = await worldOf(followed)
        const own = rows.filter(({ at }) => at === mark.mark)
        const tally = await compare(world, own)
        compared += tally.compared
        different.push(...tally.different)
        world.release()
      }
      await followed.close()
      expect(different).toEqual([])
      expect(compared).toBe(396)
    }))
})
