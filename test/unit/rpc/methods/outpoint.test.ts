import { describe, expect, it } from 'vitest'
import { hashXOf } from '../../../../src/chain/script.ts'
import { serializeTx } from '../../../../src/chain/tx.ts'
import { fromHex, toDisplayHex, toHex, toLatin1 } from '../../../../src/lib/bytes.ts'
import { sha256d } from '../../../../src/lib/hash.ts'
import { electrumMethods } from '../../../../src/rpc/methods/table.ts'
import { findOutpoint, outpointBytes } from '../../../../src/rpc/outpoint.ts'
import { MethodRegistry } from '../../../../src/rpc/registry.ts'
import { FakeContext, FakeMoment, someHash } from '../../../support/fake-context.ts'

const registry = new MethodRegistry({}, electrumMethods())
const SCRIPT = '5151'
const OTHER = '5252'
const hashX = hashXOf(fromHex(SCRIPT))
const spenderTxid = someHash('spender')

function scene() {
  const ctx = new FakeContext(new FakeMoment([1, 2, 3]))
  ctx.client.protocol = [1, 7, 0]
  const call = async (name: string, ...params: unknown[]): Promise<unknown> => {
    ctx.cost = 0
    return registry.dispatch(`blockchain.outpoint.${name}`, params, ctx)
  }
  const txid = toDisplayHex(ctx.moment.blocks[1]![0]!)
  const key = (vout: number): string => toLatin1(outpointBytes({ txid, vout })!)
  /** Output 0 pays SCRIPT, output 1 nobody; the node has the transaction in its block only. */
  const known = (): void => {
    const raw = serializeTx({
      version: 2,
      inputs: [{ prevTxid: someHash('in'), prevIndex: 0, script: new Uint8Array(0), sequence: 0, witness: [] }],
      outputs: [
        { value: 1n, script: fromHex(SCRIPT) },
        { value: 0n, script: fromHex('6a') },
      ],
      locktime: 0,
    })
    ctx.daemon.transactions.set(txid, {
      raw: toHex(raw),
      block: toDisplayHex(sha256d(ctx.moment.headerBytes[1]!)),
    })
  }
  const spent = (): void => void ctx.moment.spenders.set(key(0), { txNum: 4, height: 2, txid: spenderTxid })
  return { ctx, call, txid, key, known, spent }
}

const SPENT = { funder_height: 1, spender_txhash: toDisplayHex(spenderTxid), spender_height: 2 }

describe('outpoint.get_status', () => {
  it('says nothing of an output that is not known', async () => {
    const { ctx, call } = scene()
    expect(await call('get_status', 'ab'.repeat(32), 0, SCRIPT)).toEqual({})
    expect(ctx.daemon.calls).toEqual([])
  })

  it('knows an unspent one, and who spends it in the mempool, without asking bitcoind', async () => {
    const { ctx, call, txid, key } = scene()
    ctx.moment.unspentOutputs.set(key(0), { hashX, value: 1n })
    expect(await call('get_status', txid.toUpperCase(), 0)).toEqual({ funder_height: 1 })
    expect(ctx.cost).toBeCloseTo(0.2)
    ctx.moment.mempoolSpenders.set(key(0), { txid: '0c'.repeat(32), height: -1, fee: 5n, hashX })
    expect(await call('get_status', txid, 0, null)).toEqual({
      funder_height: 1,
      spender_txhash: '0c'.repeat(32),
      spender_height: -1,
    })
    expect(ctx.daemon.calls).toEqual([])
  })

  it('knows who spends it in the mempool also while nobody can say which outputs are unspent', async () => {
    const { ctx, call, txid, key, known } = scene()
    known()
    ctx.moment.mempoolSpenders.set(key(0), { txid: '0c'.repeat(32), height: 0, fee: 5n, hashX })
    const status = { funder_height: 1, spender_txhash: '0c'.repeat(32), spender_height: 0 }
    expect(await call('get_status', txid, 0)).toEqual(status)
    expect(await call('get_status', txid, 0, SCRIPT)).toEqual(status)
    expect(await call('subscribe', txid, 0)).toEqual(status)
    expect(ctx.client.outpoints.get(`${txid}:0`)?.script).toEqual(hashX)
  })

  it('knows one in the mempool with its height of 0 or -1', async () => {
    const { ctx, call } = scene()
    const txid = '0d'.repeat(32)
    ctx.moment.mempoolOutputs.set(txid, [{ height: -1, hashX }])
    expect(await call('get_status', txid, 0)).toEqual({ funder_height: -1 })
    expect(ctx.cost).toBeCloseTo(0.1)
    expect(await call('get_status', txid, 1)).toEqual({})
  })

  it('finds who spent one in the chain by the script that the client names', async () => {
    const { ctx, call, txid, spent } = scene()
    spent()
    expect(await call('get_status', txid, 0, SCRIPT)).toEqual(SPENT)
    expect(ctx.daemon.calls).toEqual([])
    expect(ctx.cost).toBeCloseTo(0.2)
  })

  it('reads the script from the transaction, asked for in its block, where none is named', async () => {
    const { ctx, call, txid, known, spent } = scene()
    known()
    spent()
    expect(await call('get_status', txid, 0)).toEqual(SPENT)
    expect(ctx.daemon.calls).toHaveLength(1)
    expect(ctx.cost).toBeCloseTo(1)
  })

  it('charges for all that was looked through, and ends what the client cannot pay or does not wait for', async () => {
    const { ctx, call, txid, known } = scene()
    known()
    let ended = 0
    ctx.moment.view.findSpender = async (_hashX, _outpoint, _fundedBy, looked) => {
      ended++
      for (let i = 0; i < 1000; i++) looked?.(32)
      ended--
      return undefined
    }
    expect(await call('get_status', txid, 0, OTHER)).toEqual({ funder_height: 1 })
    expect(ctx.cost).toBeCloseTo(1 + 2 * 320)
    ctx.hardLimit = 100
    await expect(call('get_status', txid, 0, OTHER)).rejects.toMatchObject({ code: -101 })
    expect([ended, ctx.cost > 100, ctx.cost < 101]).toEqual([1, true, true])
    ctx.hardLimit = Number.POSITIVE_INFINITY
    ctx.abort.abort()
    await expect(call('get_status', txid, 0, OTHER)).rejects.toMatchObject({ name: 'AbortError' })
    expect(ended).toBe(2)
  })

  it('does not take a wrong script for a reason to say anything wrong', async () => {
    const { ctx, call, txid, key, known, spent } = scene()
    known()
    spent()
    const find = ctx.moment.view.findSpender.bind(ctx.moment.view)
    ctx.moment.view.findSpender = async (asked, ...rest) =>
      toHex(asked) === toHex(hashX) ? find(asked, ...rest) : undefined
    expect(await call('get_status', txid, 0, OTHER)).toEqual(SPENT)
    ctx.moment.spenders.clear()
    ctx.moment.unspentOutputs.set(key(0), { hashX, value: 1n })
    expect(await call('get_status', txid, 0, OTHER)).toEqual({ funder_height: 1 })
  })

  it('tells an output that nothing can spend from one that does not exist', async () => {
    const { call, txid, known } = scene()
    known()
    expect(await call('get_status', txid, 1)).toEqual({ funder_height: 1 })
    expect(await call('get_status', txid, 2)).toEqual({})
    expect(await call('get_status', txid, 2 ** 32)).toEqual({})
  })

  it('lets an error of bitcoind through rather than say that there is nothing', async () => {
    const { call, txid } = scene()
    await expect(call('get_status', txid, 0)).rejects.toMatchObject({ daemonCode: -5 })
  })

  it.each([
    ['xx', 0, SCRIPT],
    ['ab'.repeat(32), -1, SCRIPT],
    ['ab'.repeat(32), 0, 'not hex'],
  ])('refuses (%j, %j, %j) with code 1', async (...params) => {
    await expect(scene().call('get_status', ...params)).rejects.toMatchObject({ code: 1 })
  })

  it('belongs to protocol 1.7', async () => {
    const { ctx, call, txid } = scene()
    ctx.client.protocol = [1, 6, 0]
    await expect(call('get_status', txid, 0)).rejects.toMatchObject({ code: -32601 })
  })
})

describe('what was found of a spent outpoint', () => {
  it('is not searched for again while the block that spends it is in the chain', async () => {
    const { ctx, txid, spent } = scene()
    spent()
    let searches = 0
    const find = ctx.moment.view.findSpender.bind(ctx.moment.view)
    ctx.moment.view.findSpender = async (...asked) => {
      searches++
      return find(...asked)
    }
    const ref = { txid, vout: 0 }
    const first = await findOutpoint(ref, { script: hashX }, ctx)
    expect([first.status, searches]).toEqual([SPENT, 1])
    expect(await findOutpoint(ref, { script: hashX, spent: first }, ctx)).toBe(first)
    expect(searches).toBe(1)
    // Another block at its height, with the same transaction.
    ctx.moment.headerBytes[2] = new Uint8Array(80).fill(7)
    const second = await findOutpoint(ref, { script: hashX, spent: first }, ctx)
    expect([second.status, searches]).toEqual([SPENT, 2])
    expect(await findOutpoint(ref, { script: hashX, spent: second }, ctx)).toBe(second)
    ctx.moment.headerBytes.length = 2
    ctx.moment.spenders.clear()
    ctx.moment.unspentOutputs.set(toLatin1(outpointBytes(ref)!), { hashX, value: 1n })
    expect((await findOutpoint(ref, { script: hashX, spent: second }, ctx)).status).toEqual({ funder_height: 1 })
  })
})

describe('outpoint.subscribe', () => {
  it('follows what it answers, also an output that does not exist yet, until told otherwise', async () => {
    const { ctx, call, txid, key } = scene()
    ctx.moment.unspentOutputs.set(key(0), { hashX, value: 1n })
    const later = 'ef'.repeat(32)
    expect(await call('subscribe', txid, 0, SCRIPT)).toEqual({ funder_height: 1 })
    expect(await call('subscribe', later, 7, SCRIPT)).toEqual({})
    expect([...ctx.client.outpoints]).toEqual([
      [`${txid}:0`, { status: { funder_height: 1 }, script: hashX }],
      [`${later}:7`, { status: {}, script: 'unknown' }],
    ])
    expect(await call('unsubscribe', later, 7)).toBe(true)
    expect(await call('unsubscribe', later, 7)).toBe(false)
  })

  it('follows nothing where the status cannot be found out', async () => {
    const { ctx, call, txid } = scene()
    await expect(call('subscribe', txid, 0)).rejects.toMatchObject({ daemonCode: -5 })
    expect(ctx.client.outpoints.size).toBe(0)
  })

  it('wants a connection that stays open', async () => {
    const { ctx, call, txid } = scene()
    ctx.client.stream = false
    await expect(call('subscribe', txid, 0)).rejects.toMatchObject({ code: 1 })
  })
})
