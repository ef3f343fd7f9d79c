import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentLogger } from '../../../src/log.ts'
import type { RpcMethod } from '../../../src/rpc/method.ts'
import { addPeer } from '../../../src/rpc/methods/server.ts'
import { AdminServer, DEFAULT_ADMIN } from '../../../src/session/admin.ts'
import { sessionAdminMethods } from '../../../src/session/admin-methods.ts'
import { FakeDaemon, FakeServer } from '../../support/fake-context.ts'
import { SessionKit } from '../../support/session-kit.ts'
import { LIMITS } from '../../support/transport-kit.ts'

/** Bytes that JavaScript holds, buffers outside the heap included, once what is not needed has gone. */
async function held(): Promise<number> {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  // Finalizers of one collection let go of what only the next one finds.
  for (let i = 0; i < 3; i++) {
    collect()
    await new Promise((resolve) => setImmediate(resolve))
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

interface Crowd {
  /** Bytes that one of the connections takes, both of its ends together. */
  readonly each: number
  readonly sockets: readonly Socket[]
}

/** Opens connections that say `lines` and hear as many answers; all but the sockets is forgotten. */
async function crowd(port: number, count: number, lines: (i: number) => readonly string[]): Promise<Crowd> {
  const before = await held()
  const sockets: Socket[] = []
  for (let i = 0; i < count; i++) {
    const socket = connect({ host: '127.0.0.1', port })
    sockets.push(socket)
    await once(socket, 'connect')
    for (const line of lines(i)) await ask(socket, line)
    socket.resume()
  }
  return { each: ((await held()) - before) / count, sockets }
}

async function ask(socket: Socket, line: string): Promise<void> {
  const answered = new Promise<void>((resolve) => {
    const onData = (data: Buffer): void => {
      if (data.at(-1) !== 0x0a) return
      socket.off('data', onData)
      resolve()
    }
    socket.on('data', onData)
  })
  socket.write(`${line}\n`)
  await answered
}

/** What a wallet says that follows the headers and five scripts. */
function wallet(i: number): readonly string[] {
  const calls: [string, unknown[]][] = [
    ['server.version', ['kit', [1, 4]]],
    ['blockchain.headers.subscribe', []],
  ]
  for (let k = 0; k < 5; k++) {
    calls.push(['blockchain.scripthash.subscribe', [(i * 5 + k).toString(16).padStart(64, 'a')]])
  }
  return calls.map(([method, params], id) => JSON.stringify({ jsonrpc: '2.0', id, method, params }))
}

let stop: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const end of stop) await end()
  stop = []
})

async function startKit(methods: readonly RpcMethod[] = []): Promise<SessionKit> {
  const kit = await new SessionKit({ manager: { maxSessions: 2000 }, methods }).start()
  stop.push(() => kit.stop())
  return kit
}

async function startBare(): Promise<number> {
  const server = createServer((socket) => socket.on('data', (data) => socket.write(data)).on('error', () => {}))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  stop.push(async () => {
    server.close()
    await once(server, 'close')
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

async function leave(sockets: readonly Socket[]): Promise<void> {
  await Promise.all(sockets.map((socket) => once(socket.destroy(), 'close')))
}

describe('memory of idle sessions', () => {
  it('a session with five subscriptions takes at most 5 KB more than a bare connection', async () => {
    const [kit, bare] = [await startKit(), await startBare()]
    const measure = async (port: number, lines: (i: number) => readonly string[]): Promise<number> => {
      const { each, sockets } = await crowd(port, 500, lines)
      await leave(sockets)
      return each
    }
    const differences: number[] = []
    // Code and tables are there after the first time. What else is compiled or collected late falls into one of the others.
    for (let round = 0; round < 4; round++) {
      const connection = await measure(bare, () => ['hello'])
      const difference = (await measure(kit.port(), wallet)) - connection
      if (round > 0) differences.push(difference)
    }
    const middle = differences.toSorted((a, b) => a - b)[1]!
    expect(middle).toBeGreaterThan(1000) // Less would mean that something else was measured.
    expect(middle).toBeLessThan(5 * 1024)
  })

  it.each([
    { what: 'name', name: 'n'.repeat(90_000), software: 'short' },
    { what: 'features', name: 'short', software: 'n'.repeat(90_000) },
  ])('a session does not keep all of a $what that is 90 KB long', async ({ name, software }) => {
    const kit = await startKit([addPeer])
    const lines = (one: string, other: string): readonly string[] => [
      JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'server.version', params: [one, [1, 4]] }),
      JSON.stringify({
        jsonrpc: '2.0',
        id: 2,
        method: 'server.add_peer',
        params: [{ hosts: {}, server_version: other }],
      }),
    ]
    await leave((await crowd(kit.port(), 40, () => lines('short', 'short'))).sockets) // Code and tables are there from now on.
    const before = await held()
    const { sockets } = await crowd(kit.port(), 40, () => lines(name, software))
    stop.unshift(() => leave(sockets))
    const [client] = kit.manager.clients()
    expect([client?.software?.length, client?.features?.['server_version']]).toEqual([
      Math.min(name.length, 100),
      software.slice(0, 100),
    ])
    await vi.waitFor(async () => expect(((await held()) - before) / sockets.length).toBeLessThan(45_000), 10_000)
  })

  it('of a body over HTTP that comes in bytes, each a chunk, is little more than its length', async () => {
    const kit = await new SessionKit({ listeners: [{ kind: 'http', host: '127.0.0.1', port: 0 }] }).start()
    stop.push(() => kit.stop())
    const socket = connect({ host: '127.0.0.1', port: kit.port('http') })
    await once(socket, 'connect')
    const body = '1\r\nx\r\n'.repeat(90_000)
    const before = await held()
    socket.write('POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n')
    await new Promise<void>((resolve) => socket.write(body, () => resolve()))
    // What has left this side is read soon after: other connections come through meanwhile.
    for (let i = 0; i < 20; i++) await fetch(`http://127.0.0.1:${kit.port('http')}/health`)
    expect((await held()) - before).toBeLessThan(5_000_000)
    socket.destroy()
  })

  it('gives back the buffers of long messages once they are answered', async () => {
    const kit = await startKit()
    const long = JSON.stringify({ id: 1, method: 'echo', params: ['x'.repeat(LIMITS.maxReceive - 1000)] })
    const talk = (sockets: readonly Socket[]) => Promise.all(sockets.map((socket) => ask(socket, long)))
    const first = (await crowd(kit.port(), 20, wallet)).sockets
    await talk(first) // Code and tables are there from now on.
    await leave(first)
    const { sockets } = await crowd(kit.port(), 20, wallet)
    stop.unshift(() => leave(sockets))
    const before = await held()
    await talk(sockets)
    // What sockets have of the last write, on both sides, goes with their next turns, on a busy machine later than others'.
    const most = long.length / 10
    await vi.waitFor(async () => expect(((await held()) - before) / sockets.length).toBeLessThan(most), 10_000)
  })
})

describe('memory of a connection that lasts', () => {
  it('of the administrator does not grow with what it was asked', async () => {
    const { shared, manager } = await startKit()
    const methods = sessionAdminMethods({ shared, manager, stop: () => {} })
    const around = { daemon: new FakeDaemon(), server: new FakeServer(), clock: systemClock, log: silentLogger() }
    const admin = new AdminServer(
      { ...DEFAULT_ADMIN, port: 0, connection: LIMITS },
      { ...around, methods, requestId: () => '1' },
    )
    await admin.start()
    stop.unshift(() => admin.stop())
    const socket = connect({ host: '127.0.0.1', port: admin.address!.port })
    stop.unshift(() => leave([socket]))
    await once(socket, 'connect')
    const calls = JSON.stringify(Array.from({ length: 100 }, (_, id) => ({ jsonrpc: '2.0', id, method: 'sessions' })))
    const after = async (batches: number): Promise<number> => {
      for (let i = 0; i < batches; i++) await ask(socket, calls)
      return held()
    }
    const growths: number[] = []
    let before = await after(50)
    for (let round = 0; round < 2; round++) {
      const now = await after(100)
      growths.push((now - before) / 10_000)
      before = now
    }
    // Bytes for each call, the round in which nothing else happened to be kept.
    expect(Math.min(...growths)).toBeLessThan(20)
  })
})
