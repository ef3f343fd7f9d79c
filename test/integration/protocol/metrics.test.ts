import { afterEach, describe, expect, it } from 'vitest'
import type { Environment } from '../../../src/config/settings.ts'
import { METRICS_TYPE } from '../../../src/metrics.ts'
import { METRICS } from '../../../src/server-metrics/table.ts'
import { payee, Station } from './station.ts'

const HOST = '127.0.0.1'
const SERVICES = 'tcp://127.0.0.1:0,http://127.0.0.1:0,rpc://127.0.0.1:0,metrics://127.0.0.1:0'
/** One line of the text format: a comment, or name, labels and number. */
const LINE =
  /^(# (HELP|TYPE) [a-z0-9_]+ .+|[a-z0-9_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? (-?\d+(\.\d+)?(e[+-]?\d+)?|\+Inf))$/

describe('metrics of the whole server', () => {
  let station: Station | undefined

  async function start(settings: Environment = {}): Promise<Station> {
    station = await Station.start({ SERVICES, ...settings })
    return station
  }

  afterEach(async () => {
    await station?.stop()
    station = undefined
  })

  const get = (path: string, init: RequestInit = {}) => fetch(`http://${HOST}:${station!.port('metrics')}${path}`, init)

  it('are served over HTTP, each of the table, in lines that Prometheus reads', async () => {
    await start()
    const response = await get('/metrics')
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe(METRICS_TYPE)
    const lines = (await response.text()).trimEnd().split('\n')
    expect(lines.filter((line) => !LINE.test(line))).toEqual([])
    const typed = lines.filter((line) => line.startsWith('# TYPE')).map((line) => line.split(' ').slice(2))
    expect(typed).toEqual(METRICS.map(({ name, kind }) => [name, kind]))
  })

  it('are at one address only, for GET and HEAD', async () => {
    await start()
    expect((await get('/')).status).toBe(404)
    expect((await get('/metrics', { method: 'POST', body: 'x' })).status).toBe(405)
    const head = await get('/metrics?x=1', { method: 'HEAD' })
    expect([head.status, await head.text()]).toEqual([200, ''])
  })

  it('are nowhere unless a service is named', async () => {
    await start({ SERVICES: 'tcp://127.0.0.1:0,http://127.0.0.1:0,rpc://127.0.0.1:0' })
    expect(() => station!.port('metrics')).toThrow()
    expect((await fetch(`http://${HOST}:${station!.port('http')}/metrics`)).status).toBe(404)
    expect(await station!.admin('metrics')).toContain('# TYPE valence_uptime_seconds gauge\n')
  })

  it('name the address that cannot be had, and nothing is left running', async () => {
    await start()
    const taken = station!.port('metrics')
    await expect(Station.start({ SERVICES: `tcp://127.0.0.1:0,metrics://127.0.0.1:${taken}` })).rejects.toMatchObject({
      cause: { message: expect.stringContaining(`cannot listen on metrics://127.0.0.1:${taken}: `) as string },
    })
  })

  it('count requests by known names only', async () => {
    await start()
    const client = await station!.client()
    for (let i = 0; i < 3; i++) await client.request('server.ping')
    for (const name of ['made up', 'x{y="z"}', 'made up too']) await client.request(name).catch(() => {})
    expect(await station!.metric('valence_requests_total{method="server.ping"}')).toBe(3)
    expect(await station!.metric('valence_requests_total{method="unknown method"}')).toBe(3)
    expect(await station!.admin('metrics')).not.toContain('made up')
    expect(await station!.metric('valence_errors_total{code="-32601"}')).toBe(3)
    // Three pings and the version.
    expect(await station!.metric('valence_request_seconds_count{family="server"}')).toBe(4)
    expect(await station!.metric('valence_request_seconds_bucket{family="server",le="+Inf"}')).toBe(4)
  })

  it('count sessions, bytes and ends', async () => {
    await start()
    const client = await station!.client()
    expect(await station!.metric('valence_sessions{stage="active",direction="inbound"}')).toBe(1)
    const sent = (await station!.metric('valence_sent_bytes_total'))!
    expect(sent).toBeGreaterThan(30)
    await client.close()
    await station!.sessionsUntil(({ active }) => active === 0)
    expect(await station!.metric('valence_sessions{stage="active",direction="inbound"}')).toBe(0)
    expect(await station!.metric('valence_disconnects_total{reason="client closed"}')).toBe(1)
    // What the session that is gone has used is not forgotten.
    expect(await station!.metric('valence_sent_bytes_total')).toBe(sent)
    expect(await station!.metric('valence_received_bytes_total')).toBeGreaterThan(30)
  })

  it('tell hits of caches from misses', async () => {
    await start()
    const client = await station!.client()
    const { address, hash } = payee('rich')
    await station!.mine(1, address)
    const hits = () => station!.metric('valence_cache_hits_total{cache="histories"}')
    await client.request('blockchain.scripthash.get_history', [hash])
    expect(await hits()).toBe(0)
    expect(await station!.metric('valence_cache_misses_total{cache="histories"}')).toBe(1)
    await client.request('blockchain.scripthash.get_history', [hash])
    expect(await hits()).toBe(1)
    expect(await station!.metric('valence_cache_bytes{cache="histories"}')).toBeGreaterThan(0)
    await client.request('blockchain.estimatefee', [6])
    await client.request('blockchain.estimatefee', [6])
    expect(await station!.metric('valence_cache_hits_total{cache="node facts"}')).toBe(1)
  })

  it('tell of the rows of earlier heights until the next block', async () => {
    await start()
    const client = await station!.client()
    const bytes = () => station!.metric('valence_index_past_bytes')
    expect(await bytes()).toBe(0)
    const asked = ['blockchain.atomicals.listscripthash', [payee('rich').hash, false, 100]] as const
    await client.request(...asked)
    expect(await bytes()).toBeGreaterThan(0)
    await station!.mine(1)
    expect(await bytes()).toBe(0)
    await client.request(...asked)
    const tip = await client.request('blockchain.headers.subscribe')
    expect(tip).toMatchObject({ height: 111 })
    station!.node.reorganize(1)
    await client.notification('blockchain.headers.subscribe')
    expect(await bytes()).toBe(0)
  })

  it('follow index, node, mempool, broadcasts and notifications', async () => {
    await start()
    const client = await station!.client()
    await client.request('blockchain.headers.subscribe')
    const { hash } = payee('rich')
    await client.request('blockchain.scripthash.subscribe', [hash])
    station!.node.send(payee('rich').address, 10_000n)
    await client.notification('blockchain.scripthash.subscribe')
    expect(await station!.metric('valence_mempool_transactions')).toBe(1)
    expect(await station!.metric('valence_mempool_virtual_bytes')).toBeGreaterThan(80)
    expect(await station!.metric('valence_notifications_total{subject="script"}')).toBe(1)
    await station!.mine(1)
    await client.notification('blockchain.headers.subscribe')
    expect(await station!.metric('valence_index_height_blocks')).toBe(111)
    expect(await station!.metric('valence_node_height_blocks')).toBe(111)
    expect(await station!.metric('valence_mempool_transactions')).toBe(0)
    expect(await station!.metric('valence_mempool_virtual_bytes')).toBe(0)
    expect(await station!.metric('valence_flush_seconds_count')).toBeGreaterThan(0)
    expect(await station!.metric('valence_daemon_requests_total')).toBeGreaterThan(2)
    expect(await station!.metric('valence_reorgs_total')).toBe(0)
    station!.node.reorganize(1)
    await client.notification('blockchain.headers.subscribe')
    expect(await station!.metric('valence_reorgs_total')).toBe(1)
    expect(await station!.metric('valence_rolled_back_blocks_total')).toBe(1)
  })

  it('count transactions that the node took, for all and for the client that sent them', async () => {
    await start()
    const [sender, other] = [await station!.client(), await station!.client()]
    const txid = station!.node.send(payee('rich').address, 10_000n)
    const raw = await station!.rpc('getrawtransaction', txid)
    expect(await sender.request('blockchain.transaction.broadcast', [raw])).toBe(txid)
    await expect(sender.request('blockchain.transaction.broadcast', ['00'])).rejects.toMatchObject({ code: 1 })
    expect(await other.request('server.ping')).toBeNull()
    expect(await station!.metric('valence_sent_transactions_total')).toBe(1)
    expect(await station!.admin('sessions')).toMatchObject([{ transactions_sent: 1 }, { transactions_sent: 0 }])
  })
})
