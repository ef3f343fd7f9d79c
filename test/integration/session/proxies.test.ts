import { once } from 'node:events'
import { Agent, request as httpRequest } from 'node:http'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { DEFAULT_GROUPS } from '../../../src/session/groups.ts'
import type { ListenTarget } from '../../../src/session/listeners.ts'
import { TrustedProxies } from '../../../src/session/transports/proxies.ts'
import { proxyV1, proxyV2 } from '../../support/proxy-header.ts'
import { type KitOptions, SessionKit } from '../../support/session-kit.ts'
import { LIMITS, testCertificate } from '../../support/transport-kit.ts'

const HOST = '127.0.0.1'
const TRUST = { proxies: new TrustedProxies(['127.0.0.0/8']) }
const CLIENT = { host: '198.99.114.7', port: 5151 }
const OTHER = { host: '198.99.115.9', port: 5152 }
const VERSION = '{"jsonrpc":"2.0","id":0,"method":"server.version","params":["kit",[1,4]]}\n'

async function listenersOf(...kinds: readonly ListenTarget['kind'][]): Promise<ListenTarget[]> {
  const tls = await testCertificate()
  return kinds.map((kind) => {
    const target = { kind, host: HOST, port: 0 }
    return kind === 'ssl' || kind === 'wss' || kind === 'https' ? { ...target, tls } : target
  })
}

describe('clients behind a trusted proxy', () => {
  let kit: SessionKit | undefined
  const sockets: { destroy(): void }[] = []

  async function start(options: KitOptions = {}): Promise<SessionKit> {
    kit = new SessionKit({ ...options, manager: { ...TRUST, ...options.manager } })
    return kit.start()
  }

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy()
    await kit?.stop()
    kit = undefined
  })

  function dial(kind = 'tcp'): Socket {
    const socket = connect(kit!.port(kind), HOST)
    socket.on('error', () => {}) // Some are cut, which is what is looked for.
    sockets.push(socket)
    return socket
  }

  /** The connection's first answer. */
  async function answer(socket: Socket): Promise<unknown> {
    let text = ''
    while (!text.includes('\n')) text += String((await once(socket, 'data'))[0])
    return JSON.parse(text) as unknown
  }

  function remotes(): string[] {
    return [...kit!.manager.clients()].map(({ remote }) => remote.host)
  }

  it.each([
    { version: 1, header: proxyV1(CLIENT) },
    { version: 2, header: proxyV2(CLIENT) },
  ])('are known by the PROXY header, version $version, over TCP', async ({ header }) => {
    await start()
    const socket = dial()
    socket.write(Buffer.concat([header, Buffer.from(VERSION)]))
    expect(await answer(socket)).toMatchObject({ result: ['kit', '1.4.0'] })
    const [session] = [...kit!.manager.clients()]
    expect(session!.remote).toEqual(CLIENT)
    expect(session!.groups.map(({ name }) => name)).toEqual(['198.99.114.0/24'])
  })

  it('are known by a header that comes byte by byte', async () => {
    await start()
    const socket = dial()
    socket.setNoDelay(true)
    for (const byte of proxyV2(CLIENT)) {
      socket.write(Buffer.from([byte]))
      await new Promise((resolve) => setImmediate(resolve))
    }
    socket.write(VERSION)
    expect(await answer(socket)).toMatchObject({ result: ['kit', '1.4.0'] })
    expect(remotes()).toEqual([CLIENT.host])
  })

  it('are known by the header over SSL, ahead of the handshake', async () => {
    await start({ listeners: await listenersOf('ssl') })
    const socket = dial('ssl')
    socket.write(proxyV1(CLIENT))
    const secure = connectTls({ socket, rejectUnauthorized: false })
    sockets.push(secure)
    secure.write(VERSION)
    expect(await answer(secure)).toMatchObject({ result: ['kit', '1.4.0'] })
    expect(remotes()).toEqual([CLIENT.host])
  })

  it('are known by the header over HTTP, and WebSocket too', async () => {
    await start({ listeners: await listenersOf('http', 'ws') })
    const http = dial('http')
    http.write(proxyV1(CLIENT))
    http.write('GET /proxy/protocol HTTP/1.1\r\nHost: x\r\n\r\n')
    expect(String((await once(http, 'data'))[0])).toContain('{"success":true,"response":"1.4.0"}')
    const socket = dial('ws')
    socket.write(proxyV2(OTHER))
    const ws = new WebSocket('ws://x/', { createConnection: () => socket })
    await once(ws, 'open')
    ws.send(VERSION)
    expect(String((await once(ws, 'message'))[0])).toContain('"result"')
    expect(remotes().sort()).toEqual([CLIENT.host, OTHER.host])
  })

  it('are known by the header that Tor writes with HiddenServiceExportCircuitID, whatever they say themselves', async () => {
    await start({ listeners: await listenersOf('http') })
    const http = dial('http')
    http.write('PROXY TCP6 fc00:dead:beef:4dad::ffff:ffff ::1 65535 42\r\n')
    http.write(`GET /proxy/protocol HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: ${CLIENT.host}\r\n\r\n`)
    await once(http, 'data')
    expect(remotes()).toEqual(['fc00:dead:beef:4dad::ffff:ffff'])
  })

  it('are taken for the proxy itself where it says nothing', async () => {
    await start()
    const client = await kit!.active()
    expect(await client.request('echo', ['hi'])).toBe('hi')
    const check = dial()
    check.write(Buffer.concat([Buffer.from('PROXY UNKNOWN\r\n'), Buffer.from(VERSION)]))
    await answer(check)
    expect(remotes()).toEqual([HOST, HOST])
  })

  it('are cut with a broken header, or one that never ends', async () => {
    await start({ manager: { connection: { ...LIMITS, handshakeTimeout: 50 } } })
    const broken = dial()
    broken.write('PROXY TCP4 nonsense\r\n')
    const endless = dial()
    endless.write('PROXY TCP4 1.1.1.1')
    const left = dial()
    left.end('PRO')
    await Promise.all([broken, endless, left].map((socket) => once(socket, 'close')))
    await kit!.until(() => kit!.manager.counts.handshaking === 0)
    expect(kit!.manager.counts.accepted).toBe(0)
  })

  it('are not believed from somebody who is no proxy of ours', async () => {
    await start({
      manager: { proxies: new TrustedProxies(['10.0.0.0/8']) },
      listeners: await listenersOf('tcp', 'http'),
    })
    const socket = dial()
    socket.write(Buffer.concat([proxyV1(CLIENT), Buffer.from(VERSION)]))
    expect(await answer(socket)).toMatchObject({ error: { code: -32700 } })
    await proxied()({ 'X-Forwarded-For': CLIENT.host })
    expect(remotes()).toEqual([HOST, HOST])
  })

  it('have a limit of newcomers for each host', async () => {
    await start({ manager: { ...TRUST, maxHandshakingPerHost: 2 } })
    const first = [dial(), dial()]
    for (const socket of first) socket.write(proxyV1(CLIENT))
    const ofClient = () => [...kit!.manager.clients()].filter(({ remote }) => remote.host === CLIENT.host)
    await kit!.until(() => ofClient().length === 2)
    const third = dial()
    third.write(proxyV1(CLIENT))
    await once(third, 'close')
    expect(kit!.manager.counts.refusals['too many newcomers of one host']).toBe(1)
    const other = dial()
    other.write(Buffer.concat([proxyV1(OTHER), Buffer.from(VERSION)]))
    expect(await answer(other)).toMatchObject({ id: 0 })
    // Who has asked something is a newcomer no longer.
    first[0]!.write(VERSION)
    await answer(first[0]!)
    const fourth = dial()
    fourth.write(Buffer.concat([proxyV1(CLIENT), Buffer.from(VERSION)]))
    expect(await answer(fourth)).toMatchObject({ id: 0 })
  })

  it('have a limit of sessions for each subnet', async () => {
    await start({ manager: { ...TRUST, groups: { ...DEFAULT_GROUPS, maxSessions: 1 } } })
    const socket = dial()
    socket.write(Buffer.concat([proxyV1(CLIENT), Buffer.from(VERSION)]))
    await answer(socket)
    const neighbour = dial()
    neighbour.write(Buffer.concat([proxyV1({ host: '198.99.114.200', port: 1 }), Buffer.from(VERSION)]))
    await once(neighbour, 'close')
    expect(kit!.manager.counts.refusals['group is full']).toBe(1)
  })

  describe.each(['ssl', 'https', 'ws'] as const)('over %s', (kind) => {
    const PING = 'GET /proxy/protocol HTTP/1.1\r\nHost: x\r\n\r\n'

    /** So many newcomers of one subnet that are let in, and have not begun the handshake. */
    async function newcomers(count: number): Promise<Socket[]> {
      const arrived = [...Array(count).keys()].map((i) => {
        const socket = dial(kind)
        socket.write(proxyV1({ host: `198.99.114.${i + 1}`, port: 1 }))
        return socket
      })
      await kit!.until(() => kit!.manager.counts.handshaking === count)
      return arrived
    }

    /** Goes through the handshake and asks something. True if there is an answer to that, false if the end comes first. */
    async function served(socket: Socket): Promise<boolean> {
      if (kind === 'ws') {
        const ws = new WebSocket('ws://x/', { createConnection: () => socket })
        ws.on('error', () => {}) // Whose header is read last may find the group full before the upgrade.
        ws.on('open', () => ws.send(VERSION))
        return new Promise((resolve) => ws.on('message', () => resolve(true)).on('close', () => resolve(false)))
      }
      const secure = connectTls({ socket, rejectUnauthorized: false })
      sockets.push(secure)
      secure.on('error', () => {}) // Who is cut in the handshake hears of it in this way.
      secure.write(kind === 'ssl' ? VERSION : PING)
      return new Promise((resolve) => {
        secure.on('data', (data: Buffer) => resolve(/4\.0/.test(data.toString()))).on('close', () => resolve(false))
      })
    }

    it('are no more than the limit of their subnet, however many shake hands at the same time', async () => {
      const groups = { ...DEFAULT_GROUPS, maxSessions: 2 }
      await start({ listeners: await listenersOf(kind), manager: { ...TRUST, groups } })
      const outcomes = await Promise.all((await newcomers(6)).map(served))
      expect(outcomes.filter((outcome) => outcome)).toHaveLength(2)
      expect(kit!.manager.counts).toMatchObject({ active: 2, accepted: 2 })
      expect(kit!.manager.counts.refusals['group is full']).toBe(4)
      await kit!.until(() => kit!.manager.counts.handshaking === 0)
    })

    it('are let in while others of their subnet have not got through the handshake', async () => {
      const groups = { ...DEFAULT_GROUPS, maxSessions: 1 }
      await start({ listeners: await listenersOf(kind), manager: { ...TRUST, groups } })
      const [last] = (await newcomers(4)).slice(-1)
      expect(await served(last!)).toBe(true)
      expect(kit!.manager.counts).toMatchObject({ active: 1, handshaking: 3, refused: 0 })
    })
  })

  it('of one subnet are judged together, and what they used outlives them', async () => {
    await start()
    const spender = dial()
    spender.write(Buffer.concat([proxyV1(CLIENT), Buffer.from(VERSION)]))
    await answer(spender)
    spender.write('{"jsonrpc":"2.0","id":1,"method":"spend","params":[9990]}\n')
    await answer(spender)
    spender.destroy()
    await kit!.until(() => kit!.manager.counts.active === 0)
    const neighbour = dial()
    neighbour.write(
      Buffer.concat([
        proxyV1({ host: '198.99.114.8', port: 1 }),
        Buffer.from('{"jsonrpc":"2.0","id":0,"method":"echo"'),
      ]),
    )
    neighbour.write(',"params":["x"]}\n')
    expect(await answer(neighbour)).toMatchObject({ error: { code: -101 } })
    await once(neighbour, 'close')
  })

  it('are known by X-Forwarded-For at a WebSocket upgrade', async () => {
    await start({ listeners: await listenersOf('ws') })
    const headers = { 'X-Forwarded-For': `9.9.9.9, ${CLIENT.host}` }
    const ws = new WebSocket(`ws://${HOST}:${kit!.port('ws')}/`, { headers })
    await once(ws, 'open')
    await kit!.until(() => remotes().length === 1)
    expect(remotes()).toEqual([CLIENT.host])
    ws.terminate()
  })

  it('are refused with 503 at a WebSocket upgrade when their subnet is full', async () => {
    await start({ listeners: await listenersOf('ws'), manager: { ...TRUST, maxHandshakingPerHost: 1 } })
    const headers = { 'X-Forwarded-For': CLIENT.host }
    const first = new WebSocket(`ws://${HOST}:${kit!.port('ws')}/`, { headers })
    await once(first, 'open')
    const second = new WebSocket(`ws://${HOST}:${kit!.port('ws')}/`, { headers })
    const [error] = (await once(second, 'error')) as [Error]
    expect(error.message).toContain('503')
    first.terminate()
  })

  it('share an HTTP connection of the proxy and are charged apart', async () => {
    await start({ listeners: await listenersOf('http') })
    const ask = proxied()
    const spend = '/proxy/spend?params=[500]'
    expect(await ask({ 'X-Forwarded-For': CLIENT.host }, spend)).toContain('spent')
    expect(await ask({ 'X-Forwarded-For': CLIENT.host }, spend)).toContain('spent')
    expect(remotes()).toEqual([CLIENT.host])
    expect(await ask({ 'X-Forwarded-For': `6.6.6.6, ${OTHER.host}` }, '/proxy/protocol')).toContain('1.4.0')
    expect(remotes()).toEqual([OTHER.host])
    const costs = Object.fromEntries([...kit!.manager.groups.all].map((group) => [group.name, Math.round(group.cost)]))
    expect(costs['198.99.114.0/24']).toBeGreaterThan(1000)
    expect(costs['198.99.115.0/24']).toBeLessThan(20)
    expect(kit!.manager.counts).toMatchObject({ accepted: 2, active: 1 })
    expect(kit!.manager.counts.closed['client closed']).toBe(1)
  })

  it('that leave an HTTP connection to another client still get their answer', async () => {
    await start({ listeners: await listenersOf('http') })
    const socket = dial('http')
    const get = (path: string, from: string) =>
      socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: ${from}\r\n\r\n`)
    get('/proxy/hold', CLIENT.host)
    await kit!.held.begun(1)
    get('/proxy/protocol', OTHER.host)
    await kit!.until(() => remotes().length === 2)
    kit!.held.release()
    let text = ''
    while (!text.includes('1.4.0')) text += String((await once(socket, 'data'))[0])
    expect(text).toContain('"response":"released"')
    await kit!.until(() => remotes().length === 1)
    expect(remotes()).toEqual([OTHER.host])
  })

  it('are refused with 503 over HTTP when there is no place, without harm to others', async () => {
    await start({
      listeners: await listenersOf('http'),
      manager: { ...TRUST, groups: { ...DEFAULT_GROUPS, maxSessions: 1 } },
    })
    const ask = proxied()
    expect(await ask({ 'X-Forwarded-For': CLIENT.host }, '/proxy/protocol')).toContain('1.4.0')
    expect(await ask({ 'X-Forwarded-For': '198.99.114.8' }, '/proxy/protocol')).toBe('503')
    expect(await proxied()({ 'X-Forwarded-For': OTHER.host }, '/proxy/protocol')).toContain('1.4.0')
  })

  it('cut the connection of a proxy that brings no request in time', async () => {
    await start({ listeners: await listenersOf('http'), manager: { connection: { ...LIMITS, handshakeTimeout: 50 } } })
    await once(dial('http'), 'close')
    await kit!.until(() => kit!.manager.counts.handshaking === 0)
    expect(kit!.manager.counts.accepted).toBe(0)
  })

  /** A proxy with one connection that it keeps: the body of each answer, or the status where that is not 200. */
  function proxied(): (headers: Readonly<Record<string, string>>, path?: string) => Promise<string> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    sockets.push(agent)
    return async (headers, path = '/proxy/protocol') => {
      const request = httpRequest({ host: HOST, port: kit!.port('http'), path, headers, agent })
      request.end()
      const [response] = (await once(request, 'response')) as [import('node:http').IncomingMessage]
      let text = ''
      for await (const part of response) text += String(part)
      return response.statusCode === 200 ? text : String(response.statusCode)
    }
  }
})
