import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { atMost, lines, PacedSocket, type Portion } from '../../../src/session/transports/paced.ts'
import { Turns } from '../../../src/session/transports/turns.ts'

describe('portions', () => {
  const two = lines(2)

  it.each([
    ['nothing of a line', 'abc', 3],
    ['one line', 'a\nb', 3],
    ['two lines', 'a\nb\n', 4],
    ['more than two lines', 'a\n\nb\nc', 3],
  ])('of two lines of %s', (_what, text, length) => {
    expect(two(Buffer.from(text))).toBe(length)
  })

  it('of two lines and three bytes are the smaller of both', () => {
    expect(atMost(3, two)(Buffer.from('a\n\nb\n'))).toBe(3)
    expect(atMost(3, two)(Buffer.from('\n\nabc'))).toBe(2)
    expect(atMost(3, two)(Buffer.from('abcdef'))).toBe(3)
  })
})

describe('a paced socket', () => {
  const undo: (() => void)[] = []

  afterEach(() => {
    for (const step of undo.splice(0)) step()
  })

  async function pair(portion: Portion): Promise<{ client: Socket; paced: PacedSocket; turns: Turns }> {
    let time = 0
    // Each look at it takes a quarter of a turn.
    const turns = new Turns({ monotonic: () => (time += 0.5) })
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
    const [socket] = (await once(server, 'connection')) as [Socket]
    const paced = new PacedSocket(socket, { turns, portion })
    undo.push(
      () => client.destroy(),
      () => socket.destroy(),
      () => server.close(),
    )
    return { client, paced, turns }
  }

  it('gives all that was sent in portions, whole and in order, and then the end', async () => {
    const { client, paced } = await pair(atMost(100, lines(1000)))
    const sent = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 7) % 251))
    client.end(sent)
    const parts: Buffer[] = []
    paced.on('data', (part: Buffer) => parts.push(part))
    await once(paced, 'end')
    expect(Buffer.concat(parts).equals(sent)).toBe(true)
    expect(Math.max(...parts.map(({ length }) => length))).toBe(100)
    expect(paced.bytesRead).toBe(sent.length)
    await once(paced, 'close')
  })

  it('still sends what is written while the rest is given of a client that has ended its side', async () => {
    const { client, paced } = await pair(lines(1))
    let received = ''
    client.on('data', (part: Buffer) => (received += part.toString()))
    paced.on('data', (part: Buffer) => paced.write(part))
    const sent = [...Array(500).keys()].map((i) => `${i}\n`).join('')
    client.end(sent)
    await once(client, 'end')
    expect(received).toBe(sent)
  })

  it('gives no more than one portion after the reader has stopped, and all when it goes on', async () => {
    const { client, paced, turns } = await pair(lines(1))
    client.write('1\n2\n3\n4\n')
    const parts: string[] = []
    paced.on('data', (part: Buffer) => {
      parts.push(part.toString())
      if (parts.length === 2) paced.pause()
    })
    while (parts.length < 2) await turn()
    for (let i = 0; i < 20; i++) await turn()
    expect(parts).toEqual(['1\n', '2\n'])
    expect(paced.readableLength).toBeLessThanOrEqual(2)
    expect(turns.waiting).toBe(0)
    paced.resume()
    while (parts.length < 4) await turn()
    expect(parts).toEqual(['1\n', '2\n', '3\n', '4\n'])
  })

  it('sends texts and bytes as they are, many in one go, and ends what was written', async () => {
    const { client, paced } = await pair(lines(1))
    let received = ''
    client.on('data', (part: Buffer) => (received += part.toString()))
    paced.write('a')
    paced.cork()
    paced.write('\u00e9', 'latin1')
    paced.write(Buffer.from('b'))
    paced.uncork()
    paced.end('c')
    await once(client, 'end')
    expect(Buffer.from(received)).toEqual(Buffer.from(Buffer.from('a\xe9bc', 'latin1').toString()))
  })

  it('is gone with what was written sent when it is destroyed soon, though the client does not end', async () => {
    const { client, paced } = await pair(lines(1))
    client.resume()
    paced.write('x'.repeat(1_000_000))
    paced.destroySoon()
    await once(paced, 'close')
    while (client.bytesRead < 1_000_000) await turn()
  })

  it('gives no more than the portion under way while it is held, whatever the parser asks for, and all afterwards', async () => {
    const { client, paced } = await pair(atMost(100, lines(1000)))
    const sent = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 7) % 251))
    const parts: Buffer[] = []
    paced.on('data', (part: Buffer) => {
      parts.push(part)
      if (parts.length === 3) paced.hold()
    })
    client.end(sent)
    while (parts.length < 3) await turn()
    paced.hold()
    for (let i = 0; i < 50; i++) {
      paced.pause()
      paced.resume()
      await turn()
    }
    expect(parts).toHaveLength(3)
    expect(paced.bytesRead).toBeLessThan(sent.length)
    paced.unhold()
    paced.unhold()
    await once(paced, 'end')
    expect(Buffer.concat(parts).equals(sent)).toBe(true)
  })

  it('reads on after it was held with nothing to give', async () => {
    const { client, paced } = await pair(lines(1))
    paced.hold()
    paced.resume()
    client.write('a\nb\n')
    for (let i = 0; i < 50; i++) await turn()
    const first = once(paced, 'data')
    paced.unhold()
    expect(String(await first)).toBe('a\n')
    paced.hold()
    paced.destroy()
    paced.unhold()
    await once(client.resume(), 'close')
  })

  it('keeps nothing, and nobody waits for it, once it is destroyed', async () => {
    const { client, paced, turns } = await pair(lines(1))
    client.write('1\n2\n3\n4\n')
    await once(paced, 'data')
    paced.destroy()
    await once(paced, 'close')
    expect(turns.waiting).toBe(0)
    await once(client.resume(), 'close')
  })

  it('is gone with the error of the socket', async () => {
    const { client, paced } = await pair(lines(1))
    paced.resume()
    const failed = once(paced, 'error')
    client.resetAndDestroy()
    const [error] = (await failed) as [NodeJS.ErrnoException]
    expect(error.code).toBe('ECONNRESET')
    if (!paced.closed) await once(paced, 'close')
  })
})
