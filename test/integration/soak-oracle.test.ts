import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Block } from 'bitcoinjs-lib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { RegtestNode } from '../../src/regtest/node.ts'
import { NodeRpc } from '../bench/support/node-rpc.ts'
import { Oracle } from '../soak/chain/oracle.ts'
import { TaprootKey, transactionOf } from '../support/taproot.ts'

describe('what a soak holds answers against', () => {
  let directory: string
  let node: RegtestNode
  let rpc: NodeRpc

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'valence-oracle-'))
    node = new RegtestNode({ directory })
    await node.start(AbortSignal.timeout(60_000))
    rpc = new NodeRpc(node.url, node.cookieFile)
  })

  afterEach(async () => {
    rpc.close()
    await node.stop()
    await rm(directory, { recursive: true, force: true })
  })

  it('follows coins from the mempool into a block, and back when the branch goes', async () => {
    const [payer, payee] = [new TaprootKey('payer'), new TaprootKey('payee')]
    await rpc.call('generatetoaddress', 101, payer.address)
    const oracle = new Oracle(() => rpc, [payer.scripthash, payee.scripthash])
    await oracle.follow()
    const first = Block.fromHex(await rpc.call('getblock', await rpc.call('getblockhash', 1), 0)).transactions![0]!
    const coin = { txid: first.getId(), vout: 0, value: Number(first.outs[0]!.value) }
    const pay = transactionOf({ from: [{ coin, key: payer }], to: [{ script: payee.script, value: 5_000 }] })
    const [paid] = [{ coin: { txid: pay.txid, vout: 0, value: 5_000 }, key: payee }]
    const back = transactionOf({ from: [paid], to: [{ script: payer.script, value: 4_000 }] })
    for (const { hex } of [pay, back]) await rpc.call('sendrawtransaction', hex, 0)

    expect(await oracle.follow()).toEqual(new Set([payer.scripthash, payee.scripthash]))
    expect(oracle.expected(payee.scripthash)).toEqual({
      confirmed: [],
      mempool: new Map([
        [pay.txid, 0],
        [back.txid, -1],
      ]),
      balance: { confirmed: 0, unconfirmed: 0 },
      unspent: [],
    })

    await rpc.call('generatetoaddress', 1, payee.address)
    await oracle.follow()
    const mined = oracle.expected(payee.scripthash)
    expect(mined.confirmed.map(({ height }) => height)).toEqual([102, 102, 102])
    expect(mined.confirmed.map(({ txid }) => txid)).toEqual(expect.arrayContaining([pay.txid, back.txid]))
    expect(mined.balance).toEqual({ confirmed: 100_0000_0000 - 4_000, unconfirmed: 0 })
    expect(oracle.heightOf(back.txid)).toBe(102)

    await rpc.call('invalidateblock', await rpc.call('getblockhash', 102))
    await oracle.follow()
    expect(oracle.heightOf(back.txid)).toBeUndefined()
    expect(oracle.expected(payee.scripthash).confirmed).toEqual([])
    expect(oracle.expected(payer.scripthash).balance.confirmed).toBe(101 * 50_0000_0000)
  })
})
