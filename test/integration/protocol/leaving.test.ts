import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { queryObjects } from 'node:v8'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Layer } from '../../../src/db/layer.ts'
import { METRICS } from '../../../src/server-metrics/table.ts'
import { SessionCore } from '../../../src/session/core.ts'
import { HttpConnection } from '../../../src/session/transports/http.ts'
import { HttpClientOf } from '../../support/http-client.ts'
import type { WireClient, WireKind } from '../../support/wire-client.ts'
import { payee, Station } from './station.ts'

const HOST = '127.0.0.1'
const KINDS: readonly WireKind[] = ['tcp', 'ssl', 'ws', 'wss']
/** Gauges that are about the chain, about what is kept for those who come, and about the process. */
const OF_OTHERS =
  /^valence_(?:index|flushed|node|mempool|cache|ready|peers|event_loop|resident|uptime|daemon|held_views)/

/** How a client leaves. */
const ENDS = {
  'says goodbye': (client) => client.close(),
  'hangs up': async (client) => client.destroy(),
  'takes everything back first': async (client, followed) => {
    for (const [method, params] of followed) {
      expect(await client.request(method.replace(/subscribe$/, 'unsubscribe'), params)).toBe(true)
    }
    await client.close()
  },
  'hangs up with questions open': async (client) => {
    for (let i = 0; i < 20; i++) client.send(call(1000 + i, 'blockchain.scripthash.get_history', [payee(`${i}`).hash]))
    client.send(Array.from({ length: 50 }, (_, i) => call(2000 + i, 'blockchain.transaction.get', ['cd'.repeat(32)])))
    client.destroy()
  },
  'hangs up while it begins to follow more': async (client) => {
    for (let i = 0; i < 50; i++) client.send(call(1000 + i, 'blockchain.atomicals.scripthash.subscribe', [hash(i)]))
    client.send(Array.from({ length: 50 }, (_, i) => call(2000 + i, 'blockchain.scripthash.subscribe', [hash(i)])))
    client.destroy()
  },
  'does not read what it asked for': async (client) => {
    client.pause()
    for (let i = 0; i < 40; i++) client.send(call(1000 + i, 'blockchain.block.headers', [0, 2016]))
    await new Promise((resolve) => setImmediate(resolve))
    client.destroy()
  },
  'sends what is no message': async (client) => {
    for (const text of ['{', '[]', '['.repeat(500), 'x'.repeat(20_000), '[1,2,{"id":[]}]']) client.sendRaw(text)
    client.destroy()
  },
} satisfies Record<string, (client: WireClient, followed: readonly Followed[]) => Promise<void>>

type Followed = readonly [method: string, params: readonly unknown[]]

function call(id: number, method: string, params: readonly unknown[]) {
  return { jsonrpc: '2.0', id, method, params }
}

function hash(i: number): string {
  return i.toString(16).padStart(64, 'e')
}

/** All kinds of subscriptions there are at a version of the protocol. */
function subscriptions(version: string, i: number, txid: string): readonly Followed[] {
  const topics: readonly Followed[] = [
    ['blockchain.atomicals.subscribe', [`${hash(i % 7)}i0`]],
    ['blockchain.atomicals.name.subscribe', ['realm', `name${i % 5}`]],
    ['blockchain.atomicals.scripthash.subscribe', [payee('rich').hash]],
    ['blockchain.atomicals.global.subscribe', []],
  ]
  if (version !== '1.7') {
    const scripts = [payee('rich').hash, hash(i), hash(100 + (i % 10))]
    return [...scripts.map((one): Followed => ['blockchain.scripthash.subscribe', [one]]), ...topics]
  }
  return [
    ['blockchain.scriptpubkey.subscribe', [payee('rich').script]],
    ['blockchain.scriptpubkey.subscribe', [payee(`${i}`).script]],
    // One that there is, and one of which nothing is known.
    ['blockchain.outpoint.subscribe', [txid, 0]],
    ['blockchain.outpoint.subscribe', [hash(i), 1]],
    ...topics,
  ]
}

function runningTimers(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
}

/**
 * Sessions that are in memory, connections of HTTP, whoever was on them, blocks that somebody read from beyond those that
 * are being written, and timers beyond those of a server with no client and some of the test. Takes a second or so.
 */
function left(timers: number) {
  return {
    sessions: queryObjects(SessionCore, { format: 'count' }),
    connections: queryObjects(HttpConnection, { format: 'count' }),
    layers: Math.max(0, queryObjects(Layer, { format: 'count' }) - 4),
    timers: Math.max(0, runningTimers() - timers - 10),
  }
}

describe('when all clients have gone', () => {
  let station: Station

  beforeEach(async () => {
    station = await Station.start({ COST_SOFT_LIMIT: '0', COST_HARD_LIMIT: '0', MAX_RECV: '10000', LOG_LEVEL: 'info' })
  })

  afterEach(() => station.stop())

  /** Gauges of all that clients bring about, by series. */
  async function counts(): Promise<Readonly<Record<string, number>>> {
    const gauges = new Set(
      METRICS.filter(({ kind, name }) => kind === 'gauge' && !OF_OTHERS.test(name)).map(({ name }) => name),
    )
    const found: Record<string, number> = {}
    for (const line of String(await station.admin('metrics')).split('\n')) {
      const at = line.lastIndexOf(' ')
      if (gauges.has(line.split(/[{ ]/, 1)[0]!)) found[line.slice(0, at)] = Number(line.slice(at))
    }
    return found
  }

  async function wallet(i: number, kind: WireKind, txid: string): Promise<() => Promise<void>> {
    const version = i % 2 === 0 ? '1.7' : '1.4.2'
    const client = await station.client(version, kind)
    await client.request('blockchain.headers.subscribe')
    const followed = subscriptions(version, i, txid)
    for (const [method, params] of followed) await client.request(method, params)
    const ends = Object.values(ENDS)
    return () => ends[i % ends.length]!(client, followed)
  }

  /** Who comes without being a session, or hardly: nothing said, half a handshake, no handshake, half a request. */
  async function strangers(): Promise<readonly Socket[]> {
    const said = [
      '',
      'GET / HTTP/1.1\r\nUpgrade: websocket\r\n',
      '\u0016\u0003\u0001',
      'POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n{',
    ]
    const sockets: Socket[] = []
    for (const kind of [...KINDS, 'http', 'https']) {
      for (const words of said) {
        const socket = connect(station.port(kind), HOST)
        socket.on('error', () => {}) // Some are cut.
        sockets.push(socket)
        await once(socket, 'connect')
        socket.write(words)
      }
    }
    return sockets
  }

  async function browsers(count: number): Promise<readonly HttpClientOf[]> {
    const all = Array.from({ length: count }, () => new HttpClientOf(station.port('http')))
    for (const [i, one] of all.entries()) {
      const path = `/proxy/blockchain.scripthash.listunspent?params=${JSON.stringify([payee('rich').hash])}`
      expect((await one.ask({ path })).status).toBe(200)
      if (i % 2 === 0) {
        const body = JSON.stringify(Array.from({ length: 30 }, (_, id) => call(id, 'server.features', [])))
        one.ask({ method: 'POST', body }).catch(() => {}) // Cut in the middle.
      }
    }
    return all
  }

  it('every count is what it was, and nothing that was made for one of them is left', async () => {
    await station.mine(1, payee('rich').address)
    const nobody = Object.fromEntries(Object.keys(await counts()).map((series) => [series, 0]))
    const untilNobody = () =>
      vi.waitFor(async () => expect(await counts()).toEqual(nobody), { timeout: 60_000, interval: 100 })
    await untilNobody()
    const timers = runningTimers()
    const txid = station.node.send(payee('rich').address, 10_000n)
    const leave: (() => Promise<void>)[] = []
    for (let i = 0; i < 50; i++) for (const kind of KINDS) leave.push(await wallet(i, kind, txid))
    const [others, visitors] = [await strangers(), await browsers(20)]
    const during = await counts()
    expect(during['valence_sessions{stage="active",direction="inbound"}']).toBe(50 * KINDS.length + visitors.length)
    // Half of them with eight, the others with seven.
    expect(during['valence_subscriptions']).toBe(KINDS.length * (25 * 8 + 25 * 7))
    // They are told of these while they leave.
    station.node.send(payee('rich').address, 20_000n)
    station.node.mine(1)
    for (const [i, end] of leave.entries()) {
      await end()
      if (i % 50 === 0) station.node.reorganize(1)
    }
    for (const visitor of visitors) visitor.close()
    for (const socket of others) socket.destroy()
    await untilNobody()
    const none = { sessions: 0, connections: 0, layers: 0, timers: 0 }
    await vi.waitFor(() => expect(left(timers)).toEqual(none), { timeout: 60_000, interval: 1000 })
  })
})
