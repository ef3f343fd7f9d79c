import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { LongText, within } from '../../src/lib/long-text.ts'
import type { Connection, ConnectionLimits } from '../../src/session/transports/connection.ts'
import type { SocketListener } from '../../src/session/transports/listener.ts'
import { TURN_MS, Turns } from '../../src/session/transports/turns.ts'
import { type Accepted, LIMITS, listen, TestDoorkeeper } from '../support/transport-kit.ts'
import { WireClient, type WireKind } from '../support/wire-client.ts'

const KINDS: readonly WireKind[] = ['tcp', 'ssl', 'ws', 'wss']
const SECURE: ReadonlySet<WireKind> = new Set(['ssl', 'wss'])
/** What a chunk has in it where a turn is to be too short for it. */
const MANY = 60
/** A line feed ends each message. */
const LINES: ReadonlySet<WireKind> = new Set(['tcp', 'ssl'])
/** 500 pings as long as they may be, masked with zeros. */
const PINGS = Buffer.alloc(500 * 131, Buffer.from([0x89, 0x80 | 125, ...Buffer.alloc(129)]))
const BIG = 'x'.repeat(64 * 1024)

interface Pair {
  readonly client: WireClient
  readonly accepted: Accepted
}

describe.each(KINDS)('transport %s', (kind) => {
  let doorkeeper = new TestDoorkeeper()
  let listener: SocketListener | undefined
  const clients: WireClient[] = []
  const sockets: Socket[] = []

  async function open(limits: Partial<ConnectionLimits> = {}, turns?: Turns): Promise<number> {
    doorkeeper = new TestDoorkeeper()
    listener = await listen(kind, doorkeeper, limits, 0, turns)
    return listener.address.port
  }

  /** A pair whose server takes a millisecond for each message, which then is told to `onMessage`. */
  async function slow(onMessage: (message: string, connection: Connection) => void = () => {}) {
    let time = 0
    const turns = new Turns({ monotonic: () => time })
    const port = await open({}, turns)
    const client = await join(port)
    const accepted = await doorkeeper.arrival()
    const told: string[] = []
    const before = accepted.connection.handler
    accepted.connection.handler = {
      onMessage: (bytes) => {
        time++
        const message = Buffer.from(bytes).toString()
        told.push(message)
        onMessage(message, accepted.connection)
      },
      onClose: (reason) => before.onClose?.(reason),
    }
    return { port, client, accepted, turns, told }
  }

  /** So many messages at once: "0" and so on. */
  function sendMany(client: WireClient): string[] {
    const messages = [...Array(MANY).keys()].map(String)
    if (LINES.has(kind)) client.sendRaw(messages.join('\n'))
    else for (const message of messages) client.sendRaw(message)
    return messages
  }

  async function until(holds: () => boolean): Promise<void> {
    while (!holds()) await turn()
  }

  async function pair(limits: Partial<ConnectionLimits> = {}): Promise<Pair> {
    const port = await open(limits)
    return { client: await join(port), accepted: await doorkeeper.arrival() }
  }

  async function join(port: number): Promise<WireClient> {
    const client = await WireClient.connect({ kind, port })
    clients.push(client)
    return client
  }

  function silent(port: number): Socket {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {}) // It is expected to be cut.
    sockets.push(socket)
    return socket
  }

  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy()
    for (const socket of sockets.splice(0)) socket.destroy()
    await listener?.close()
    listener = undefined
  })

  it('names its kind and where the client is', async () => {
    const { accepted } = await pair()
    expect(accepted.connection.kind).toBe(kind)
    expect(accepted.connection.remote.host).toBe('127.0.0.1')
    expect(accepted.connection.remote.port).toBeGreaterThan(0)
  })

  it('tells each message once, whole and in order, also a long one', async () => {
    const { client, accepted } = await pair()
    const sent = [...Array(50).keys()].map((i) => `{"n":${i}}`).concat(BIG, 'ü€')
    for (const message of sent) client.sendRaw(message)
    await accepted.until(({ messages }) => messages.length === sent.length)
    expect(accepted.messages).toEqual(sent)
    expect(accepted.receivedBytes).toBeGreaterThan(BIG.length)
  })

  it('sends texts and bytes, each one message, in order', async () => {
    const { client, accepted } = await pair()
    accepted.connection.send('{"a":1}')
    accepted.connection.send(Buffer.from('{"b":"ü"}'))
    accepted.connection.send('{"c":3}')
    await client.next((message) => 'c' in message)
    expect(client.received).toEqual([{ a: 1 }, { b: 'ü' }, { c: 3 }])
  })

  it('sends long texts whole and in order among others, again and again, and counts their bytes', async () => {
    const { client, accepted } = await pair()
    let sent = 0
    accepted.connection.handler = {
      onSent: (bytes) => {
        sent += bytes
      },
    }
    const long = LongText.ofAscii(`"${'y'.repeat(300_000)}"`)
    const other = LongText.ofAscii(`{"z":"${'z'.repeat(20_000)}"}`)
    for (const id of ['"ü"', '1']) {
      accepted.connection.send('{"id":"ä"}')
      accepted.connection.send(within('{"a":', long, `,"id":${id}}`))
      accepted.connection.send(within('{"a":', other, `,"id":${id}}`))
      accepted.connection.send(Buffer.from('{"id":2}'))
      accepted.connection.send(other)
      accepted.connection.send('{"id":3}')
    }
    accepted.connection.send('{"last":true}')
    await client.next((message) => 'last' in message)
    const [y, z] = ['y'.repeat(300_000), { z: 'z'.repeat(20_000) }]
    const round = (id: unknown) => [{ id: 'ä' }, { a: y, id }, { a: z, id }, { id: 2 }, z, { id: 3 }]
    const expected = [...round('ü'), ...round(1), { last: true }]
    expect(client.received).toEqual(expected)
    const bytes = expected.reduce<number>((sum, message) => sum + Buffer.byteLength(JSON.stringify(message)), 0)
    expect(sent).toBe(LINES.has(kind) ? bytes + expected.length : bytes)
  })

  it('sends what is queued before it closes, and gives the reason once', async () => {
    const { client, accepted } = await pair()
    accepted.connection.send('{"last":true}')
    accepted.connection.close('operator')
    accepted.connection.close('shutdown')
    expect(accepted.connection.send('{"late":true}')).toBe(false)
    await client.closed
    await accepted.until(({ closings }) => closings.length > 0)
    expect(client.received).toEqual([{ last: true }])
    expect(accepted.closings).toEqual(['operator'])
  })

  it('tells no message after close() was called', async () => {
    const { client, accepted } = await pair()
    accepted.connection.close('operator')
    client.sendRaw('{"late":true}')
    await client.closed
    await accepted.until(({ closings }) => closings.length > 0)
    expect(accepted.messages).toEqual([])
  })

  it('cuts a client that does not close its side in time', async () => {
    const { client, accepted } = await pair({ closeTimeout: 50 })
    client.pause()
    for (let i = 0; i < 100; i++) accepted.connection.send(`"${BIG}"`)
    accepted.connection.close('operator')
    await accepted.until(({ closings }) => closings.length > 0)
    expect(accepted.closings).toEqual(['operator'])
  })

  it('says that the client closed, or broke off', async () => {
    const { client, accepted } = await pair()
    await client.close()
    await accepted.until(({ closings }) => closings.length > 0)
    expect(accepted.closings).toEqual(['client closed'])

    const other = await join(listener!.address.port)
    const second = await doorkeeper.arrival()
    other.destroy()
    await second.until(({ closings }) => closings.length > 0)
    expect(['client closed', 'client reset']).toContain(second.closings[0])
  })

  it.each(SECURE.has(kind) ? [kind] : [])('is gone after a broken %s record', async () => {
    const upstream = connect(await open(), '127.0.0.1')
    sockets.push(upstream)
    const relay = createServer((socket) => {
      socket.on('error', () => {}) // It breaks when the other half does.
      socket.pipe(upstream).pipe(socket)
    })
    relay.listen(0, '127.0.0.1')
    await once(relay, 'listening')
    const client = await join((relay.address() as AddressInfo).port)
    const accepted = await doorkeeper.arrival()
    upstream.write('this is no TLS record at all, and no part of one')
    await accepted.until(({ closings }) => closings.length > 0)
    expect(accepted.closings).toEqual(['transport error'])
    await client.closed
    relay.close()
  })

  it('stops reading while the client does not, and goes on with both when it does', async () => {
    const { client, accepted } = await pair()
    client.pause()
    // More than the buffers of the system on both sides.
    for (let i = 0; i < 300; i++) accepted.connection.send(`"${BIG}"`)
    expect(accepted.connection.send('"more"')).toBe(false)
    expect(accepted.connection.congested).toBe(true)
    expect(accepted.connection.unsent).toBeGreaterThan(LIMITS.highMark)
    client.sendRaw('{"n":1}')
    // Long enough for it to be told if it were read: other connections are served meanwhile, over and over.
    for (let round = 0; round < 20; round++) {
      const other = await pair()
      other.client.sendRaw('{"n":2}')
      await other.accepted.until(({ messages }) => messages.length === 1)
      await other.client.close()
    }
    expect(accepted.messages).toEqual([])
    client.resume()
    await accepted.until(({ connection }) => !connection.congested)
    expect(accepted.drains).toBeGreaterThan(0)
    await accepted.until(({ messages }) => messages.length === 1)
    await client.next((message) => JSON.stringify(message) === '"more"')
    expect(client.received).toHaveLength(301)
  })

  it('is congested no longer than until the end of the turn if the system takes everything at once', async () => {
    const { accepted } = await pair()
    while (accepted.connection.send(JSON.stringify(BIG.slice(0, 8192))));
    await accepted.until(({ drains }) => drains === 1)
    expect(accepted.connection.congested).toBe(false)
  })

  it('closes a slow reader that takes nothing for the send timeout', async () => {
    const { client, accepted } = await pair({ sendTimeout: 100 })
    client.pause()
    // More than the buffers of the system on both sides.
    for (let i = 0; i < 300; i++) accepted.connection.send(`"${BIG}"`)
    await accepted.until(({ closings }) => closings.length > 0)
    expect(accepted.closings).toEqual(['slow reader'])
  })

  it('closes a slow reader at the bound on unsent bytes, whatever the time', async () => {
    const { client, accepted } = await pair({ maxUnsent: 1024 * 1024 })
    client.pause()
    let sent = 0
    while (
      accepted.connection.unsent <= 1024 * 1024 &&
      accepted.connection.send(`"${BIG}"`) !== undefined &&
      sent < 1000
    )
      sent++
    await accepted.until(({ closings }) => closings.length > 0)
    expect(accepted.closings).toEqual(['slow reader'])
    expect(sent).toBeLessThan(1000)
  })

  it('holds messages back while it is paused', async () => {
    const { client, accepted } = await pair()
    client.sendRaw('{"n":1}')
    await accepted.until(({ messages }) => messages.length === 1)
    accepted.connection.pause()
    client.sendRaw('{"n":2}')
    // Something that travels the same way meanwhile, so that the message had its time to arrive.
    accepted.connection.send('{"ping":1}')
    await client.next()
    expect(accepted.messages).toHaveLength(1)
    accepted.connection.resume()
    await accepted.until(({ messages }) => messages.length === 2)
  })

  it('begins of many messages in one read no more in a turn than there is time for, and the others in order', async () => {
    let now = 0
    const turnOf: number[] = []
    const { client, told, turns } = await slow(() => turnOf.push(now))
    const sent = sendMany(client)
    while (told.length < MANY) {
      await turn()
      now++
    }
    expect(told).toEqual(sent)
    const counts = new Map<number, number>()
    for (const number of turnOf) counts.set(number, (counts.get(number) ?? 0) + 1)
    // Ours and those of the connection are not told apart by where they begin: two of its may be one of ours.
    expect(Math.max(...counts.values())).toBeLessThanOrEqual(2 * TURN_MS)
    expect(turns.waiting).toBe(0)
  })

  it('lets others in between many messages in one read', async () => {
    const { client, told, port } = await slow()
    const other = await join(port)
    const { connection } = await doorkeeper.arrival()
    connection.handler = { onMessage: () => told.push('other') }
    const sent = sendMany(client)
    other.sendRaw('hello')
    await until(() => told.length === MANY + 1)
    expect(told.filter((message) => message !== 'other')).toEqual(sent)
    expect(told.indexOf('other')).toBeLessThan(MANY / 2)
  })

  it('tells all that a client had sent before it closed, and then that it has', async () => {
    const { client, accepted, told, turns } = await slow()
    const sent = sendMany(client)
    await client.close()
    await accepted.until(({ closings }) => closings.length > 0)
    expect(told).toEqual(sent)
    expect(accepted.closings).toEqual(['client closed'])
    expect(turns.waiting).toBe(0)
  })

  it('tells nothing of what it had read once it is closed, and keeps nothing of it', async () => {
    const { client, accepted, told, turns } = await slow((message, connection) => {
      // Two turns on, when there is something kept.
      if (message === '3') setImmediate(() => connection.close('operator'))
    })
    sendMany(client)
    await accepted.until(({ closings }) => closings.length > 0)
    expect(told.length).toBeLessThan(MANY)
    expect(accepted.closings).toEqual(['operator'])
    expect(turns.waiting).toBe(0)
  })

  it('is gone once when the client breaks off while there is more to tell', async () => {
    const { client, accepted, told, turns } = await slow((message) => {
      if (message === '3') client.destroy()
    })
    const sent = sendMany(client)
    await accepted.until(({ closings }) => closings.length > 0)
    const [before] = [told.length]
    await turn()
    await turn()
    expect(told).toEqual(sent.slice(0, before))
    expect(accepted.closings).toHaveLength(1)
    expect(turns.waiting).toBe(0)
  })

  it('tells no message after pause(), also of those that came with the one before, and all after resume()', async () => {
    const { client, told, accepted } = await slow((message, connection) => {
      if (message === '3') connection.pause()
    })
    const sent = sendMany(client)
    await until(() => told.length === 4)
    accepted.connection.send('{"ping":1}')
    await client.next()
    await turn()
    expect(told).toEqual(sent.slice(0, 4))
    accepted.connection.resume()
    await until(() => told.length === MANY)
    expect(told).toEqual(sent)
  })

  it('drops a message above the limit and says so', async () => {
    const { client, accepted } = await pair({ maxReceive: 1000 })
    client.sendRaw('x'.repeat(1000))
    await accepted.until(({ messages }) => messages.length === 1)
    client.sendRaw('y'.repeat(1001))
    await accepted.until(({ oversized }) => oversized.length === 1)
    if (kind === 'tcp' || kind === 'ssl') {
      client.sendRaw('z')
      await accepted.until(({ messages }) => messages.length === 2)
      expect(accepted.messages[1]).toBe('z')
      expect(accepted.closings).toEqual([])
    } else {
      await client.closed
      expect(client.closeCode).toBe(1009)
      await accepted.until(({ closings }) => closings.length > 0)
      expect(accepted.closings).toEqual(['protocol breach'])
    }
    expect(accepted.oversized).toHaveLength(1)
  })

  it('refuses a newcomer for whom there is no place before any handshake', async () => {
    const port = await open()
    doorkeeper.welcoming = false
    await once(silent(port), 'close')
    expect(doorkeeper.admitted).toBe(0)
  })

  it('cuts a newcomer that never finishes the handshake and gives the place back', async () => {
    const port = await open({ handshakeTimeout: 100 })
    const socket = silent(port)
    if (kind === 'tcp') {
      // Nothing to finish on plain lines: the session's own time limit begins.
      await doorkeeper.arrival()
      expect(doorkeeper.released).toBe(0)
    } else {
      await once(socket, 'close')
      await doorkeeper.release(1)
      expect(doorkeeper.admitted).toBe(1)
    }
  })

  it('gives the place of a newcomer back that speaks something else', async () => {
    if (kind === 'tcp') return
    const port = await open()
    const socket = silent(port)
    socket.write('{"method":"server.version","id":0}\n')
    await once(socket, 'close')
    await doorkeeper.release(1)
    expect(doorkeeper.released).toBe(1)
  })

  it('refuses connections while the listener is paused, keeps the old ones, and takes its port again', async () => {
    const { client, accepted } = await pair()
    const { port } = listener!.address
    listener!.pause()
    await expect(WireClient.connect({ kind, port })).rejects.toThrow(/ECONNREFUSED/)
    client.sendRaw('{"n":1}')
    await accepted.until(({ messages }) => messages.length === 1)
    await listener!.resume()
    expect(listener!.address.port).toBe(port)
    await join(port)
    await doorkeeper.arrival()
  })

  it('ends up as last told when it is paused and resumed in quick succession', async () => {
    const port = await open()
    listener!.pause()
    const first = listener!.resume()
    listener!.pause()
    const second = listener!.resume()
    await Promise.all([first, second])
    await join(port)
    listener!.pause()
    const third = listener!.resume()
    listener!.pause()
    await third
    await expect(WireClient.connect({ kind, port })).rejects.toThrow(/ECONNREFUSED/)
  })
})

describe('transport tcp', () => {
  it('sends the messages of one turn in one write, also those that took a few promises to make', async () => {
    const doorkeeper = new TestDoorkeeper()
    const listener = await listen('tcp', doorkeeper)
    const socket = connect(listener.address.port, '127.0.0.1')
    try {
      const chunks: Buffer[] = []
      socket.on('data', (chunk) => chunks.push(chunk))
      const { connection } = await doorkeeper.arrival()
      const late = async (i: number): Promise<void> => {
        for (let turn = 0; turn < 5; turn++) await Promise.resolve()
        connection.send(`late ${i}`)
      }
      for (let i = 0; i < 50; i++) connection.send(`message ${i}`)
      await Promise.all([...Array(50).keys()].map(late))
      connection.close('operator')
      await once(socket, 'close')
      expect(Buffer.concat(chunks).toString().split('\n')).toHaveLength(101)
      expect(chunks).toHaveLength(1)
    } finally {
      socket.destroy()
      await listener.close()
    }
  })

  it('says why an address cannot be had', async () => {
    const doorkeeper = new TestDoorkeeper()
    const first = await listen('tcp', doorkeeper)
    try {
      await expect(listen('tcp', doorkeeper, {}, first.address.port)).rejects.toThrow(/EADDRINUSE/)
    } finally {
      await first.close()
    }
  })
})

describe('a WebSocket', () => {
  /** A socket on which frames may be written as they are. */
  async function upgraded(port: number): Promise<Socket> {
    const client = connect(port, '127.0.0.1')
    client.on('error', () => {}) // It is expected to be cut.
    const key = Buffer.alloc(16).toString('base64')
    client.write(
      `GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
    )
    await once(client, 'data')
    return client
  }

  it('reads of many frames in one chunk, which are no messages, no more in a turn than there is time for', async () => {
    const doorkeeper = new TestDoorkeeper()
    let received = 0
    // A millisecond for 100 frames.
    const turns = new Turns({ monotonic: () => received / 600 })
    const listener = await listen('ws', doorkeeper, {}, 0, turns)
    const client = await upgraded(listener.address.port)
    try {
      const { connection } = await doorkeeper.arrival()
      connection.handler = { onReceived: (bytes) => (received += bytes) }
      const pongs = Buffer.alloc(10_000 * 6, Buffer.from([0x8a, 0x80, 0, 0, 0, 0]))
      client.write(pongs)
      let [before, most] = [0, 0]
      while (received < pongs.length) {
        await turn()
        most = Math.max(most, received - before)
        before = received
      }
      // Two of its turns may be one of ours.
      expect(most).toBeLessThan(2 * (TURN_MS * 600 + 1024))
    } finally {
      client.destroy()
      await listener.close()
    }
  })

  it('tells all bytes that come, also those of frames that are no message, or none yet, before what they complete', async () => {
    const doorkeeper = new TestDoorkeeper()
    const listener = await listen('ws', doorkeeper)
    const client = await upgraded(listener.address.port)
    try {
      const accepted = await doorkeeper.arrival()
      let received = 0
      const told: number[] = []
      accepted.connection.handler = {
        onReceived: (bytes) => (received += bytes),
        onMessage: () => void told.push(received),
      }
      const part = (first: number, text: string): Buffer =>
        Buffer.concat([Buffer.from([first, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)])
      const begun = Buffer.concat([part(0x01, 'a'), part(0x00, ''), part(0x8a, 'pong'), part(0x00, 'b')])
      client.write(begun)
      while (received < begun.length) await turn()
      expect(received).toBe(begun.length)
      expect(told).toEqual([])
      const last = part(0x80, 'c')
      client.write(last)
      while (told.length === 0) await turn()
      expect(told).toEqual([begun.length + last.length])
    } finally {
      client.destroy()
      await listener.close()
    }
  })

  it('of a client that sends pings and takes no pongs is cut as a slow reader', async () => {
    const doorkeeper = new TestDoorkeeper()
    const listener = await listen('ws', doorkeeper)
    const client = await upgraded(listener.address.port)
    try {
      const accepted = await doorkeeper.arrival()
      client.pause()
      let most = 0
      for (let i = 0; i < 400 && accepted.closings.length === 0; i++) {
        client.write(PINGS)
        await turn()
        most = Math.max(most, accepted.connection.unsent)
      }
      await accepted.until(({ closings }) => closings.length > 0)
      expect(accepted.closings).toEqual(['slow reader'])
      expect(most).toBeLessThan(2 * LIMITS.highMark)
    } finally {
      client.destroy()
      await listener.close()
    }
  })
})
