import { once } from 'node:events'
import { Agent, request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { type AddressInfo, connect, createServer } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import { defineMethod } from '../../../src/rpc/method.ts'
import { DEFAULT_COSTS } from '../../../src/session/cost.ts'
import { HandMoments, KIT_METHOD, type KitOptions, SessionKit } from '../../support/session-kit.ts'
import { awaited, LIMITS, testCertificate } from '../../support/transport-kit.ts'

const HOST = '127.0.0.1'
const HTTP = { kind: 'http', host: HOST, port: 0 } as const

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  readonly json: () => unknown
}

interface Ask {
  readonly method?: string
  readonly path?: string
  readonly body?: string
}

describe('HTTP', () => {
  let kit: SessionKit | undefined
  const agents: Agent[] = []

  async function start(options: KitOptions = {}): Promise<SessionKit> {
    kit = new SessionKit({ listeners: [HTTP], ...options })
    return kit.start()
  }

  afterEach(async () => {
    for (const agent of agents.splice(0)) agent.destroy()
    await kit?.stop()
    kit = undefined
  })

  /** All of one agent's requests go over one connection. */
  function browser(kind: 'http' | 'https' = 'http') {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    agents.push(agent)
    return ({ method = 'POST', path = '/', body }: Ask): Promise<Answer> =>
      new Promise((resolve, reject) => {
        const options = { host: HOST, port: kit!.port(kind), method, path }
        const request =
          kind === 'http'
            ? httpRequest({ ...options, agent })
            : httpsRequest({ ...options, rejectUnauthorized: false, agent: false })
        request.once('error', reject)
        request.once('response', (response) => {
          const parts: Buffer[] = []
          response.on('data', (part: Buffer) => parts.push(part))
          response.once('end', () => {
            const text = Buffer.concat(parts).toString()
            const { statusCode: status = 0, headers } = response
            resolve({ status, headers, text, json: () => JSON.parse(text) as unknown })
          })
        })
        request.end(body)
      })
  }

  function call(method: string, params: readonly unknown[] = [], id: unknown = 1): string {
    return JSON.stringify({ jsonrpc: '2.0', id, method, params })
  }

  it('answers JSON-RPC like a stream: requests, batches, errors', async () => {
    await start()
    const ask = browser()
    expect((await ask({ body: call('echo', ['hi']) })).json()).toEqual({ jsonrpc: '2.0', id: 1, result: 'hi' })
    const batch = await ask({ body: `[${call('echo', ['a'], 'x')},${call('nothing', [], 'y')}]` })
    expect(batch.json()).toMatchObject([{ result: 'a' }, { error: { code: -32601 } }])
    const notification = await ask({ body: '{"jsonrpc":"2.0","method":"echo","params":["x"]}' })
    expect(notification).toMatchObject({ status: 204, text: '' })
    expect((await ask({ body: '{' })).json()).toMatchObject({ error: { code: -32700 } })
    expect(kit!.manager.counts).toMatchObject({ active: 1, accepted: 1 })
  })

  it('decides on the dialect for each request, because a connection may carry many clients', async () => {
    await start()
    const ask = browser()
    expect((await ask({ body: '{"id":1,"method":"echo","params":["a"]}' })).json()).toMatchObject({ result: 'a' })
    expect((await ask({ body: call('echo', ['b']) })).json()).toMatchObject({ jsonrpc: '2.0', result: 'b' })
    expect((await ask({ body: '{"id":1,"method":"echo","params":["c"]}' })).json()).toMatchObject({ result: 'c' })
  })

  it('lets server.version be asked by each of them', async () => {
    await start()
    const ask = browser()
    for (let i = 0; i < 2; i++) {
      const answer = await ask({ body: call('server.version', ['me', [1, 4]]) })
      expect(answer.json()).toMatchObject({ result: ['kit', '1.4.0'] })
    }
  })

  it('refuses subscriptions', async () => {
    await start()
    const answer = await browser()({ body: call('blockchain.headers.subscribe') })
    expect(answer.json()).toMatchObject({ error: { code: 1 } })
  })

  it('spells calls in the manner of the Atomicals proxy, with GET and POST', async () => {
    await start()
    const ask = browser()
    const ok = { success: true, response: 'hi' }
    expect((await ask({ method: 'GET', path: '/proxy/echo?params=%5B%22hi%22%5D' })).json()).toEqual(ok)
    expect((await ask({ path: '/proxy/echo', body: '{"params":["hi"]}' })).json()).toEqual(ok)
    expect((await ask({ path: '/proxy/protocol' })).json()).toEqual({ success: true, response: '1.4.0' })
    expect((await ask({ method: 'GET', path: '/proxy/protocol' })).status).toBe(200)
  })

  it.each([
    { path: '/proxy/nothing', body: '{}', code: -32601, message: 'unknown method "nothing"' },
    {
      path: '/proxy/echo',
      body: '{"params":[]}',
      code: -32602,
      message: expect.stringContaining('requires 1') as string,
    },
    { path: '/proxy/fail', body: '', code: -32603, message: expect.stringContaining('request r') as string },
  ])('says in the same manner what is wrong with $path $body', async ({ path, body, code, message }) => {
    await start()
    const answer = await browser()({ path, body })
    expect(answer.status).toBe(500)
    expect(answer.json()).toEqual({ success: false, code, message })
    expect([...kit!.manager.clients()][0]!.cost).toBeGreaterThan(100)
  })

  it('lets web pages of any origin ask', async () => {
    await start()
    const ask = browser()
    const preflight = await ask({ method: 'OPTIONS', path: '/proxy/echo' })
    expect(preflight.status).toBe(204)
    expect(preflight.headers).toMatchObject({
      'access-control-allow-origin': '*',
      'access-control-allow-methods': 'GET, POST, OPTIONS',
    })
    const answer = await ask({ body: call('echo', ['hi']) })
    expect(answer.headers['access-control-allow-origin']).toBe('*')
    expect(answer.headers['content-type']).toMatch(/^application\/json/)
  })

  it('says whether it is healthy', async () => {
    const moments = new HandMoments()
    await start({ moments })
    const ask = browser()
    expect(await ask({ method: 'GET', path: '/health' })).toMatchObject({ status: 200 })
    moments.ready = false
    expect(await ask({ method: 'GET', path: '/health' })).toMatchObject({ status: 503 })
  })

  it('answers what it does not know with the codes of HTTP', async () => {
    await start()
    const ask = browser()
    expect((await ask({ method: 'GET', path: '/nowhere' })).status).toBe(404)
    expect((await ask({ method: 'DELETE', path: '/' })).status).toBe(405)
    expect((await ask({ path: '/health/nothing' })).status).toBe(404)
  })

  it.each([
    ['a path', '/proxy/echo?params=["x"]', 200],
    ['a whole address (RFC 9112 3.2.2)', 'http://example.org/proxy/echo?params=["x"]', 200],
    ['one with a port', 'http://example.org:8080/proxy/echo?params=["x"]', 200],
    ['one of HTTPS, in capitals', 'HTTPS://EXAMPLE.ORG/proxy/echo?params=["x"]', 200],
    ['one of IPv6', 'http://[2001:db8::1]/health', 200],
    ['one without a path', 'http://example.org', 200],
    ['one without a path, but with a query', 'http://example.org?pretty', 200],
    ['one without a host', 'http:///health', 400],
    ['one of another scheme', 'ftp://example.org/health', 400],
    ['a path that looks like a host and a path', '//health/health', 404],
    ['no address', '*', 400],
  ])('takes a request whose target is %s', async (_what, target, status) => {
    await start()
    const socket = connect(kit!.port('http'), HOST)
    socket.write(`GET ${target.replaceAll('"', '%22')} HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n`)
    let answer = ''
    for await (const part of socket) answer += String(part)
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
    if (target.includes('echo')) expect(answer).toContain('"x"')
  })

  it('refuses a body above the limit and closes', async () => {
    await start()
    const answer = await browser()({ body: 'x'.repeat(LIMITS.maxReceive + 1) })
    expect(answer.status).toBe(413)
    expect(answer.headers['connection']).toBe('close')
    await kit!.until(() => kit!.manager.counts.active + kit!.manager.counts.handshaking === 0)
  })

  it('counts what is used like a stream does, and closes at the hard limit', async () => {
    await start()
    const ask = browser()
    await ask({ body: call('spend', [500]) })
    const [session] = [...kit!.manager.clients()]
    expect(session!.cost).toBeGreaterThan(505)
    expect(session!.traffic.receivedBytes).toBeGreaterThan(60)
    const answer = await ask({ body: call('spend', [20_000]) })
    expect(answer.json()).toMatchObject({ error: { code: -101 } })
    await kit!.until(() => kit!.manager.counts.closed['excessive usage'] === 1)
  })

  it('delays requests of one that used much', async () => {
    await start({ shared: { costs: { ...DEFAULT_COSTS, softLimit: 10, hardLimit: 1000 } } })
    const ask = browser()
    await ask({ body: call('spend', [500]) })
    const answer = ask({ body: call('echo', ['late']) })
    await kit!.clock.sleeper((ms) => ms !== 1000)
    kit!.clock.advance(3000)
    expect((await answer).json()).toMatchObject({ result: 'late' })
  })

  it('gives up a request that takes too long with -102', async () => {
    await start()
    const answer = browser()({ body: call('hold') })
    await kit!.held.begun(1)
    kit!.clock.advance(30_000)
    expect((await answer).json()).toMatchObject({ error: { code: -102 } })
  })

  it('cuts a connection that never finishes its first request', async () => {
    await start()
    const socket = connect(kit!.port('http'), HOST)
    socket.write('POST / HTTP/1.1\r\nHost: x\r\n')
    await kit!.until(() => kit!.manager.counts.handshaking === 1)
    kit!.clock.advance(60_000)
    await once(socket, 'close')
    await kit!.until(() => kit!.manager.counts.closed['handshake timeout'] === 1)
  })

  it('cuts one that never finishes its body', async () => {
    await start({ manager: { connection: { ...LIMITS, handshakeTimeout: 100 } } })
    const socket = connect(kit!.port('http'), HOST)
    socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nonly a part')
    const [answer] = (await once(socket, 'data')) as [Buffer]
    expect(answer.toString()).toMatch(/^HTTP\/1.1 4\d\d /)
    await once(socket, 'close')
  })

  it('answers what is no HTTP with 400 and closes', async () => {
    await start()
    const socket = connect(kit!.port('http'), HOST)
    socket.write('{"id":0,"method":"server.version"}\n')
    const [answer] = (await once(socket, 'data')) as [Buffer]
    expect(answer.toString()).toMatch(/^HTTP\/1.1 400 /)
    await once(socket, 'close')
  })

  it('works over TLS', async () => {
    await start({ listeners: [{ kind: 'https', host: HOST, port: 0, tls: await testCertificate() }] })
    const answer = await browser('https')({ body: call('echo', ['safe']) })
    expect(answer.json()).toMatchObject({ result: 'safe' })
  })

  it('is gone after a broken TLS record', async () => {
    await start({ listeners: [{ kind: 'https', host: HOST, port: 0, tls: await testCertificate() }] })
    const upstream = connect(kit!.port('https'), HOST)
    const relay = createServer((socket) => {
      socket.on('error', () => {}) // It breaks when the other half does.
      socket.pipe(upstream).pipe(socket)
    })
    relay.listen(0, HOST)
    await once(relay, 'listening')
    const secure = connectTls({ port: (relay.address() as AddressInfo).port, host: HOST, rejectUnauthorized: false })
    secure.on('error', () => {}) // The server ends it with an alert.
    secure.write('GET /proxy/protocol HTTP/1.1\r\nHost: x\r\n\r\n')
    await once(secure, 'data')
    upstream.write('this is no TLS record at all, and no part of one')
    await kit!.until(() => kit!.manager.counts.closed['transport error'] === 1)
    upstream.destroy()
    secure.destroy()
    relay.close()
  })

  it('does not work out what a client asks on for without taking its answers, and answers all of it in the end', async () => {
    await start({ shared: { costs: { ...DEFAULT_COSTS, softLimit: 0, hardLimit: 0 } } })
    const socket = connect(kit!.port('http'), HOST)
    socket.pause()
    const body = call('big', [1_000_000])
    const request = `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`
    socket.write(request.repeat(40))
    const sent = (): number => [...kit!.manager.clients()][0]?.traffic.sentBytes ?? 0
    await kit!.until(() => sent() > 1_000_000)
    for (let i = 0; i < 200; i++) await new Promise((resolve) => setImmediate(resolve))
    // What the system takes on both sides, and the few that wait to be taken.
    expect(sent()).toBeLessThan(22_000_000)
    let received = 0
    socket.on('data', (data: Buffer) => {
      received += data.length
    })
    socket.resume()
    await kit!.until(() => received > 40_000_000)
    socket.destroy()
  })

  /** So many requests, which say their number, as they are sent in a row. */
  function asked(count: number): string {
    const request = (i: number): string => `GET /proxy/echo?params=%5B%22${i}%22%5D HTTP/1.1\r\nHost: x\r\n\r\n`
    return [...Array(count).keys()].map(request).join('')
  }

  /** What the answers say, in their order. */
  function answersIn(text: string): string[] {
    return [...text.matchAll(/"response":"(\d+)"/g)].map(([, number = '']) => number)
  }

  it('lets others in between many requests in one read, and answers all of them in their order', async () => {
    const free = { ...DEFAULT_COSTS, softLimit: 0, hardLimit: 0 }
    await start({ listeners: [HTTP, { ...HTTP, kind: 'tcp' }], shared: { costs: free } })
    const other = await kit!.active()
    const socket = connect(kit!.port('http'), HOST)
    let text = ''
    const begun = (): number =>
      [...kit!.manager.clients()].find(({ kind }) => kind === 'http')?.traffic.receivedMessages ?? 0
    const first = new Promise<void>((resolve) => {
      socket.on('data', (part: Buffer) => {
        text += part.toString()
        resolve()
      })
    })
    const count = 1000
    socket.write(asked(count))
    await first
    expect(await other.request('echo', ['other'])).toBe('other')
    expect(begun()).toBeLessThan(count / 2)
    await kit!.until(() => answersIn(text).length === count)
    expect(answersIn(text)).toEqual([...Array(count).keys()].map(String))
    expect(text.match(/HTTP\/1\.1 200 /g)).toHaveLength(count)
    socket.destroy()
  })

  it('hears all that a client had asked before it ended its side', async () => {
    await start({ shared: { costs: { ...DEFAULT_COSTS, softLimit: 0, hardLimit: 0 } } })
    const socket = connect(kit!.port('http'), HOST)
    socket.resume()
    socket.end(asked(500))
    await once(socket, 'close')
    await kit!.until(() => kit!.manager.counts.closed['client closed'] === 1)
    expect(kit!.manager.traffic.receivedMessages).toBe(500)
  })

  it('forgets what a client had asked that has broken off', async () => {
    await start({ shared: { costs: { ...DEFAULT_COSTS, softLimit: 0, hardLimit: 0 } } })
    const socket = connect(kit!.port('http'), HOST)
    socket.write(asked(1000))
    await once(socket, 'data')
    socket.resetAndDestroy()
    await kit!.until(() => kit!.manager.counts.active === 0)
    const { closed } = kit!.manager.counts
    expect(closed['client reset'] + closed['client closed']).toBe(1)
    expect(kit!.shared.tally.of('echo').calls).toBeLessThan(1000)
  })

  it('does not take a client for slow whose first answer has left and whose second is being worked out', async () => {
    const later = awaited<string>()
    const method = defineMethod({
      ...KIT_METHOD,
      name: 'later',
      handler: () => later.promise,
    })
    await start({ methods: [method], manager: { connection: { ...LIMITS, sendTimeout: 100 } } })
    const socket = connect(kit!.port('http'), HOST)
    const request = (name: string): string => {
      const body = call(name)
      return `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`
    }
    socket.write(`${request('hold')}${request('later')}`)
    await kit!.until(() => kit!.manager.counts.unanswered === 2)
    kit!.held.release()
    await once(socket, 'data')
    // One that stands still from later on is cut after the time.
    const still = connect(kit!.port('http'), HOST)
    still.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nonly a part')
    await once(still, 'close')
    later.resolve('at last')
    const [answer] = (await once(socket, 'data')) as [Buffer]
    expect(answer.toString()).toContain('at last')
    socket.destroy()
  })

  it('lets a running exchange finish at shutdown', async () => {
    await start()
    const ask = browser()
    await ask({ body: call('echo', ['x']) })
    const answer = ask({ body: call('hold') })
    await kit!.held.begun(1)
    const stopped = kit!.manager.stop()
    kit!.held.release()
    expect((await answer).json()).toMatchObject({ result: 'released' })
    await stopped
    expect(kit!.manager.counts.closed.shutdown).toBe(1)
    kit = undefined
  })
})
