import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { addressOf, BITCOIN_ADDRESSES } from '../../../src/chain/address.ts'
import { concat, fromHex, writeUint32LE } from '../../../src/lib/bytes.ts'
import { AtomicalsChain, out, spend } from '../../support/atomicals-chain.ts'
import { AtomicalsHost, CorpusNode } from '../../support/atomicals-host.ts'

const HOLDERS = 5_000
const OUTPUTS_EACH = 2
const FEW = 4

/** Taproot, so that each has an address. */
function scriptOf(n: number): Uint8Array {
  const key = new Uint8Array(32).fill(1)
  writeUint32LE(key, n, 0)
  return concat(fromHex('5120'), key)
}

const address = (n: number): string | undefined => addressOf(scriptOf(n), BITCOIN_ADDRESSES.regtest)
/** Units at each output of a holder: 50 hold the same. */
const unitsOf = (n: number): number => 100 + (n % (HOLDERS / 50))

interface Entry {
  readonly address: string
  readonly holding: number
}

describe('a token with thousands of holders', () => {
  let directory = ''
  let chain: AtomicalsChain
  let host: AtomicalsHost
  let token = ''
  let small = ''
  let reads = 0
  let release: () => void

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'valence-test-'))
    chain = await AtomicalsChain.open(directory)
    const to = Array.from({ length: HOLDERS * OUTPUTS_EACH }, (_, i) => {
      const n = i % HOLDERS
      return { value: BigInt(unitsOf(n)), script: scriptOf(n) }
    })
    const supply = Number(to.reduce((sum, { value }) => sum + value, 0n))
    const mint = async (ticker: string, value: number) => {
      const args = { request_ticker: ticker, bitworkc: '1234' }
      return chain.mint('ft', { args }, { work: '1234', value })
    }
    const minted = await mint('many', supply)
    token = minted.compact
    const [half, other] = [to.slice(0, HOLDERS), to.slice(HOLDERS)]
    const first = spend({ from: [out(minted.tx)], to: [...half, { value: BigInt(supply / 2), script: scriptOf(0) }] })
    await chain.mine(first)
    await chain.mine(spend({ from: [out(first, HOLDERS)], to: other }))
    const few = await mint('few', FEW * 100)
    small = few.compact
    const outputs = Array.from({ length: FEW }, (_, n) => ({ value: 100n, script: scriptOf(n) }))
    await chain.mine(spend({ from: [out(few.tx)], to: outputs }))
    await chain.db.flush()
    const view = chain.db.acquireView()
    release = () => view.release()
    const [page, rows, row] = [view.page.bind(view), view.rows.bind(view), view.row.bind(view)]
    vi.spyOn(view, 'row').mockImplementation((space, key) => {
      reads += 1
      return row(space, key)
    })
    vi.spyOn(view, 'page').mockImplementation(async (space, start, options) => {
      const found = await page(space, start, options)
      reads += 1 + found.length
      return found
    })
    vi.spyOn(view, 'rows').mockImplementation(async (space, start) => {
      const found = await rows(space, start)
      reads += 1 + found.length
      return found
    })
    host = await AtomicalsHost.over(view, new CorpusNode())
  })

  afterAll(async () => {
    release()
    await chain.close()
    await rm(directory, { recursive: true, force: true })
  })

  beforeEach(() => {
    reads = 0
  })

  async function ask<T>(method: string, ...params: unknown[]): Promise<T> {
    const { result, message } = await host.ask(`blockchain.atomicals.${method}`, params)
    expect(message).toBeUndefined()
    return result as T
  }

  it('shows the largest of them for a page of rows', async () => {
    const page = await ask<Entry[]>('get_holders', token, 50, 0)
    expect(page).toHaveLength(50)
    const most = 2 * (100 + HOLDERS / 50 - 1)
    expect(page.every(({ holding }) => holding === most)).toBe(true)
    expect(new Set(page.map((entry) => entry.address)).size).toBe(50)
    expect(reads).toBeLessThan(100)
  })

  it('goes on page by page, each holder once, for no more rows than are shown', async () => {
    const seen: Entry[] = []
    for (let cursor = ''; ; ) {
      reads = 0
      const { result, next_cursor: next } = await ask<{ result: Entry[]; next_cursor: string | null }>(
        'get_holders',
        token,
        700,
        0,
        cursor,
      )
      expect(reads).toBeLessThan(750)
      seen.push(...result)
      if (next === null) break
      cursor = next
    }
    expect(seen.map(({ holding }) => holding)).toEqual(seen.map(({ holding }) => holding).sort((a, b) => b - a))
    const expected = Array.from({ length: HOLDERS }, (_, n) => `${address(n)} ${unitsOf(n) * OUTPUTS_EACH}`)
    expect(seen.map((entry) => `${entry.address} ${entry.holding}`).sort()).toEqual(expected.sort())
  })

  it('refuses a cursor that none of its pages gave', async () => {
    for (const cursor of ['soon', '1', ':', '9999999999999999:00', '9007199254740992:', '1:0', '-1:00']) {
      const { error } = await host.ask('blockchain.atomicals.get_holders', [token, 10, 0, cursor])
      expect(error, cursor).toBe(1)
    }
  })

  it('passes over holders to the last of them, and says that there are no more', async () => {
    expect(await ask<Entry[]>('get_holders', token, 50, HOLDERS - 10)).toHaveLength(10)
    expect(reads).toBeLessThan(HOLDERS + 100)
    reads = 0
    expect(await ask<Entry[]>('get_holders', token, 50, HOLDERS)).toEqual([])
    expect(reads).toBeLessThan(50)
  })

  it('counts holders, supply and outputs without reading them', async () => {
    const info = await ask<{ result: { location_summary: unknown } }>('get_ft_info', token)
    const supply = Array.from({ length: HOLDERS }, (_, n) => unitsOf(n) * OUTPUTS_EACH).reduce((a, b) => a + b)
    expect(info.result.location_summary).toEqual({ unique_holders: HOLDERS, circulating_supply: supply })
    expect(reads).toBeLessThan(100)
    reads = 0
    const { result } = await ask<{ result: { location_counts: number; location_info: unknown[] } }>(
      'get_location',
      token,
    )
    expect([result.location_counts, result.location_info.length]).toEqual([HOLDERS * OUTPUTS_EACH, 50])
    expect(reads).toBeLessThan(300)
  })

  it('shows equal holders of a small one by the first of their outputs', async () => {
    const page = await ask<Entry[]>('get_holders', small, 50, 0)
    expect(page.map((entry) => entry.address)).toEqual(Array.from({ length: FEW }, (_, n) => address(n)))
  })
})
