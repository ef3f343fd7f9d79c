import { describe, expect, it } from 'vitest'
import { DaemonUnavailableError } from '../../../../src/errors.ts'
import type { Clock } from '../../../../src/lib/clock.ts'
import type { ProtocolVersion } from '../../../../src/rpc/method.ts'
import { feeTargetClass } from '../../../../src/rpc/methods/mempool.ts'
import { electrumMethods } from '../../../../src/rpc/methods/table.ts'
import { MethodRegistry } from '../../../../src/rpc/registry.ts'
import { FakeContext, FakeMoment } from '../../../support/fake-context.ts'

function scene(protocol: ProtocolVersion = [1, 6, 0]) {
  const time = { now: 0 }
  const clock: Clock = { now: () => 0, monotonic: () => time.now, sleep: async () => {} }
  const registry = new MethodRegistry({}, electrumMethods({}, { clock }))
  const ctx = new FakeContext()
  ctx.client.protocol = protocol
  const call = async (name: string, ...params: unknown[]): Promise<unknown> => {
    ctx.cost = 0
    return registry.dispatch(name, params, ctx)
  }
  return { time, registry, ctx, call }
}

describe('blockchain.estimatefee', () => {
  it.each([
    [0, 1],
    [1, 1],
    [12, 12],
    [13, 12],
    [24, 24],
    [25, 25],
    [27, 26],
    [48, 48],
    [49, 48],
    [100, 96],
    [1008, 1008],
    [5000, 1008],
  ])('asks for target %i as for %i', (target, asked) => {
    expect(feeTargetClass(target)).toBe(asked)
  })

  it('asks once for each tip, and charges who made it ask', async () => {
    const { ctx, call, registry } = scene()
    expect(await call('blockchain.estimatefee', 13)).toBe(0.00012)
    expect(ctx.cost).toBeCloseTo(2.1)
    expect(await call('blockchain.estimatefee', '12')).toBe(0.00012)
    expect(ctx.cost).toBeCloseTo(0.1)
    expect(ctx.daemon.calls).toEqual([['estimateFee', 12, undefined]])
    const later = new FakeContext(new FakeMoment([1, 2, 3, 4]))
    await registry.dispatch('blockchain.estimatefee', [12], later)
    expect(later.daemon.calls).toHaveLength(1)
  })

  it('passes the mode on in any case, and counts it apart', async () => {
    const { ctx, call } = scene()
    await call('blockchain.estimatefee', 6, 'ECONOMICAL')
    await call('blockchain.estimatefee', 6, 'economical')
    await call('blockchain.estimatefee', 6, null)
    expect(ctx.daemon.calls).toEqual([
      ['estimateFee', 6, 'economical'],
      ['estimateFee', 6, undefined],
    ])
    await expect(call('blockchain.estimatefee', 6, 'fast')).rejects.toMatchObject({
      code: 1,
      message: 'unknown estimatefee mode: fast',
    })
  })

  it('is -1 where bitcoind cannot tell', async () => {
    const { ctx, call } = scene()
    ctx.daemon.fee = undefined
    expect(await call('blockchain.estimatefee', 6)).toBe(-1)
  })

  it('does not keep a failure', async () => {
    const { ctx, call } = scene()
    ctx.daemon.failure = new DaemonUnavailableError('no')
    await expect(call('blockchain.estimatefee', 6)).rejects.toBeInstanceOf(DaemonUnavailableError)
    ctx.daemon.failure = undefined
    expect(await call('blockchain.estimatefee', 6)).toBe(0.00012)
  })

  it('lets go of a client that is gone, not of the question that others wait for', async () => {
    const { ctx, registry } = scene()
    let answer: (fee: number) => void = () => {}
    ctx.daemon.estimateFee = () => new Promise((resolve) => (answer = resolve))
    const other = new FakeContext(ctx.moment)
    const first = registry.dispatch('blockchain.estimatefee', [6], ctx)
    const second = registry.dispatch('blockchain.estimatefee', [6], other)
    ctx.abort.abort()
    await expect(first).rejects.toMatchObject({ name: 'AbortError' })
    answer(0.5)
    expect(await second).toBe(0.5)
  })
})

describe('facts of bitcoind', () => {
  it('relayfee is asked once a minute and is there until 1.5', async () => {
    const { time, ctx, call } = scene([1, 5, 0])
    expect(await call('blockchain.relayfee')).toBe(0.00001)
    ctx.daemon.relayFee = 0.5
    time.now = 59_999
    expect(await call('blockchain.relayfee')).toBe(0.00001)
    time.now = 60_000
    expect(await call('blockchain.relayfee')).toBe(0.5)
    expect([ctx.cost, ctx.daemon.calls.length]).toEqual([1, 2])
    await expect(scene([1, 6, 0]).call('blockchain.relayfee')).rejects.toMatchObject({ code: -32601 })
  })

  it('mempool.get_info is there from 1.6', async () => {
    const { ctx, call } = scene([1, 6, 0])
    expect(await call('mempool.get_info')).toEqual({
      mempoolminfee: 0.00002,
      minrelaytxfee: 0.00001,
      incrementalrelayfee: 0.000001,
    })
    await call('mempool.get_info')
    expect(ctx.daemon.calls).toEqual([['mempoolInfo']])
    await expect(scene([1, 5, 0]).call('mempool.get_info')).rejects.toMatchObject({ code: -32601 })
  })
})

describe('the mempool', () => {
  it('shows its histogram', async () => {
    const { ctx, call } = scene()
    ctx.moment.histogram = [[12.5, 100]]
    expect(await call('mempool.get_fee_histogram')).toEqual([[12.5, 100]])
    expect(ctx.cost).toBe(1)
  })

  it('shows its last ten arrivals from 1.7', async () => {
    const { ctx, call } = scene([1, 7, 0])
    ctx.moment.newest = Array.from({ length: 12 }, (_, i) => ({ txid: `${i}`, fee: BigInt(i), vsize: 100 }))
    const answer = await call('mempool.recent')
    expect(answer).toHaveLength(10)
    expect((answer as unknown[])[1]).toEqual({ txid: '1', fee: 1, vsize: 100 })
    await expect(scene([1, 6, 0]).call('mempool.recent')).rejects.toMatchObject({ code: -32601 })
  })
})
