import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ExpectedRow, expectedRows } from '../../support/atomicals-replay.ts'
import { CorpusServer } from '../../support/corpus-server.ts'
import { HttpClientOf } from '../../support/http-client.ts'
import { WireClient } from '../../support/wire-client.ts'

const ART = 'b7086d4d8d626e2296067f3b46af52a12ddaeddf6cb9a3eac92ba91c4e7e4a6bi0'
const LOGO = '26795dc57a9f21c41fdf19eb612234c93a8d5542fef5d0b0060a4084405e0b7ai0'
const PAGE = 'd7bf50930cdd46fe54146f6987246adf0142a77ab5fb6d307c09bbb6cf32421fi0'
const DATA = '5f2ee38aeae51b6bce3f29b48b76179f8b446de0bd2b8a481d5f7e50c8e5d0c5i0'
const TEXT = 'hello bla0zyb43'

interface Unspent {
  readonly txid: string
  readonly vout: number
  readonly atomicals: unknown
}

describe('a server with the corpus', () => {
  let server: CorpusServer
  let client: HttpClientOf
  let rows: ExpectedRow[]

  beforeAll(async () => {
    rows = expectedRows('expected').filter(({ via }) => via === undefined)
    server = await CorpusServer.start()
    client = new HttpClientOf(server.port('http'))
  })

  afterAll(async () => {
    client.close()
    await server.stop()
  })

  function recorded(method: string, first: unknown): { [name: string]: unknown } {
    const row = rows.find((one) => one.method === `blockchain.atomicals.${method}` && one.params[0] === first)
    return (row!.result as { result: { [name: string]: unknown } }).result
  }

  function stateOf(id: string): { [name: string]: { $b: string } } {
    return (recorded('get_state', id)['state'] as { latest: { [name: string]: { $b: string } } }).latest
  }

  it('shows the state of an atomical, and a file in it as what it is', async () => {
    const whole = await client.ask({ path: `/urn/atom:btc:id:${ART}` })
    expect(whole.json()).toMatchObject({ meta: { name: 'art t5e1o' } })
    const file = await client.ask({ path: `/urn/atom:btc:id:${ART}/image.png` })
    expect(file).toMatchObject({ status: 200, headers: { 'content-type': 'image/png' } })
    expect(file.body.toString('hex')).toBe(stateOf(ART)['image.png']!.$b)
    const encoded = await client.ask({ path: `/urn/${encodeURIComponent(`atom:btc:id:${ART}`)}/image.png` })
    expect(encoded.body.equals(file.body)).toBe(true)
    const meta = await client.ask({ path: `/urn/atom:btc:id:${ART}/meta` })
    expect(meta.json()).toMatchObject({ name: 'art t5e1o' })
  })

  it.each([
    ['an id that nobody minted', `id:${'ab'.repeat(32)}i0`, 1],
    ['an id that is none', `id:${'ab'.repeat(32)}i4000000000`, 1],
    ['a transaction that there is not', `dat:${'ab'.repeat(32)}i0`, 2],
  ])('answers 404 for %s, as for a name that nobody has', async (_what, object, code) => {
    const answer = await client.ask({ path: `/urn/atom:btc:${object}` })
    expect([answer.status, answer.json()]).toMatchObject([404, { success: false, code }])
  })

  it('lets no file of a stranger run in its own name', async () => {
    for (const path of [`atom:btc:id:${PAGE}/index.html`, `atom:btc:id:${LOGO}/logo.svg`]) {
      const { status, headers } = await client.ask({ path: `/urn/${path}` })
      expect(status).toBe(200)
      expect(headers['content-type']).toMatch(/^(?:text\/html|image\/svg\+xml)/)
      expect(headers['content-security-policy']).toMatch(/^default-src 'none';.*sandbox$/)
      expect(headers['x-content-type-options']).toBe('nosniff')
    }
  })

  it('finds the picture by itself', async () => {
    const picture = await client.ask({ path: `/urn/atom:btc:id:${ART}?image` })
    expect(picture).toMatchObject({ status: 200, headers: { 'content-type': 'image/png' } })
    const logo = await client.ask({ path: `/urn/atom:btc:id:${LOGO}?firstimage=1` })
    expect(logo.text).toBe('<svg/>')
  })

  it('finds by name: realms, containers, tokens', async () => {
    const named = (method: string) =>
      rows.find(({ method: other, result }) => {
        const found = (result as { result?: { status?: string; missing_name_parts?: unknown } } | undefined)?.result
        return other === `blockchain.atomicals.${method}` && found?.status === 'verified'
      })!
    for (const [kind, method] of [
      ['realm', 'get_by_realm'],
      ['container', 'get_by_container'],
      ['arc', 'get_by_ticker'],
    ] as const) {
      const { params, result } = named(method)
      const { atomical_id: id } = (result as { result: { atomical_id: string } }).result
      const byName = await client.ask({ path: `/urn/atom:btc:${kind}:${encodeURIComponent(String(params[0]))}` })
      const byId = await client.ask({ path: `/urn/atom:btc:id:${id}` })
      expect([kind, byName.status, byName.text]).toEqual([kind, 200, byId.text])
      expect((await client.ask({ path: `/urn/atom:btc:${kind}:nobody-took-this` })).status).toBe(404)
    }
  })

  it('shows what a transaction keeps, with bytes as hex, and a file of it', async () => {
    const whole = await client.ask({ path: `/urn/atom:btc:dat:${DATA}` })
    const text = Buffer.from((await fileOf(DATA)).body)
    expect(whole.json()).toEqual({ 'file.txt': text.toString('hex'), type: 'text/plain' })
    expect(text.toString()).toMatch(/^hello /)
    expect(text).toHaveLength(TEXT.length)
    expect((await client.ask({ path: `/urn/atom:btc:dat:${DATA}/type` })).json()).toBe('text/plain')
    expect((await client.ask({ path: `/urn/atom:btc:dat:${DATA}/none` })).status).toBe(404)
  })

  async function fileOf(id: string) {
    const file = await client.ask({ path: `/urn/atom:btc:dat:${id}/file.txt` })
    expect(file).toMatchObject({ status: 200, headers: { 'content-type': 'text/plain; charset=utf-8' } })
    return file
  }

  it.each([
    {
      urn: `atom:btc:id:${ART}/image.png`,
      urnInfo: { urnType: 0, identifier: ART, pathType: '/', path: '/image.png' },
    },
    { urn: 'atom:btc:realm:a.b$x', urnInfo: { urnType: 1, identifier: 'a.b', pathType: '$', path: '$x' } },
    { urn: 'atom:btc:container:c', urnInfo: { urnType: 2, identifier: 'c' } },
    { urn: `atom:btc:dat:${DATA}`, urnInfo: { urnType: 3, identifier: DATA } },
    { urn: 'atom:btc:arc:atom', urnInfo: { urnType: 4, identifier: 'atom' } },
  ])('says how it reads $urn', async ({ urn, urnInfo }) => {
    expect((await client.ask({ path: `/urn/validate/${urn}` })).json()).toEqual({ success: true, urnInfo })
  })

  it.each(['nothing', 'atom:btc:id:abc', 'atom:btc:constructor:x', `atom:btc:arc:${'x'.repeat(600)}`, '%ff'])(
    'refuses %s',
    async (urn) => {
      for (const path of [`/urn/${urn}`, `/urn/validate/${urn}`]) {
        const answer = await client.ask({ path })
        expect(answer.status).toBe(422)
        expect(answer.json()).toEqual({ success: false, message: 'Invalid URN' })
      }
    },
  )

  it('says that it has no such object or file', async () => {
    const unknown = `${'ab'.repeat(32)}i0`
    expect((await client.ask({ path: `/urn/atom:btc:id:${unknown}` })).json()).toMatchObject({
      success: false,
      code: 1,
    })
    expect((await client.ask({ path: `/urn/atom:btc:id:${ART}/none.png` })).json()).toEqual({
      success: false,
      message: 'not found path',
    })
    expect((await client.ask({ path: `/urn/atom:btc:id:${ART}/__proto__` })).status).toBe(404)
  })

  describe('utxo.atomicals', () => {
    const ask = async (prefix: string, scripthash: unknown): Promise<Unspent[]> => {
      const path = `${prefix}/blockchain.scripthash.listunspent?params=${JSON.stringify([scripthash])}`
      return ((await client.ask({ path })).json() as { response: Unspent[] }).response
    }

    function coloured(): ExpectedRow {
      return rows.find(
        ({ method, result }) =>
          method === 'blockchain.scripthash.listunspent' &&
          Array.isArray(result) &&
          (result as Unspent[]).some(({ atomicals }) => Object.keys(atomicals as object).length > 0),
      )!
    }

    function asLists(unspent: readonly Unspent[]): unknown[] {
      return unspent.map((utxo) => ({ ...utxo, atomicals: Object.keys(utxo.atomicals as object) }))
    }

    it('is an object, or a list of the same ids where the address says so', async () => {
      const { params, result } = coloured()
      const objects = await ask('/proxy', params[0])
      expect(objects).toEqual(result)
      expect(await ask('/proxy-object', params[0])).toEqual(objects)
      expect(await ask('/proxy-list', params[0])).toEqual(asLists(objects))
    })

    it.each(['tcp', 'ws'] as const)('is a list for a session over %s that has asked for it', async (kind) => {
      const { params, result } = coloured()
      const wire = await WireClient.connect({ kind, port: server.port(kind) })
      const other = await WireClient.connect({ kind, port: server.port(kind) })
      const list = 'blockchain.scripthash.listunspent'
      expect(await wire.request(list, params)).toEqual(result)
      expect(await wire.request('blockchain.atomicals.set_shape', ['list'])).toBe('list')
      expect(await wire.request(list, params)).toEqual(asLists(result as Unspent[]))
      expect(await other.request(list, params)).toEqual(result)
      await wire.request('blockchain.atomicals.set_shape', ['object'])
      expect(await wire.request(list, params)).toEqual(result)
      await expect(wire.request('blockchain.atomicals.set_shape', ['other'])).rejects.toThrow()
      await wire.close()
      await other.close()
    })

    it('is not chosen for a connection over HTTP, which may carry many clients', async () => {
      const path = '/proxy/blockchain.atomicals.set_shape?params=["list"]'
      expect((await client.ask({ path })).json()).toMatchObject({ success: false, code: 1 })
    })
  })

  it('answers Atomicals methods to a plain WebSocket', async () => {
    const wire = await WireClient.connect({ kind: 'ws', port: server.port('ws') })
    const answer = (await wire.request('blockchain.atomicals.get', [ART])) as { result: { atomical_id: string } }
    expect(answer.result.atomical_id).toBe(ART)
    await wire.close()
  })
})
