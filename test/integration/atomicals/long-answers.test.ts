import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { scriptHashOf, scriptHashToHex } from '../../../src/chain/script.ts'
import type { Tx } from '../../../src/chain/tx.ts'
import { AtomicalsChain, out, spend } from '../../support/atomicals-chain.ts'
import { AtomicalsHost, CORPUS_SETTINGS, CorpusNode } from '../../support/atomicals-host.ts'
import { scriptOf } from '../../support/chain-builder.ts'

const MOVES = 5_000
const NFTS = 600
const OWNER = scriptOf(77)
/** Blocks in which nothing happens, above the height that the host takes for the start of the protocol. */
const EMPTY = CORPUS_SETTINGS.heights.start + 1_600

interface Page {
  readonly result: readonly unknown[]
  readonly total: number
  readonly balances?: Readonly<Record<string, unknown>>
}

describe('answers that take long', () => {
  let directory = ''
  let chain: AtomicalsChain
  let host: AtomicalsHost
  let id = ''
  let release: () => void

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'valence-test-'))
    chain = await AtomicalsChain.open(directory)
    const minted = await chain.mint('nft', { a: 1 }, { value: 50_000 })
    id = minted.compact
    const commits = spend({ from: [chain.fund()], to: Array.from({ length: NFTS }, () => 10_000) })
    await chain.mine(commits)
    const reveals = Array.from({ length: NFTS }, (_, vout) =>
      spend({ from: [out(commits, vout)], to: [{ value: 5_000n, script: OWNER }], op: 'nft', payload: { vout } }),
    )
    await chain.mine(...reveals)
    const moves: Tx[] = []
    for (let at = minted.tx; moves.length < MOVES; at = moves.at(-1)!) {
      moves.push(spend({ from: [out(at)], to: [40_000] }))
    }
    await chain.mine(...moves)
    await chain.mineEmpty(EMPTY - chain.height)
    const view = chain.db.acquireView()
    release = () => view.release()
    host = await AtomicalsHost.over(view, new CorpusNode())
  })

  afterAll(async () => {
    release()
    await chain.close()
    await rm(directory, { recursive: true, force: true })
  })

  /** The answer, and how often others had their turn before it was there. */
  async function ask(method: string, params: readonly unknown[]): Promise<Page & { readonly turns: number }> {
    let turns = 0
    let isOver = false
    const count = (): void => {
      turns += 1
      if (!isOver) setImmediate(count)
    }
    setImmediate(count)
    const { result, message } = await host.ask(`blockchain.atomicals.${method}`, params)
    isOver = true
    expect(message).toBeUndefined()
    return { ...(result as unknown as Page), turns }
  }

  it('let others have turns while hundreds of atomicals are shown', async () => {
    const owner = scriptHashToHex(scriptHashOf(OWNER))
    const { turns, balances } = await ask('get_nft_balances_scripthash', [owner])
    expect(Object.keys(balances ?? {})).toHaveLength(NFTS)
    expect(turns).toBeGreaterThanOrEqual(10)
    expect((await ask('listscripthash', [owner])).turns).toBeGreaterThanOrEqual(10)
  })

  it('let others have turns while thousands of transactions of an atomical are looked at', async () => {
    const { result, total, turns } = await ask('transaction_by_atomical_id', [id, 0])
    expect([result, total]).toEqual([[], MOVES + 1])
    expect(turns).toBeGreaterThanOrEqual(10)
  })

  it('let others have turns while a thousand of these transactions are shown', async () => {
    const { turns: unseen } = await ask('transaction_by_atomical_id', [id, 0])
    const { result, turns } = await ask('transaction_by_atomical_id', [id, 1_000])
    expect(result).toHaveLength(1_000)
    expect(turns - unseen).toBeGreaterThanOrEqual(25)
  })

  it('let others have turns while a page of atomicals is shown that are in memory', async () => {
    const { result, turns } = await ask('list', [50, 1, true])
    expect(result).toHaveLength(50)
    expect(turns).toBeGreaterThanOrEqual(2)
  })

  it('count all transactions of an atomical where nobody can have done what is asked for, whatever the word', async () => {
    for (const word of ['no operation', 'toString']) {
      const { result, total } = await ask('transaction_by_atomical_id', [id, 10, 0, word])
      expect([result, total]).toEqual([[], MOVES + 1])
    }
  })

  it('let others have turns while blocks are passed over that have no transactions to be shown', async () => {
    const { result, total, turns } = await ask('transaction_global', [1])
    expect([result, total]).toEqual([[], 0])
    expect(turns).toBeGreaterThanOrEqual(3)
  })
})
