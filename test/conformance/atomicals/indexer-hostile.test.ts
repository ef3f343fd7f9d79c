import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { idTextOfCompact } from '../../../src/atomicals/id-text.ts'
import { AtomicalsQueries } from '../../../src/atomicals/queries.ts'
import { fixture, Replay } from '../../support/atomicals-replay.ts'

interface HostileCase {
  readonly label: string
  readonly want: 'none' | 'mint' | 'any'
  readonly id: string
  readonly alone: string
  readonly note?: string
}

interface HostileSet {
  readonly base: readonly { readonly height: number; readonly hex: string }[]
  readonly cases: readonly HostileCase[]
  readonly line: readonly { readonly height: number; readonly hex: string; readonly labels?: readonly string[] }[]
}

const hostile = JSON.parse(fixture('corpus-hostile', 'hostile.json.gz').toString()) as HostileSet
const baseHeight = hostile.base.at(-1)?.height ?? 0

/** A block of the set takes less than this even on a busy machine; the slow expression would take for ever. */
const PATIENCE_MS = 5_000

describe('transactions that stop the reference for good', () => {
  let directory = ''
  let replay: Replay

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'valence-test-'))
    replay = await Replay.open(directory)
    for (const block of hostile.base) await replay.add(block)
  })

  afterAll(async () => {
    await replay.close()
    await rm(directory, { recursive: true, force: true })
  })

  async function queriesAt(height: number): Promise<AtomicalsQueries> {
    await replay.db.flush()
    return new AtomicalsQueries({ height }, replay.rows)
  }

  function idOf(compact: string): string {
    const id = idTextOfCompact(compact)
    if (id === undefined) throw new Error(`no id: ${compact}`)
    return id
  }

  it.each(hostile.cases.map((one) => [one.label, one] as const))('do not stop this index: %s', async (_label, one) => {
    const before = performance.now()
    await replay.add({ height: baseHeight + 1, hex: one.alone })
    expect(performance.now() - before).toBeLessThan(PATIENCE_MS)
    const queries = await queriesAt(baseHeight + 1)
    const id = idOf(one.id)
    const minted = queries.atomical(id) !== undefined
    if (one.want === 'mint') expect(minted).toBe(true)
    if (one.want === 'none') expect(minted).toBe(false)
    if (!minted) return
    // Whatever there is of it can be asked for.
    await queries.state(id)
    await queries.changes(id)
    await queries.request(id)
    await queries.holders(id)
  })

  it('do not count a payment under a rule whose token id has no numeric index', async () => {
    const one = hostile.cases.find(({ label }) => label.startsWith('payment under a rule'))
    expect(one).toBeDefined()
    await replay.add({ height: baseHeight + 1, hex: one?.alone ?? '' })
    const request = await (await queriesAt(baseHeight + 1)).request(idOf(one?.id ?? ''))
    expect(request?.status).toMatchObject({ status: 'pending_awaiting_payment' })
  })

  it('do not stop this index one after the other', async () => {
    for (const block of hostile.line) await replay.add(block)
    const last = hostile.line.at(-1)?.height ?? 0
    expect(replay.db.tip.height).toBe(last)
    const queries = await queriesAt(last)
    const inLine = new Set(hostile.line.flatMap(({ labels }) => labels ?? []))
    for (const { label, want, id } of hostile.cases) {
      if (!inLine.has(label)) continue
      if (want === 'any') continue
      expect([label, queries.atomical(idOf(id)) !== undefined]).toEqual([label, want === 'mint'])
    }
  })
})
