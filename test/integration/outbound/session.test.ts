import { createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { afterEach, describe, expect, it } from 'vitest'
import { isAbort } from '../../../src/errors.ts'
import { untilAborted } from '../../../src/lib/abort.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { createElectrumManager } from '../../../src/session/outbound/client.ts'
import { type Dial, DialError } from '../../../src/session/outbound/dial.ts'
import { openSession, type ServerSession } from '../../../src/session/outbound/session.ts'
import { freePort } from '../../support/free-port.ts'
import { registerOf } from '../../support/server-keeper.ts'
import { counterOf, diallerOf, LoopbackServer } from './loopback.ts'

const never = new AbortController().signal
const closing: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

type Answer = (id: number, method: string, socket: Socket) => void

const version: Answer = (id, _method, socket) => {
  socket.write(`${JSON.stringify({ jsonrpc: '2.0', id, result: ['Fake 1.0', '1.4'] })}\n`)
}

/** A server that answers so, and all that it takes to dial it. */
async function place(answer: Answer = version, counter = counterOf()) {
  const server = await LoopbackServer.listen(
    createServer((socket) => {
      createInterface({ input: socket }).on('line', (line) => {
        const { id, method } = JSON.parse(line) as { id: number; method: string }
        answer(id, method, socket)
      })
    }),
  )
  closing.push(() => server.close())
  const conversations = createElectrumManager({}, systemClock)
  closing.push(() => conversations.destroy())
  const register = registerOf({ clock: systemClock, counter })
  const around = { keeper: register.keeper, dial: diallerOf().connect, conversations, clock: systemClock }
  let count = 0
  const open = (changes: { port?: number; name?: string; dial?: Dial; signal?: AbortSignal } = {}) =>
    openSession(
      {
        target: { host: '127.0.0.1', port: changes.port ?? server.port, tls: 'none' },
        name: changes.name ?? `server ${++count}`,
        port: { maxBadMessages: 2 },
      },
      { ...around, dial: changes.dial ?? around.dial },
      changes.signal ?? never,
    )
  const counts = () => [counter.count('pending', 'outbound'), counter.count('active', 'outbound')]
  return { ...register, server, conversations, open, counts }
}

const hanging: Dial = (_target, signal) => untilAborted(new Promise(() => {}), signal)

async function ended(session: ServerSession): Promise<void> {
  while (session.state !== 'closed') await new Promise((resolve) => setImmediate(resolve))
}

describe('a session with a server that we dial', () => {
  it('is in the register from before the first packet until its connection has gone', async () => {
    const { open, sessions, counts, keeper } = await place()
    let seen: unknown
    const dial: Dial = (target, signal, given) => {
      seen = [...sessions.servers()].map(({ id, direction, state, host }) => ({ id, direction, state, host }))
      expect(given?.stage).toBe('pending')
      return diallerOf().connect(target, signal, given)
    }
    const session = await open({ dial })
    expect(seen).toEqual([{ id: 1, direction: 'outbound', state: 'handshaking', host: '127.0.0.1' }])
    expect(counts()).toEqual([1, 0])
    expect(await session.request('server.version', [], {})).toEqual(['Fake 1.0', '1.4'])
    session.agreed('Fake 1.0', [1, 4, 0])
    expect(counts()).toEqual([0, 1])
    expect(sessions.find(1)).toMatchObject({ state: 'active', software: 'Fake 1.0', protocol: [1, 4, 0] })
    expect(session.roundTrip).toBeGreaterThan(0)
    expect(session.traffic).toMatchObject({ sentMessages: 1, receivedMessages: 1, errors: 0 })
    expect(session.traffic.sentBytes).toBeGreaterThan(0)
    expect(session.traffic.receivedBytes).toBeGreaterThan(0)
    await session.close('client closed')
    await ended(session)
    expect([counts(), sessions.size]).toEqual([[0, 0], 0])
    expect(keeper.closed['client closed']).toBe(1)
  })

  it('is not begun where there is no place: nothing is made, nobody is dialled, and the error says which limit', async () => {
    const { open, sessions } = await place(version, counterOf(1, undefined))
    const stop = new AbortController()
    const first = open({ dial: hanging, signal: stop.signal })
    let dials = 0
    const second = open({ dial: () => Promise.reject(new Error(`dialled ${++dials} times`)) })
    await expect(second).rejects.toMatchObject({
      stage: 'limit',
      exceeded: { stage: 'pending', direction: 'outbound', limit: 1 },
    })
    expect([dials, sessions.size]).toEqual([0, 1])
    stop.abort()
    await expect(first).rejects.toSatisfy(isAbort)
    expect(sessions.size).toBe(0)
  })

  it('is pending still where there is no place among the active ones', async () => {
    const { open, counts } = await place(version, counterOf(undefined, 1))
    const [first, second] = [await open(), await open()]
    first.agreed('a', [1, 4, 0])
    expect(() => second.agreed('b', [1, 4, 0])).toThrow(DialError)
    expect(counts()).toEqual([1, 1])
    expect(second.state).toBe('handshaking')
    await Promise.all([first, second].map((session) => session.close('client closed')))
    await Promise.all([first, second].map(ended))
    expect(counts()).toEqual([0, 0])
  })

  it.each(['end', 'close'] as const)(
    'can be told to %s while it is dialled, which is no wish of who waits',
    async (type) => {
      const { open, sessions, keeper, counts } = await place()
      const dialled = open({ dial: hanging })
      for (const session of sessions.servers()) session.command({ type, reason: 'operator' })
      const error: unknown = await dialled.catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(DialError)
      expect(error).toMatchObject({ message: 'ended: operator' })
      expect(isAbort(error)).toBe(false)
      expect([counts(), keeper.closed.operator]).toEqual([[0, 0], 1])
    },
  )

  it('can be told to close when it is active: what it was asked is aborted', async () => {
    const { open, keeper, server } = await place((id, method, socket) => {
      if (method === 'server.version') version(id, method, socket)
    })
    const session = await open()
    session.agreed('Fake', [1, 4, 0])
    const question = session.request('a', [], {})
    expect(session.unanswered).toBe(1)
    session.command({ type: 'close', reason: 'operator' })
    await expect(question).rejects.toMatchObject({ name: 'AbortedError' })
    await ended(session)
    expect(keeper.closed.operator).toBe(1)
    expect([...server.sockets].filter(({ destroyed }) => !destroyed)).toEqual([])
  })

  it.each([
    ['nobody listens', { dead: true }, 'transport error'],
    ['it takes too long', { dial: () => Promise.reject(new DialError('timeout', 'late')) }, 'handshake timeout'],
  ] as const)('that does not come about because %s leaves the register for that reason', async (_why, how, reason) => {
    const { open, sessions, keeper, counts } = await place()
    const changes = 'dial' in how ? { dial: how.dial } : { port: await freePort() }
    await expect(open(changes)).rejects.toBeInstanceOf(DialError)
    expect([sessions.size, counts(), keeper.closed[reason]]).toEqual([0, [0, 0], 1])
  })

  it('of a name that is taken is closed again', async () => {
    const { open, sessions, server } = await place()
    const first = await open({ name: 'twin' })
    await expect(open({ name: 'twin' })).rejects.toMatchObject({ name: 'InvalidError' })
    expect(sessions.size).toBe(1)
    while (server.sockets.size > 1) await new Promise((resolve) => setImmediate(resolve))
    await first.close('client closed')
  })

  it('tells what it hears: answers, answers that are none, nonsense, and a breach when there is too much of it', async () => {
    const { open, heard, keeper } = await place((id, method, socket) => {
      if (method === 'good') version(id, method, socket)
      else if (method === 'empty') socket.write(`{"id":${id}}\n`)
      else socket.write('nonsense\n')
    })
    const session = await open()
    session.agreed('Fake', [1, 4, 0])
    await session.request('good', [], {})
    expect(heard).toEqual({ valid: 1, invalid: 0, 'bad message': 0, 'protocol breach': 0 })
    await expect(session.request('empty', [], {})).rejects.toMatchObject({ name: 'InvalidError' })
    await session.request('good', [], {})
    const drowned = Promise.allSettled([session.request('junk', [], {}), session.request('junk', [], {})])
    for (const result of await drowned) expect(result).toMatchObject({ reason: { reason: 'protocol breach' } })
    await ended(session)
    expect(heard).toEqual({ valid: 2, invalid: 1, 'bad message': 2, 'protocol breach': 1 })
    expect(keeper.closed['protocol breach']).toBe(1)
    expect(session.traffic.errors).toBe(4)
  })

  it('tells apart a server that hangs up and a connection that breaks', async () => {
    const { open, keeper } = await place((_id, method, socket) => {
      if (method === 'end') socket.end()
      else socket.resetAndDestroy()
    })
    for (const method of ['end', 'break']) {
      const session = await open()
      await expect(session.request(method, [], {})).rejects.toMatchObject({ reason: 'connection closed' })
      await ended(session)
    }
    expect([keeper.closed['client closed'], keeper.closed['client reset']]).toEqual([1, 1])
  })
})
