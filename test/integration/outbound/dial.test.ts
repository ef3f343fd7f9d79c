import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { generate } from 'selfsigned'
import { afterEach, describe, expect, it } from 'vitest'
import { isAbort } from '../../../src/errors.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { DialError, Dialler } from '../../../src/session/outbound/dial.ts'
import type { Connection } from '../../../src/session/transports/connection.ts'
import { freePort } from '../../support/free-port.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { counterOf, diallerOf, LIMITS, LoopbackServer, type ProxyManner, SocksServer } from './loopback.ts'

const never = new AbortController().signal
const closing: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

async function listen(onSocket: (socket: Socket) => void): Promise<LoopbackServer> {
  const server = await LoopbackServer.listen(createServer(onSocket))
  closing.push(() => server.close())
  return server
}

async function proxy(manner: ProxyManner, target?: (host: string, port: number) => number) {
  const server = new SocksServer(manner, target)
  const port = await server.start()
  closing.push(() => server.close())
  return { server, address: { host: '127.0.0.1', port } }
}

function echo(socket: Socket): void {
  socket.pipe(socket)
}

function greeting(socket: Socket): void {
  socket.write('hello\n')
}

function line(connection: Connection): Promise<string> {
  return new Promise((resolve) => {
    connection.handler = { onMessage: (bytes) => resolve(Buffer.from(bytes).toString()) }
  })
}

async function gone(connection: Connection): Promise<void> {
  await new Promise<void>((resolve) => {
    connection.handler = { onClose: () => resolve() }
    connection.close('client closed')
  })
}

async function failure(promise: Promise<unknown>): Promise<DialError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(DialError)
  return error as DialError
}

describe('dialling', () => {
  it('carries lines over TCP and says where it is connected to', async () => {
    const { port } = await listen(echo)
    const connection = await diallerOf().connect({ host: 'localhost', port, tls: 'none' }, never)
    expect(connection.kind).toBe('tcp')
    expect(connection.remote).toEqual({ host: '127.0.0.1', port })
    const heard = line(connection)
    connection.send('hello')
    expect(await heard).toBe('hello')
    await gone(connection)
  })

  it('takes a certificate of the server’s own making, unless it has to be verified', async () => {
    const pems = await generate([{ name: 'commonName', value: 'localhost' }], { keyType: 'ec', curve: 'P-256' })
    const server = await LoopbackServer.listen(createTlsServer({ cert: pems.cert, key: pems.private }, echo))
    closing.push(() => server.close())
    const { port } = server
    const connection = await diallerOf().connect({ host: '127.0.0.1', port, tls: 'any' }, never)
    const heard = line(connection)
    connection.send('hello')
    expect(await heard).toBe('hello')
    await gone(connection)
    const refused = await failure(diallerOf().connect({ host: '127.0.0.1', port, tls: 'verified' }, never))
    expect(refused.stage).toBe('tls')
  })

  it('says that nobody listens', async () => {
    const port = await freePort()
    const error = await failure(diallerOf().connect({ host: '127.0.0.1', port, tls: 'none' }, never))
    expect(error.stage).toBe('connect')
    expect(error.message).toContain('ECONNREFUSED')
  })

  it('says that a server does not speak TLS', async () => {
    const { port } = await listen((socket) => socket.end('hello\n'))
    expect((await failure(diallerOf().connect({ host: '127.0.0.1', port, tls: 'any' }, never))).stage).toBe('tls')
  })

  it('is not led into private networks, by an address or by a name', async () => {
    const server = await listen(echo)
    const dialler = new Dialler(
      { timeout: 120_000, limits: LIMITS, permitPrivate: false },
      {
        clock: systemClock,
        counter: counterOf(),
        resolve: (host) => Promise.resolve(host === 'trap.example' ? ['127.0.0.1', '10.0.0.1', '::1'] : []),
      },
    )
    const { port } = server
    for (const host of ['127.0.0.1', '192.168.1.1', '::1', '::ffff:10.0.0.1', 'trap.example', 'nowhere.example']) {
      expect((await failure(dialler.connect({ host, port, tls: 'none' }, never))).stage).toBe('address')
    }
    expect(server.sockets.size).toBe(0)
    const trusted = await dialler.connect({ host: '127.0.0.1', port, tls: 'none', trusted: true }, never)
    await gone(trusted)
  })

  it('ends after its time when a handshake hangs, and leaves no connection behind', async () => {
    const clock = new HandClock()
    const server = await listen((socket) => socket.resume())
    const counter = counterOf()
    const dialler = new Dialler({ timeout: 1000, limits: LIMITS, permitPrivate: true }, { clock, counter })
    const dialled = failure(dialler.connect({ host: '127.0.0.1', port: server.port, tls: 'any' }, never))
    while (server.sockets.size === 0) await new Promise((resolve) => setImmediate(resolve))
    const [socket] = server.sockets
    expect(counter.count('pending', 'outbound')).toBe(1)
    clock.advance(1000)
    expect((await dialled).stage).toBe('timeout')
    if (socket?.destroyed === false) await once(socket, 'close')
    expect(counter.total).toBe(0)
    expect(clock.sleeping).toBe(0)
  })

  it('dials from the address it is told to, and only to hosts of that family', async () => {
    const server = await listen(echo)
    const dialler = diallerOf({ localAddress: '127.0.0.9' })
    const connection = await dialler.connect({ host: '127.0.0.1', port: server.port, tls: 'none' }, never)
    while (server.sockets.size === 0) await new Promise((resolve) => setImmediate(resolve))
    expect([...server.sockets].map(({ remoteAddress }) => remoteAddress)).toEqual(['127.0.0.9'])
    await gone(connection)
    expect(await failure(dialler.connect({ host: '::1', port: server.port, tls: 'none' }, never))).toMatchObject({
      stage: 'connect',
    })
  })

  it('ends with AbortError when it is called off', async () => {
    const { port } = await listen(() => {})
    const stop = new AbortController()
    const counter = counterOf()
    const dialled = diallerOf({}, counter).connect({ host: '127.0.0.1', port, tls: 'any' }, stop.signal)
    stop.abort()
    await expect(dialled).rejects.toSatisfy(isAbort)
    expect(counter.total).toBe(0)
  })

  it('counts dials in flight and connections, and says which limit was met', async () => {
    const { port } = await listen(() => {})
    const stop = new AbortController()
    const counter = counterOf(2, 1)
    const dialler = diallerOf({}, counter)
    const target = { host: '127.0.0.1', port, tls: 'none' } as const
    const hanging = [1, 2].map(() => dialler.connect({ ...target, tls: 'any' }, stop.signal))
    const pending = await failure(dialler.connect(target, never))
    expect(pending).toMatchObject({ stage: 'limit', exceeded: { stage: 'pending', direction: 'outbound', limit: 2 } })
    stop.abort()
    for (const { status } of await Promise.allSettled(hanging)) expect(status).toBe('rejected')
    const connection = await dialler.connect(target, never)
    expect([counter.count('pending', 'outbound'), counter.count('active', 'outbound')]).toEqual([0, 1])
    const active = await failure(dialler.connect(target, never))
    expect(active.exceeded).toEqual({ stage: 'active', direction: 'outbound', limit: 1 })
    await gone(connection)
    expect(counter.total).toBe(0)
    await gone(await dialler.connect(target, never))
  })
})

describe('a SOCKS5 proxy', () => {
  it('is given the name, resolves it itself, and the other side’s first words are not lost', async () => {
    const { port } = await listen(greeting)
    const { server, address } = await proxy('connects', () => port)
    const connection = await diallerOf().connect(
      { host: 'peer.onion', port: 50_001, tls: 'none', proxy: address },
      never,
    )
    expect(await line(connection)).toBe('hello')
    expect(server.asked).toEqual([{ host: 'peer.onion', port: 50_001 }])
    expect(connection.remote).toEqual({ host: 'peer.onion', port: 50_001 })
    await gone(connection)
  })

  it('carries TLS', async () => {
    const pems = await generate([{ name: 'commonName', value: 'localhost' }], { keyType: 'ec', curve: 'P-256' })
    const server = await LoopbackServer.listen(createTlsServer({ cert: pems.cert, key: pems.private }, greeting))
    closing.push(() => server.close())
    const { address } = await proxy('connects', () => server.port)
    const connection = await diallerOf().connect({ host: 'peer.onion', port: 1, tls: 'any', proxy: address }, never)
    expect(await line(connection)).toBe('hello')
    await gone(connection)
  })

  it.each([
    ['203.0.113.7', '203.0.113.7'],
    ['2001:db8::7', '32.1.13.184.0.0.0.0.0.0.0.0.0.0.0.7'],
    ['::ffff:203.0.113.7', '0.0.0.0.0.0.0.0.0.0.255.255.203.0.113.7'],
  ])('is given the bytes of the address %s', async (host, asked) => {
    const { port } = await listen(greeting)
    const { server, address } = await proxy('connects', () => port)
    const connection = await diallerOf().connect({ host, port: 50_001, tls: 'none', proxy: address }, never)
    expect(server.asked).toEqual([{ host: asked, port: 50_001 }])
    await gone(connection)
  })

  it.each<[ProxyManner, string]>([
    ['refuses', 'connection refused'],
    ['wants a password', 'the proxy wants authentication'],
    ['hangs up', 'the proxy hung up'],
    ['speaks HTTP', 'no SOCKS5 proxy'],
  ])('that %s is told apart', async (manner, message) => {
    const { address } = await proxy(manner)
    const error = await failure(
      diallerOf().connect({ host: 'peer.onion', port: 50_001, tls: 'none', proxy: address }, never),
    )
    expect(error).toMatchObject({ stage: 'proxy', message })
  })

  it('that says nothing is given up after the dialler’s time', async () => {
    const { address } = await proxy('says nothing')
    const dialler = diallerOf({ timeout: 50 })
    const error = await failure(
      dialler.connect({ host: 'peer.onion', port: 50_001, tls: 'none', proxy: address }, never),
    )
    expect(error.stage).toBe('timeout')
  })

  it('cannot be asked for a name that is too long', async () => {
    const { address } = await proxy('connects')
    const target = { host: `${'a'.repeat(250)}.onion`, port: 1, tls: 'none', proxy: address } as const
    expect(await failure(diallerOf().connect(target, never))).toMatchObject({
      stage: 'proxy',
      message: 'a host name has 1 to 255 characters',
    })
  })

  it.each<[ProxyManner, boolean]>([
    ['connects', true],
    ['wants a password', false],
    ['speaks HTTP', false],
    ['says nothing', false],
  ])('that %s is known as one: %s', async (manner, is) => {
    const { address } = await proxy(manner)
    // Only silence has to be waited out; a busy machine may take its time with the others.
    const timeout = manner === 'says nothing' ? 50 : 120_000
    expect(await diallerOf({ timeout }).isProxy(address, never)).toBe(is)
  })

  it('is not found where nobody listens, and the search can be called off', async () => {
    expect(await diallerOf().isProxy({ host: '127.0.0.1', port: await freePort() }, never)).toBe(false)
    const { address } = await proxy('says nothing')
    const stop = new AbortController()
    const search = diallerOf().isProxy(address, stop.signal)
    stop.abort()
    await expect(search).rejects.toSatisfy(isAbort)
  })
})
