import { describe, expect, it } from 'vitest'
import { fromDisplayHex, fromHex, toDisplayHex, toHex } from '../../../../src/lib/bytes.ts'
import { sha256d } from '../../../../src/lib/hash.ts'
import { rootFromBranch } from '../../../../src/lib/merkle.ts'
import { RawJson } from '../../../../src/rpc/json.ts'
import type { ProtocolVersion } from '../../../../src/rpc/method.ts'
import { electrumMethods } from '../../../../src/rpc/methods/table.ts'
import { MethodRegistry } from '../../../../src/rpc/registry.ts'
import { FakeContext, FakeMoment } from '../../../support/fake-context.ts'

const registry = new MethodRegistry({}, electrumMethods())

function chain(protocol: ProtocolVersion = [1, 4, 0], blocks = 12): FakeContext {
  const ctx = new FakeContext(new FakeMoment(Array.from({ length: blocks }, () => 1)))
  ctx.client.protocol = protocol
  return ctx
}

/** What an answer means; a handler may give JSON text. */
async function answer(
  params: readonly unknown[],
  ctx: FakeContext,
  method = 'blockchain.block.headers',
): Promise<unknown> {
  const result = await registry.dispatch(method, params, ctx)
  return result instanceof RawJson ? JSON.parse(result.text) : result
}

interface Proved {
  readonly branch: string[]
  readonly root: string
}

/** Checks a proof as a client does. */
function rootOf(headerHex: string, height: number, { branch }: Proved): string {
  return toDisplayHex(rootFromBranch(sha256d(fromHex(headerHex)), branch.map(fromDisplayHex), height))
}

describe('blockchain.block.header', () => {
  it('gives the header at a height', async () => {
    const ctx = chain()
    expect(await registry.dispatch('blockchain.block.header', [3], ctx)).toBe(toHex(ctx.moment.headerBytes[3]!))
    expect(ctx.cost).toBe(0.25)
  })

  it.each([
    ['"3" as text', '3'],
    ['a fraction', 3.7],
  ])('takes %s for a height', async (_, height) => {
    const ctx = chain()
    expect(await registry.dispatch('blockchain.block.header', [height], ctx)).toBe(toHex(ctx.moment.headerBytes[3]!))
  })

  it('takes true for height 1', async () => {
    const ctx = chain()
    expect(await registry.dispatch('blockchain.block.header', [true], ctx)).toBe(toHex(ctx.moment.headerBytes[1]!))
  })

  it('proves it under a checkpoint, so that a client can check', async () => {
    const ctx = chain()
    const answer = (await registry.dispatch('blockchain.block.header', [3, 9], ctx)) as Proved & { header: string }
    expect(answer.header).toBe(toHex(ctx.moment.headerBytes[3]!))
    expect(rootOf(answer.header, 3, answer)).toBe(answer.root)
    expect(ctx.cost).toBe(1.25)
  })

  it.each([
    ['above the tip', [12]],
    ['beyond all heights', [2n ** 80n]],
    ['with a checkpoint below it', [3, 2]],
    ['with a checkpoint above the tip', [3, 12]],
    ['that is negative', [-1]],
  ])('refuses a height %s with code 1', async (_, params) => {
    await expect(registry.dispatch('blockchain.block.header', params, chain())).rejects.toMatchObject({ code: 1 })
  })
})

describe('blockchain.block.headers', () => {
  it('is one text until 1.5 and a list from 1.6', async () => {
    const old = chain([1, 5, 0])
    const headers = old.moment.headerBytes.slice(2, 5).map(toHex)
    expect(await answer([2, 3], old)).toEqual({
      count: 3,
      max: 2016,
      hex: headers.join(''),
    })
    expect(await answer([2, 3], chain([1, 6, 0]))).toEqual({
      count: 3,
      max: 2016,
      headers,
    })
    expect(old.cost).toBeCloseTo(3 / 50)
  })

  it('gives fewer where the chain ends, and none beyond it', async () => {
    expect(await answer([10, 100], chain())).toMatchObject({ count: 2 })
    const beyond = await answer([50, 100, 5], chain())
    expect(beyond).toEqual({ count: 0, max: 2016, hex: '' })
  })

  it('gives no more than 2016 and charges what was asked for, as ElectrumX does', async () => {
    const ctx = chain([1, 6, 0], 2050)
    const found = (await answer([0, 5000], ctx)) as { headers: string[] }
    expect(found.headers).toHaveLength(2016)
    expect(ctx.cost).toBe(100)
  })

  it('gives long rows again as they were, and anew when a reorganisation has changed one', async () => {
    const ctx = chain([1, 6, 0], 100)
    const expected = () => ({ count: 50, max: 2016, headers: ctx.moment.headerBytes.slice(20, 70).map(toHex) })
    let reads = 0
    const headers = ctx.moment.view.headers.bind(ctx.moment.view)
    ctx.moment.view.headers = (...asked) => {
      reads++
      return headers(...asked)
    }
    for (let i = 0; i < 3; i++) expect(await answer([20, 50], ctx)).toEqual(expected())
    expect(reads).toBe(1)
    ctx.moment.headerBytes.splice(60, 40, ...ctx.moment.headerBytes.slice(60).map((header) => header.toReversed()))
    expect(await answer([20, 50], ctx)).toEqual(expected())
    ctx.moment.headerBytes.length = ctx.moment.blocks.length = 65
    expect(await answer([20, 50], ctx)).toMatchObject({ count: 45 })
    ctx.client.protocol = [1, 4, 0]
    expect(await answer([20, 40], ctx)).toEqual({
      count: 40,
      max: 2016,
      hex: ctx.moment.headerBytes.slice(20, 60).map(toHex).join(''),
    })
  })

  it('proves the last one that it gives', async () => {
    const ctx = chain([1, 6, 0])
    const proved = (await answer([2, 3, 9], ctx)) as Proved & {
      headers: string[]
    }
    expect(rootOf(proved.headers[2]!, 4, proved)).toBe(proved.root)
    expect(ctx.cost).toBeCloseTo(3 / 50 + 1)
    await expect(answer([2, 3, 3], ctx)).rejects.toMatchObject({ code: 1 })
    expect(await answer([2, 0, 9], ctx)).toEqual({
      count: 0,
      max: 2016,
      headers: [],
    })
  })

  it('shows headers as the coin wants them, also those of different lengths', async () => {
    const asks: unknown[] = []
    const table = electrumMethods(
      {},
      {
        presentHeader: (raw, ask) => {
          asks.push(ask)
          return ask.checkpoint > 0 ? raw.subarray(0, 80) : raw
        },
      },
    )
    const ctx = chain([1, 6, 0])
    const long = ctx.moment.headerBytes.map((header, i) => Uint8Array.of(...header, ...new Uint8Array(i)))
    ctx.moment.headerBytes.splice(0, long.length, ...long)
    const dispatch = async (params: unknown): Promise<unknown> => {
      const result = await new MethodRegistry({}, table).dispatch('blockchain.block.headers', params, ctx)
      return result instanceof RawJson ? JSON.parse(result.text) : result
    }
    expect(await dispatch([4, 2])).toMatchObject({ headers: [toHex(long[4]!), toHex(long[5]!)] })
    expect(await dispatch([4, 2, 9])).toMatchObject({
      headers: long.slice(4, 6).map((raw) => toHex(raw.subarray(0, 80))),
    })
    expect(asks[0]).toEqual({ protocol: [1, 6, 0], checkpoint: 0 })
  })
})

describe('blockchain.headers.subscribe', () => {
  it('gives the tip and follows it from now on', async () => {
    const ctx = chain()
    const expected = { hex: toHex(ctx.moment.headerBytes[11]!), height: 11 }
    expect(await answer([], ctx, 'blockchain.headers.subscribe')).toEqual(expected)
    expect([ctx.client.followsHeaders, ctx.cost]).toEqual([true, 0.25])
    const later = chain([1, 4, 0], 15)
    expect(await answer([], later, 'blockchain.headers.subscribe')).toMatchObject({ height: 14 })
    expect(await answer([], ctx, 'blockchain.headers.subscribe')).toEqual(expected)
  })
})
