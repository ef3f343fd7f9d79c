import { describe, expect, it } from 'vitest'
import { AtomicalsInterest } from '../../../src/atomicals/interest.ts'
import { hashXOf, scriptHashOf, scriptHashToHex } from '../../../src/chain/script.ts'
import type { Tx } from '../../../src/chain/tx.ts'
import type { OutputSource } from '../../../src/db/view.ts'
import { equalBytes, readUint32LE, toDisplayHex, toHex } from '../../../src/lib/bytes.ts'
import { silentLogger } from '../../../src/log.ts'
import { MomentHub } from '../../../src/mempool/hub.ts'
import { Mempool } from '../../../src/mempool/mempool.ts'
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
const BUSY = { code: -102 }

/** A node with the blocks of a chain and a mempool. */
class Node extends FakeDaemon {
  readonly pool: Tx[] = []
  readonly #chain: AtomicalsChain

  constructor(chain: AtomicalsChain) {
    super()
    this.#chain = chain
  }

  override async chainInfo() {
    const info = await super.chainInfo()
    return { ...info, bestBlockHash: toDisplayHex(this.#chain.db.tip.hash) }
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

describe('outputs of the mempool after a reorganisation', () => {
  it('are not told before transactions of lost blocks are back, as what stands on those would seem plain', () =>
    withDirectory(async (directory) => {
      const chain = await AtomicalsChain.open(directory)
      const node = new Node(chain)
      const mempool = new Mempool(
        {},
        { log: silentLogger(), interest: new AtomicalsInterest({ filter: chain.indexer }) },
      )
      const hub = new MomentHub({ historyLimit: 1000 }, { mempool })
      const registry = new MethodRegistry(
        {},
        withMethods(electrumMethods(), atomicalsMethods({ ...CORPUS_SETTINGS, heights: heightsFrom() })),
      )
      const refresh = () => hub.with(({ view }) => mempool.refresh(view, node, new AbortController().signal))
      const publish = () =>
        hub.publish(chain.db.acquireView(node.outputs), { newTip: true, touched: chain.takeTouched() })
      const ask = (method: string, ...params: unknown[]) =>
        hub.with(async (moment) => {
          const context = Object.assign(new FakeContext(), { moment, daemon: node })
          return JSON.parse(writeJson(await registry.dispatch(method, params, context))) as unknown
        })
      const hash = scriptHashToHex(scriptHashOf(ALICE))
      const unspent = () => ask('blockchain.scripthash.listunspent', hash)

      const commit = await chain.commit()
      const mint = spend({ from: [out(commit)], to: [900], op: 'nft', payload: { a: 1 } })
      await chain.mine(mint)
      const moved = spend({ from: [out(mint)], to: [{ script: ALICE, value: 700n }] })
      node.pool.push(moved)
      publish()
      await refresh()
      hub.renew({ newTip: false, touched: new Set() })
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
      expect(await ask('blockchain.scripthash.listunspent', scriptHashToHex(scriptHashOf(scriptOf(502))))).toEqual([])

      node.pool.push(mint)
      await refresh()
      hub.renew({ newTip: false, touched: new Set() })
      expect(await unspent()).toMatchObject([held])
      hub.close()
      await chain.close()
    }))
})
