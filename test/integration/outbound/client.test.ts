import { createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { afterEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../../src/lib/clock.ts'
import { createElectrumManager, ElectrumClient, RemoteError } from '../../../src/session/outbound/client.ts'
import { AbortedError, InvalidError } from '../../../src/session/outbound/errors.ts'
import { diallerOf, LoopbackServer } from './loopback.ts'

const closing: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

interface Question {
  readonly id: number
  readonly method: string
  readonly params: readonly unknown[]
}

/** A server made of what it does with each line, and a client of it. */
async function pair(
  answer: (question: Question, socket: Socket) => void,
  options: { maxBadMessages?: number; maxId?: number } = {},
) {
  const server = await LoopbackServer.listen(
    createServer((socket) => {
      createInterface({ input: socket }).on('line', (line) => answer(JSON.parse(line) as Question, socket))
    }),
  )
  closing.push(() => server.close())
  const connection = await diallerOf().connect(
    { host: '127.0.0.1', port: server.port, tls: 'none' },
    new AbortController().signal,
  )
  const manager = createElectrumManager(options, systemClock)
  closing.push(() => manager.destroy())
  const notifications: [string, unknown][] = []
  const stray: unknown[] = []
  const client = new ElectrumClient(
    { name: 'server' },
    {
      connection,
      manager,
      onNotification: (method, params) => notifications.push([method, params]),
      onStray: (message) => stray.push(message),
    },
  )
  closing.push(() => client.close('client closed'))
  return { client, manager, notifications, stray, server }
}

function say(socket: Socket, ...messages: unknown[]): void {
  for (const message of messages) socket.write(`${JSON.stringify(message)}\n`)
}

describe('an Electrum client', () => {
  it('keeps no more of what a server says in an error than fits into a line', async () => {
    const { client } = await pair(({ id, params: [error] }, socket) => say(socket, { jsonrpc: '2.0', id, error }))
    const long = 'x'.repeat(90_000)
    for (const error of [long, { code: 7, message: long }]) {
      await expect(client.request('a', [error])).rejects.toMatchObject({ message: `${'x'.repeat(100)}…` })
    }
    await expect(client.request('a', [{ code: 7, message: 'short' }])).rejects.toMatchObject({
      code: 7,
      message: 'short',
    })
  })

  it('asks and hears results, null among them, in any order', async () => {
    const held: Question[] = []
    const { client } = await pair((question, socket) => {
      held.push(question)
      if (held.length < 3) return
      for (const { id, method, params } of held.reverse()) {
        say(socket, { jsonrpc: '2.0', id, result: method === 'server.ping' ? null : [method, ...params] })
      }
    })
    const results = await Promise.all([
      client.request('a', [1]),
      client.request('server.ping'),
      client.request('b', ['x', { y: 2 }]),
    ])
    expect(results).toEqual([['a', 1], null, ['b', 'x', { y: 2 }]])
    expect(client.roundTrip).toBeGreaterThan(0)
  })

  it('hears errors as errors of the server', async () => {
    const { client } = await pair(({ id, method }, socket) => {
      say(socket, { jsonrpc: '2.0', id, error: method === 'old' ? 'as in 2009' : { code: -32601, message: 'no such' } })
    })
    await expect(client.request('a')).rejects.toMatchObject({ name: 'RemoteError', code: -32601, message: 'no such' })
    await expect(client.request('old')).rejects.toEqual(new RemoteError(0, 'as in 2009'))
  })

  it('passes on notifications and answers nobody waits for, and tells a server that asks that it has no methods', async () => {
    const replies: unknown[] = []
    const { client, notifications, stray } = await pair((question, socket) => {
      if (!('method' in question)) {
        replies.push(question)
        say(socket, { id: 0, result: 'done' })
        return
      }
      say(
        socket,
        { method: 'blockchain.headers.subscribe', params: [{ height: 1 }] },
        { id: 999, result: 'to nobody' },
        { id: 'theirs', method: 'who.are.you', params: [] },
      )
    })
    expect(await client.request('a')).toBe('done')
    expect(notifications).toEqual([['blockchain.headers.subscribe', [{ height: 1 }]]])
    expect(stray).toEqual([{ id: 999, result: 'to nobody' }])
    expect(replies).toMatchObject([{ id: 'theirs', error: { code: -32601 } }])
  })

  it('takes an answer without result and error for invalid', async () => {
    const { client } = await pair(({ id }, socket) => say(socket, { jsonrpc: '2.0', id }))
    await expect(client.request('a')).rejects.toBeInstanceOf(InvalidError)
  })

  it.each([
    ['is no JSON', 'nonsense\n'],
    ['is not UTF-8', Buffer.from([0x22, 0xff, 0x22, 0x0a])],
    ['is no object', '[1,2]\n'],
    ['is longer than allowed', `"${'x'.repeat(200_000)}"\n`],
    ['has neither id nor method', '{"result":1}\n'],
  ])('drops a server whose talk %s', async (_what, talk) => {
    const { client } = await pair((_question, socket) => socket.write(talk), { maxBadMessages: 1 })
    await expect(client.request('a')).rejects.toMatchObject({ name: 'AbortedError', reason: 'protocol breach' })
    expect(await client.closed).toBe('protocol breach')
  })

  it('lives on after less nonsense than is too much', async () => {
    const { client } = await pair(
      ({ id }, socket) => {
        socket.write('nonsense\n')
        say(socket, { id, result: 1 })
      },
      { maxBadMessages: 2 },
    )
    expect([await client.request('a'), await client.request('b'), await client.request('c')]).toEqual([1, 1, 1])
  })

  it('ends what is open when the server goes', async () => {
    const { client, manager } = await pair((_question, socket) => socket.destroy())
    await expect(client.request('a', [], { retries: 5 })).rejects.toMatchObject({ reason: 'connection closed' })
    await client.closed
    await expect(client.request('b')).rejects.toBeInstanceOf(AbortedError)
    expect(manager.ports.size).toBe(0)
  })

  it('ends what is open when it is closed', async () => {
    const { client, server } = await pair(() => {})
    const results = Promise.allSettled([client.request('a'), client.request('b')])
    await client.close('client closed')
    for (const result of await results) expect(result).toMatchObject({ reason: { reason: 'port destroyed' } })
    expect([...server.sockets].filter(({ destroyed }) => !destroyed)).toEqual([])
  })

  it('gives back an id when all are in use, and the newer question gets its own answer', async () => {
    const questions: Question[] = []
    const { client } = await pair(
      (question, socket) => {
        questions.push(question)
        if (question.method === 'c') say(socket, { id: question.id, result: 'for c' })
      },
      { maxId: 1 },
    )
    const old = client.request('a')
    void client.request('b').catch(() => {})
    const newest = client.request('c')
    await expect(old).rejects.toMatchObject({ reason: 'id taken back' })
    expect(await newest).toBe('for c')
    expect(questions.map(({ id }) => id)).toEqual([0, 1, 0])
  })
})
