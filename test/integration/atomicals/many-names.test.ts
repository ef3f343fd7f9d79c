import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { compactOfIdText, idText } from '../../../src/atomicals/id-text.ts'
import { ATOMICALS_SPACES, NAMES } from '../../../src/atomicals/layout.ts'
import { parseBlock } from '../../../src/chain/block.ts'
import { IndexDatabase } from '../../../src/db/index-db.ts'
import type { BlockContext, Indexer } from '../../../src/db/indexer.ts'
import { sha256 } from '../../../src/lib/hash.ts'
import { AtomicalsHost, CorpusNode } from '../../support/atomicals-host.ts'
import { buildBlock, buildCoinbase } from '../../support/chain-builder.ts'

const HEIGHT = 10
const AGE_OF_VERIFIED = 3
const ROW_COST = 0.002
const OPEN_NAMES = 25_000
const OTHERS = 80_000

interface Claim {
  readonly name: string
  readonly txNum: number
  readonly id: string
  readonly commitHeight: number
}

const idOf = (n: number): string => idText(sha256(new TextEncoder().encode(String(n))), 0)
const digits = (n: number): string => String(n).padStart(6, '0')

/** Names with one to three claims, two thirds of them verified; names of which none is; and very many more. */
function claims(): Claim[] {
  const made: Claim[] = []
  const claim = (name: string, commitHeight: number) => {
    made.push({ name, txNum: made.length, id: idOf(made.length), commitHeight })
  }
  for (let n = 0; n < 2_500; n++) {
    for (let rival = 0; rival <= n % 3; rival++) claim(`a-${digits(n)}`, n % 3 === 1 ? HEIGHT - 1 : rival)
  }
  for (let n = 0; n < OPEN_NAMES; n++) claim(`b-${digits(n)}`, HEIGHT)
  for (let n = 0; n < OTHERS; n++) claim(`c-${digits(n)}`, 1)
  return made
}

const CLAIMS = claims()

class Names implements Indexer {
  readonly name = 'atomicals'
  readonly spaces = ATOMICALS_SPACES
  readonly wantsGenesis = false

  apply({ height, overlay }: BlockContext): void {
    if (height !== 1) return
    for (const { name, txNum, id, commitHeight } of CLAIMS) {
      overlay.insert(NAMES, { kind: 'realm', name, txNum }, { id, commitHeight })
    }
  }
}

interface Entry {
  readonly realm: string
  readonly atomical_id: string
  readonly status: string
}

interface Page {
  readonly result: readonly Entry[]
  readonly next_cursor?: string | null
}

/** What the claims whose names begin so are shown as, by a model that looks at all of them. */
function expected(prefix: string, plan: { readonly verified?: boolean; readonly reverse?: boolean } = {}) {
  const found = CLAIMS.filter(({ name }) => name.startsWith(prefix)).map(({ name, id }) => {
    const first = CLAIMS_BY_NAME.get(name)?.[0]
    const status = HEIGHT - (first?.commitHeight ?? HEIGHT) >= AGE_OF_VERIFIED ? 'verified' : 'pending'
    return { realm: name, atomical_id: compactOfIdText(id), status }
  })
  const shown = plan.verified === true ? found.filter(({ status }) => status === 'verified') : found
  return plan.reverse === true ? shown.reverse() : shown
}

const CLAIMS_BY_NAME = new Map<string, Claim[]>()
for (const claim of CLAIMS) CLAIMS_BY_NAME.set(claim.name, [...(CLAIMS_BY_NAME.get(claim.name) ?? []), claim])

describe('searches among very many names', () => {
  let directory = ''
  let db: IndexDatabase
  let host: AtomicalsHost
  let release: () => void

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'valence-test-'))
    const script = new Uint8Array(1)
    const blockAt = (height: number, prev: Uint8Array) =>
      buildBlock(height, prev, [buildCoinbase(height, height, [{ value: 1n, script }])])
    let block = blockAt(0, new Uint8Array(32))
    db = await IndexDatabase.open(
      {
        directory,
        coin: 'Bitcoin',
        net: 'regtest',
        genesisHash: block.hash,
        reorgLimit: 2,
        cacheBytes: 1 << 20,
        pendingBytes: 256 << 20,
      },
      { indexers: [new Names()] },
    )
    await db.advance(parseBlock(block.raw), HEIGHT)
    for (let height = 1; height <= HEIGHT; height++) {
      block = blockAt(height, Uint8Array.from(block.hash))
      await db.advance(parseBlock(block.raw), HEIGHT)
    }
    await db.flush()
    const view = db.acquireView()
    release = () => view.release()
    host = await AtomicalsHost.over(view, new CorpusNode())
  })

  afterAll(async () => {
    release()
    await db.close()
    await rm(directory, { recursive: true, force: true })
  })

  async function find(...params: unknown[]): Promise<Page & { readonly rows: number }> {
    const { result, message, cost } = await host.ask('blockchain.atomicals.find_realms', params)
    expect(message).toBeUndefined()
    return { ...(result as unknown as Page), rows: (cost - 0.5) / ROW_COST }
  }

  async function byCursor(prefix: string, reverse: boolean, limit: number, verified: boolean) {
    const pages: (Page & { readonly rows: number })[] = []
    for (let cursor: string | null | undefined = ''; typeof cursor === 'string'; cursor = pages.at(-1)?.next_cursor) {
      pages.push(await find(prefix, reverse, limit, 0, verified, cursor))
    }
    return pages
  }

  const strip = (entries: readonly Entry[]) =>
    entries.map(({ realm, atomical_id, status }) => ({ realm, atomical_id, status }))

  it.each([
    [false, true],
    [true, true],
    [false, false],
    [true, false],
  ])(
    'give each claim once, with the status that all claims on its name lead to (reverse %s, verified %s)',
    async (reverse, verified) => {
      for (const limit of [7, 700, 1_000]) {
        const pages = await byCursor('a-', reverse, limit, verified)
        expect(strip(pages.flatMap(({ result }) => result))).toEqual(expected('a-', { reverse, verified }))
        if (limit === 7) expect(pages.slice(0, -2).every(({ result }) => result.length === 7)).toBe(true)
      }
    },
  )

  it('read the claims once, however many names they show', async () => {
    const shown = await find('a-', false, 1_000, 0, true)
    expect(shown.result).toHaveLength(1_000)
    expect(shown.rows).toBeLessThan(2_100)
  })

  it('pass over so many by offset, verified ones or all', async () => {
    for (const verified of [true, false]) {
      for (const offset of [1, 999, 1_000, 2_345]) {
        const { result, rows } = await find('a-', false, 20, offset, verified)
        expect(strip(result)).toEqual(expected('a-', { verified }).slice(offset, offset + 20))
        expect(rows).toBeLessThan(5_100)
      }
    }
  })

  it('look for verified names to the end before a page is less than full, and charge for all that they read', async () => {
    const pages = await byCursor('b-', false, 100, true)
    expect(pages.map(({ result }) => result.length)).toEqual([0])
    expect(pages[0]?.rows).toBeGreaterThanOrEqual(expected('b-').length)
    expect(pages[0]?.next_cursor).toBeNull()
  })

  it.each([
    ['b-0000', false, false],
    ['b-0000', true, false],
    ['c-0000', false, true],
    ['c-0000', true, true],
  ])('end with the last page that has any, also where that is full (%s, reverse %s, verified %s)', async (...asked) => {
    const [prefix, reverse, verified] = asked
    const all = expected(prefix, { reverse, verified })
    expect(all).toHaveLength(100)
    const pages = await byCursor(prefix, reverse, 20, verified)
    expect(pages.map(({ result }) => result.length)).toEqual([20, 20, 20, 20, 20])
    expect(strip(pages.flatMap(({ result }) => result))).toEqual(all)
    expect(pages.map(({ next_cursor: next }) => next === null)).toEqual([false, false, false, false, true])
  })

  it('find what is behind very many by offset, with turns for others between', async () => {
    let turns = 0
    let isOver = false
    const count = (): void => {
      turns += 1
      if (!isOver) setImmediate(count)
    }
    setImmediate(count)
    const far = await find('', false, 10, 105_000)
    isOver = true
    expect(strip(far.result)).toEqual(expected('').slice(105_000, 105_010))
    expect(turns).toBeGreaterThan(50)
  })
})
