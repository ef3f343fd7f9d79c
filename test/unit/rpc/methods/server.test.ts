import { describe, expect, it } from 'vitest'
import type { RpcError } from '../../../../src/errors.ts'
import { RawJson } from '../../../../src/rpc/json.ts'
import type { ProtocolVersion } from '../../../../src/rpc/method.ts'
import { electrumMethods } from '../../../../src/rpc/methods/table.ts'
import { MethodRegistry } from '../../../../src/rpc/registry.ts'
import { FakeContext } from '../../../support/fake-context.ts'

const registry = new MethodRegistry({}, electrumMethods({ maxSend: 100 }))

function at(protocol: ProtocolVersion): FakeContext {
  const ctx = new FakeContext()
  ctx.client.protocol = protocol
  return ctx
}

/** What the server says of itself; the handler gives JSON text. */
async function features(ctx: FakeContext): Promise<unknown> {
  const result = await registry.dispatch('server.features', [], ctx)
  return result instanceof RawJson ? JSON.parse(result.text) : result
}

async function refusal(answer: Promise<unknown>): Promise<RpcError> {
  return answer.then(
    () => {
      throw new Error('was served')
    },
    (error: RpcError) => error,
  )
}

describe('server.version', () => {
  it.each([
    ['one version, and gets it back as it was asked', ['c', '1.4'], '1.4'],
    ['three parts', ['c', '1.4.2'], '1.4.2'],
    ['three parts with a zero', ['c', '1.6.0'], '1.6.0'],
    ['a range, and gets the highest', ['c', ['1.4', '1.6']], '1.6'],
    ['a range beyond ours', ['c', ['1.1', '1.9']], '1.7'],
    ['null', ['c', null], '1.4'],
    ['nothing', [], '1.4'],
    ['junk behind it', ['c', ['1.4', '1.6'], 'junk', 9999.9], '1.6'],
    ['names', { client_name: 'c', protocol_version: '1.5', dd: {} }, '1.5'],
  ])('lets a client ask for %s', async (_, params, expected) => {
    const ctx = new FakeContext()
    expect(await registry.dispatch('server.version', params, ctx)).toEqual(['Valence 0.1.0', expected])
    expect(ctx.cost).toBe(0.5)
  })

  it.each([['1.8'], ['1.1'], [['1.8', '1.9']], [['1.6', '1.4']], [1.4], ['x'], [{}], [['1.4']], [true]])(
    'refuses the client that asks for %j',
    async (wanted) => {
      expect((await refusal(registry.dispatch('server.version', ['c', wanted], new FakeContext()))).code).toBe(1)
    },
  )

  it('counts once', async () => {
    const ctx = new FakeContext()
    await registry.dispatch('server.version', ['c', '1.6'], ctx)
    expect((await refusal(registry.dispatch('server.version', ['d', '1.4'], ctx))).message).toBe(
      'server.version already sent',
    )
    expect([ctx.client.software, ctx.client.protocol]).toEqual(['c', [1, 6, 0]])
  })

  it('remembers no more than 100 characters of a name', async () => {
    const ctx = new FakeContext()
    await registry.dispatch('server.version', ['x'.repeat(500), '1.4'], ctx)
    expect(ctx.client.software).toBe('x'.repeat(100))
  })
})

describe('server.ping', () => {
  it('charges the padding that is made, whether or not it can be sent', async () => {
    const methods = new MethodRegistry({}, electrumMethods({ maxSend: 8_000_000 }))
    const costOf = async (length: number): Promise<number> => {
      const ctx = at([1, 7, 0])
      await methods.dispatch('server.ping', [length], ctx)
      return ctx.cost
    }
    expect(await costOf(0)).toBe(0.1)
    expect(await costOf(8_000_000)).toBeCloseTo(80.1)
  })

  it('answers null until 1.6, and padding from 1.7', async () => {
    expect(await registry.dispatch('server.ping', [], at([1, 6, 0]))).toBeNull()
    expect(await registry.dispatch('server.ping', [], at([1, 7, 0]))).toEqual({ data: '' })
    expect(await registry.dispatch('server.ping', [5, 'abc'], at([1, 7, 0]))).toEqual({ data: '00000' })
    expect((await refusal(registry.dispatch('server.ping', [5], at([1, 6, 0])))).code).toBe(-32602)
  })

  it('refuses more padding than an answer may have, and padding that is no hex', async () => {
    expect(await registry.dispatch('server.ping', [100], at([1, 7, 0]))).toEqual({ data: '0'.repeat(100) })
    expect((await refusal(registry.dispatch('server.ping', [101], at([1, 7, 0])))).code).toBe(1)
    expect((await refusal(registry.dispatch('server.ping', [0, 'xyz'], at([1, 7, 0])))).code).toBe(1)
  })

  it('is a notification from 1.7', async () => {
    await registry.notify('server.ping', ['ff'.repeat(10)].slice(1), at([1, 7, 0]))
    expect((await refusal(registry.notify('server.ping', [], at([1, 6, 0])))).code).toBe(-32601)
  })
})

describe('what the server says of itself', () => {
  it('is banner, donation address and peers', async () => {
    const ctx = at([1, 4, 0])
    expect(await registry.dispatch('server.banner', [], ctx)).toBe('Welcome.')
    expect(await registry.dispatch('server.donation_address', [], ctx)).toBe(ctx.server.donationAddress)
    expect(await registry.dispatch('server.peers.subscribe', [], ctx)).toEqual([
      ['192.0.2.7', 'other.example.org', ['v1.6', 's50002']],
    ])
    expect(ctx.cost).toBeCloseTo(0.5 + 0.1 + 1)
  })

  it('is features, with the hash function until 1.6 only', async () => {
    const expected = {
      hosts: { 'electrum.example.org': { tcp_port: 50001 } },
      services: ['tcp://electrum.example.org:50001'],
      pruning: null,
      server_version: 'Valence 0.1.0',
      protocol_min: '1.4',
      protocol_max: '1.7',
      genesis_hash: '0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206',
      mempool_complete: true,
    }
    expect(await features(at([1, 6, 0]))).toEqual({ ...expected, hash_function: 'sha256' })
    expect(await features(at([1, 7, 0]))).toEqual(expected)
  })

  it('is written once, and anew when anything in it is another', async () => {
    const ctx = at([1, 4, 0])
    let own: Readonly<Record<string, unknown>> = { hosts: { a: {} } }
    Object.assign(ctx.server, { features: () => own })
    const first = await registry.dispatch('server.features', [], ctx)
    expect(await registry.dispatch('server.features', [], ctx)).toBe(first)
    ctx.client.protocol = [1, 7, 0]
    expect(await features(ctx)).not.toHaveProperty('hash_function')
    Object.assign(ctx.moment.mempool, { complete: false })
    expect(await features(ctx)).toMatchObject({ mempool_complete: false })
    ctx.client.protocol = [1, 4, 0]
    Object.assign(ctx.moment.mempool, { complete: true })
    expect(await registry.dispatch('server.features', [], ctx)).toBe(first)
    own = { hosts: { b: {} } }
    expect(await features(ctx)).toMatchObject({ hosts: { b: {} }, hash_function: 'sha256' })
    expect(await features(at([1, 4, 0]))).toMatchObject({ hosts: { 'electrum.example.org': { tcp_port: 50001 } } })
  })

  it('answers a server that wants to be a peer as peer discovery does, false where there is none', async () => {
    const ctx = at([1, 4, 0])
    const features = { hosts: { h: {} } }
    expect(await registry.dispatch('server.add_peer', [features], ctx)).toBe(false)
    expect(ctx.cost).toBe(100)
    const asked: unknown[] = []
    Object.assign(ctx.server, { addPeer: async (given: unknown, client: unknown) => asked.push(given, client) > 0 })
    ctx.client.isPeer = false
    expect(await registry.dispatch('server.add_peer', [features], ctx)).toBe(true)
    expect(asked).toEqual([features, ctx.client])
    expect((await refusal(registry.dispatch('server.add_peer', ['x'], ctx))).code).toBe(1)
  })

  it('lets a server ask to be a peer once per connection, whatever the answer was', async () => {
    const ctx = at([1, 4, 0])
    const asked: unknown[] = []
    Object.assign(ctx.server, { addPeer: async (given: unknown) => asked.push(given) > 1 })
    expect(await registry.dispatch('server.add_peer', [{ hosts: {} }], ctx)).toBe(false)
    expect(await registry.dispatch('server.add_peer', [{ hosts: {} }], ctx)).toBe(false)
    expect(asked).toHaveLength(1)
    expect(ctx.cost).toBe(200)
  })
})
