import { createServer } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { createLogger } from '../../../src/log.ts'
import { DEFAULT_GROUPS } from '../../../src/session/groups.ts'
import type { ListenTarget } from '../../../src/session/listeners.ts'
import { HandMoments, type KitOptions, SessionKit } from '../../support/session-kit.ts'
import { testCertificate } from '../../support/transport-kit.ts'
import { WireClient, type WireKind } from '../../support/wire-client.ts'

const HOST = '127.0.0.1'

async function everyKind(): Promise<ListenTarget[]> {
  const tls = await testCertificate()
  return (['tcp', 'ssl', 'ws', 'wss', 'http', 'https'] as const).map((kind) => {
    const target = { kind, host: HOST, port: 0 }
    return kind === 'ssl' || kind === 'wss' || kind === 'https' ? { ...target, tls } : target
  })
}

describe('session manager', () => {
  let kit: SessionKit | undefined

  async function start(options: KitOptions = {}): Promise<SessionKit> {
    kit = new SessionKit(options)
    return kit.start()
  }

  afterEach(async () => {
    await kit?.stop()
    kit = undefined
  })

  it('serves the same methods on every kind of stream', async () => {
    await start({ listeners: await everyKind() })
    for (const kind of ['tcp', 'ssl', 'ws', 'wss'] as const) {
      const client = await kit!.active(kind)
      expect(await client.request('echo', [kind])).toBe(kind)
    }
    expect(kit!.manager.counts).toMatchObject({ active: 4, handshaking: 0, accepted: 4, refused: 0 })
    expect([...kit!.manager.clients()].map(({ kind }) => kind)).toEqual(['tcp', 'ssl', 'ws', 'wss'])
  })

  it('stops accepting on every listener at the limit, and begins again at 95 % of it', async () => {
    await start({ listeners: await everyKind(), manager: { maxSessions: 20 } })
    const clients: WireClient[] = []
    const kinds: WireKind[] = ['tcp', 'ssl', 'ws', 'wss']
    for (let i = 0; i < 20; i++) clients.push(await kit!.active(kinds[i % 4]))
    expect(kit!.manager.counts).toMatchObject({ active: 20, paused: true })
    for (const kind of kinds) {
      await expect(WireClient.connect({ kind, port: kit!.port(kind) })).rejects.toThrow(/ECONNREFUSED/)
    }
    await expect(fetch(`http://${HOST}:${kit!.port('http')}/health`)).rejects.toThrow()
    expect(await clients[0]!.request('echo', ['still served'])).toBe('still served')
    await clients[0]!.close()
    await kit!.until(() => kit!.manager.counts.active === 19)
    expect(kit!.manager.counts.paused).toBe(false)
    await kit!.until(() => kit!.manager.addresses.length === 6)
    clients.push(await retried(() => kit!.active('wss')))
    expect(kit!.manager.counts).toMatchObject({ active: 20, paused: true })
  })

  it('does not begin again above 95 % of the limit, so that it is not at it again at once', async () => {
    await start({ manager: { maxSessions: 40 } })
    const clients: WireClient[] = []
    for (let i = 0; i < 40; i++) clients.push(await kit!.active())
    await clients[0]!.close()
    await kit!.until(() => kit!.manager.counts.active === 39)
    expect(kit!.manager.counts.paused).toBe(true)
    await clients[1]!.close()
    await kit!.until(() => kit!.manager.counts.active === 38)
    expect(kit!.manager.counts.paused).toBe(false)
  })

  it('does not let newcomers who say nothing use the places of wallets', async () => {
    await start({ manager: { maxSessions: 2, maxHandshaking: 5 } })
    for (let i = 0; i < 4; i++) await kit!.connect()
    await kit!.until(() => kit!.manager.counts.handshaking === 4)
    const wallet = await kit!.active()
    expect(await wallet.request('echo', ['served'])).toBe('served')
    expect(kit!.manager.counts).toMatchObject({ active: 1, handshaking: 4, paused: false })
  })

  it('cuts newcomers above their own limit, and who says nothing for the handshake time', async () => {
    await start({ manager: { maxHandshaking: 2 } })
    const idle = [await kit!.connect(), await kit!.connect()]
    await kit!.until(() => kit!.manager.counts.handshaking === 2)
    const third = await kit!.connect()
    await third.closed
    expect(kit!.manager.counts.refused).toBe(1)
    kit!.clock.advance(60_000)
    await Promise.all(idle.map((client) => client.closed))
    await kit!.until(() => kit!.manager.counts.closed['handshake timeout'] === 2)
    await kit!.active()
  })

  it('answers a newcomer whose place is gone by the time it speaks', async () => {
    await start({ manager: { maxSessions: 1 } })
    const late = await kit!.connect()
    await kit!.until(() => kit!.manager.counts.handshaking === 1)
    await kit!.active()
    await expect(late.request('server.version', ['late', [1, 4]])).rejects.toMatchObject({ code: -102 })
    await late.closed
    await kit!.until(() => kit!.manager.counts.closed['server full'] === 1)
    expect(kit!.manager.counts.active).toBe(1)
  })

  it('closes at a sweep who has sent nothing for the session time, and nobody else', async () => {
    await start()
    const [silent, alive] = [await kit!.active(), await kit!.active()]
    await tick(590)
    await alive.request('echo', ['here'])
    await tick(70)
    await silent.closed
    await kit!.until(() => kit!.manager.counts.closed['idle timeout'] === 1)
    expect(await alive.request('echo', ['here'])).toBe('here')
  })

  it('keeps the cost of a subnet after its session has gone, and forgives it by and by', async () => {
    await start()
    // The addresses of tests are private and belong to no group, so the manager is asked directly.
    const member = { cost: 3000 }
    kit!.manager.groups.join('198.99.114.7', member, 0)[0]!.leave(member)
    expect([...kit!.manager.groups.all].map(({ name, retainedCost }) => [name, retainedCost])).toEqual([
      ['198.99.114.0/24', 3000],
    ])
    await tick(300)
    expect(kit!.manager.groups.get('198.99.114.0/24')!.retainedCost).toBe(2400)
    for (let i = 0; i < 4; i++) await tick(300)
    expect(kit!.manager.counts.groups).toBe(0)
  })

  it('refuses more of one subnet than its limit', async () => {
    await start({ manager: { groups: { ...DEFAULT_GROUPS, maxSessions: 1 } } })
    const remote = { host: '198.99.114.7', port: 1 }
    const pass = kit!.manager.admit('tcp', remote)
    expect(pass).toBeDefined()
    kit!.manager.groups.join(remote.host, { cost: 0 }, 0)
    expect(kit!.manager.admit('tcp', { host: '198.99.114.9', port: 1 })).toBeUndefined()
    const other = kit!.manager.admit('tcp', { host: '198.99.115.9', port: 1 })
    expect(other).toBeDefined()
    expect(kit!.manager.counts.handshaking).toBe(2)
    pass!.release()
    pass!.release()
    expect(kit!.manager.counts.handshaking).toBe(1)
    other!.release()
  })

  it('lets the cost of one who follows many scripts decay more slowly', async () => {
    await start()
    const client = await kit!.active()
    for (let i = 0; i < 20; i++) await client.request('blockchain.scripthash.subscribe', [`${i + 10}`.repeat(11)])
    const session = [...kit!.manager.clients()][0]!
    await tick(300) // The pace is worked out at the end of this.
    await client.request('spend', [500])
    const before = session.cost
    await tick(300)
    expect(before - session.cost).toBeCloseTo((10_000 / (10_000 + 5 * 20)) * 300, 5)
  })

  it('opens its listeners only when there is something to serve', async () => {
    const moments = new HandMoments()
    moments.ready = false
    const log = createLogger('info', {
      write: (line: string) => {
        const { msg, port } = JSON.parse(line) as { msg: string; port: number }
        // Whoever waits for the line connects at once, and is not refused.
        if (msg === 'listening') told = WireClient.connect({ kind: 'tcp', port })
      },
    })
    let told: Promise<WireClient> | undefined
    await start({ moments, log })
    const { port } = kit!.manager.addresses[0]!
    await expect(WireClient.connect({ kind: 'tcp', port })).rejects.toThrow(/ECONNREFUSED/)
    moments.publish({})
    await expect(WireClient.connect({ kind: 'tcp', port })).rejects.toThrow(/ECONNREFUSED/)
    moments.ready = true
    moments.publish({})
    const client = await retried(() => kit!.active())
    expect(await client.request('echo', ['open'])).toBe('open')
    await (await told)?.close()
    expect(told).toBeDefined()
  })

  it('names the address that cannot be had and leaves none open', async () => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, HOST, resolve))
    const { port } = taken.address() as { port: number }
    const free = createServer()
    await new Promise<void>((resolve) => free.listen(0, HOST, resolve))
    const { port: first } = free.address() as { port: number }
    await new Promise((resolve) => free.close(resolve))
    const listeners = [
      { kind: 'tcp', host: HOST, port: first },
      { kind: 'ws', host: HOST, port },
    ] as const
    try {
      const other = new SessionKit({ listeners })
      await expect(other.start()).rejects.toThrow(`cannot listen on ws://127.0.0.1:${port}: listen EADDRINUSE`)
      await expect(WireClient.connect({ kind: 'tcp', port: first })).rejects.toThrow(/ECONNREFUSED/)
    } finally {
      await new Promise((resolve) => taken.close(resolve))
    }
  })

  it.each([
    { target: { kind: 'ssl', host: HOST, port: 0 }, says: 'cannot listen on ssl://127.0.0.1:0: needs a certificate' },
    { target: { kind: 'rpc', host: HOST, port: 0 }, says: 'cannot listen on rpc://127.0.0.1:0: is not for clients' },
  ] as const)('refuses $target.kind that is set up wrongly', async ({ target, says }) => {
    await expect(new SessionKit({ listeners: [target] }).start()).rejects.toThrow(says)
  })

  it.each([
    { anonymous: true, lines: 0 },
    { anonymous: false, lines: 2 },
  ])('logs opening, abuse and end of a session, with addresses unless anonymous is $anonymous', async (row) => {
    const written: string[] = []
    const log = createLogger('debug', { write: (line: string) => written.push(line) })
    await start({ log, shared: { anonymous: row.anonymous } })
    const client = await kit!.active()
    await expect(client.request('spend', [20_000])).rejects.toMatchObject({ code: -101 })
    await kit!.until(() => kit!.manager.counts.closed['excessive usage'] === 1)
    const aboutSession = written.filter((line) => line.includes('"session":1'))
    expect(aboutSession.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual([
      'session opened',
      'disconnected for abuse',
      'session closed',
    ])
    expect(aboutSession.filter((line) => line.includes('127.0.0.1'))).toHaveLength(row.lines)
    expect(aboutSession[2]).toContain('"reason":"excessive usage"')
  })

  it('lets running requests finish at shutdown, takes no new ones, and closes everybody', async () => {
    await start()
    const [busy, idle, newcomer] = [await kit!.active(), await kit!.active(), await kit!.connect()]
    const answer = busy.request('hold')
    await kit!.held.begun(1)
    const port = kit!.port()
    const stopped = kit!.manager.stop()
    await idle.closed
    await newcomer.closed
    const late = busy.request('echo', ['too late'])
    late.catch(() => {})
    await expect(WireClient.connect({ kind: 'tcp', port })).rejects.toThrow(/ECONNREFUSED/)
    kit!.held.release()
    expect(await answer).toBe('released')
    await expect(late).rejects.toThrow('connection closed')
    await stopped
    expect(kit!.manager.counts).toMatchObject({ active: 0, handshaking: 0 })
    expect(kit!.manager.counts.closed.shutdown).toBe(3)
    kit = undefined
  })

  it('does not wait for ever at shutdown', async () => {
    await start()
    const client = await kit!.active()
    const answer = client.request('hold')
    answer.catch(() => {})
    await kit!.held.begun(1)
    const stopped = kit!.manager.stop()
    await kit!.clock.sleeper((ms) => ms === 2000)
    kit!.clock.advance(2000)
    await stopped
    await expect(answer).rejects.toThrow('connection closed')
    expect(kit!.held.signals[0]!.aborted).toBe(true)
    kit!.held.release()
    kit = undefined
  })

  /** Lets the manager's upkeep run for some seconds. */
  async function tick(seconds: number): Promise<void> {
    for (let i = 0; i < seconds; i += 10) {
      await kit!.clock.sleeper((ms) => ms === 1000)
      kit!.clock.advance(10_000)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
})

/** Listening begins a few turns of the event loop after it was decided. */
async function retried<T>(action: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await action()
    } catch (error) {
      if (!(error instanceof Error) || !error.message.includes('ECONNREFUSED')) throw error
    }
  }
}
