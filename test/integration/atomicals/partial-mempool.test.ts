import { describe, expect, it } from 'vitest'
import { AtomicalsInterest } from '../../../src/atomicals/interest.ts'
import { hashXOf, scriptHashOf, scriptHashToHex } from '../../../src/chain/script.ts'
import type { Tx } from '../../../src/chain/tx.ts'
import type { OutputSource } from '../../../src/db/view.ts'
import { equalBytes, readUint32LE, toDisplayHex, toHex } from '../../../src/lib/bytes.ts'
import { silentLogger } from '../../../src/log.ts'
import { MomentHub } from '../../../src/mempool/hub.ts'
import { Mempool, type MempoolOptions } from '../../../src/mempool/mempool.ts'
import { writeJson } from '../../../src/rpc/json.ts'
import { atomicalsMethods } from '../../../src/rpc/methods/atomicals/table.ts'
import { electrumMethods, withMethods } from '../../../src/rpc/methods/table.ts'
import { MethodRegistry } from '../../../src/rpc/registry.ts'
import { AtomicalsChain, compactAt, heightsFrom, out, spend } from '../../support/atomicals-chain.ts'
import { CORPUS_SETTINGS } from '../../support/atomicals-host.ts'
import { scriptOf } from '../../support/chain-builder.ts'
import { withDirectory } from '../../support/chain-index.ts'
import { FakeContext, FakeDaemon } from '../../support/fake-context.ts'

const ALICE = scriptOf(501)
const BOB = scriptOf(502)
const BUSY = { code: -102 }

/** A node with the blocks of a chain and a mempool. */
class Node extends FakeDaemon {
  readonly pool: Tx[] = []
  loaded = true
  readonly #chain: AtomicalsChain

  constructor(chain: AtomicalsChain) {
    super()
    this.#chain = chain
  }

  override async chainInfo() {
    const info = await super.chainInfo()
    return { ...info, bestBlockHash: toDisplayHex(this.#chain.db.tip.hash) }
  }

  override async mempoolInfo() {
    return { ...(await super.mempoolInfo()), loaded: this.loaded }
  }

  override async mempoolIds(): Promise<never> {
    return { txids: this.pool.map(({ txid }) => toDisplayHex(txid)), sequence: undefined } as never
  }

  override async mempoolTransactions(txids: readonly string[] = []): Promise<never> {
    return txids.map((id) => this.pool.find(({ txid }) => toDisplayHex(txid) === id)?.raw) as never
  }

  /** What the blocks have made, spent or not: nothing here is spent twice. */
  readonly outputs: OutputSource = async (outpoints) => {
    const txs = this.#chain.blocks.flatMap((block) => block.txs)
    return outpoints.map((outpoint) => {
      const tx = txs.find(({ txid }) => equalBytes(txid, outpoint.subarray(0, 32)))
      const output = tx?.outputs[readUint32LE(outpoint, 32)]
      return output === undefined ? undefined : { hashX: hashXOf(output.script), value: output.value }
    })
  }
}

/** What clients are answered of a chain and a node's mempool, without anything that follows the node by itself. */
async function withServer(
  options: Partial<MempoolOptions>,
  use: (server: {
    readonly chain: AtomicalsChain
    readonly node: Node
    readonly mempool: Mempool
    /** By the node's list; `step`: told while more is to come. */
    readonly refresh: (step?: () => Promise<void>) => Promise<void>
    /** A new tip. */
    readonly publish: () => void
    /** The mempool as it is now. */
    readonly renew: () => void
    readonly ask: (method: string, ...params: unknown[]) => Promise<unknown>
  }) => Promise<void>,
): Promise<void> {
  await withDirectory(async (directory) => {
    const chain = await AtomicalsChain.open(directory)
    const node = new Node(chain)
    const interest = new AtomicalsInterest({ filter: chain.indexer })
    const mempool = new Mempool(options, { log: silentLogger(), interest })
    const hub = new MomentHub({ historyLimit: 1000 }, { mempool })
    const registry = new MethodRegistry(
      {},
      withMethods(electrumMethods(), atomicalsMethods({ ...CORPUS_SETTINGS, heights: heightsFrom() })),
    )
    const renew = () => hub.renew({ newTip: false, touched: new Set() })
    await use({
      chain,
      node,
      mempool,
      renew,
      refresh: async (step) => {
        for (let left = true; left; ) {
          const { outcome } = await hub.with(({ view }) =>
            mempool.refresh(view, node, new AbortController().signal, () => {
              renew()
              return step === undefined ? 'continue' : 'pause'
            }),
          )
          left = outcome === 'paused'
          if (left) await step?.()
        }
        renew()
      },
      publish: () => hub.publish(chain.db.acquireView(node.outputs), { newTip: true, touched: chain.takeTouched() }),
      ask: (method, ...params) =>
        hub.with(async (moment) => {
          const context = Object.assign(new FakeContext(), { moment, daemon: node })
          return JSON.parse(writeJson(await registry.dispatch(method, params, context))) as unknown
        }),
    })
    hub.close()
    await chain.close()
  })
}

describe('outputs of the mempool after a reorganisation', () => {
  it('are not told before transactions of lost blocks are back, as what stands on those would seem plain', () =>
    withServer({}, async ({ chain, node, mempool, refresh, publish, ask }) => {
      const hash = scriptHashToHex(scriptHashOf(ALICE))
      const unspent = () => ask('blockchain.scripthash.listunspent', hash)

      const commit = await chain.commit()
      const mint = spend({ from: [out(commit)], to: [900], op: 'nft', payload: { a: 1 } })
      await chain.mine(mint)
      const moved = spend({ from: [out(mint)], to: [{ script: ALICE, value: 700n }] })
      node.pool.push(moved)
      publish()
      await refresh()
      const held = { atomicals: { [compactAt(commit)]: 700 }, height: 0, value: 700 }
      expect(await unspent()).toMatchObject([held])

      // The block of the mint is lost, and the new tip published before the node has named its mempool.
      await chain.rollBack()
      mempool.rolledBack()
      await chain.mine()
      publish()
      await expect(unspent()).rejects.toMatchObject(BUSY)
      for (const method of ['listscripthash', 'get_nft_balances_scripthash']) {
        await expect(ask(`blockchain.atomicals.${method}`, hash)).rejects.toMatchObject(BUSY)
      }
      await expect(ask('blockchain.atomicals.at_location', compactAt(moved))).rejects.toMatchObject(BUSY)
      const tokenMint = spend({ from: [chain.fund()], to: [1], op: 'dmt', payload: { args: { mint_ticker: 'abc' } } })
      await expect(ask('blockchain.atomicals.validate', toHex(tokenMint.raw))).rejects.toMatchObject(BUSY)
      // What has nothing of the mempool is answered.
      expect(await ask('blockchain.scripthash.listunspent', scriptHashToHex(scriptHashOf(BOB)))).toEqual([])

      node.pool.push(mint)
      await refresh()
      expect(await unspent()).toMatchObject([held])
    }))
})

describe('outputs of the mempool while it is loaded for the first time', () => {
  /** A mint that is mined before the token that it is of, as far as the order of the node's list tells. */
  async function mintBeforeDeploy(chain: AtomicalsChain) {
    const own = spend({ from: [chain.fund()], to: [100_000], work: '1234' })
    const commit = spend({ from: [chain.fund()], to: [100_000], work: '00' })
    await chain.mine(own, commit)
    await chain.mineEmpty(2)
    const args = { request_ticker: 'late', bitworkc: '1234', mint_amount: 2_000, mint_height: 1, max_mints: 5 }
    const deploy = spend({ from: [out(own)], to: [600], op: 'dft', payload: { args } })
    const mint = spend({
      from: [out(commit)],
      to: [{ script: ALICE, value: 2_000n }],
      op: 'dmt',
      payload: { args: { mint_ticker: 'late' } },
    })
    const plain = spend({ from: [chain.fund()], to: [{ script: BOB, value: 5_000n }] })
    return { id: compactAt(own), deploy, mint, plain }
  }

  it.each([
    ['is still to be fetched', true],
    ['is still to be loaded by the node, which was started anew', false],
  ])('are not told while the token that they may be of %s', (_what, listed) =>
    withServer({ batch: 1, inFlight: 1 }, async ({ chain, node, refresh, renew, publish, ask }) => {
      const { id, deploy, mint, plain } = await mintBeforeDeploy(chain)
      const hashes = [ALICE, BOB].map((script) => scriptHashToHex(scriptHashOf(script)))
      const unspent = (hash: string | undefined) => ask('blockchain.scripthash.listunspent', hash)
      const moved = spend({ from: [out(mint)], to: [{ script: BOB, value: 2_000n }] })
      const isNotTold = async (): Promise<void> => {
        await expect(unspent(hashes[0])).rejects.toMatchObject(BUSY)
        for (const method of ['listscripthash', 'get_ft_balances_scripthash']) {
          await expect(ask(`blockchain.atomicals.${method}`, hashes[0])).rejects.toMatchObject(BUSY)
        }
        await expect(ask('blockchain.atomicals.at_location', compactAt(mint))).rejects.toMatchObject(BUSY)
        await expect(ask('blockchain.atomicals.validate', toHex(moved.raw))).rejects.toMatchObject(BUSY)
        await expect(ask('blockchain.transaction.broadcast', toHex(moved.raw))).rejects.toMatchObject(BUSY)
        // What no order of the mempool gives anything to is answered.
        expect(await unspent(hashes[1])).toMatchObject([{ value: 5_000, atomicals: {} }])
      }
      publish()
      // Nothing is known yet, so nothing is known of what the node has.
      await expect(ask('blockchain.atomicals.validate', toHex(mint.raw))).rejects.toMatchObject(BUSY)
      node.pool.push(plain, mint)
      if (listed) {
        node.pool.push(deploy)
        let steps = 0
        await refresh(async () => {
          steps += 1
          if (steps === 2) await isNotTold()
        })
        expect(steps).toBe(2)
      } else {
        node.loaded = false
        await refresh()
        await isNotTold()
        node.pool.push(deploy)
        node.loaded = true
        // Its list may be from before that.
        await refresh()
        await isNotTold()
        await refresh()
      }
      renew()
      expect(await unspent(hashes[0])).toMatchObject([{ value: 2_000, atomicals: { [id]: 2_000 }, may_carry: [id] }])
    }),
  )
})
