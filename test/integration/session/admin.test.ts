import { once } from 'node:events'
import { connect as dial } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { RpcError } from '../../../src/errors.ts'
import { createLogger, type Logger, silentLogger } from '../../../src/log.ts'
import { AdminServer, DEFAULT_ADMIN, defineAdminMethod } from '../../../src/session/admin.ts'
import { sessionAdminMethods } from '../../../src/session/admin-methods.ts'
import { DEFAULT_COSTS } from '../../../src/session/cost.ts'
import { TrustedProxies } from '../../../src/session/transports/proxies.ts'
import { FakeDaemon, FakeServer } from '../../support/fake-context.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { SessionKit } from '../../support/session-kit.ts'
import { awaited, LIMITS } from '../../support/transport-kit.ts'
import { WireClient } from '../../support/wire-client.ts'

/** Lines of the audit. */
function audited(lines: readonly string[]): readonly Readonly<Record<string, unknown>>[] {
  return lines
    .filter((line) => line.includes('"audit":true'))
    .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)
}

describe('administrator', () => {
  let kit: SessionKit | undefined
  let admin: AdminServer | undefined
  const clients: WireClient[] = []
  const clock = new HandClock()
  let counts = { refused: 0, idle: 0, timedOut: 0 }

  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy()
    await admin?.stop()
    await kit?.stop()
    kit = undefined
    admin = undefined
  })

  async function start({
    stop = () => {},
    wait,
    log = silentLogger(),
    anonymous = false,
  }: {
    stop?: () => void
    wait?: Promise<unknown>
    log?: Logger
    anonymous?: boolean
  } = {}): Promise<WireClient> {
    kit = await new SessionKit().start()
    const { shared, manager } = kit
    const extra = defineAdminMethod({
      name: 'regtest',
      acts: true,
      summary: 'test',
      params: z.object({ command: z.string(), count: z.coerce.number().optional() }),
      example: { params: ['mine', 1], result: null },
      handler: async ({ command, count }) => {
        await wait
        return `${command} ${count ?? 0}`
      },
    })
    let requests = 0
    counts = { refused: 0, idle: 0, timedOut: 0 }
    admin = new AdminServer(
      { ...DEFAULT_ADMIN, port: 0, connection: LIMITS, maxConnections: 2, anonymous },
      {
        methods: [...sessionAdminMethods({ shared, manager, stop, info: () => ({ sync: 'done' }) }), extra],
        daemon: new FakeDaemon(),
        server: new FakeServer(),
        clock,
        log,
        requestId: () => `a${++requests}`,
        counts,
      },
    )
    await admin.start()
    return connect()
  }

  async function connect(): Promise<WireClient> {
    const client = await WireClient.connect({ kind: 'tcp', port: admin!.address!.port })
    clients.push(client)
    return client
  }

  it('leaves a line in the log with what changes something, and none with questions', async () => {
    const lines: string[] = []
    const log = createLogger('info', { write: (line: string) => void lines.push(line) })
    const client = await start({ log })
    await client.request('getinfo')
    await client.request('sessions')
    await client.request('disconnect', [['77'], 'too many complaints'])
    expect(audited(lines)).toMatchObject([
      {
        msg: 'administrator',
        from: expect.stringMatching(/^127\.0\.0\.1:\d+$/) as string,
        method: 'disconnect',
        params: '{"session_ids":["77"]}',
        reason: 'too many complaints',
      },
      { msg: 'administrator was answered', method: 'disconnect', outcome: 'done', result: '["unknown: 77"]' },
    ])
    const acts = audited(lines).map(({ act }) => act)
    expect(acts[0]).toMatch(/./)
    expect(acts[1]).toBe(acts[0])
  })

  it('leaves a line also with what failed, and none with what was not understood', async () => {
    const lines: string[] = []
    const log = createLogger('info', { write: (line: string) => void lines.push(line) })
    const wait = Promise.reject(new RpcError(1, 'no such thing'))
    wait.catch(() => {}) // The method is who it is meant for.
    const client = await start({ log, wait })
    await expect(client.request('regtest', ['mine'])).rejects.toMatchObject({ code: 1 })
    await expect(client.request('regtest', [])).rejects.toMatchObject({ code: -32602 })
    expect(audited(lines)).toMatchObject([
      { method: 'regtest', params: '{"command":"mine"}' },
      { method: 'regtest', outcome: 'failed', result: '"no such thing"' },
    ])
  })

  it('names no address in the log where none is wanted', async () => {
    const lines: string[] = []
    const log = createLogger('info', { write: (line: string) => void lines.push(line) })
    const client = await start({ log, anonymous: true })
    await client.request('disconnect', [['203.0.113.0/24', '2001:db8:1::/48'], 'spam from 203.0.113.7'])
    expect(audited(lines)[0]).toMatchObject({
      params: '{"session_ids":["xx.xx.xx.xx","xx.xx.xx.xx"]}',
      reason: 'spam from xx.xx.xx.xx',
    })
    expect(lines.join('')).not.toMatch(/203\.0|2001:db8/)
  })

  it('sees of an end for abuse in the log who it was, and no address or subnet where none is wanted', async () => {
    for (const anonymous of [false, true]) {
      const lines: string[] = []
      const log = createLogger('info', { write: (line: string) => void lines.push(line) })
      const proxies = new TrustedProxies(['127.0.0.0/8'])
      kit = await new SessionKit({
        log,
        manager: { proxies },
        shared: { anonymous, costs: { ...DEFAULT_COSTS, softLimit: 10, hardLimit: 100 } },
      }).start()
      const client = dial(kit.port(), '127.0.0.1')
      client.write('PROXY TCP4 8.8.4.7 127.0.0.1 4711 50001\r\n{"id":0,"method":"spend","params":[1000]}\n')
      client.resume()
      await once(client, 'close')
      await kit.until(() => kit!.manager.counts.closed['excessive usage'] === 1)
      expect(audited(lines)).toMatchObject([{ msg: 'disconnected for abuse', reason: 'excessive usage' }])
      if (anonymous) expect(lines.join('')).not.toContain('8.8.4.')
      else expect(audited(lines)).toMatchObject([{ remote: '8.8.4.7:4711', groups: ['8.8.4.0/24'] }])
      await kit.stop()
      kit = undefined
    }
  })

  it('is told what the server is doing', async () => {
    const client = await start()
    await kit!.active()
    kit!.clock.advance(5000)
    expect(await client.request('getinfo')).toMatchObject({
      version: 'Valence 0.1.0',
      uptime: 5,
      daemon: 'fake',
      ready: true,
      tip: { height: 0 },
      sessions: { active: 1, handshaking: 0, paused: false },
      requests: { 'server.version': 1 },
      sync: 'done',
    })
  })

  it('is served also while there is nothing to serve clients from', async () => {
    const client = await start()
    kit!.moments.ready = false
    expect(await client.request('getinfo')).toMatchObject({ ready: false, tip: null })
  })

  it('sees every session and one in full', async () => {
    const client = await start()
    const wallet = await kit!.active()
    await kit!.connect()
    await wallet.request('blockchain.scripthash.subscribe', ['aa'.repeat(11)])
    await wallet.request('blockchain.headers.subscribe')
    await wallet.request('made up').catch(() => {})
    await kit!.until(() => kit!.manager.counts.handshaking === 1)
    const sessions = (await client.request('sessions')) as object[]
    expect(sessions).toMatchObject([
      {
        id: 1,
        kind: 'tcp',
        state: 'active',
        software: 'kit',
        protocol: '1.4.0',
        follows_tip: true,
        subscriptions: 1,
        errors: 1,
      },
      { id: 2, kind: 'tcp', state: 'handshaking', software: null, follows_tip: false, transactions_sent: 0 },
    ])
    expect(await client.request('inspect_session', [1])).toMatchObject({
      id: 1,
      calls: {
        'server.version': 1,
        'blockchain.scripthash.subscribe': 1,
        'blockchain.headers.subscribe': 1,
        'unknown method': 1,
      },
    })
    expect(await client.request('inspect_session', [99])).toBe(null)
  })

  it('disconnects by id, and says what it does not know', async () => {
    const client = await start()
    const [first, second] = [await kit!.active(), await kit!.active()]
    expect(await client.request('disconnect', [['1', '77']])).toEqual(['disconnected 1', 'unknown: 77'])
    await first.closed
    expect(await second.request('echo', ['alive'])).toBe('alive')
    expect(await client.request('disconnect', ['all'])).toEqual(['disconnected 2'])
    await second.closed
    await kit!.until(() => kit!.manager.counts.closed.operator === 2)
  })

  it('disconnects who has not asked anything yet apart from all', async () => {
    const client = await start()
    const wallet = await kit!.active()
    const silent = [await kit!.connect(), await kit!.connect()]
    await kit!.until(() => kit!.manager.counts.handshaking === 2)
    expect(await client.request('disconnect', ['pending'])).toEqual(['disconnected 2', 'disconnected 3'])
    for (const { closed } of silent) await closed
    expect(await client.request('disconnect', ['pending'])).toEqual(['nobody there'])
    expect(await wallet.request('echo', ['alive'])).toBe('alive')
    expect(kit!.manager.counts).toMatchObject({ handshaking: 0, active: 1, closed: { operator: 2 } })
  })

  it('sees the cost that subnets left behind', async () => {
    const client = await start()
    const member = { cost: 12.345 }
    kit!.manager.groups.join('198.99.1.2', member, 0)[0]!.leave(member)
    expect(await client.request('groups')).toEqual([
      { name: '198.99.1.0/24', weight: 1, sessions: 0, session_cost: 0, retained_cost: 12.35 },
    ])
  })

  it('stops the server after it was answered', async () => {
    const stopped = awaited<string>()
    const client = await start({ stop: () => stopped.resolve('stopped') })
    expect(await client.request('stop')).toBe('stopping')
    expect(await stopped.promise).toBe('stopped')
  })

  it('reaches the methods that the rest of the server brings along, by position and by name', async () => {
    const client = await start()
    expect(await client.request('regtest', ['mine', '5'])).toBe('mine 5')
    expect(await client.request('regtest', { command: 'mine', count: 7 })).toBe('mine 7')
    await expect(client.request('regtest', [])).rejects.toMatchObject({ code: -32602 })
    await expect(client.request('blockchain.headers.subscribe')).rejects.toMatchObject({ code: -32601 })
  })

  it('is told when a method takes too long', async () => {
    const client = await start({ wait: new Promise(() => {}) })
    const answer = client.request('regtest', ['mine'])
    await clock.sleeper((ms) => ms === DEFAULT_ADMIN.requestTimeout)
    clock.advance(DEFAULT_ADMIN.requestTimeout)
    await expect(answer).rejects.toMatchObject({ code: -102 })
  })

  it('has a bounded number of connections, and counts who comes above it', async () => {
    await start()
    await connect()
    const third = await connect()
    await third.closed
  })

  it('closes a connection on which nothing is said, and none while a command runs', async () => {
    const gate = awaited<void>()
    const busy = await start({ wait: gate.promise })
    const silent = await connect()
    const answer = busy.request('regtest', ['mine', 2])
    await clock.sleeper((ms) => ms === DEFAULT_ADMIN.requestTimeout)
    // Who never asks has the time of newcomers, from when it is let in.
    while (counts.idle === 0) {
      clock.advance(1000)
      await turn()
    }
    await silent.closed
    clock.advance(DEFAULT_ADMIN.idleTimeout - 300_000)
    gate.resolve()
    expect(await answer).toBe('mine 2')
    clock.advance(DEFAULT_ADMIN.idleTimeout - 1000)
    expect(await busy.request('regtest', ['mine', 3])).toBe('mine 3')
    clock.advance(DEFAULT_ADMIN.idleTimeout)
    await busy.closed
    expect(counts).toEqual({ refused: 0, idle: 2, timedOut: 0 })
  })
})
