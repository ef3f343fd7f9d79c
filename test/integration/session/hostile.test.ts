import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { DEFAULT_COSTS } from '../../../src/session/cost.ts'
import { type KitOptions, SessionKit } from '../../support/session-kit.ts'
import type { WireKind } from '../../support/wire-client.ts'

const HOST = '127.0.0.1'
const LISTENERS = (['tcp', 'ws', 'http'] as const).map((kind) => ({ kind, host: HOST, port: 0 }))
/** No limits of cost, and one request at a time: what comes behind one that hangs has to wait. */
const ONE_AT_A_TIME = { ...DEFAULT_COSTS, softLimit: 0, hardLimit: 0, initialConcurrent: 1 }
const STREAMS: readonly WireKind[] = ['tcp', 'ws']

describe('a hostile client', () => {
  let kit: SessionKit | undefined
  const sockets: Socket[] = []

  async function start(options: KitOptions = {}): Promise<SessionKit> {
    kit = await new SessionKit({ listeners: LISTENERS, ...options }).start()
    return kit
  }

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy()
    await kit?.stop()
    kit = undefined
  })

  function socketTo(kind: 'tcp' | 'ws' | 'http'): Socket {
    const socket = connect(kit!.port(kind), HOST)
    socket.on('error', () => {}) // It is expected to be cut.
    sockets.push(socket)
    return socket
  }

  const call = (method: string, params: readonly unknown[] = [], id: unknown = 1): string =>
    JSON.stringify({ jsonrpc: '2.0', id, method, params })

  /** As long as others have asked and been answered, everything that there is to read is read. */
  async function othersAsk(times: number): Promise<void> {
    const other = await kit!.active()
    for (let i = 0; i < times; i++) await other.request('protocol')
  }

  it.each(STREAMS)('has no more requests wait than messages, however many are in a batch, over %s', async (kind) => {
    await start({ shared: { maxPipelined: 50, costs: ONE_AT_A_TIME } })
    const client = await kit!.active(kind)
    client.send({ jsonrpc: '2.0', id: 'first', method: 'hold' })
    await kit!.held.begun(1)
    const batch = [...Array(100).keys()].map((id) => ({ jsonrpc: '2.0', id, method: 'echo', params: ['x'] }))
    for (let i = 0; i < 40; i++) client.send(batch)
    await othersAsk(100)
    expect(kit!.shared.tally.of('echo').calls).toBe(100)
    kit!.held.release()
    await kit!.until(() => client.received.length === 42)
    expect(kit!.shared.tally.of('echo').calls).toBe(4000)
  })

  it.each(STREAMS)('has no more messages wait than 256 KiB and one over %s', async (kind) => {
    await start({ shared: { costs: ONE_AT_A_TIME } })
    const client = await kit!.active(kind)
    client.send({ jsonrpc: '2.0', id: 'first', method: 'hold' })
    await kit!.held.begun(1)
    for (let i = 0; i < 60; i++) client.send({ jsonrpc: '2.0', id: i, method: 'echo', params: ['x'.repeat(90_000)] })
    await othersAsk(100)
    // The first, and three that are more than 256 KiB together.
    expect(kit!.manager.counts.unanswered).toBe(4)
    kit!.held.release()
    await kit!.until(() => client.received.length === 62)
  })

  it.each(['tcp', 'ws', 'http'] as const)(
    'is refused a message of more parts than are taken on, over %s',
    async (kind) => {
      await start()
      const parts = `[${'[],'.repeat(33_000)}[]]`
      if (kind === 'http') {
        const socket = socketTo(kind)
        socket.write(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${parts.length}\r\n\r\n${parts}`)
        const [answer] = (await once(socket, 'data')) as [Buffer]
        expect(answer.toString()).toContain('{"code":-32600,"message":"request has too many parts"}')
      } else {
        const client = await kit!.active(kind)
        client.sendRaw(parts)
        const { error } = await client.next()
        expect(error).toEqual({ code: -32600, message: 'request has too many parts' })
      }
      expect(kit!.shared.tally.limits.parts).toBe(1)
    },
  )

  it('has no more than some megabytes of bodies wait over HTTP, and gets all answers in the end', async () => {
    await start({ shared: { costs: ONE_AT_A_TIME } })
    const socket = socketTo('http')
    const post = (body: string): string => `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`
    socket.write(post(call('hold')))
    await kit!.held.begun(1)
    socket.write(post(call('echo', ['x'.repeat(90_000)])).repeat(100))
    await othersAsk(100)
    const [session] = [...kit!.manager.clients()].filter(({ kind }) => kind === 'http')
    expect(session?.unanswered).toBeLessThan(20)
    expect(session?.traffic.receivedBytes).toBeLessThan(2_000_000)
    kit!.held.release()
    let text = ''
    socket.on('data', (part: Buffer) => (text += part.toString()))
    await kit!.until(() => text.split('HTTP/1.1 200').length === 102)
  })
})
