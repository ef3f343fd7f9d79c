import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { afterEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { RpcError } from '../../../src/errors.ts'
import { defineMethod } from '../../../src/rpc/method.ts'
import { DEFAULT_COSTS } from '../../../src/session/cost.ts'
import { type HttpAsk, HttpClientOf } from '../../support/http-client.ts'
import { HandMoments, KIT_METHOD, type KitOptions, SessionKit } from '../../support/session-kit.ts'
import { LIMITS } from '../../support/transport-kit.ts'

let worked = 0
const methods = [
  defineMethod({
    ...KIT_METHOD,
    name: 'rule',
    handler: () => {
      throw new RpcError(800_422, 'this would burn an atomical')
    },
  }),
  defineMethod({ ...KIT_METHOD, name: 'shape', handler: (ctx) => ctx.client.shape ?? 'server' }),
  defineMethod({ ...KIT_METHOD, name: 'nothing', handler: () => undefined }),
  defineMethod({
    ...KIT_METHOD,
    name: 'deep',
    handler: () => ({ list: [1, 2n ** 60n], empty: {}, none: [], text: 'a "b": {[,' }),
  }),
  defineMethod({
    ...KIT_METHOD,
    name: 'nested',
    params: z.object({ depth: z.number(), width: z.number() }),
    handler: (_ctx, { depth, width }) => nested(depth, width),
  }),
  defineMethod({
    ...KIT_METHOD,
    name: 'block',
    followsFrom: 'tip',
    handler: (ctx) => {
      worked++
      return { height: ctx.moment.tip.height }
    },
  }),
  defineMethod({
    ...KIT_METHOD,
    name: 'timed',
    handler: () => ({ global: { server_time: String(++worked) }, result: 1 }),
  }),
  defineMethod({
    ...KIT_METHOD,
    name: 'echoes',
    params: z.object({ a: z.unknown(), b: z.unknown() }),
    handler: (_c, p) => p,
  }),
]

/** As many ones, so many lists deep. */
function nested(depth: number, width: number): unknown {
  let value: unknown = Array.from({ length: width }, () => 1)
  for (let i = 1; i < depth; i++) value = [value]
  return value
}

describe('calls in the manner of electrumx-proxy', () => {
  let kit: SessionKit | undefined
  let client: HttpClientOf | undefined

  async function start(options: KitOptions = {}): Promise<(ask: HttpAsk) => ReturnType<HttpClientOf['ask']>> {
    kit = new SessionKit({ listeners: [{ kind: 'http', host: '127.0.0.1', port: 0 }], methods, ...options })
    await kit.start()
    const made = new HttpClientOf(kit.port('http'))
    client = made
    return (ask) => made.ask(ask)
  }

  afterEach(async () => {
    client?.close()
    await kit?.stop()
    kit = undefined
  })

  const hex = Buffer.from('["h\u00e9"]').toString('hex')

  it.each([
    { path: `/proxy/echo?params=${encodeURIComponent('["hé"]')}` },
    { path: `/proxy/echo?params=${hex}` },
    { path: `/proxy/echo?params=${hex.toUpperCase()}` },
    { method: 'POST', path: '/proxy/echo', body: '{"params":["hé"]}' },
    { method: 'POST', path: '/proxy/echo', body: '{"params":{"text":"hé"}}' },
    { method: 'POST', path: '/proxy/echo', body: JSON.stringify({ params: '["hé"]' }) },
    { method: 'POST', path: '/proxy/echo', body: '{"params":["hé"]}', headers: { 'Content-Type': 'application/json' } },
    { path: `/proxy/%65cho?params=${hex}` },
  ])('takes parameters as $method $path $body', async (ask) => {
    const answer = await (await start())(ask)
    expect(answer.status).toBe(200)
    expect(answer.json()).toEqual({ success: true, response: 'hé' })
  })

  it.each([
    { path: '/proxy/echo?params=%5B', status: 422, message: 'invalid params decode' },
    { path: '/proxy/echo?params=abc', status: 422, message: 'invalid params decode' },
    { path: '/proxy/echo?params=7b7d', status: 422, message: 'invalid params not array' },
    { path: '/proxy/echo?params=%7B%7D', status: 422, message: 'invalid params not array' },
    { method: 'POST', path: '/proxy/echo', body: '{', status: 400, message: 'invalid JSON' },
    { method: 'POST', path: '/proxy/echo', body: '{"params":"x"}', status: 422, message: 'invalid params decode' },
    { path: '/proxy/rule', status: 422, message: 'this would burn an atomical', code: 800_422 },
    { path: '/proxy/unknown', status: 500, message: 'unknown method "unknown"', code: -32601 },
    { path: '/proxy/a/b', status: 500, message: 'unknown method "a/b"', code: -32601 },
  ])('refuses $path $body with $status', async ({ status, message, code, ...ask }) => {
    const answer = await (await start())(ask)
    expect(answer.status).toBe(status)
    expect(answer.json()).toMatchObject({ success: false, message, ...(code === undefined ? {} : { code }) })
    expect(answer.headers['access-control-allow-origin']).toBe('*')
  })

  it('gives the bare answer with ?unwrap, and lines with ?pretty', async () => {
    const ask = await start()
    expect((await ask({ path: '/proxy/deep?unwrap=true' })).text).toBe(
      '{"list":[1,1152921504606846976],"empty":{},"none":[],"text":"a \\"b\\": {[,"}',
    )
    expect((await ask({ path: '/proxy/nothing?unwrap' })).text).toBe('null')
    expect((await ask({ path: '/proxy/deep?pretty&unwrap=1' })).text).toBe(
      [
        '{',
        '  "list": [',
        '    1,',
        '    1152921504606846976',
        '  ],',
        '  "empty": {},',
        '  "none": [],',
        '  "text": "a \\"b\\": {[,"',
        '}',
      ].join('\n'),
    )
  })

  it('gives the form of atomicals that the address asks for', async () => {
    const ask = await start()
    expect((await ask({ path: '/proxy/shape' })).json()).toMatchObject({ response: 'server' })
    expect((await ask({ path: '/proxy-list/shape' })).json()).toMatchObject({ response: 'list' })
    expect((await ask({ method: 'POST', path: '/proxy-object/shape' })).json()).toMatchObject({ response: 'object' })
  })

  it.each(['/', '/proxy', '/proxy/', '/proxy-list', '/urn', '/urn/'])('says at %s how to ask', async (path) => {
    const answer = await (await start())({ path })
    expect(answer.json()).toMatchObject({ success: true, info: { healthCheck: 'GET /proxy/health' } })
  })

  it.each(['/health', '/proxy/health', '/proxy-list/health'])('says at %s whether it is healthy', async (path) => {
    const moments = new HandMoments()
    const ask = await start({ moments })
    expect((await ask({ path })).json()).toEqual({ success: true, health: true })
    moments.ready = false
    const answer = await ask({ path })
    expect(answer.status).toBe(503)
    expect(answer.json()).toEqual({ success: false, health: false })
  })

  it('says in JSON that it does not know an address', async () => {
    const answer = await (await start())({ path: '/nowhere' })
    expect(answer.status).toBe(404)
    expect(answer.json()).toEqual({ success: false, message: 'Not Found - /nowhere' })
  })

  it('lets pages of any origin send the headers that they ask for', async () => {
    const ask = await start()
    const path = '/proxy/echo'
    const asked = { 'Access-Control-Request-Headers': 'content-type, x-wallet' }
    const preflight = await ask({ method: 'OPTIONS', path, headers: asked })
    expect(preflight.status).toBe(204)
    expect(preflight.headers).toMatchObject({
      'access-control-allow-origin': '*',
      'access-control-allow-headers': 'content-type, x-wallet',
    })
    const odd = await ask({ method: 'OPTIONS', path, headers: { 'Access-Control-Request-Headers': 'a:b' } })
    expect(odd.headers['access-control-allow-headers']).toBe('Content-Type, Authorization, If-None-Match')
    expect(odd.headers['access-control-expose-headers']).toBe('ETag')
  })

  it('answers HEAD like GET, without the body', async () => {
    const answer = await (await start())({ method: 'HEAD', path: `/proxy/echo?params=${hex}` })
    expect(answer.status).toBe(200)
    expect(answer.headers['content-length']).toBe('33')
    expect(answer.text).toBe('')
  })

  it.each([
    { accept: 'gzip, deflate, br', coding: 'br', unpack: brotliDecompressSync },
    { accept: 'gzip;q=1.0, br;q=0', coding: 'gzip', unpack: gunzipSync },
    { accept: '*', coding: 'br', unpack: brotliDecompressSync },
  ])('packs a long answer for "$accept" with $coding', async ({ accept, coding, unpack }) => {
    const ask = await start()
    const path = '/proxy/big?params=[50000]&unwrap'
    const answer = await ask({ path, headers: { 'Accept-Encoding': accept } })
    expect(answer.headers).toMatchObject({ 'content-encoding': coding, vary: 'Accept-Encoding' })
    expect(answer.body.length).toBeLessThan(1000)
    expect(unpack(answer.body).toString()).toBe(JSON.stringify('x'.repeat(50_000)))
  })

  it.each([
    { accept: 'gzip', size: 100 },
    { accept: '', size: 50_000 },
    { accept: 'identity, br;q=0.0', size: 50_000 },
  ])('does not pack $size bytes for "$accept"', async ({ accept, size }) => {
    const ask = await start()
    const answer = await ask({ path: `/proxy/big?params=[${size}]`, headers: { 'Accept-Encoding': accept } })
    expect(answer.headers['content-encoding']).toBeUndefined()
    expect(answer.text.length).toBeGreaterThan(size)
  })

  it('does not work out again what follows from the last block, until there is another one', async () => {
    const ask = await start()
    worked = 0
    const path = '/proxy/block'
    const first = await ask({ path })
    const etag = String(first.headers['etag'])
    const second = await ask({ path, headers: { 'If-None-Match': `"x", ${etag}` } })
    expect(second).toMatchObject({ status: 304, text: '', headers: { etag } })
    expect(worked).toBe(1)
    kit!.moments.publish({}, true)
    const third = await ask({ path, headers: { 'If-None-Match': etag } })
    expect(third.json()).toEqual({ success: true, response: { height: 1 } })
    expect(third.headers['etag']).not.toBe(etag)
  })

  it('does not send again what is the same but for the time', async () => {
    const ask = await start()
    const etag = String((await ask({ path: '/proxy/timed' })).headers['etag'])
    expect((await ask({ path: '/proxy/timed', headers: { 'If-None-Match': etag } })).status).toBe(304)
    expect((await ask({ path: '/proxy/timed?unwrap', headers: { 'If-None-Match': etag } })).status).toBe(200)
    expect((await ask({ path: '/proxy/timed', headers: { 'If-None-Match': '*' } })).status).toBe(304)
    expect((await ask({ method: 'POST', path: '/proxy/timed', headers: { 'If-None-Match': etag } })).status).toBe(200)
  })

  it('refuses answers above MAX_SEND, as over a stream', async () => {
    const ask = await start({ maxSend: 5000 })
    expect((await ask({ path: '/proxy/big?params=[4900]' })).status).toBe(200)
    const answer = await ask({ path: '/proxy/big?params=[5000]' })
    expect(answer.status).toBe(500)
    expect(answer.json()).toMatchObject({ success: false, code: -32600 })
  })

  it('refuses what only the blanks of ?pretty make larger than MAX_SEND', async () => {
    const ask = await start({ maxSend: 100_000 })
    const path = '/proxy/nested?params=[300,1000]'
    expect((await ask({ path })).status).toBe(200)
    const answer = await ask({ path: `${path}&pretty` })
    expect(answer.body.length).toBeLessThan(1000) // 600 blanks before each of a thousand numbers.
    expect(answer.status).toBe(500)
    expect(answer.json()).toMatchObject({ success: false, code: -32600 })
    const fits = await ask({ path: '/proxy/nested?params=[30,1000]&pretty&unwrap' })
    expect(fits.text).toBe(JSON.stringify(nested(30, 1000), null, 2))
    expect(fits.text.length).toBeGreaterThan(60_000)
  })

  it('holds callers to the same cost limit as streams', async () => {
    const ask = await start({ shared: { costs: { ...DEFAULT_COSTS, softLimit: 100, hardLimit: 200 } } })
    const answer = await ask({ path: '/proxy/spend?params=[500]' })
    expect(answer.status).toBe(500)
    expect(answer.json()).toMatchObject({ success: false, code: -101 })
    await kit!.until(() => kit!.manager.counts.closed['excessive usage'] === 1)
  })

  it('charges errors', async () => {
    const ask = await start()
    await ask({ path: '/proxy/rule' })
    const session = [...kit!.manager.clients()][0]!
    expect(session.cost).toBeGreaterThan(100)
    await ask({ path: '/proxy/echo?params=%7B%7D' })
    expect(session.cost).toBeGreaterThan(200)
    await ask({ method: 'POST', path: '/proxy/echo', body: '{' })
    expect(session.cost).toBeGreaterThan(1200)
    expect(session.traffic.errors).toBe(3)
  })

  it('refuses a body above MAX_RECV', async () => {
    const ask = await start()
    const answer = await ask({ method: 'POST', path: '/proxy/echo', body: 'x'.repeat(LIMITS.maxReceive + 1) })
    expect(answer.status).toBe(413)
  })

  it('describes its methods for programs', async () => {
    const ask = await start()
    const answer = await ask({ path: '/openrpc.json' })
    const { openrpc, methods: rows } = answer.json() as { openrpc: string; methods: { name: string }[] }
    expect(openrpc).toMatch(/^1\./)
    expect(rows.map(({ name }) => name)).toEqual([...kit!.shared.registry.names].sort())
    expect((await ask({ path: '/openrpc.json?pretty' })).json()).toEqual(answer.json())
  })
})
