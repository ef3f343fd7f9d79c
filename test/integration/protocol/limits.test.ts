import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import type { Environment } from '../../../src/config/settings.ts'
import type { LimitName } from '../../../src/errors.ts'
import type { FaultHook } from '../../../src/regtest/http.ts'
import { proxyV1 } from '../../support/proxy-header.ts'
import { WireClient } from '../../support/wire-client.ts'
import { payee, Station } from './station.ts'

const HOST = '127.0.0.1'
const SUBSCRIBE = 'blockchain.scripthash.subscribe'
const BY_PROXY = { TRUSTED_PROXIES: '127.0.0.0/8' }
const VERSION = '{"jsonrpc":"2.0","id":0,"method":"server.version","params":["me","1.4"]}\n'

/** Every limit that an operator sets, reached on the whole server; docs/LIMITS.md names these tests. */
describe('limits', () => {
  let station: Station | undefined
  const sockets: Socket[] = []

  async function start(settings: Environment, options?: { blocks?: number; fault?: FaultHook }): Promise<Station> {
    station = await Station.start(settings, options)
    return station
  }

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy()
    await station?.stop()
    station = undefined
  })

  /** A client that a trusted proxy brings from elsewhere. */
  function from(host: string, text = VERSION): Socket {
    const socket = connect(station!.port('tcp'), HOST)
    socket.on('error', () => {}) // Some are cut, which is what is looked for.
    sockets.push(socket)
    socket.write(Buffer.concat([proxyV1({ host, port: 1 }), Buffer.from(text)]))
    return socket
  }

  it('MAX_SESSIONS closes the listeners, which open again at 95 % of it', async () => {
    const { sessions } = bind(await start({ MAX_SESSIONS: '20' }))
    const clients = await Promise.all(Array.from({ length: 20 }, () => station!.client()))
    expect(await sessions()).toMatchObject({ active: 20, paused: true })
    for (const kind of ['tcp', 'ssl', 'ws'] as const) {
      await expect(WireClient.connect({ kind, port: station!.port(kind) })).rejects.toThrow(/ECONNREFUSED/)
    }
    await clients[0]!.close()
    await station!.sessionsUntil(({ active, paused }) => active === 19 && !paused)
    expect(await (await untilOpen(() => station!.client())).request('server.ping')).toBeNull()
    // The last one is the twentieth again.
    expect(await reached('MAX_SESSIONS')).toBe(2)
  })

  it('MAX_SESSIONS_PER_GROUP cuts who comes next from the same subnet', async () => {
    const { sessions } = bind(await start({ ...BY_PROXY, MAX_SESSIONS_PER_GROUP: '2' }))
    for (const host of ['198.99.114.1', '198.99.114.2', '198.99.115.1']) await once(from(host), 'data')
    await once(from('198.99.114.3'), 'close')
    expect((await sessions()).refusals['group is full']).toBe(1)
    expect(await station!.metric('valence_refusals_total{reason="group is full"}')).toBe(1)
  })

  it('MAX_HANDSHAKING cuts newcomers, not sessions', async () => {
    const { sessions } = bind(await start({ MAX_HANDSHAKING: '4', MAX_HANDSHAKING_PER_HOST: '0' }))
    const wallet = await station!.client()
    for (let i = 0; i < 4; i++) await station!.connect()
    await station!.sessionsUntil(({ handshaking }) => handshaking === 4)
    await (await station!.connect()).closed
    expect((await sessions()).refusals['too many newcomers']).toBe(1)
    expect(await wallet.request('server.ping')).toBeNull()
  })

  it('MAX_HANDSHAKING_PER_HOST leaves room for newcomers from elsewhere', async () => {
    const { sessions } = bind(await start({ ...BY_PROXY, MAX_HANDSHAKING_PER_HOST: '2' }))
    from('198.99.114.1', '')
    from('198.99.114.1', '')
    await station!.sessionsUntil(({ handshaking }) => handshaking === 2)
    await once(from('198.99.114.1', ''), 'close')
    expect((await sessions()).refusals['too many newcomers of one host']).toBe(1)
    await once(from('198.99.115.1'), 'data')
  })

  it('HANDSHAKE_TIMEOUT cuts who asks nothing, and who does not get through TLS', async () => {
    const { sessions } = bind(await start({ HANDSHAKE_TIMEOUT: '1' }))
    const silent = connect(station!.port('ssl'), HOST)
    await Promise.all([(await station!.connect()).closed, once(silent, 'close')])
    expect((await sessions()).closed['handshake timeout']).toBe(1)
    expect((await sessions()).handshaking).toBe(0)
  })

  it('SESSION_TIMEOUT closes who has sent nothing', async () => {
    const { sessions } = bind(await start({ SESSION_TIMEOUT: '1' }))
    await (await station!.client()).closed
    expect((await sessions()).closed['idle timeout']).toBe(1)
    expect(await station!.metric('valence_disconnects_total{reason="idle timeout"}')).toBe(1)
  })

  it('MAX_RECV drops a line and the session lives; HTTP says 413', async () => {
    await start({ MAX_RECV: '1000' })
    const client = await station!.client()
    client.sendRaw('x'.repeat(1001))
    const answer = client.request('server.ping')
    expect(await answer).toBeNull()
    client.sendRaw(`{"jsonrpc":"2.0","id":"fits","method":"server.ping","params":[]}`.padEnd(1000))
    expect(await client.next()).toEqual({ jsonrpc: '2.0', id: 'fits', result: null })
    expect(await reached('MAX_RECV')).toBe(1)
    const response = await fetch(`http://${HOST}:${station!.port('http')}/`, { method: 'POST', body: ' '.repeat(1001) })
    expect(response.status).toBe(413)
  })

  it('MAX_BATCH refuses a longer batch whole', async () => {
    await start({ MAX_BATCH: '2' })
    const client = await station!.client()
    const ping = (id: number) => ({ jsonrpc: '2.0', id, method: 'server.ping', params: [] })
    client.send([ping(1), ping(2), ping(3)])
    expect(await client.next()).toMatchObject({ error: { code: -32600, message: 'Batch limit exceeded (2 entries)' } })
    client.send([ping(1), ping(2)])
    await client.next(({ id }) => id === 2)
    expect(client.received.at(-1)).toHaveLength(2)
    expect(await reached('MAX_BATCH')).toBe(1)
  })

  it('nesting is refused beyond 64', async () => {
    await start({})
    const client = await station!.client()
    const nested = (depth: number) =>
      `{"jsonrpc":"2.0","id":1,"method":"server.ping","params":${'['.repeat(depth)}${']'.repeat(depth)}}`
    client.sendRaw(nested(64))
    expect(await client.next()).toMatchObject({ error: { code: -32600, message: 'request is nested too deep' } })
    client.sendRaw(nested(63))
    expect(await client.next()).toMatchObject({ error: { code: -32602 } })
    expect(await reached('nesting')).toBe(1)
  })

  it('MAX_SEND replaces an answer that is too long, in a batch that one alone', async () => {
    await start({ MAX_SEND: '350000' })
    const client = await station!.client('1.7')
    const fits = (await client.request('server.ping', [300_000])) as { data: string }
    expect(fits.data).toHaveLength(300_000)
    const tooLong = client.request('server.ping', [349_999])
    await expect(tooLong).rejects.toMatchObject({ code: -32600, message: 'response too large (over 350000 bytes)' })
    const ping = (id: number, length: number) => ({ jsonrpc: '2.0', id, method: 'server.ping', params: [length] })
    client.send([ping(1, 200_000), ping(2, 200_000), ping(3, 10)])
    await client.next(({ id }) => id === 3)
    expect(client.received.at(-1)).toMatchObject([{ result: {} }, { error: { code: -32600 } }, { result: {} }])
    expect(await reached('MAX_SEND')).toBe(2)
  })

  it('a history that MAX_SEND could not hold is answered with 10001, and so is its status', async () => {
    // (350000 - 100) / 99
    const most = 3534
    await start({ MAX_SEND: '350000' })
    const { address, hash } = payee('miner')
    await station!.mine(most, address)
    const client = await station!.client()
    expect(await client.request('blockchain.scripthash.get_history', [hash])).toHaveLength(most)
    const status = await client.request(SUBSCRIBE, [hash])
    expect(status).toMatch(/^[0-9a-f]{64}$/)
    await station!.mine(1, address)
    const other = await station!.client()
    for (const method of ['get_history', 'subscribe']) {
      await expect(other.request(`blockchain.scripthash.${method}`, [hash])).rejects.toMatchObject({ code: 10_001 })
    }
    // Who follows it cannot be told any more.
    await client.closed
    expect(await reached('history')).toBe(2)
  })

  it('headers come 2016 at a time', async () => {
    await start({}, { blocks: 2100 })
    const client = await station!.client('1.6')
    const answer = (await client.request('blockchain.block.headers', [0, 3000])) as { count: number; headers: string[] }
    expect(answer.count).toBe(2016)
    expect(answer.headers).toHaveLength(2016)
  })

  it('REQUEST_TIMEOUT answers -102', async () => {
    const fault: FaultHook = ({ method }) => (method === 'estimatesmartfee' ? { delayMs: 20_000 } : undefined)
    await start({ REQUEST_TIMEOUT: '1' }, { fault })
    const client = await station!.client()
    await expect(client.request('blockchain.estimatefee', [5])).rejects.toMatchObject({ code: -102 })
    expect(await client.request('server.ping')).toBeNull()
    expect(await reached('REQUEST_TIMEOUT')).toBe(1)
  })

  it('MAX_SUBSCRIPTIONS_PER_SESSION and MAX_SUBSCRIPTIONS answer -101 and close', async () => {
    await start({ MAX_SUBSCRIPTIONS_PER_SESSION: '2', MAX_SUBSCRIPTIONS: '3' })
    const [greedy, second, third] = [await station!.client(), await station!.client(), await station!.client()]
    const hashes = ['a', 'b', 'c'].map((name) => payee(name).hash)
    for (const hash of hashes.slice(0, 2)) expect(await greedy.request(SUBSCRIBE, [hash])).toBeNull()
    // The same again is no further one.
    expect(await greedy.request(SUBSCRIBE, [hashes[0]])).toBeNull()
    await second.request(SUBSCRIBE, [hashes[0]])
    await expect(third.request(SUBSCRIBE, [hashes[0]])).rejects.toMatchObject({ code: -101 })
    await third.closed
    await expect(greedy.request(SUBSCRIBE, [hashes[2]])).rejects.toMatchObject({ code: -101 })
    await greedy.closed
    await station!.sessionsUntil(({ active }) => active === 1)
    await second.request(SUBSCRIBE, [hashes[2]])
    expect(await reached('MAX_SUBSCRIPTIONS')).toBe(1)
    expect(await reached('MAX_SUBSCRIPTIONS_PER_SESSION')).toBe(1)
  })

  it('COST_SOFT_LIMIT slows down by up to REQUEST_SLEEP, COST_HARD_LIMIT ends with -101', async () => {
    await start({ COST_SOFT_LIMIT: '5', COST_HARD_LIMIT: '300', REQUEST_SLEEP: '400' })
    const client = await station!.client()
    await expect(client.request('no.such.method')).rejects.toMatchObject({ code: -32601 })
    await expect(client.request('no.such.method')).rejects.toMatchObject({ code: -32601 })
    const before = performance.now()
    await client.request('server.ping')
    // A cost of 205: two thirds of the way, 270 ms.
    expect(performance.now() - before).toBeGreaterThan(100)
    await expect(client.request('no.such.method')).rejects.toMatchObject({ code: -32601 })
    await expect(client.request('server.ping')).rejects.toMatchObject({ code: -101 })
    await client.closed
    // All but the first of those that were served.
    expect(await reached('COST_SOFT_LIMIT')).toBe(3)
    expect(await reached('COST_HARD_LIMIT')).toBe(1)
  })

  it('LIMIT_EXEMPT_SUBNETS are never slowed down or cut off', async () => {
    await start({ COST_SOFT_LIMIT: '5', COST_HARD_LIMIT: '310', LIMIT_EXEMPT_SUBNETS: '127.0.0.0/8' })
    const client = await station!.client()
    for (let i = 0; i < 10; i++) await client.request('no.such.method').catch(() => {})
    expect(await client.request('server.ping')).toBeNull()
  })

  it('SESSION_GROUP_BY_SUBNET_IPV4 and _IPV6 say who pays together', async () => {
    await start({ ...BY_PROXY, SESSION_GROUP_BY_SUBNET_IPV4: '16', SESSION_GROUP_BY_SUBNET_IPV6: '32' })
    for (const host of ['198.99.1.1', '198.99.2.1', '2001:4860:1::1', '2001:4860:2::1']) await once(from(host), 'data')
    const groups = (await station!.admin('groups')) as readonly { readonly name: string; readonly sessions: number }[]
    expect(groups.map(({ name, sessions }) => [name, sessions])).toEqual([
      ['198.99.0.0/16', 2],
      ['2001:4860::/32', 2],
    ])
  })

  it('SESSION_GROUP_BY_TIME lets who came together pay a little for each other, from wherever they are', async () => {
    await start({ ...BY_PROXY, SESSION_GROUP_BY_TIME: '86400' })
    for (const host of ['198.99.1.1', '198.99.2.1']) await once(from(host), 'data')
    const groups = (await station!.admin('groups')) as readonly Readonly<Record<string, unknown>>[]
    expect(groups).toMatchObject([
      { name: '198.99.1.0/24', weight: 1, sessions: 1 },
      { name: expect.stringMatching(/^from \d{4}-\d\d-\d\dT00:00:00\.000Z$/) as string, weight: 0.03, sessions: 2 },
      { name: '198.99.2.0/24', weight: 1, sessions: 1 },
    ])
  })

  it('MAX_UNSENT cuts a client that does not read, whatever the time', async () => {
    const { sessions } = bind(
      await start({ MAX_SEND: '2000000', MAX_UNSENT: '2000000', SEND_TIMEOUT: '3600', NOTIFY_TIMEOUT: '3600' }),
    )
    const client = await station!.client('1.7')
    client.pause()
    for (let i = 0; i < 10; i++) client.request('server.ping', [1_900_000]).catch(() => {})
    await station!.sessionsUntil(({ closed }) => closed['slow reader'] === 1)
    expect((await sessions()).active).toBe(0)
  })

  it('SEND_TIMEOUT cuts a client that takes nothing', async () => {
    const { sessions } = bind(await start({ SEND_TIMEOUT: '1', NOTIFY_TIMEOUT: '3600' }))
    const client = await station!.client('1.7')
    client.pause()
    for (let i = 0; i < 10; i++) client.request('server.ping', [2_000_000]).catch(() => {})
    await station!.sessionsUntil(({ closed }) => closed['slow reader'] === 1)
    expect((await sessions()).active).toBe(0)
  })

  it('NOTIFY_TIMEOUT cuts a client that cannot be told', async () => {
    const { sessions } = bind(await start({ SEND_TIMEOUT: '3600', NOTIFY_TIMEOUT: '1' }))
    const client = await station!.client('1.7')
    await client.request('blockchain.headers.subscribe')
    client.pause()
    for (let i = 0; i < 10; i++) client.request('server.ping', [2_000_000]).catch(() => {})
    await station!.sessionsUntil(({ active }) => active === 1)
    station!.node.mine(1)
    await station!.sessionsUntil(({ closed }) => closed['slow reader'] === 1)
    expect(await reached('NOTIFY_TIMEOUT')).toBe(1)
    expect((await sessions()).active).toBe(0)
  })

  it('DROP_CLIENT refuses by name', async () => {
    const { sessions } = bind(await start({ DROP_CLIENT: 'old|a bad' }))
    const client = await station!.connect()
    const refused = client.request('server.version', ['a bad client', '1.4'])
    await expect(refused).rejects.toMatchObject({ code: 1, message: 'unsupported client: a bad client' })
    await client.closed
    expect((await sessions()).closed['client refused']).toBe(1)
  })

  /** How often the metrics say that it was. */
  function reached(limit: LimitName): Promise<number | undefined> {
    return station!.metric(`valence_reached_limits_total{limit="${limit}"}`)
  }

  function bind(running: Station) {
    return { sessions: () => running.sessions() }
  }
})

/** Listening begins a few turns of the event loop after it was decided. */
async function untilOpen<T>(action: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await action()
    } catch (error) {
      if (!(error instanceof Error) || !error.message.includes('ECONNREFUSED')) throw error
    }
  }
}
