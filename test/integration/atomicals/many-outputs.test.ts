import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { scriptHashOf, scriptHashToHex } from '../../../src/chain/script.ts'
import type { ChainView } from '../../../src/db/view.ts'
import { ERROR_CODES, RpcError } from '../../../src/errors.ts'
import { silentLogger } from '../../../src/log.ts'
import { MomentHub } from '../../../src/mempool/hub.ts'
import { Mempool } from '../../../src/mempool/mempool.ts'
import { atomicalsMethods } from '../../../src/rpc/methods/atomicals/table.ts'
import { electrumMethods, withMethods } from '../../../src/rpc/methods/table.ts'
import { MethodRegistry } from '../../../src/rpc/registry.ts'
import { AtomicalsChain, spend } from '../../support/atomicals-chain.ts'
import { CORPUS_SETTINGS } from '../../support/atomicals-host.ts'
import { scriptOf } from '../../support/chain-builder.ts'
import { FakeContext } from '../../support/fake-context.ts'

const OWNER = scriptOf(601)
const OUTPUTS = 100_000
const PER_TX = 2_000
const METHODS = ['get_ft_balances_scripthash', 'get_nft_balances_scripthash', 'listscripthash']

describe('what a script with 100,000 outputs holds', () => {
  let directory = ''
  let chain: AtomicalsChain
  let view: ChainView
  let id = ''
  const registry = new MethodRegistry({}, withMethods(electrumMethods(), atomicalsMethods(CORPUS_SETTINGS)))
  const hubs: MomentHub[] = []

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'valence-test-'))
    chain = await AtomicalsChain.open(directory)
    const commit = await chain.commit()
    const reveal = spend({
      from: [{ txid: commit.txid, vout: 0 }],
      to: [{ value: 5_000n, script: OWNER }],
      op: 'nft',
      payload: { a: 1 },
    })
    const to = Array.from({ length: PER_TX }, () => ({ value: 1_000n, script: OWNER }))
    const txs = Array.from({ length: OUTPUTS / PER_TX }, () => spend({ from: [chain.fund()], to }))
    await chain.mine(reveal, ...txs)
    id = `${Buffer.from(commit.txid).reverse().toString('hex')}i0`
  }, 60_000)

  afterAll(async () => {
    for (const hub of hubs) hub.close()
    await chain.close()
    await rm(directory, { recursive: true, force: true })
  })

  /** Asked by a client who may spend so much; `reads`: rows that were read for it. */
  async function ask(method: string, { budget = Number.POSITIVE_INFINITY, most = 200_000, verbose = false } = {}) {
    const hub = new MomentHub({ historyLimit: most }, { mempool: new Mempool({}, { log: silentLogger() }) })
    hubs.push(hub)
    view = chain.db.acquireView()
    const row = vi.spyOn(view, 'row')
    const utxos = vi.spyOn(view, 'utxos')
    hub.publish(view, { newTip: true, touched: new Set() })
    let cost = 0
    const charge = (more: number): void => {
      cost += more
      if (cost > budget) throw new RpcError(ERROR_CODES.excessiveUsage.code, 'too much')
    }
    const params = [scriptHashToHex(scriptHashOf(OWNER)), verbose]
    const answer: unknown = await hub
      .with(async (moment) =>
        registry.dispatch(
          `blockchain.atomicals.${method}`,
          params,
          Object.assign(new FakeContext(), { moment, charge }),
        ),
      )
      .catch((error: unknown) => error)
    return { answer, cost, reads: row.mock.calls.length, objects: utxos.mock.calls.length }
  }

  it('is charged before a row is read or an object is made for any output', async () => {
    for (const method of METHODS) {
      const { answer, reads, objects, cost } = await ask(method, { budget: 1_000 })
      expect(answer).toMatchObject({ code: ERROR_CODES.excessiveUsage.code })
      expect([reads, objects]).toEqual([0, 0])
      expect(cost).toBeGreaterThan(OUTPUTS / 50)
    }
  })

  it('is refused before it is read where the outputs are more than an answer holds', async () => {
    for (const method of METHODS) {
      const { answer, reads, objects } = await ask(method, { most: OUTPUTS - 1 })
      expect(answer).toMatchObject({ code: ERROR_CODES.invalidRequest.code })
      expect([reads, objects]).toEqual([0, 0])
    }
  })

  it('is told by what is coloured, with no object for what is plain', async () => {
    const { answer, objects } = await ask('get_nft_balances_scripthash')
    expect(answer).toMatchObject({ balances: { [id]: { confirmed: 5_000 } } })
    const listed = await ask('listscripthash')
    expect(listed.answer).toMatchObject({ utxos: [{ value: 5_000, atomicals: { [id]: 5_000 } }] })
    expect([objects, listed.objects]).toEqual([0, 0])
    const { answer: all } = await ask('listscripthash', { verbose: true })
    expect((all as { readonly utxos: readonly unknown[] }).utxos).toHaveLength(OUTPUTS + 1)
  })
})
