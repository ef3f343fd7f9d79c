import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { InvariantError, type RpcError } from '../../../src/errors.ts'
import { defineMethod, type ProtocolVersion, type RpcMethod } from '../../../src/rpc/method.ts'
import type { Middleware } from '../../../src/rpc/middleware.ts'
import { MethodRegistry } from '../../../src/rpc/registry.ts'
import { BEFORE_1_6, formatVersion, parseVersion } from '../../../src/rpc/versions.ts'
import { FakeContext } from '../../support/fake-context.ts'

type Partly = Partial<RpcMethod> & { readonly name: string }

function method(part: Partly): RpcMethod {
  return defineMethod({
    summary: '',
    params: z.object({ a: z.string(), b: z.number().optional() }),
    result: z.unknown(),
    cost: () => 2,
    since: [1, 0, 0],
    example: { params: ['x'], result: null },
    handler: (_, params) => params,
    ...part,
  })
}

function contextAt(protocol: ProtocolVersion): FakeContext {
  const ctx = new FakeContext()
  ctx.client.protocol = protocol
  return ctx
}

async function codeOf(answer: Promise<unknown>): Promise<number> {
  return answer.then(
    () => 0,
    (error: RpcError) => error.code,
  )
}

describe('MethodRegistry', () => {
  it('takes a list, an object of names and nothing as the same call', async () => {
    const registry = new MethodRegistry({}, [method({ name: 'm' }), method({ name: 'n', params: z.object({}) })])
    const ctx = new FakeContext()
    expect(await registry.dispatch('m', ['x', 5], ctx)).toEqual({ a: 'x', b: 5 })
    expect(await registry.dispatch('m', { b: 5, a: 'x' }, ctx)).toEqual({ a: 'x', b: 5 })
    expect(await registry.dispatch('m', ['x'], ctx)).toEqual({ a: 'x' })
    expect(await registry.dispatch('n', undefined, ctx)).toEqual({})
  })

  it.each([
    ['too few', [], -32602, /0 arguments passed to method "m" but it requires 1/],
    ['too many', ['x', 1, 2], -32602, /3 arguments passed to method "m" taking at most 2/],
    ['a missing name', { b: 1 }, -32602, /requires parameter "a"/],
    ['excess names', { a: 'x', d: 1, c: 2 }, -32602, /does not take parameters "c", "d"/],
    ['no list', 7, -32602, /invalid request arguments: 7/],
    ['null', null, -32602, /invalid request arguments/],
    ['a wrong value', [5], 1, /^a: /],
  ])('refuses %s', async (_, params, code, message) => {
    const registry = new MethodRegistry({}, [method({ name: 'm' })])
    const ctx = new FakeContext()
    await expect(registry.dispatch('m', params, ctx)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as unknown,
    })
    expect(ctx.cost).toBe(0)
  })

  it('ignores further arguments where a method says so', async () => {
    const registry = new MethodRegistry({}, [method({ name: 'm', extraParams: 'ignored' })])
    expect(await registry.dispatch('m', ['x', 5, 'junk', {}], new FakeContext())).toEqual({ a: 'x', b: 5 })
    expect(await registry.dispatch('m', { a: 'x', junk: 1 }, new FakeContext())).toEqual({ a: 'x' })
  })

  it('chooses the row by the version of the client', async () => {
    const registry = new MethodRegistry({}, [
      method({ name: 'm', until: BEFORE_1_6, handler: () => 'old' }),
      method({ name: 'm', since: [1, 6, 0], handler: () => 'new' }),
      method({ name: 'late', since: [1, 4, 2] }),
    ])
    expect(await registry.dispatch('m', ['x'], contextAt([1, 4, 0]))).toBe('old')
    expect(await registry.dispatch('m', ['x'], contextAt([1, 5, 9]))).toBe('old')
    expect(await registry.dispatch('m', ['x'], contextAt([1, 6, 0]))).toBe('new')
    expect(await codeOf(registry.dispatch('late', ['x'], contextAt([1, 4, 1])))).toBe(-32601)
    expect(await codeOf(registry.dispatch('late', ['x'], contextAt([1, 4, 2])))).toBe(0)
    expect(registry.names).toEqual(['m', 'late'])
    expect(registry.methods).toHaveLength(3)
    expect(registry.find('m', [1, 6, 0])?.since).toEqual([1, 6, 0])
  })

  it.each(['constructor', 'toString', '__proto__', 'valueOf', 'M', ''])('does not know %j', async (name) => {
    const registry = new MethodRegistry({}, [method({ name: 'm' })])
    expect(await codeOf(registry.dispatch(name, [], new FakeContext()))).toBe(-32601)
  })

  it('refuses a table with two rows for one version, or an optional parameter before a required one', () => {
    const old = method({ name: 'm', until: [1, 6, 0] })
    expect(() => new MethodRegistry({}, [old, method({ name: 'm', since: [1, 6, 0] })])).toThrow(InvariantError)
    expect(() => new MethodRegistry({}, [method({ name: 'm' }), method({ name: 'm' })])).toThrow(InvariantError)
    const wrong = z.object({ a: z.string().optional(), b: z.string() })
    expect(() => new MethodRegistry({}, [method({ name: 'm', params: wrong })])).toThrow(InvariantError)
  })

  it('charges before the handler runs, and does not run what cannot be paid for', async () => {
    let runs = 0
    const registry = new MethodRegistry({}, [method({ name: 'm', handler: () => runs++ })])
    const ctx = new FakeContext()
    await registry.dispatch('m', ['x'], ctx)
    expect([ctx.cost, runs]).toEqual([2, 1])
    ctx.hardLimit = 3
    expect(await codeOf(registry.dispatch('m', ['x'], ctx))).toBe(-101)
    expect(runs).toBe(1)
  })

  it('lets only those be notifications that say so, from their version on', async () => {
    const registry = new MethodRegistry({}, [method({ name: 'm' }), method({ name: 'n', notification: [1, 7, 0] })])
    expect(await codeOf(registry.notify('m', ['x'], contextAt([1, 7, 0])))).toBe(-32601)
    expect(await codeOf(registry.notify('n', ['x'], contextAt([1, 6, 0])))).toBe(-32601)
    expect(await codeOf(registry.notify('n', ['x'], contextAt([1, 7, 0])))).toBe(0)
    expect(await codeOf(registry.notify('nope', ['x'], contextAt([1, 7, 0])))).toBe(-32601)
  })

  it('refuses subscriptions to clients that cannot be told anything, before they are charged', async () => {
    const registry = new MethodRegistry({}, [method({ name: 'm', over: 'stream' })])
    const ctx = new FakeContext()
    expect(await codeOf(registry.dispatch('m', ['x'], ctx))).toBe(0)
    ctx.client.stream = false
    ctx.cost = 0
    expect(await codeOf(registry.dispatch('m', ['x'], ctx))).toBe(1)
    expect(ctx.cost).toBe(0)
  })

  it('runs middleware around each call, the first outermost', async () => {
    const seen: string[] = []
    const mark =
      (name: string): Middleware =>
      async (call, next) => {
        seen.push(`${name} before ${call.method.name}`)
        const result = await next(call)
        seen.push(`${name} after`)
        return result
      }
    const registry = new MethodRegistry({ middleware: [mark('outer'), mark('inner')] }, [method({ name: 'm' })])
    await registry.dispatch('m', ['x'], new FakeContext())
    expect(seen).toEqual(['outer before m', 'inner before m', 'inner after', 'outer after'])
  })
})

describe('versions', () => {
  it.each([
    ['1.4', [1, 4, 0], '1.4'],
    ['1', [1, 0, 0], '1.0'],
    ['1.4.2', [1, 4, 2], '1.4.2'],
    [' 1.6.0.7 ', [1, 6, 0], '1.6'],
    ['1.x', [0, 0, 0], '0.0'],
    ['', [0, 0, 0], '0.0'],
    [1.4, [0, 0, 0], '0.0'],
  ])('%j is %j and written %s', (text, version, written) => {
    expect(parseVersion(text)).toEqual(version)
    expect(formatVersion(parseVersion(text))).toBe(written)
  })
})
